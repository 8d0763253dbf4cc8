//! Slots that fail: which is barred, which is tried again, which is taken last.

use std::time::Duration;

use proptest::prelude::*;

use super::deaths::under;
use super::{Outcome, Spec, World};
use crate::call::Affinity;
use crate::config::{
    self, Backoff, BreakerConfig, BreakerRule, BudgetConfig, CrashBarrier, Guards, Jitter, Recycle,
    RetryPolicy, Trip,
};
use crate::error::Cause;
use crate::policy::breaker::BreakerState::{Closed, HalfOpen, Open};
use crate::pool::state::End;

const RESET: Duration = Duration::from_secs(30);
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// Guards with figures of every kind, small enough to be reached.
pub(super) fn any_guards() -> impl Strategy<Value = Guards> {
    let pause = prop_oneof![Just(0), Just(10), Just(3_000)].prop_map(Duration::from_micros);
    let retry = (1..4u32, pause, any::<bool>()).prop_map(|(max_attempts, pause, idempotent)| {
        let backoff = Backoff::List(vec![pause]);
        RetryPolicy { max_attempts, backoff, jitter: Jitter::Equal, idempotent }
    });
    let trip = prop_oneof![
        (1..3u32).prop_map(Trip::Consecutive),
        Just(Trip::Rate { window: 6, minimum_calls: 2, failure_rate: 0.5 }),
    ];
    let reset = prop_oneof![Just(0), Just(500), Just(60_000)].prop_map(Duration::from_micros);
    let rule = (trip, reset, any::<bool>()).prop_map(|(trip, reset_timeout, count)| {
        let limits = BreakerConfig { trip, reset_timeout, half_open_max_calls: 1 };
        BreakerRule { limits, count_remote_errors: count }
    });
    let taint = prop_oneof![Just(0), Just(3_000), Just(60_000)].prop_map(Duration::from_micros);
    let barrier =
        (taint, 0..2u32).prop_map(|(taint, max_restarts)| CrashBarrier { taint, max_restarts });
    let budget = prop_oneof![
        Just(BudgetConfig::default()),
        Just(BudgetConfig { capacity: 20, retry_cost: 10, deposit: 1 }),
    ];
    (retry, budget, prop::option::of(rule), prop::option::of(barrier)).prop_map(
        |(retry, retry_budget, worker_breaker, crash_barrier)| Guards {
            retry,
            retry_budget,
            circuit_breaker: None,
            worker_breaker,
            crash_barrier,
        },
    )
}

pub(super) fn plain() -> Spec {
    Spec::default()
}

pub(super) fn ready(size: usize, guards: Guards) -> World {
    let mut world = World::guarded(size, 1000, guards);
    (0..size).for_each(|slot| world.bring_up(slot));
    world
}

/// Two deaths in a row bar a slot.
fn strict_breaker() -> Guards {
    let limits = BreakerConfig { trip: Trip::Consecutive(2), ..BreakerConfig::default() };
    let rule = BreakerRule { limits, count_remote_errors: false };
    Guards { worker_breaker: Some(rule), ..Guards::default() }
}

fn barrier(max_restarts: u32) -> Guards {
    let barrier = CrashBarrier { max_restarts, ..CrashBarrier::default() };
    Guards { crash_barrier: Some(barrier), worker_breaker: None, ..Guards::default() }
}

fn fall(world: &mut World, slot: usize, times: usize) {
    for _ in 0..times {
        world.die(slot, false);
        world.bring_up(slot);
    }
}

/// A pool whose first slot is barred.
fn barred(size: usize) -> World {
    let mut world = ready(size, strict_breaker());
    fall(&mut world, 0, 2);
    assert_eq!(world.state.trust(0).0, Open);
    world
}

#[test]
fn a_slot_whose_workers_keep_dying_gets_no_new_calls() {
    let mut world = barred(2);
    let calls = world.calls(10, &plain());
    assert_eq!(world.work_off(1), calls);
    assert_eq!(world.load(0), 0);
}

/// A call that its caller gives up and its worker keeps, so that the host kills that.
fn kill_for_a_cancel(world: &mut World, slot: usize) {
    let call = world.call(plain());
    while world.begin(slot) != Some(call) {
        world.finish(slot);
    }
    world.cancel(call);
    world.advance(world.limits.grace);
    assert!(world.workers[slot].killed);
    assert_eq!(world.workers[slot].why, Cause::Cancel);
}

#[test]
fn a_worker_that_is_killed_for_a_cancel_says_nothing_of_its_slot() {
    let guards = Guards { crash_barrier: barrier(1).crash_barrier, ..strict_breaker() };
    let mut world = ready(2, guards);
    for _ in 0..6 {
        kill_for_a_cancel(&mut world, 0);
        fall(&mut world, 0, 1);
        assert_eq!(world.state.trust(0), (Closed, false));
    }
    assert_eq!(world.state.counters().worker_deaths, 6);
}

