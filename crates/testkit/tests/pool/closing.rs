//! Closing ends every call and every process, whatever workers do, in bounded time.

use std::sync::Arc;
use std::time::Duration;

use snakepit::Error;
use snakepit_testkit::{Gate, call, pool, soon};

use super::{answer, submit};

/// Closes a pool that is in some state, with a call in a worker where `tool` is given and one that
/// waits; both must end as calls of a closed pool, and nothing may be left.
async fn is_bounded(start: &str, tool: Option<&str>) {
    let pool = pool(1).start_as(start).start().await;
    let gate = Gate::new();
    let (mut calls, mut visits) = (Vec::new(), Vec::new());
    if let Some(tool) = tool {
        calls.push((submit(&pool, tool, &gate.after("")), true));
        visits.push(gate.visit().await);
        calls.push((submit(&pool, "echo", ""), false));
    }
    soon("the pool closes", pool.close(Duration::ZERO)).await;
    for (reply, ran) in calls {
        match answer(reply).await {
            Err(Error::PoolClosed { may_have_run, .. }) => assert_eq!(may_have_run, ran),
            other => panic!("{other:?}"),
        }
    }
    pool.assert_nothing_left().await;
    match pool.submit(call("echo", "")) {
        Err(Error::PoolClosed { may_have_run: false, .. }) => {}
        other => panic!("{:?}", other.map(|_| ())),
    }
}

#[tokio::test]
async fn of_an_idle_pool() {
    is_bounded("", None).await;
}

#[tokio::test]
async fn of_a_worker_that_does_not_leave() {
    is_bounded("clingy", None).await;
}

#[tokio::test]
async fn of_a_worker_that_does_not_leave_and_is_deaf_to_sigterm() {
    is_bounded("clingy deaf", None).await;
}

#[tokio::test]
async fn with_a_call_that_honours_the_cancel() {
    is_bounded("", Some("hold")).await;
}

#[tokio::test]
async fn with_a_call_that_ignores_the_cancel() {
    is_bounded("", Some("stubborn")).await;
}

#[tokio::test]
async fn with_a_call_that_ignores_everything() {
    is_bounded("deaf clingy", Some("stubborn")).await;
}

#[tokio::test]
async fn while_workers_start_or_cannot() {
    for start in ["mute", "hang", "fail", "fail-for-good", "exit 3", "wrong-token"] {
        let pool = pool(2).start_as(start).open();
        let waiting = submit(&pool, "echo", "");
        soon("the pool closes", pool.close(Duration::ZERO)).await;
        match answer(waiting).await {
            Err(Error::PoolClosed { may_have_run: false, .. } | Error::Start { .. }) => {}
            other => panic!("{start}: {other:?}"),
        }
        pool.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn with_a_stream_that_nobody_reads() {
    let pool = pool(1).start().await;
    let gate = Gate::new();
    let mut stream = pool.stream(call("count", &gate.after("1000000"))).expect("admitted");
    assert_eq!(gate.visit().await.line().await.as_deref(), Some("full 1024"));
    soon("the pool closes", pool.close(Duration::ZERO)).await;
    let mut end = Ok(());
    while let Some(chunk) = stream.next_chunk().await {
        end = chunk.map(|_| ());
    }
    assert!(matches!(end, Err(Error::PoolClosed { may_have_run: true, .. })), "{end:?}");
    pool.assert_nothing_left().await;
}

#[tokio::test]
async fn with_a_worker_that_is_being_recycled() {
    let pool = pool(1).start().await;
    let gate = Gate::new();
    let reply = submit(&pool, "stubborn", &gate.after(""));
    let _visit = gate.visit().await;
    assert!(pool.recycle(0, None));
    soon("the pool closes", pool.close(Duration::ZERO)).await;
    assert!(matches!(answer(reply).await, Err(Error::PoolClosed { may_have_run: true, .. })));
    pool.assert_nothing_left().await;
}

#[tokio::test]
async fn a_drain_lets_calls_end_and_admits_no_more() {
    let pool = Arc::new(pool(1).start().await);
    let gate = Gate::new();
    let running = submit(&pool, "hold", &gate.after(""));
    let waiting = submit(&pool, "echo", "last");
    let mut visit = gate.visit().await;
    let closing = pool.clone();
    let closing = tokio::spawn(async move { closing.close(Duration::from_secs(600)).await });
    snakepit_testkit::until("the door is shut", || pool.is_closed()).await;
    assert!(matches!(pool.submit(call("echo", "")).map(|_| ()), Err(Error::PoolClosed { .. })));
    visit.release().await;
    assert_eq!(answer(running).await.expect("let end"), "released");
    assert_eq!(answer(waiting).await.expect("let end"), "last");
    soon("the pool closes", closing).await.expect("no panic");
    pool.assert_nothing_left().await;
}

#[tokio::test]
async fn a_pool_that_is_let_go_leaves_nothing() {
    for tool in ["hold", "stubborn"] {
        let pool = pool(2).start_as("deaf clingy").start().await;
        let gate = Gate::new();
        let mut reply = submit(&pool, tool, &gate.after(""));
        reply.detach();
        let _visit = gate.visit().await;
        pool.abandon().await;
    }
}

#[tokio::test]
async fn a_kill_waits_for_nobody() {
    let pool = pool(2).start_as("deaf clingy").start().await;
    let gate = Gate::new();
    let reply = submit(&pool, "stubborn", &gate.after(""));
    let _visit = gate.visit().await;
    pool.kill();
    let error = answer(reply).await.expect_err("no answer");
    assert!(error.may_have_run());
    pool.assert_nothing_left().await;
}

#[tokio::test]
async fn closing_twice_is_closing() {
    let pool = pool(1).start().await;
    soon("the pool closes", pool.close(Duration::ZERO)).await;
    pool.finish().await;
}
