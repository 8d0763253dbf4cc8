//! Which call goes where, and in which order.

use std::time::Duration;

use super::world::MAX_QUEUE_BYTES;
use super::{Outcome, Spec, World};
use crate::pool::state::{Full, Refusal};

fn plain() -> Spec {
    Spec::default()
}

#[test]
fn a_call_goes_to_the_least_loaded_worker() {
    let mut world = World::ready(3);
    world.warm_up();
    let sent = world.calls(6, &plain());
    let slots: Vec<_> = sent.iter().map(|&id| world.sent(id)[0]).collect();
    assert_eq!(slots, [0, 1, 2, 0, 1, 2]);

    world.work(1);
    let next = world.call(plain());
    assert_eq!(world.sent(next), [1]);
}

#[test]
fn calls_that_wait_are_sent_in_the_order_of_admission() {
    let mut world = World::new(2, 100);
    let calls = world.calls(5, &plain());
    world.bring_up(1);
    world.bring_up(0);
    assert_eq!((world.sent(calls[0]), world.sent(calls[1])), (vec![1], vec![0]));
    assert!(world.sent(calls[2]).is_empty(), "one call at a time before the first answer");

    assert_eq!(world.work(0), Some(calls[1]));
    let order = world.work_off(0);
    assert_eq!(order, calls[2..]);
}

#[test]
fn who_comes_later_does_not_overtake_those_that_wait() {
    let mut world = World::ready(1);
    let (running, waiting) = (world.call(plain()), world.call(plain()));
    world.begin(0);
    world.finish(0);
    world.read(0);
    let late = world.call(plain());
    assert!(world.sent(late).is_empty(), "the worker is free, but someone waits");
    world.fill(0);
    assert_eq!(world.outcome(running), Some(&Outcome::Answered));
    assert_eq!(world.begin(0), Some(waiting));
}

/// What a full queue tells a call that it refuses.
fn refused(world: &mut World, spec: Spec) -> Full {
    match world.submit(spec) {
        Err(Refusal::QueueFull(full)) => full,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_queue_is_full_of_bytes_too_and_takes_one_call_whatever_its_size() {
    let mut world = World::new(1, 10);
    let sized = |bytes: u64| Spec { bytes: bytes as u32, ..plain() };
    let huge = world.call(sized(2 * MAX_QUEUE_BYTES));
    let full = refused(&mut world, sized(1));
    assert_eq!((full.waiting, full.bytes), (1, 2 * MAX_QUEUE_BYTES));
    assert!(world.cancel(huge));

    world.call(sized(MAX_QUEUE_BYTES - 1));
    world.call(sized(1));
    assert_eq!(refused(&mut world, sized(1)).waiting, 2);
    assert_eq!((world.state.counters().shed, world.state.counters().rejected), (2, 2));
    world.bring_up(0);
    world.work(0);
    assert_eq!(world.state.queued_bytes(), 0, "what was sent waits no more");
}

#[test]
fn a_full_queue_tells_when_it_will_have_room() {
    let mut world = World::ready(1);
    world.calls(101, &plain());
    assert_eq!(refused(&mut world, plain()).retry_after, Duration::from_secs(1), "not known yet");
    for _ in 0..50 {
        world.advance(Duration::from_millis(10));
        world.work(0);
        world.call(plain());
    }
    let told = refused(&mut world, plain()).retry_after.as_millis();
    assert!((450..=550).contains(&told), "50 calls at 100 a second take {told} ms");
}

#[test]
fn a_full_queue_refuses_until_a_place_is_free() {
    let mut world = World::new(1, 2);
    let first = world.call(plain());
    world.call(plain());
    assert_eq!(refused(&mut world, plain()).capacity, 2);
    assert_eq!(world.state.counters().rejected, 1);

    assert!(world.cancel(first));
    world.call(plain());
    assert_eq!(refused(&mut world, plain()).capacity, 2);
    world.bring_up(0);
    world.call(plain());
}

#[test]
fn without_a_queue_only_free_workers_admit() {
    let mut world = World::new(1, 0);
    assert_eq!(refused(&mut world, plain()).capacity, 0);
    world.bring_up(0);
    world.call(plain());
    assert_eq!(refused(&mut world, plain()).capacity, 0);
}

#[test]
fn a_draining_pool_admits_nothing_and_lets_its_calls_end() {
    let mut world = World::ready(1);
    let calls = [world.call(plain()), world.call(plain())];
    world.state.drain();
    assert_eq!(world.submit(plain()), Err(Refusal::Closed));
    for id in calls {
        assert_eq!(world.work(0), Some(id));
    }
    assert!(world.state.is_idle());
}
