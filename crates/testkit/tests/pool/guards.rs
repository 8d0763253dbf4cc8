//! Pools whose workers fail: half of them, all of them, then none. Time is paused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use snakepit::loopback::Answer;
use snakepit::{
    BreakerConfig, BreakerRule, BreakerState, CallSpec, Error, Guards, Pool, RetryPolicy, Trip,
};
use snakepit_testkit::{call, loopback};
use tokio::time::Instant;

use super::{answer, submit};

const WORKERS: usize = 4;
const RESET: Duration = Duration::from_secs(30);

/// Workers of the slots below `failing` die in every call; all count their runs.
#[derive(Clone, Default)]
struct Fault {
    failing: Arc<AtomicUsize>,
    runs: Arc<AtomicUsize>,
}

impl Fault {
    fn set(&self, slots: usize) {
        self.failing.store(slots, Ordering::Relaxed);
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::Relaxed)
    }

    async fn pool(&self, guards: Guards) -> Pool {
        let Self { failing, runs } = self.clone();
        let answer = move |call: snakepit::loopback::Call<'_>| {
            runs.fetch_add(1, Ordering::Relaxed);
            match call.slot < failing.load(Ordering::Relaxed) {
                true => Answer::Exit(1),
                false => Answer::Value(Bytes::new()),
            }
        };
        loopback(WORKERS).guards(guards).start_with(answer).await
    }
}

fn idempotent() -> CallSpec {
    CallSpec { idempotent: true, ..call("noop", "") }
}

/// So many calls, some at a time. How many were answered.
async fn load(pool: &Pool, calls: usize) -> usize {
    let mut answered = 0;
    for _ in 0..calls / 8 {
        let replies: Vec<_> =
            (0..8).map(|_| pool.submit(idempotent()).expect("an open pool with room")).collect();
        for reply in replies {
            answered += usize::from(answer(reply).await.is_ok());
        }
    }
    answered
}

fn barred(pool: &Pool) -> Vec<usize> {
    let closed = |slot: &usize| pool.workers()[*slot].breaker == BreakerState::Closed;
    (0..WORKERS).filter(|slot| !closed(slot)).collect()
}

#[tokio::test(start_paused = true)]
async fn half_of_the_workers_fail_then_all_then_none() {
    let fault = Fault::default();
    let pool = fault.pool(Guards::default()).await;

    fault.set(WORKERS / 2);
    for _ in 0..10 {
        load(&pool, 80).await;
        // A worker that dies before it answers anything comes back after a pause.
        tokio::time::advance(Duration::from_secs(2)).await;
    }
    assert_eq!(barred(&pool), [0, 1], "those that fail");
    let (before, deaths) = (fault.runs(), pool.stats().counters.worker_deaths);
    assert_eq!(load(&pool, 800).await, 800, "others serve: {:?}", pool.stats());
    let more = fault.runs() - before;
    assert!(more <= 880, "{more} runs of 800 calls");
    assert!(pool.stats().counters.worker_deaths - deaths < 80, "barred slots are left alone");

    fault.set(WORKERS);
    let begun = fault.runs();
    assert_eq!(load(&pool, 1000).await, 0);
    let stats = pool.stats();
    assert!(stats.retry_tokens < 14, "the budget is drained: {}", stats.retry_tokens);
    assert!(stats.counters.retries_refused > 900, "{stats:?}");
    let runs = fault.runs() - begun;
    assert!(runs <= 1100, "{runs} runs of 1000 calls");
    assert!(stats.barred <= WORKERS / 2, "never more than half are barred");

    fault.set(0);
    let healed = Instant::now();
    tokio::time::advance(RESET).await;
    load(&pool, 80).await;
    assert_eq!(barred(&pool), [0_usize; 0], "one probe each heals");
    assert!(healed.elapsed() < RESET + Duration::from_secs(5), "{:?}", healed.elapsed());
    assert_eq!(load(&pool, 800).await, 800);
    pool.close(Duration::ZERO).await;
}

fn guarded(trip: Trip, count_remote_errors: bool) -> Guards {
    let limits = BreakerConfig { trip, reset_timeout: RESET, half_open_max_calls: 1 };
    let rule = BreakerRule { limits, count_remote_errors };
    Guards { circuit_breaker: Some(rule), worker_breaker: None, ..Guards::default() }
}

