//! Workers that are worn out: who is replaced, when, by whom, and what is told of those that go.

use std::time::Duration;

use super::upkeep::ready;
use super::worker::Life;
use super::{Outcome, Spec, World};
use crate::call::Affinity::StrictQueue;
use crate::config::{self, Recycle};
use crate::error::{Cause, Recycled};
use crate::pool::state::{End, Fallen, Refusal};

fn recycled(recycle: Recycle) -> config::Life {
    config::Life { heartbeat: None, recycle: Some(recycle), ..config::Life::default() }
}

#[test]
fn a_worn_worker_serves_until_its_replacement_is_ready() {
    let mut world = ready(1, recycled(Recycle { memory: Some(100), ..Recycle::default() }));
    world.weigh(0, 99);
    assert_eq!(world.workers[1].life, Life::None);
    world.weigh(0, 100);
    assert!(matches!(world.workers[1].life, Life::Planned(_)));
    let running = world.call(Spec::default());
    world.begin(0);
    world.start(1);
    let waiting = world.call(Spec::default());
    world.become_ready(1, true);
    assert_eq!((world.state.slot_of(0), world.state.number(1)), (1, 0));
    assert!(world.state.generation(1) > world.state.generation(0));
    assert_eq!(world.sent(waiting), [1], "the new one serves");
    assert!(!world.workers[0].stopped, "the old one ends its call");

    world.finish(0);
    world.flush(0);
    assert_eq!(world.outcome(running), Some(&Outcome::Answered));
    assert!(world.workers[0].stopped);
    assert_eq!(world.workers[0].why, Cause::Recycle(Recycled::Memory));
    world.die(0, false);
    assert_eq!(world.workers[0].life, Life::None, "its slot is spare now");
    world.work(1);
    world.weigh(1, 100);
    assert!(matches!(world.workers[0].life, Life::Planned(_)), "and is used again");
    let told = world.state.counters();
    assert_eq!((told.worker_deaths, told.restarts), (0, 2));
}

#[test]
fn sessions_keep_a_replaced_worker_until_their_time_is_up() {
    let drain = Duration::from_secs(5);
    let recycle =
        Recycle { calls: Some(2), jitter: 0.0, session_drain: drain, ..Recycle::default() };
    let mut world = ready(1, recycled(recycle));
    let spec = || Spec::session("s", StrictQueue);
    world.calls(2, &spec());
    world.work_off(0);
    world.bring_up(1);
    assert_eq!(world.state.describe(0).0, "draining");

    let own = world.call(spec());
    assert_eq!(world.sent(own), [0], "the session lives there");
    let second = world.call(spec());
    let other = world.call(Spec::session("t", StrictQueue));
    assert_eq!(world.sent(other), [1], "a new session does not");
    assert_eq!(world.work_off(0), [own, second]);
    world.advance(drain);
    assert!(world.workers[0].stopped);
    let lost = world.submit(spec()).expect_err("its worker goes");
    let Refusal::SessionLost { cause, home, .. } = lost else { panic!("{lost:?}") };
    assert_eq!((cause, home.slot, home.generation), ("its worker was recycled", 0, 1));
    world.die(0, false);
    let anew = world.call(spec());
    world.work_off(1);
    assert_eq!(world.outcome(anew), Some(&Outcome::Answered));
}

#[test]
fn replacements_of_at_most_a_quarter_start_at_a_time() {
    let mut world = ready(8, recycled(Recycle { memory: Some(1), ..Recycle::default() }));
    for slot in 0..8 {
        world.weigh(slot, 1);
    }
    for _ in 0..4 {
        let planned = planned(&world);
        assert_eq!((planned.len(), world.state.ready()), (2, 8));
        planned.iter().for_each(|&slot| world.bring_up(slot));
        let stopped: Vec<_> = (0..16).filter(|&slot| world.workers[slot].stopped).collect();
        assert_eq!(stopped.len(), 2);
        stopped.iter().for_each(|&slot| world.die(slot, false));
    }
    assert_eq!((planned(&world).len(), world.state.ready()), (0, 8));
}