#[test]
fn a_slot_is_filled_at_once_after_cancels_and_more_and_more_rarely_after_deaths() {
    let mut world = ready(1, Guards::default());
    for _ in 0..4 {
        kill_for_a_cancel(&mut world, 0);
        let before = world.now;
        fall(&mut world, 0, 1);
        assert_eq!(world.now, before, "bringing it up would wait for its turn");
    }
    let before = world.now;
    fall(&mut world, 0, 4);
    assert!(world.now > before);
}

#[test]
fn a_worker_that_hangs_beyond_a_deadline_or_stalls_counts_against_its_slot() {
    let life = config::Life { stall_kill: Some(Duration::from_secs(1)), ..Default::default() };
    for stalls in [false, true] {
        let mut world = World::with(2, 100, life, strict_breaker());
        (0..2).for_each(|slot| world.bring_up(slot));
        for _ in 0..2 {
            let timeout = if stalls { Duration::from_secs(3600) } else { PAUSE };
            let call = world.call(plain().timeout(timeout));
            assert_eq!(world.begin(0), Some(call));
            while !world.workers[0].killed {
                world.answer_probes(1);
                if !stalls {
                    world.answer_probes(0);
                }
                world.wait_for_timer();
            }
            let why = if stalls { Cause::Stall } else { Cause::Deadline };
            assert_eq!(world.workers[0].why, why);
            fall(&mut world, 0, 1);
        }
        assert_eq!(world.state.trust(0), (Open, false));
    }
}

#[test]
fn a_probe_that_is_killed_for_a_cancel_makes_room_for_the_next() {
    let mut world = barred(2);
    world.advance(RESET);
    kill_for_a_cancel(&mut world, 0);
    fall(&mut world, 0, 1);
    assert_eq!(world.state.trust(0).0, HalfOpen);
    let next = world.call(plain());
    assert_eq!(world.sent(next), [0]);
    world.work(0);
    assert_eq!(world.state.trust(0).0, Closed);
}

#[test]
fn a_success_between_deaths_keeps_a_slot_in_the_rotation() {
    let mut world = ready(2, strict_breaker());
    for _ in 0..5 {
        world.call(plain());
        world.work_off(0);
        fall(&mut world, 0, 1);
    }
    assert_eq!(world.state.trust(0).0, Closed);
}

#[test]
fn a_worker_that_goes_in_good_order_takes_with_it_what_is_known_of_its_slot() {
    let mut world = ready(2, strict_breaker());
    fall(&mut world, 0, 1);
    for _ in 0..2 {
        assert!(world.recycle(0, None));
        fall(&mut world, 0, 1); // it stops, which is no crash
        assert_eq!(world.state.trust(0).0, Closed);
    }
    fall(&mut world, 0, 1);
    assert_eq!(world.state.trust(0).0, Closed, "the first death of the new one");
    fall(&mut world, 0, 1);
    assert_eq!(world.state.trust(0).0, Open);
    assert!(world.recycle(0, None));
    fall(&mut world, 0, 1);
    assert_eq!(world.state.trust(0).0, Closed);
}

#[test]
fn a_replacement_begins_with_a_clean_record_and_leaves_none_behind() {
    let recycle = Some(Recycle { calls: Some(1000), ..Recycle::default() });
    let life = config::Life { heartbeat: None, recycle, ..config::Life::default() };
    let mut world = World::with(2, 100, life, strict_breaker());
    (0..2).for_each(|slot| world.bring_up(slot));
    fall(&mut world, 0, 2);
    assert_eq!((world.state.trust(0).0, world.state.distrusted()), (Open, 1));
    assert!(world.recycle(0, None));
    let heir = 2;
    world.bring_up(heir);
    assert_eq!((world.state.slot_of(0), world.state.distrusted()), (heir, 0));
    world.die(0, false);
    assert_eq!(world.state.distrusted(), 0, "the old one stopped");
    fall(&mut world, heir, 1);
    assert_eq!(world.state.trust(heir).0, Closed, "one death is one");
    let calls = world.calls(2, &plain());
    assert_eq!([world.sent(calls[0]), world.sent(calls[1])], [[1], [heir]]);
}

#[test]
fn after_the_reset_timeout_one_call_at_a_time_is_tried_and_an_answer_heals() {
    let mut world = barred(2);
    let before = world.calls(3, &plain());
    assert_eq!(world.sent(before[0]), [1]);
    world.advance(RESET);
    assert_eq!(world.state.trust(0).0, HalfOpen);
    assert_eq!(world.sent(before[1]), [0], "the probe, though it waited for the other");
    assert_eq!(world.load(0), 1);
    let next = world.call(plain());
    assert_eq!(world.load(0), 1, "one at a time");
    world.work(0);
    assert_eq!(world.state.trust(0).0, Closed);
    assert!(world.load(0) > 0 && world.sent(next) == [0], "and more at once");
}