#[tokio::test(start_paused = true)]
async fn the_breaker_of_a_pool_refuses_calls_and_heals_with_one_probe() {
    let fault = Fault::default();
    let pool = fault.pool(guarded(Trip::Consecutive(5), false)).await;
    fault.set(WORKERS);
    for _ in 0..5 {
        let error = answer(submit(&pool, "noop", "")).await.expect_err("its worker died");
        assert!(matches!(error, Error::WorkerDied { .. }), "{error:?}");
    }
    let runs = fault.runs();
    for _ in 0..100 {
        match pool.submit(call("noop", "")).map(drop) {
            Err(error @ Error::CircuitOpen { retry_after, .. }) => {
                assert!(retry_after <= RESET && !error.may_have_run());
            }
            other => panic!("{other:?}"),
        }
    }
    let stats = pool.stats();
    assert_eq!((fault.runs(), stats.circuit), (runs, Some(BreakerState::Open)));
    assert_eq!((stats.counters.shed, stats.counters.rejected), (100, 100));

    fault.set(0);
    tokio::time::advance(RESET).await;
    let probe = submit(&pool, "noop", "");
    assert!(matches!(pool.submit(call("noop", "")).map(drop), Err(Error::CircuitOpen { .. })));
    answer(probe).await.expect("a well worker");
    assert_eq!(pool.stats().circuit, Some(BreakerState::Closed));
    assert_eq!(load(&pool, 80).await, 80);
    pool.close(Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_dropped_frees_its_place() {
    let pool = loopback(1).guards(guarded(Trip::Consecutive(1), false)).start().await;
    answer(submit(&pool, "exit", "1")).await.expect_err("a death");
    tokio::time::advance(RESET).await;
    drop(submit(&pool, "never", ""));
    assert_eq!(pool.stats().circuit, Some(BreakerState::HalfOpen));
    let cancelled = submit(&pool, "never", "");
    cancelled.cancel();
    answer(submit(&pool, "echo", "on")).await.expect("the next probe");
    assert_eq!(pool.stats().circuit, Some(BreakerState::Closed));
    pool.close(Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn exceptions_of_tools_are_failures_where_it_is_asked_for() {
    for count in [false, true] {
        let pool = loopback(1).guards(guarded(Trip::Consecutive(2), count)).start().await;
        for _ in 0..2 {
            answer(submit(&pool, "raise", "no")).await.expect_err("an exception");
        }
        let expected = if count { BreakerState::Open } else { BreakerState::Closed };
        assert_eq!(pool.stats().circuit, Some(expected));
        pool.circuit_breaker().expect("it has one").reset();
        answer(submit(&pool, "echo", "on")).await.expect("it is closed");
        pool.close(Duration::ZERO).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_between_attempts_is_kept_by_the_pool() {
    let fault = Fault::default();
    let pause = Duration::from_secs(7);
    let retry = RetryPolicy {
        backoff: snakepit::Backoff::List(vec![pause]),
        jitter: snakepit::Jitter::None,
        idempotent: true,
        ..RetryPolicy::default()
    };
    let pool = fault.pool(Guards { retry, ..Guards::default() }).await;
    fault.set(WORKERS);
    let begun = Instant::now();
    let reply = submit(&pool, "noop", "");
    while pool.stats().counters.retries == 0 {
        tokio::task::yield_now().await;
    }
    fault.set(0);
    answer(reply).await.expect("the second attempt");
    assert_eq!(begun.elapsed().as_secs(), pause.as_secs());

    let once = RetryPolicy { max_attempts: 1, ..RetryPolicy::default() };
    let spec = CallSpec { retry: Some(once.into()), ..idempotent() };
    fault.set(WORKERS);
    let error = answer(pool.submit(spec).expect("room")).await.expect_err("no second attempt");
    assert!(matches!(error, Error::WorkerDied { .. }), "{error:?}");
    pool.close(Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_tells_when_to_come_again() {
    let pool = loopback(1).max_queue(10).start().await;
    let calls: Vec<_> = (0..11).map(|_| submit(&pool, "after", "1000")).collect();
    let mut calls = calls.into_iter();
    for reply in calls.by_ref().take(5) {
        answer(reply).await.expect("an answer");
        drop(pool.submit(call("noop", "")).map(|mut reply| reply.detach()));
    }
    let full = std::iter::repeat_with(|| pool.submit(call("after", "1000")));
    let refused = full.map(|reply| reply.map(|mut reply| reply.detach())).find_map(Result::err);
    let told = refused.and_then(|error| error.retry_after()).expect("a full queue tells");
    assert!((Duration::from_millis(500)..Duration::from_secs(60)).contains(&told), "{told:?}");
    pool.close(Duration::ZERO).await;
}
