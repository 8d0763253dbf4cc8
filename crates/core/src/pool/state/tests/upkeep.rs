//! Signs of life, replacement and starts of workers.

use std::time::Duration;

use super::worker::Life;
use super::{Outcome, Spec, World};
use crate::call::Affinity::StrictQueue;
use crate::config::{self, Heartbeat, Recycle};
use crate::policy::recycle::Wear;
use crate::pool::state::standing::Parting;
use crate::pool::state::{End, Refusal};

fn ready(size: usize, life: config::Life) -> World {
    let mut world = World::living(size, 100, life);
    (0..size).for_each(|slot| world.bring_up(slot));
    world
}

fn probed() -> config::Life {
    config::Life { heartbeat: Some(Heartbeat::default()), ..config::Life::default() }
}

fn recycled(recycle: Recycle) -> config::Life {
    config::Life { heartbeat: None, recycle: Some(recycle), ..config::Life::default() }
}

/// Nobody answers until slot 0 is stalled; the others do.
fn stall(world: &mut World, slot: usize) {
    while world.state.describe(slot).0 != "stalled" {
        world.wait_for_timer();
        for other in 0..world.workers.len() {
            if other != slot {
                world.answer_probes(other);
            }
        }
    }
}

#[test]
fn a_stalled_worker_gets_nothing_and_gives_back_what_it_has_not_begun() {
    let mut world = ready(2, probed());
    world.warm_up();
    let calls = world.calls(4, &Spec::default());
    let stuck = world.begin(0).expect("a call");
    while world.work(1).is_some() {}
    let left: Vec<_> = calls.iter().filter(|&&id| world.outcome(id).is_none()).collect();
    assert_eq!(left, [&stuck], "others took over what waited behind it");
    stall(&mut world, 0);
    assert_eq!(world.state.ready(), 1);

    for _ in 0..3 {
        let call = world.call(Spec::default());
        assert_eq!(world.sent(call), [1]);
    }
    world.work_off(1);
    assert_eq!(world.outcome(stuck), None, "it may yet come back with it");
    world.finish(0);
    world.flush(0);
    assert_eq!(world.outcome(stuck), Some(&Outcome::Answered));
    assert_eq!((world.state.ready(), world.state.describe(0).0), (2, "ready"));
}

#[test]
fn a_stopped_worker_gives_its_first_call_back_too() {
    let mut world = ready(1, probed());
    let call = world.call(Spec::default());
    stall(&mut world, 0);
    assert_eq!(world.load(0), 0, "it had not begun it");
    assert!(world.answer_probes(0));
    assert_eq!(world.sent(call), [0, 0]);
    assert_eq!(world.work(0), Some(call));
}

#[test]
fn a_session_waits_for_its_stalled_home() {
    let mut world = ready(2, probed());
    let spec = || Spec::session("s", StrictQueue);
    world.call(spec());
    world.work(0);
    stall(&mut world, 0);
    let waiting = world.call(spec());
    assert_eq!((world.outcome(waiting), world.sent(waiting).len()), (None, 0));
    world.answer_probes(0);
    assert_eq!(world.sent(waiting), [0]);
}

#[test]
fn only_stall_kill_kills_a_stalled_worker() {
    let mut patient = ready(1, probed());
    stall(&mut patient, 0);
    for _ in 0..20 {
        patient.wait_for_timer();
    }
    assert!(!patient.workers[0].killed);

    let patience = Some(Duration::from_secs(1));
    let mut world = ready(1, config::Life { stall_kill: patience, ..probed() });
    stall(&mut world, 0);
    world.wait_for_timer();
    assert!(world.workers[0].killed);
    assert_eq!(world.state.parting(0), Parting::Stalled);
    world.die(0, false);
    world.bring_up(0);
    assert_eq!(world.state.ready(), 1);
}

#[test]
fn ends_without_a_control_socket_never_stall() {
    let mut world = World::living(1, 10, probed());
    world.start(0);
    world.become_ready(0, false);
    assert_eq!(world.timer, None);
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
    assert_eq!(world.state.parting(0), Parting::Recycled(Wear::Memory));
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
    assert_eq!(lost, Refusal::SessionLost("s".into(), "its worker was recycled"));
    world.die(0, false);
    let anew = world.call(spec());
    world.work_off(1);
    assert_eq!(world.outcome(anew), Some(&Outcome::Answered));
}

#[test]
fn at_most_a_quarter_is_replaced_at_a_time() {
    let mut world = ready(8, recycled(Recycle { memory: Some(1), ..Recycle::default() }));
    for slot in 0..8 {
        world.weigh(slot, 1);
    }
    let starting = |world: &World| {
        let planned = |life: Life| matches!(life, Life::Planned(_) | Life::Starting);
        world.workers.iter().filter(|worker| planned(worker.life)).count()
    };
    for _ in 0..4 {
        assert_eq!((starting(&world), world.state.ready()), (2, 8));
        let planned: Vec<_> =
            (0..10).filter(|&slot| matches!(world.workers[slot].life, Life::Planned(_))).collect();
        planned.iter().for_each(|&slot| world.bring_up(slot));
        let stopped: Vec<_> = (0..10).filter(|&slot| world.workers[slot].stopped).collect();
        assert_eq!(stopped.len(), 2);
        stopped.iter().for_each(|&slot| world.die(slot, false));
    }
    assert_eq!((starting(&world), world.state.ready()), (0, 8));
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
    assert!(matches!(world.end(doomed), End::WorkerDied { slot: 0, .. }));
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
fn workers_start_a_few_at_a_time_also_after_they_all_died() {
    let life = config::Life {
        heartbeat: None,
        startup_batch_size: Some(2),
        startup_batch_delay: Duration::from_secs(1),
        ..config::Life::default()
    };
    let mut world = World::living(6, 100, life);
    let up = |world: &mut World| {
        let mut seconds = 0;
        while world.state.ready() < 6 {
            while let Some(slot) = planned(world) {
                world.start(slot);
            }
            let starting: Vec<_> =
                (0..6).filter(|&slot| world.workers[slot].life == Life::Starting).collect();
            assert!(!starting.is_empty() && starting.len() <= 2);
            starting.iter().for_each(|&slot| world.become_ready(slot, true));
            if world.state.ready() < 6 {
                world.wait_for_timer();
                seconds += 1;
            }
        }
        seconds
    };
    assert_eq!(up(&mut world), 2);
    world.advance(Duration::from_secs(1));
    (0..6).for_each(|slot| world.die(slot, false));
    assert_eq!(up(&mut world), 2);
}

fn planned(world: &World) -> Option<usize> {
    let now = |life: Life| matches!(life, Life::Planned(at) if at <= world.now);
    (0..world.workers.len()).find(|&slot| now(world.workers[slot].life))
}

#[test]
fn whoever_waits_for_its_turn_to_start_loses_nothing_of_its_start_timeout() {
    let life =
        config::Life { heartbeat: None, startup_batch_size: Some(1), ..config::Life::default() };
    let mut world = World::living(4, 100, life);
    let born = world.now;
    let mut last = 0;
    while let Some(slot) = planned(&world) {
        world.start(slot);
        if world.workers[slot].life == Life::Starting {
            world.advance(world.limits.start_timeout / 2);
            // The last one fails once: late as it is, it is tried again.
            match std::mem::replace(&mut last, slot) {
                2 if slot == 3 => world.die(slot, false),
                _ => world.become_ready(slot, true),
            }
            world.advance(Duration::from_secs(1));
        }
    }
    assert!(world.now - born > world.limits.start_timeout);
    assert_eq!((world.state.degraded(), world.state.ready()), (None, 4));
}
