//! Calls whose worker died: which is tried again, how long it rests before, what it is paid for with.

use std::sync::Arc;
use std::time::Duration;

use super::deaths::under;
use super::guards::{PAUSE, plain, ready};
use super::world::MAX_QUEUE_BYTES;
use super::{Spec, World};
use crate::config::{Backoff, BudgetConfig, Guards, Jitter, RetryPolicy};
use crate::id::CallId;
use crate::pool::state::{End, Refusal};

fn resting(max_attempts: u32, idempotent: bool) -> RetryPolicy {
    let backoff = Backoff::List(vec![PAUSE]);
    RetryPolicy { max_attempts, backoff, jitter: Jitter::None, idempotent }
}

/// A call that its worker, of slot 0, died under.
fn fallen(world: &mut World, spec: Spec) -> CallId {
    let id = world.call(spec);
    while world.begin(0) != Some(id) {
        world.finish(0);
        world.flush(0);
    }
    world.die(0, false);
    world.bring_up(0);
    id
}

#[test]
fn a_policy_has_a_call_rest_before_it_is_tried_again() {
    let guards = Guards { retry: resting(3, true), ..Guards::default() };
    let mut world = ready(1, guards);
    let call = fallen(&mut world, plain());
    assert_eq!((world.sent(call), world.state.queued()), (vec![0], 1));
    world.advance(PAUSE - Duration::from_millis(1));
    assert_eq!(world.sent(call), [0]);
    world.advance(Duration::from_millis(1));
    assert_eq!(world.sent(call), [0, 0]);
    assert_eq!(world.work(0), Some(call));
    assert_eq!(world.state.counters().retries, 1);
}

#[test]
fn calls_that_rest_count_against_both_bounds_of_the_queue() {
    let guards = || Guards { retry: resting(3, true), ..Guards::default() };
    let full = |world: &mut World, spec: Spec| match world.submit(spec) {
        Err(Refusal::QueueFull(full)) => (full.waiting, full.bytes),
        other => panic!("{other:?}"),
    };
    let sized = |bytes| Spec { bytes, ..plain() };

    let mut world = World::guarded(1, 2, guards());
    world.bring_up(0);
    for _ in 0..2 {
        fallen(&mut world, plain());
    }
    let served = world.call(plain());
    assert_eq!(world.sent(served), [0], "what need not wait is admitted");
    world.begin(0);
    assert_eq!(full(&mut world, plain()), (2, 0), "two rest");
    world.advance(PAUSE);
    assert_eq!(full(&mut world, plain()), (2, 0), "and wait now");

    let most = MAX_QUEUE_BYTES as u32;
    let mut world = World::guarded(1, 100, guards());
    world.bring_up(0);
    let rests = fallen(&mut world, sized(most - 1));
    world.call(plain());
    world.begin(0);
    assert_eq!(full(&mut world, sized(2)), (1, u64::from(most) - 1));
    let waits = world.call(sized(1));
    assert_eq!(world.state.queued_bytes(), MAX_QUEUE_BYTES);
    world.cancel(rests);
    assert_eq!((world.state.queued(), world.state.queued_bytes()), (1, 1));
    world.cancel(waits);
    world.call(sized(most));
}

#[test]
fn a_call_has_its_own_policy() {
    let own = |policy| Spec { retry: Some(Arc::new(policy)), ..plain() };
    let mut world = ready(1, Guards::default());
    let repeated = fallen(&mut world, own(resting(2, true)));
    assert_eq!(world.outcome(repeated), None, "its policy says that it may run twice");
    let single = fallen(&mut world, own(resting(1, true)));
    assert_eq!(world.end(single), &End::WorkerDied(under(0, 2)));
    let once = fallen(&mut world, own(resting(2, false)));
    assert_eq!(world.end(once), &End::WorkerDied(under(0, 3)));
}

#[test]
fn no_call_rests_beyond_its_deadline() {
    let guards = Guards { retry: resting(3, true), ..Guards::default() };
    let mut world = ready(1, guards);
    let call = fallen(&mut world, plain().timeout(PAUSE));
    assert_eq!(world.end(call), &End::WorkerDied(under(0, 1)));
}

#[test]
fn a_call_that_rests_can_be_cancelled_and_ends_with_the_pool() {
    let guards = Guards { retry: resting(3, true), ..Guards::default() };
    let mut world = ready(1, guards);
    let cancelled = fallen(&mut world, plain());
    world.cancel(cancelled);
    assert_eq!(world.end(cancelled), &End::Cancelled { may_have_run: true });
    let closed = fallen(&mut world, plain());
    world.close();
    assert_eq!(world.end(closed), &End::Closed { may_have_run: true });
    assert!(world.state.is_idle());
}

#[test]
fn retries_are_paid_for_and_calls_that_had_not_begun_are_not() {
    let retry_budget = BudgetConfig { capacity: 20, retry_cost: 10, deposit: 1 };
    let mut world = ready(1, Guards { retry_budget, ..Guards::default() });
    let idempotent = plain().idempotent();
    for _ in 0..2 {
        let call = fallen(&mut world, idempotent.clone());
        world.cancel(call);
    }
    let refused = fallen(&mut world, idempotent.clone());
    assert!(matches!(world.end(refused), End::WorkerDied(_)));
    let counters = world.state.counters();
    assert_eq!((counters.retries, counters.retries_refused), (2, 1));

    let call = world.call(plain());
    world.die(0, false);
    world.bring_up(0);
    assert_eq!(world.work(0), Some(call), "it had not begun");
    world.calls(9, &plain());
    world.work_off(0);
    assert_eq!(world.state.retry_tokens(), 10, "ten answers");
    let again = fallen(&mut world, idempotent);
    assert_eq!(world.outcome(again), None);
}

#[test]
fn a_call_under_which_two_workers_died_is_counted_as_quarantined() {
    let mut world = ready(1, Guards::default());
    let call = fallen(&mut world, plain().idempotent());
    world.begin(0);
    world.die(0, false);
    assert_eq!(world.end(call), &End::Poison { under: under(0, 2), deaths: 2 });
    assert_eq!(world.state.counters().quarantined, 1);
}