#[test]
fn those_that_wore_out_first_are_replaced_first() {
    let recycle = Recycle { calls: Some(2), jitter: 0.0, ..Recycle::default() };
    let mut world = ready(4, recycled(recycle));
    for _ in 0..12 {
        // Nobody waits with its work until others are replaced.
        for slot in 0..world.workers.len() {
            world.advance(Duration::from_millis(1));
            world.calls(4, &Spec::default());
            world.work_off(slot);
        }
        planned(&world).into_iter().for_each(|slot| world.bring_up(slot));
        let stopped = (0..world.workers.len()).filter(|&slot| world.workers[slot].stopped);
        stopped.collect::<Vec<_>>().into_iter().for_each(|slot| world.die(slot, false));
    }
    let generations = |number| world.state.generation(world.state.slot_of(number));
    let all: Vec<_> = (0..4).map(generations).collect();
    assert!(all.iter().all(|&it| it >= 3), "{all:?}");
}

#[test]
fn who_is_long_at_its_last_call_keeps_nobody_else_from_being_replaced() {
    let mut world = ready(2, recycled(Recycle::default()));
    let first = world.calls(2, &Spec::default());
    assert!(world.begin(0).is_some() && world.begin(1).is_some());
    for number in [0, 1] {
        assert!(world.recycle(number, None));
        let heirs = planned(&world);
        assert_eq!(heirs.len(), 1);
        world.bring_up(heirs[0]);
    }
    assert_eq!(world.state.ready(), 2);
    let again = world.state.slot_of(0);
    assert!(world.recycle(again, None));
    assert_eq!(planned(&world).len(), 0, "its predecessor is still there");
    world.finish(0);
    world.flush(0);
    world.die(0, false);
    assert_eq!(planned(&world).len(), 1, "and is gone");
    assert_eq!(world.outcome(first[0]), Some(&Outcome::Answered));
}

#[test]
fn who_wears_out_before_it_was_of_any_use_is_replaced_more_and_more_slowly() {
    let recycle = Recycle { age: Some(Duration::from_millis(10)), ..Recycle::default() };
    let mut world = ready(1, recycled(recycle));
    let mut pauses = Vec::new();
    for _ in 0..8 {
        world.wait_for_timer();
        let heir = planned(&world)[0];
        let Life::Planned(at) = world.workers[heir].life else { unreachable!("it is planned") };
        pauses.push((at - world.now).as_millis());
        let old = world.state.slot_of(0);
        world.bring_up(heir);
        world.die(old, false);
    }
    assert_eq!(pauses, [0, 50, 100, 200, 400, 800, 1600, 2000]);
    world.call(Spec::default());
    world.work(world.state.slot_of(0));
    world.wait_for_timer();
    let heir = planned(&world)[0];
    assert_eq!(world.workers[heir].life, Life::Planned(world.now), "it has answered a call");
}

#[test]
fn what_a_fresh_worker_holds_is_no_reason_to_replace_it() {
    let recycle = Recycle { memory: Some(100), memory_growth: Some(3.0), ..Recycle::default() };
    let mut world = ready(1, recycled(recycle));
    assert_eq!(world.state.weighed_first(0, 100), Some(100));
    world.weigh(0, 299);
    assert_eq!(planned(&world).len(), 0);
    world.weigh(0, 300);
    assert_eq!(planned(&world).len(), 1, "growth counts all the same");
}

#[test]
fn a_worn_worker_that_dies_is_followed_by_its_replacement() {
    let mut world = ready(1, recycled(Recycle::default()));
    let doomed = world.call(Spec::default());
    world.begin(0);
    assert!(world.recycle(0, None));
    assert!(!world.recycle(0, None), "it is under way");
    world.start(1);
    world.die(0, false);
    assert!(matches!(world.end(doomed), End::WorkerDied(Fallen { slot: 0, .. })));
    assert_eq!((world.state.slot_of(0), world.workers[0].life), (1, Life::None));
    world.become_ready(1, true);
    assert_eq!(world.state.ready(), 1);
}

