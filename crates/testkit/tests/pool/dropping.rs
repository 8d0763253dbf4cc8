//! Who lets go of a call cancels it.

use std::time::Duration;

use snakepit::Error;
use snakepit_testkit::{Gate, Ledger, call, pool, until};

use super::{answer, submit};

#[tokio::test]
async fn a_dropped_reply_cancels_its_call_and_spares_the_worker() {
    let pool = pool(1).grace(Duration::from_secs(600)).start().await;
    let gate = Gate::new();
    let before = pool.run("whoami", "").await.expect("an answer");
    let reply = submit(&pool, "hold", &gate.after(""));
    let visit = gate.visit().await;
    drop(reply);
    visit.left().await;
    assert_eq!(pool.run("whoami", "").await.expect("an answer"), before);
    assert_eq!(pool.stats().counters.cancelled, 1);
    pool.finish().await;
}

#[tokio::test]
async fn a_dropped_stream_cancels_its_generator() {
    let pool = pool(1).grace(Duration::from_secs(600)).start().await;
    let gate = Gate::new();
    let mut stream = pool.stream(call("count", &gate.after("1000000"))).expect("admitted");
    let mut visit = gate.visit().await;
    assert_eq!(stream.next_chunk().await.expect("a chunk").expect("well").bytes, "0");
    drop(stream);
    let mut last = String::new();
    while let Some(line) = visit.line().await {
        last = line;
    }
    assert!(last.starts_with("cancelled "), "{last:?}");
    assert_eq!(pool.run("echo", "on").await.expect("the same worker"), "on");
    assert_eq!(pool.generation(0), 1);
    pool.finish().await;
}

#[tokio::test]
async fn a_call_that_ignores_being_dropped_loses_its_worker() {
    let pool = pool(1).start().await;
    let gate = Gate::new();
    let reply = submit(&pool, "stubborn", &gate.after(""));
    let visit = gate.visit().await;
    drop(reply);
    visit.left().await;
    assert_eq!(pool.run("echo", "on").await.expect("a new worker"), "on");
    assert_eq!(pool.generation(0), 2);
    pool.finish().await;
}

#[tokio::test]
async fn a_stream_that_ignores_being_dropped_loses_its_worker() {
    let pool = pool(1).start().await;
    let gate = Gate::new();
    let mut stream = pool.stream(call("stall", &gate.after("3"))).expect("admitted");
    let visit = gate.visit().await;
    assert_eq!(stream.next_chunk().await.expect("a chunk").expect("well").bytes, "0");
    drop(stream);
    visit.left().await;
    assert_eq!(pool.run("echo", "on").await.expect("a new worker"), "on");
    assert_eq!(pool.generation(0), 2);
    pool.finish().await;
}

#[tokio::test]
async fn a_call_dropped_while_it_waits_never_runs() {
    let pool = pool(1).start().await;
    let (gate, ledger) = (Gate::new(), Ledger::new());
    let holder = submit(&pool, "hold", &gate.after(""));
    let mut visit = gate.visit().await;
    drop(submit(&pool, "record", &ledger.entry("dropped", None)));
    assert_eq!(pool.stats().queued, 0);
    visit.release().await;
    answer(holder).await.expect("an answer");
    pool.run("record", &ledger.entry("kept", None)).await.expect("an answer");
    assert_eq!(ledger.names(), ["kept"]);
    pool.finish().await;
}

#[tokio::test]
async fn a_cancel_says_whether_the_call_may_have_run() {
    let pool = pool(1).start().await;
    let gate = Gate::new();
    let running = submit(&pool, "hold", &gate.after(""));
    let visit = gate.visit().await;
    let waiting = submit(&pool, "echo", "");
    assert!(waiting.cancel() && running.cancel());
    assert!(!running.cancel(), "it has ended");
    for (reply, ran) in [(waiting, false), (running, true)] {
        match answer(reply).await {
            Err(Error::Cancelled { may_have_run, .. }) => assert_eq!(may_have_run, ran),
            other => panic!("{other:?}"),
        }
    }
    visit.left().await;
    pool.finish().await;
}

#[tokio::test]
async fn a_detached_reply_lets_its_call_run() {
    let pool = pool(1).start().await;
    let (gate, ledger) = (Gate::new(), Ledger::new());
    let mut reply = submit(&pool, "record", &ledger.entry("kept", Some(&gate)));
    reply.detach();
    drop(reply);
    gate.visit().await.release().await;
    until("it was answered", || pool.stats().counters.completed == 1).await;
    assert_eq!(ledger.names(), ["kept"]);
    pool.finish().await;
}
