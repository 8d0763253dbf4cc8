//! What users of the executor can rely on, under a clock that is moved by whoever waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::Instant;

use super::*;
use crate::breaker::CircuitBreaker;
use crate::budget::RetryBudget;
use crate::config::{Backoff, BreakerConfig, BudgetConfig, Jitter, RetryPolicy, Trip};
use crate::policy::breaker::BreakerState;
use crate::policy::retry::Fault;

const TRANSIENT: Fault =
    Fault { retriable: true, may_have_run: false, counts: true, retry_after: None };

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A second between attempts.
fn policy(max_attempts: u32) -> RetryPolicy {
    let backoff = Backoff::List(vec![seconds(1)]);
    RetryPolicy { max_attempts, backoff, jitter: Jitter::None, idempotent: false }
}

#[tokio::test(start_paused = true)]
async fn a_slow_function_is_given_up_at_its_limit() {
    let slow = execute_with_timeout(seconds(5), std::future::pending::<Result<(), ()>>).await;
    assert_eq!(slow, Err(Error::Timeout { limit: seconds(5), started: true }));
    let quick = execute_with_timeout(seconds(5), async || Ok::<_, ()>(1)).await;
    assert_eq!(quick, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn attempts_go_on_until_one_succeeds() {
    let begun = Instant::now();
    let mut made = 0;
    let outcome = execute_with_retry(
        Retrying::new(&policy(5)),
        |_| TRANSIENT,
        async || {
            made += 1;
            if made < 4 { Err("not yet") } else { Ok(made) }
        },
    );
    assert_eq!(outcome.await, Ok(4));
    assert_eq!(begun.elapsed(), seconds(3), "a pause between attempts, none before or after");
}

#[tokio::test(start_paused = true)]
async fn no_pause_reaches_the_deadline() {
    let begun = Instant::now();
    let retrying = Retrying::new(&policy(100)).deadline(begun + seconds(10));
    let outcome = execute_with_retry(retrying, |_| TRANSIENT, async || Err::<(), _>("no"));
    assert_eq!(outcome.await, Err("no"));
    assert_eq!(begun.elapsed(), seconds(9));
}

#[tokio::test(start_paused = true)]
async fn callers_that_share_a_budget_share_its_retries() {
    let config = BudgetConfig { capacity: 30, retry_cost: 10, deposit: 10 };
    let budget = RetryBudget::new(config).unwrap();
    let runs = AtomicUsize::new(0);
    for _ in 0..10 {
        let retrying = Retrying::new(&policy(10)).budget(&budget);
        let failing = async || {
            runs.fetch_add(1, Ordering::Relaxed);
            Err::<(), _>("no")
        };
        execute_with_retry(retrying, |_| TRANSIENT, failing).await.unwrap_err();
    }
    assert_eq!(runs.load(Ordering::Relaxed), 10 + 3);
    let retrying = Retrying::new(&policy(10)).budget(&budget);
    execute_with_retry(retrying, |(): &()| TRANSIENT, async || Ok(())).await.unwrap();
    assert_eq!(budget.tokens(), 10, "a success pays in");
}

#[tokio::test(start_paused = true)]
async fn a_protected_call_tells_its_own_error_rather_than_that_the_breaker_opened() {
    let config = BreakerConfig { trip: Trip::Consecutive(2), ..BreakerConfig::default() };
    let breaker = CircuitBreaker::new(config).unwrap();
    let mut made = 0;
    let outcome = execute_with_protection(
        &breaker,
        Retrying::new(&policy(10)),
        |_: &&str| TRANSIENT,
        async || {
            made += 1;
            Err::<(), _>("boom")
        },
    );
    assert_eq!(outcome.await, Err(Error::Failed("boom")));
    assert_eq!(made, 2, "the breaker refused the third");

    let retrying = Retrying::new(&policy(10));
    let refused =
        execute_with_protection(&breaker, retrying, |(): &()| TRANSIENT, async || Ok(1)).await;
    assert!(matches!(refused, Err(Error::CircuitOpen(_))));
}

#[tokio::test]
async fn what_does_not_count_neither_opens_nor_closes() {
    let config = BreakerConfig { trip: Trip::Consecutive(1), ..BreakerConfig::default() };
    let breaker = CircuitBreaker::new(config).unwrap();
    let cancelled = |_: &&str| Fault { retriable: false, counts: false, ..TRANSIENT };
    let retrying = Retrying::new(&policy(3));
    let outcome =
        execute_with_protection(&breaker, retrying, cancelled, async || Err::<(), _>("cancel"));
    assert_eq!(outcome.await, Err(Error::Failed("cancel")));
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test]
async fn a_protected_call_can_be_a_task() {
    let breaker = CircuitBreaker::new(BreakerConfig::default()).unwrap();
    let task = tokio::spawn(async move {
        let retrying = Retrying::new(&policy(3));
        execute_with_protection(
            &breaker,
            retrying,
            |(): &()| TRANSIENT,
            async || {
                tokio::task::yield_now().await;
                Ok(7)
            },
        )
        .await
    });
    assert_eq!(task.await.unwrap(), Ok(7));
}

type Boxed =
    Box<dyn FnOnce() -> std::pin::Pin<Box<dyn Future<Output = Result<u32, u32>> + Send>> + Send>;

fn call<F>(call: impl FnOnce() -> F + Send + 'static) -> Boxed
where
    F: Future<Output = Result<u32, u32>> + Send + 'static,
{
    Box::new(move || Box::pin(call()))
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_batch_harm_no_other_and_keep_their_order() {
    let calls = [
        call(std::future::pending),
        call(async || panic!("on purpose")),
        call(async || Err(3)),
        call(async || {
            tokio::time::sleep(seconds(2)).await;
            Ok(4)
        }),
        call(async || Ok(5)),
    ];
    let options = BatchOptions { timeout_each: Some(seconds(9)), ..BatchOptions::default() };
    let expected = [
        Err(Error::Timeout { limit: seconds(9), started: true }),
        Err(Error::Panicked { message: "on purpose".into() }),
        Err(Error::Failed(3)),
        Ok(4),
        Ok(5),
    ];
    assert_eq!(execute_batch(calls, options).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_batch_ends_at_its_limit_and_says_what_had_begun() {
    let calls = [
        call(async || Ok(1)),
        call(std::future::pending),
        call(std::future::pending),
        call(async || Ok(4)),
    ];
    let limit = seconds(3);
    let options =
        BatchOptions { max_concurrency: 2, timeout: Some(limit), ..BatchOptions::default() };
    let expected = [
        Ok(1),
        Err(Error::Timeout { limit, started: true }),
        Err(Error::Timeout { limit, started: true }),
        Err(Error::Timeout { limit, started: false }),
    ];
    assert_eq!(execute_batch(calls, options).await, expected);
}

#[tokio::test(start_paused = true)]
async fn no_call_of_a_batch_begins_after_its_limit() {
    let late = call(async || {
        // Polled once: the clock jumps, and no timer is heard before this call has ended.
        let mut advance = std::pin::pin!(tokio::time::advance(seconds(5)));
        std::future::poll_fn(|cx| std::task::Poll::Ready(advance.as_mut().poll(cx).is_ready()))
            .await;
        Ok(1)
    });
    let limit = seconds(3);
    let options =
        BatchOptions { max_concurrency: 1, timeout: Some(limit), ..BatchOptions::default() };
    let expected = [Ok(1), Err(Error::Timeout { limit, started: false })];
    assert_eq!(execute_batch([late, call(async || Ok(2))], options).await, expected);
}

#[tokio::test(start_paused = true)]
async fn no_more_run_at_once_than_may() {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let calls = (0..20).map(|n| {
        let (running, most) = (running.clone(), most.clone());
        call(move || async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(seconds(1)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(n)
        })
    });
    let calls: Vec<_> = calls.collect();
    let options = BatchOptions { max_concurrency: 3, ..BatchOptions::default() };
    let outcomes = execute_batch(calls, options).await;
    assert_eq!(outcomes, (0..20).map(Ok).collect::<Vec<_>>());
    assert_eq!(most.load(Ordering::SeqCst), 3);
}
