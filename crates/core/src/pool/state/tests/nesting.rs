//! Calls from inside other calls: where they wait, and when they are refused.

use super::{Outcome, Spec, World};
use crate::call::Affinity;
use crate::id::CallId;
use crate::pool::state::Refusal;

fn plain() -> Spec {
    Spec::default()
}

fn within(ancestors: &[CallId]) -> Spec {
    plain().within(ancestors)
}

/// A call that has begun in the worker of a slot.
fn begun(world: &mut World, spec: Spec, slot: usize) -> CallId {
    let id = world.call(spec);
    assert_eq!(world.begin(slot), Some(id));
    id
}

#[test]
fn a_pool_of_one_worker_refuses_a_call_from_inside_at_once() {
    let mut world = World::ready(1);
    let outer = begun(&mut world, plain(), 0);
    assert_eq!(world.submit(within(&[outer])), Err(Refusal::Reentrant));
    world.finish(0);
    world.read(0);
    assert_eq!(world.outcome(outer), Some(&Outcome::Answered), "and nothing else is harmed");
    world.fill(0);
    let after = world.call(within(&[outer]));
    assert_eq!(world.sent(after), [0], "an ancestor that has ended holds nothing");
}

#[test]
fn it_runs_where_no_ancestor_is() {
    let mut world = World::ready(2);
    let outer = begun(&mut world, plain(), 0);
    let inner = world.call(within(&[outer]));
    assert_eq!(world.sent(inner), [1]);
    assert_eq!(world.begin(1), Some(inner));
    let innermost = world.submit(within(&[outer, inner]));
    assert_eq!(innermost, Err(Refusal::Reentrant), "both workers wait for it");
}

#[test]
fn it_waits_for_a_worker_that_plain_calls_hold() {
    let mut world = World::ready(2);
    let outer = begun(&mut world, plain(), 0);
    let other = begun(&mut world, plain(), 1);
    let inner = world.call(within(&[outer]));
    assert!(world.sent(inner).is_empty());
    world.finish(1);
    world.read(1);
    world.fill(1);
    assert_eq!(world.outcome(other), Some(&Outcome::Answered));
    assert_eq!(world.sent(inner), [1]);
}

#[test]
fn it_is_never_sent_behind_another_call() {
    let mut world = World::ready(2);
    world.warm_up();
    let (outer, other) = (begun(&mut world, plain(), 0), begun(&mut world, plain(), 1));
    let inner = world.call(within(&[outer]));
    let later = world.call(plain());
    assert!(world.sent(inner).is_empty(), "though a fast worker may have one more");
    assert!(world.sent(later).is_empty(), "a worker that is given more is never idle");
    assert_eq!(world.outcome(other), None);
    world.finish(1);
    world.read(1);
    world.fill(1);
    assert_eq!(world.sent(inner), [1]);
    assert_eq!(world.sent(later), [1], "it may go behind");
}

#[test]
fn what_it_held_up_goes_on_when_it_is_given_up() {
    let mut world = World::ready(2);
    world.warm_up();
    let (outer, _) = (begun(&mut world, plain(), 0), begun(&mut world, plain(), 1));
    let inner = world.call(within(&[outer]));
    let later = world.call(plain());
    assert!(world.sent(later).is_empty());
    assert!(world.cancel(inner));
    assert_eq!(world.sent(later).len(), 1);
}

#[test]
fn a_session_at_home_with_an_ancestor_is_refused() {
    for affinity in [Affinity::StrictQueue, Affinity::StrictFailFast] {
        let mut world = World::ready(2);
        let session = Spec::session("s", affinity);
        let outer = begun(&mut world, session.clone(), 0);
        assert_eq!(world.submit(session.within(&[outer])), Err(Refusal::Reentrant));
        let elsewhere = world.call(within(&[outer]));
        assert_eq!(world.sent(elsewhere), [1]);
    }
}

#[test]
fn a_session_whose_affinity_is_a_hint_goes_elsewhere() {
    let mut world = World::ready(2);
    let session = Spec::session("s", Affinity::Hint);
    let outer = begun(&mut world, session.clone(), 0);
    let inner = world.call(session.within(&[outer]));
    assert_eq!(world.sent(inner), [1]);
}

#[test]
fn two_chains_that_hold_all_workers_do_not_wait_for_one_another() {
    let mut world = World::ready(2);
    let (first, second) = (begun(&mut world, plain(), 0), begun(&mut world, plain(), 1));
    let waits = world.call(within(&[first]));
    assert!(world.sent(waits).is_empty(), "the second one may still end");
    assert_eq!(world.submit(within(&[second])), Err(Refusal::Reentrant));
    world.finish(1);
    world.read(1);
    world.fill(1);
    assert_eq!(world.sent(waits), [1], "who was refused ended, and its place is free");
}

#[test]
fn an_ancestor_in_another_worker_of_a_session_is_waited_for() {
    let mut world = World::ready(2);
    let outer = begun(&mut world, plain(), 0);
    let session = Spec::session("s", Affinity::StrictQueue);
    let _home = begun(&mut world, session.clone(), 1);
    let inner = world.call(session.within(&[outer]));
    assert!(world.sent(inner).is_empty());
    world.finish(1);
    world.read(1);
    world.fill(1);
    assert_eq!(world.sent(inner), [1]);
}