#[test]
fn a_probe_that_dies_bars_the_slot_for_another_whole_timeout() {
    let mut world = barred(2);
    world.advance(RESET);
    let probe = world.call(plain());
    assert_eq!(world.sent(probe), [0], "probes go first");
    world.begin(0);
    world.die(0, false);
    assert_eq!(world.state.trust(0).0, Open);
    world.advance(RESET - Duration::from_millis(1));
    assert_eq!(world.state.trust(0).0, Open);
    world.advance(Duration::from_millis(1));
    assert_eq!(world.state.trust(0).0, HalfOpen);
}

#[test]
fn a_probe_that_its_caller_gives_up_makes_room_for_the_next() {
    let mut world = barred(2);
    world.advance(RESET);
    let probe = world.call(plain());
    world.cancel(probe);
    assert_eq!(world.state.trust(0).0, HalfOpen);
    let next = world.call(plain());
    assert_eq!(world.sent(next), [0]);
    world.work(0);
    assert_eq!(world.state.trust(0).0, Closed);
}

#[test]
fn never_more_than_half_of_the_slots_are_barred_nor_the_last_one() {
    for size in 1..6 {
        let mut world = ready(size, strict_breaker());
        for slot in 0..size {
            fall(&mut world, slot, 10);
        }
        assert_eq!(world.state.distrusted(), size / 2, "of {size}");
        let call = world.call(plain());
        assert_eq!(world.sent(call).len(), 1, "and others serve");
    }
}

#[test]
fn a_barred_slot_serves_when_no_other_can() {
    let mut world = barred(2);
    let first = world.call(plain());
    let waiting = world.call(plain());
    assert_eq!((world.sent(first), world.sent(waiting)), (vec![1], vec![]));
    world.recycle(1, None);
    assert_eq!(world.sent(waiting), [0]);
    let next = world.call(plain());
    world.work(0);
    assert_eq!(world.sent(next), [0]);
    assert_eq!(world.state.trust(0).0, Open, "that proves nothing before its time");
}

#[test]
fn a_strict_session_stays_at_home_in_a_barred_slot() {
    let mut world = ready(2, strict_breaker());
    fall(&mut world, 0, 1);
    let session = Spec::session("s", Affinity::StrictQueue);
    // The second death bars the slot; its next worker is called because none else can serve.
    world.die(1, false);
    fall(&mut world, 0, 1);
    let home = world.call(session.clone());
    assert_eq!(world.sent(home), [0]);
    world.work(0);
    world.bring_up(1);
    assert_eq!(world.state.trust(0).0, Open);
    let again = world.call(session);
    assert_eq!(world.sent(again), [0]);
    let other = world.call(plain());
    assert_eq!(world.sent(other), [1]);
}

#[test]
fn exceptions_of_the_adapter_count_only_where_it_is_asked_for() {
    for count in [false, true] {
        let mut guards = strict_breaker();
        guards.worker_breaker.as_mut().expect("a rule").count_remote_errors = count;
        let mut world = ready(2, guards);
        for _ in 0..2 {
            world.call(Spec { raises: true, ..plain() });
            world.work(0);
        }
        assert_eq!(world.state.trust(0).0, if count { Open } else { Closed });
    }
}

#[test]
fn a_tainted_slot_is_taken_last_and_a_call_does_not_come_back_to_it() {
    let mut world = ready(3, barrier(1));
    let call = world.call(plain().idempotent());
    world.begin(0);
    let others = [world.call(plain()), world.call(plain())];
    world.die(0, false);
    world.bring_up(0);
    assert_eq!(world.state.trust(0), (Closed, true));
    assert_eq!(world.sent(call), [0], "it waits for another, though the slot is idle");
    let next = world.call(plain());
    assert_eq!(world.sent(next), [0], "which others may use");
    world.work(1);
    assert_eq!(world.sent(call), [0, 1]);
    world.work(0);
    world.work(2);
    let [a, b] = [world.call(plain()), world.call(plain())];
    assert_eq!((world.sent(a), world.sent(b)), (vec![2], vec![0]), "idle, the tainted one last");
    assert!(others.iter().all(|&id| world.outcome(id) == Some(&Outcome::Answered)));
    world.advance(Duration::from_secs(60));
    assert_eq!(world.state.trust(0), (Closed, false));
}

#[test]
fn a_call_comes_back_to_a_tainted_slot_where_there_is_no_other() {
    let mut world = ready(1, barrier(1));
    let call = world.call(plain().idempotent());
    world.begin(0);
    world.die(0, false);
    world.bring_up(0);
    assert_eq!(world.sent(call), [0, 0]);
    assert_eq!(world.work(0), Some(call));
}

#[test]
fn without_restarts_the_barrier_moves_no_call() {
    let mut world = ready(2, barrier(0));
    let call = world.call(plain().idempotent());
    world.begin(0);
    world.die(0, false);
    assert_eq!(world.end(call), &End::WorkerDied(under(0, 1)));
}