#[test]
fn a_replacement_that_cannot_start_takes_nothing_from_anybody() {
    let mut world = ready(1, recycled(Recycle::default()));
    world.recycle(0, None);
    for _ in 0..20 {
        let Life::Planned(at) = world.workers[1].life else { panic!("not tried again") };
        world.now = world.now.max(at);
        world.start(1);
        world.die(1, false);
    }
    assert_eq!((world.state.degraded(), world.state.ready()), (None, 1));
    let call = world.call(Spec::default());
    assert_eq!(world.work(0), Some(call));
}

#[test]
fn the_age_of_a_worker_ends_it() {
    let age = Duration::from_secs(100);
    let mut world = ready(2, recycled(Recycle { age: Some(age), ..Recycle::default() }));
    let born = world.now;
    world.wait_for_timer();
    assert!(world.now - born < age, "jitter shortens");
    let first = world.now;
    assert!(matches!(world.workers[2].life, Life::Planned(_)));
    world.bring_up(2);
    world.wait_for_timer();
    assert!(world.now > first, "they do not all go at once");
}

#[test]
fn without_a_worker_a_replacement_that_cannot_start_is_a_degraded_slot() {
    let mut world = ready(1, recycled(Recycle::default()));
    let running = world.call(Spec::default());
    world.begin(0);
    world.recycle(0, None);
    for _ in 0..world.limits.life.max_failed_starts {
        let Life::Planned(at) = world.workers[1].life else { panic!("not tried again") };
        world.now = world.now.max(at);
        world.start(1);
        world.die(1, false);
    }
    assert_eq!(world.state.degraded(), None);
    let waiting = world.call(Spec::default());
    world.die(0, false);
    assert_eq!(world.state.degraded(), Some(1));
    assert!(matches!(world.end(running), End::WorkerDied(_)));
    assert_eq!(world.end(waiting), &End::NoWorker, "nobody hangs on a slot that cannot start");
    assert_eq!(world.submit(Spec::default()), Err(Refusal::NoWorker));
    world.bring_up(1);
    assert_eq!((world.state.degraded(), world.state.ready()), (None, 1));
}

#[test]
fn a_replaced_worker_that_crashes_was_not_recycled() {
    let mut world = ready(1, recycled(Recycle::default()));
    let strict = || Spec::session("s", StrictQueue);
    let running = world.call(strict());
    world.begin(0);
    let waiting = world.call(strict());
    world.recycle(0, None);
    world.bring_up(1);
    assert_eq!(world.state.describe(0).0, "draining");
    world.die(0, false);
    assert!(matches!(world.end(running), End::WorkerDied(_)));
    let End::SessionLost { cause, .. } = world.end(waiting) else { panic!("its home is gone") };
    assert_eq!(*cause, "its worker died");
}

#[test]
fn a_worker_is_known_by_the_number_that_it_had_when_it_died() {
    let mut world = ready(2, recycled(Recycle::default()));
    world.recycle(1, None);
    world.bring_up(2);
    world.die(1, false);
    world.recycle(0, None);
    world.bring_up(1);
    let calls = world.calls(2, &Spec::default());
    assert!(world.begin(1).is_some() && world.begin(2).is_some());
    world.die(1, false);
    world.die(2, false);
    for (call, slot, number) in [(calls[0], 1, 0), (calls[1], 2, 1)] {
        let under = Fallen { slot, number, generation: 2 };
        assert_eq!(world.end(call), &End::WorkerDied(under));
    }
}

fn planned(world: &World) -> Vec<usize> {
    let slots = 0..world.workers.len();
    slots.filter(|&slot| matches!(world.workers[slot].life, Life::Planned(_))).collect()
}
