//! Calls that wait in workers, and how they get out again.

use std::time::Duration;

use super::{Spec, World};
use crate::call::Affinity::StrictQueue;
use crate::id::CallId;
use crate::policy::prefetch::{HELD_UP, MAX};

fn submit(world: &mut World, calls: usize) -> Vec<CallId> {
    world.calls(calls, &Spec::default())
}

#[test]
fn a_fast_worker_is_given_many_calls_and_never_more_than_the_maximum() {
    let mut world = World::ready(1);
    let calls = submit(&mut world, MAX + 10);
    assert_eq!(world.load(0), 1, "nothing is known about this worker yet");
    world.work(0);
    assert_eq!(world.load(0), MAX);
    assert_eq!(world.state.queued(), calls.len() - 1 - MAX);
}

#[test]
fn a_worker_that_honours_no_words_has_one_call_at_a_time() {
    let mut world = World::new(1, 100);
    world.start(0);
    world.become_ready(0, false);
    submit(&mut world, 5);
    for _ in 0..5 {
        assert_eq!(world.load(0), 1);
        world.work(0);
    }
}

#[test]
fn an_idle_worker_takes_half_of_what_waits_in_the_fullest() {
    let mut world = World::ready(2);
    world.warm_up();
    let calls = submit(&mut world, 16);
    world.begin(0);
    for _ in 0..8 {
        world.work(1);
    }
    assert_eq!((world.load(0), world.load(1)), (4, 4));
    let moved: Vec<_> = calls.into_iter().filter(|&id| world.sent(id) == [0, 1]).collect();
    assert_eq!(moved.len(), 4);
    while world.begin(1).is_some() {
        world.finish(1);
    }
    assert_eq!(world.workers[1].finished, moved, "they keep their order");
}

#[test]
fn an_idle_worker_takes_no_more_than_it_may_have() {
    let mut world = World::ready(2);
    world.warm_up();
    world.die(1, false);
    submit(&mut world, 9);
    world.begin(0);
    world.bring_up(1);
    assert_eq!((world.load(0), world.load(1)), (8, 1), "a new worker gets one call");
    assert_eq!(world.state.queued(), 0);
}

#[test]
fn an_idle_worker_looks_further_where_the_fullest_has_nothing_to_give() {
    let mut world = World::ready(3);
    world.warm_up();
    let strict = || Spec::session("s", StrictQueue);
    let bound = world.call(strict());
    let full = world.sent(bound)[0];
    let pinned = world.calls(6, &strict());
    assert_eq!(world.load(full), 7);
    let rest = submit(&mut world, 4);
    let (one, other) = (world.sent(rest[0])[0], world.sent(rest[1])[0]);
    world.begin(one);
    for _ in 0..2 {
        world.work(other);
    }
    assert_eq!((world.load(one), world.load(other)), (1, 1));
    assert!(pinned.iter().all(|&id| world.sent(id) == [full]), "a session's calls stay");
}

#[test]
fn words_are_used_again() {
    let mut world = World::ready(1);
    for _ in 0..200 {
        world.call(Spec::default());
        world.work(0);
    }
    assert!(world.calls.iter().all(|call| call.outcome.is_some()));
}

#[test]
fn a_call_that_has_begun_is_not_taken() {
    let mut world = World::ready(2);
    world.warm_up();
    submit(&mut world, 3);
    world.begin(0);
    world.finish(0);
    let begun = world.begin(0).expect("the second one");
    world.work(1);
    assert_eq!(world.sent(begun), [0]);
    assert_eq!((world.load(0), world.load(1)), (2, 0));
}

#[test]
fn what_waits_behind_a_long_call_is_taken_back_and_keeps_its_turn() {
    let mut world = World::ready(2);
    world.warm_up();
    world.die(1, false);
    let calls = submit(&mut world, 6);
    assert_eq!(world.begin(0), Some(calls[0]));
    world.bring_up(1);
    assert_eq!((world.load(0), world.sent(calls[5])), (5, vec![0, 1]));
    world.advance(HELD_UP);
    let later = world.call(Spec::default());
    assert!(world.sent(later).is_empty(), "there is no room where nothing moves");

    world.work(1);
    assert_eq!((world.load(0), world.load(1), world.state.queued()), (1, 1, 4));
    let order = world.work_off(1);
    assert_eq!(order, [calls[1], calls[2], calls[3], calls[4], later]);
}

#[test]
fn what_is_taken_back_goes_to_all_that_have_room() {
    let mut world = World::ready(3);
    world.warm_up();
    submit(&mut world, 12);
    world.begin(0);
    world.advance(HELD_UP);
    for slot in [1, 2] {
        while world.load(slot) - world.workers[slot].finished.len() > 1 {
            world.begin(slot);
            world.finish(slot);
        }
    }
    world.read(2);
    world.flush(1);
    assert_eq!([0, 1, 2].map(|slot| world.load(slot)), [1, 2, 2]);
    assert_eq!(world.state.queued(), 1);
}

#[test]
fn one_long_call_ends_prefetching_into_its_worker() {
    let mut world = World::ready(1);
    world.warm_up();
    submit(&mut world, 1);
    world.begin(0);
    world.advance(Duration::from_millis(50));
    world.finish(0);
    world.flush(0);
    submit(&mut world, 3);
    assert_eq!(world.load(0), 1);
}
