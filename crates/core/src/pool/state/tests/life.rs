//! Slots: starts that fail, workers that are replaced, the end of the pool.

use std::time::Duration;

use super::worker::Life;
use super::{Outcome, Spec, World};
use crate::call::Affinity::StrictQueue;
use crate::pool::state::{End, Refusal};

/// How long after its death the next worker of a slot is planned.
fn wait(world: &World, slot: usize) -> Duration {
    match world.workers[slot].life {
        Life::Planned(at) => at - world.now,
        other => panic!("slot {slot} is {other:?}"),
    }
}

fn fail_to_start(world: &mut World, slot: usize, permanent: bool) {
    world.now += wait(world, slot);
    world.start(slot);
    world.die(slot, permanent);
}

#[test]
fn a_worker_that_was_ready_is_replaced_at_once() {
    let mut world = World::ready(1);
    world.die(0, false);
    assert_eq!(wait(&world, 0), Duration::ZERO);
    world.bring_up(0);
    world.call(Spec::default());
    world.recycle(0, None);
    world.die(0, false);
    let told = world.state.counters();
    assert_eq!((told.worker_deaths, told.restarts), (2, 2), "it was not told to stop yet");
}

#[test]
fn calls_wait_while_one_slot_may_start_and_end_when_none_can() {
    let mut world = World::new(2, 10);
    let call = world.call(Spec::default());
    fail_to_start(&mut world, 0, true);
    assert_eq!(world.outcome(call), None, "the other slot is starting");
    for _ in 0..4 {
        fail_to_start(&mut world, 1, false);
    }
    assert_eq!(world.outcome(call), None, "one try is left");
    fail_to_start(&mut world, 1, false);
    assert_eq!(world.end(call), &End::NoWorker);
    assert_eq!(world.submit(Spec::default()), Err(Refusal::NoWorker));
    assert_eq!(wait(&world, 1), world.limits.life.degraded_retry);
    assert_eq!(world.state.counters().worker_deaths, 0, "none had been ready");
}

#[test]
fn a_degraded_slot_that_starts_at_last_serves_again() {
    let mut world = World::new(1, 10);
    fail_to_start(&mut world, 0, true);
    assert_eq!(world.state.degraded(), Some(0));
    assert_eq!(world.state.describe(0).0, "degraded");
    fail_to_start(&mut world, 0, false);
    assert_eq!(wait(&world, 0), world.limits.life.degraded_retry, "one more try, not five");

    world.bring_up(0);
    assert_eq!((world.state.degraded(), world.state.ready()), (None, 1));
    world.call(Spec::default());
    world.work(0);
    assert_eq!(world.state.describe(0).1, 1);
    world.die(0, false);
    assert_eq!(wait(&world, 0), Duration::ZERO, "its count is cleared");
    assert_eq!(world.state.describe(0).1, 0, "the next one has answered nothing");
}

#[test]
fn a_recycled_worker_ends_what_it_runs_and_then_stops() {
    let mut world = World::ready(2);
    world.warm_up();
    let calls = world.calls(4, &Spec::default());
    let own: Vec<_> = calls.into_iter().filter(|&id| world.sent(id) == [0]).collect();
    assert!(!world.recycle(0, Some(world.state.generation(0) + 1)), "another worker was meant");
    assert!(world.recycle(0, Some(world.state.generation(0))));
    assert!(!world.recycle(0, None), "it is leaving already");
    assert_eq!(world.state.describe(0).0, "draining");

    let elsewhere = world.call(Spec::default());
    assert_eq!(world.sent(elsewhere), [1]);
    assert!(!world.workers[0].stopped);
    assert_eq!(own.len(), 2, "one ran, one waited behind it");
    assert_eq!(world.sent(own[1]), [0, 1], "what another worker can run does not wait for it");
    assert_eq!(world.work_off(0), own[..1]);
    assert!(world.workers[0].stopped);
    assert_eq!(world.state.describe(0), ("stopping", 2, 0), "with the one that warmed it up");
    world.die(0, false);
    assert_eq!(world.state.counters().worker_deaths, 0, "it was told to");
    world.bring_up(0);
    assert_eq!(world.state.ready(), 2);
}

#[test]
fn a_recycled_worker_still_runs_what_waits_for_it_alone() {
    let mut world = World::ready(2);
    let strict = || Spec::session("s", StrictQueue);
    let calls = [world.call(strict()), world.call(strict()), world.call(strict())];
    world.begin(0);
    world.advance(Duration::from_millis(50));
    world.finish(0);
    world.read(0);
    assert!(world.recycle(0, None));
    assert!(!world.workers[0].stopped, "it has nothing to do, but calls wait for it");
    world.fill(0);
    assert_eq!(world.work_off(0), calls[1..]);
    assert!(world.workers[0].stopped);
}

#[test]
fn an_idle_worker_that_is_recycled_stops_at_once() {
    let mut world = World::ready(1);
    assert!(world.recycle(0, None));
    assert!(world.workers[0].stopped);
    let call = world.call(Spec::default());
    assert!(world.sent(call).is_empty());
    world.die(0, false);
    world.bring_up(0);
    assert_eq!(world.sent(call), [0]);
}

#[test]
fn close_ends_every_call_and_lets_every_worker_go() {
    let mut world = World::ready(2);
    world.warm_up();
    let running = world.call(Spec::default());
    let busy = world.sent(running)[0];
    let sent = world.calls(5, &Spec::default());
    world.calls(80, &Spec::default());
    world.begin(busy);
    world.close();
    assert_eq!(world.end(running), &End::Closed { may_have_run: true });
    for id in sent {
        assert_eq!(world.end(id), &End::Closed { may_have_run: false });
        assert_eq!(world.sent(id).len(), 1, "a closing pool sends nothing more");
    }
    assert_eq!(world.submit(Spec::default()), Err(Refusal::Closed));
    assert_eq!([world.workers[busy].stopped, world.workers[1 - busy].stopped], [false, true]);

    world.finish(busy);
    world.flush(busy);
    assert!(world.workers[busy].stopped, "once it has let go");
    assert!(world.state.is_idle());
    world.die(busy, false);
    assert_eq!(world.workers[busy].life, Life::None, "nobody takes its place");
}

#[test]
fn close_kills_a_worker_that_does_not_let_go() {
    let mut world = World::ready(1);
    world.call(Spec::default());
    world.begin(0);
    world.close();
    world.advance(world.limits.grace);
    assert!(world.workers[0].killed);
    world.die(0, false);
    assert!(world.state.is_idle());
}

#[test]
fn close_stops_workers_that_are_starting_once() {
    let mut world = World::new(2, 10);
    let call = world.call(Spec::default());
    world.start(0);
    world.close();
    assert_eq!(world.end(call), &End::Closed { may_have_run: false });
    assert!(world.workers[0].stopped);
    world.become_ready(0, true);
    world.die(0, false);
    world.start(1);
    assert_eq!(world.workers[1].life, Life::None, "a planned start is off");
    assert_ne!(world.outcome(call), Some(&Outcome::Answered));
}
