//! Signs of life and starts of workers.

use std::time::Duration;

use super::worker::Life;
use super::{Outcome, Spec, World};
use crate::call::Affinity::StrictQueue;
use crate::call::Resident;
use crate::config::{self, Heartbeat};
use crate::error::Cause;
use crate::id::CallId;
use crate::pool::state::{End, Note};

pub(super) fn ready(size: usize, life: config::Life) -> World {
    let mut world = World::living(size, 100, life);
    (0..size).for_each(|slot| world.bring_up(slot));
    world
}

fn probed() -> config::Life {
    config::Life { heartbeat: Some(Heartbeat::default()), ..config::Life::default() }
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
    let worker = Resident { slot: 0, number: 0, generation: 1 };
    let is_of_it = |note: &&Note| matches!(note, Note::Stalled(_) | Note::Recovered(_));
    let notes: Vec<_> = world.notes.iter().filter(is_of_it).collect();
    assert_eq!(notes, [&Note::Stalled(worker), &Note::Recovered(worker)]);
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
    assert_eq!(world.workers[0].why, Cause::Stall);
    world.die(0, false);
    world.bring_up(0);
    assert_eq!(world.state.ready(), 1);
}

fn impatient() -> config::Life {
    config::Life { stall_kill: Some(Duration::from_secs(1)), ..probed() }
}

/// Slot 0 is stalled in a call of a session, and another one waits there.
fn stuck_at_home() -> (World, [CallId; 2]) {
    let mut world = ready(2, impatient());
    let spec = || Spec::session("s", StrictQueue);
    for _ in 0..3 {
        world.call(spec());
        world.work(0);
    }
    let calls = [world.call(spec()), world.call(spec())];
    assert_eq!(calls.map(|id| world.sent(id)), [[0], [0]]);
    world.begin(0);
    stall(&mut world, 0);
    (world, calls)
}

#[test]
fn a_worker_that_is_killed_because_it_stalled_is_killed_in_the_call_in_which_it_did() {
    let (mut world, [stuck, behind]) = stuck_at_home();
    world.wait_for_timer();
    assert!(world.workers[0].killed);
    assert!(world.finish(0));
    assert_eq!(world.begin(0), None);
    world.die(0, false);
    assert!(matches!(world.end(stuck), End::WorkerDied(_)));
    assert!(matches!(world.end(behind), End::SessionLost { may_have_run: false, .. }));
}

#[test]
fn a_worker_that_has_gone_on_when_it_is_to_be_killed_for_its_stall_lives() {
    let (mut world, calls) = stuck_at_home();
    world.finish(0);
    assert_eq!(world.begin(0), Some(calls[1]));
    world.wait_for_timer();
    assert!(!world.workers[0].killed, "its word tells more than its silence");
    assert_eq!(world.state.describe(0).0, "busy");
    world.finish(0);
    world.flush(0);
    for call in calls {
        assert_eq!(world.outcome(call), Some(&Outcome::Answered));
    }
}

#[test]
fn a_session_that_waits_in_an_idle_worker_which_stalled_never_begins_there() {
    let mut world = ready(2, impatient());
    let spec = || Spec::session("s", StrictQueue);
    world.call(spec());
    world.work(0);
    let waiting = world.call(spec());
    assert_eq!(world.sent(waiting), [0]);
    stall(&mut world, 0);
    world.wait_for_timer();
    assert!(world.workers[0].killed);
    assert_eq!(world.begin(0), None);
    world.die(0, false);
    assert!(matches!(world.end(waiting), End::SessionLost { may_have_run: false, .. }));
}

#[test]
fn ends_without_a_control_socket_never_stall() {
    let mut world = World::living(1, 10, probed());
    world.start(0);
    world.become_ready(0, false);
    assert_eq!(world.timer, None);
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
