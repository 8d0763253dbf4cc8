//! Rules about time, with time moved by hand: workers are tasks, the clock jumps to what is due.

use std::time::Duration;

use snakepit::{CallSpec, Error, Step};
use snakepit_testkit::{call, loopback};
use tokio::time::Instant;

use super::{answer, submit, submit_spec};

const LIMIT: Duration = Duration::from_secs(30);

/// The clock of tokio's timers is that fine.
const TICK: Duration = Duration::from_millis(2);

fn limited(tool: &str) -> CallSpec {
    CallSpec { timeout: Some(LIMIT), ..call(tool, "") }
}

#[track_caller]
fn assert_passed(since: Instant, expected: Duration) {
    let passed = since.elapsed();
    assert!(passed >= expected && passed <= expected + TICK, "{passed:?} instead of {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_passes_when_it_says_wherever_the_call_is() {
    let pool = loopback(1).grace(Duration::from_secs(600)).start().await;
    let start = Instant::now();
    let running = submit_spec(&pool, limited("never"));
    let waiting = submit_spec(&pool, limited("noop"));
    for (reply, expected) in [(running, Step::Running), (waiting, Step::Queued)] {
        match answer(reply).await {
            Err(Error::Timeout { limit: LIMIT, step, .. }) => assert_eq!(step, expected),
            other => panic!("{other:?}"),
        }
        assert_passed(start, LIMIT);
    }
    assert_eq!(pool.stats().counters.queue_timeouts, 1);
    answer(submit(&pool, "noop", "")).await.expect("the worker let go of the call");
    assert_passed(start, LIMIT);
    assert_eq!(pool.stats().counters.worker_deaths, 0);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_does_not_let_go_is_replaced_when_the_grace_is_over() {
    let grace = Duration::from_secs(2);
    let pool = loopback(1).grace(grace).start().await;
    let start = Instant::now();
    assert!(answer(submit_spec(&pool, limited("deaf"))).await.is_err());
    assert_passed(start, LIMIT);
    let next = submit(&pool, "echo", "on");
    assert_eq!(answer(next).await.expect("a new worker"), "on");
    assert_passed(start, LIMIT + grace);
    assert_eq!(pool.workers()[0].worker.generation, 2);
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_time_leaves_no_timer_that_harms() {
    let pool = loopback(2).start().await;
    let start = Instant::now();
    let reply = submit_spec(&pool, CallSpec { timeout: Some(LIMIT), ..call("after", "29000") });
    assert_eq!(answer(reply).await.expect("in time"), "29000");
    assert_passed(start, Duration::from_secs(29));
    let next = answer(submit(&pool, "after", "5000")).await;
    assert_eq!(next.expect("a call without limit"), "5000");
    assert_eq!(pool.stats().counters.timeouts, 0);
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_as_long_as_it_says() {
    let pool = loopback(1).start().await;
    let reply = submit(&pool, "never", "");
    let start = Instant::now();
    pool.close(Duration::from_secs(10)).await;
    assert_passed(start, Duration::from_secs(10));
    assert!(matches!(answer(reply).await, Err(Error::PoolClosed { may_have_run: true, .. })));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_answered_is_replaced_without_a_pause() {
    let pool = loopback(1).start().await;
    let start = Instant::now();
    for _ in 0..20 {
        answer(submit(&pool, "noop", "")).await.expect("an answer");
        let error = answer(submit(&pool, "exit", "3")).await.expect_err("a death");
        assert_eq!(super::death(error).exit_code, Some(3));
    }
    answer(submit(&pool, "noop", "")).await.expect("the next worker");
    assert_passed(start, Duration::ZERO);
    assert_eq!(pool.stats().counters.restarts, 20);
}
