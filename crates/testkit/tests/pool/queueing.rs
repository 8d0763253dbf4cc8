//! What waits, waits in order, and no more than was allowed.

use snakepit::Error;
use snakepit_testkit::{Gate, Ledger, call, pool};

use super::{answer, submit};

#[tokio::test]
async fn a_full_queue_refuses_and_has_room_again_later() {
    let pool = pool(1).max_queue(3).start().await;
    let gate = Gate::new();
    let holder = submit(&pool, "hold", &gate.after(""));
    let mut visit = gate.visit().await;
    let waiting: Vec<_> = (0..3).map(|n| submit(&pool, "echo", &n.to_string())).collect();
    match pool.submit(call("echo", "")).map(|_| ()) {
        Err(Error::QueueFull { capacity: 3, .. }) => {}
        other => panic!("{other:?}"),
    }
    let stats = pool.stats();
    assert_eq!((stats.queued, stats.running, stats.counters.rejected), (3, 1, 1));
    visit.release().await;
    answer(holder).await.expect("an answer");
    for (n, reply) in waiting.into_iter().enumerate() {
        assert_eq!(answer(reply).await.expect("an answer"), n.to_string());
    }
    assert_eq!(pool.run("echo", "on").await.expect("room again"), "on");
    pool.finish().await;
}

#[tokio::test]
async fn one_worker_runs_calls_in_the_order_of_their_admission() {
    let pool = pool(1).start().await;
    let ledger = Ledger::new();
    let calls: Vec<_> = (0..200).map(|n| submit(&pool, "record", &ledger.entry(n, None))).collect();
    for reply in calls {
        answer(reply).await.expect("an answer");
    }
    let expected: Vec<_> = (0..200).map(|n| n.to_string()).collect();
    assert_eq!(ledger.names(), expected);
    pool.finish().await;
}

#[tokio::test]
async fn calls_that_came_before_any_worker_are_run() {
    let pool = pool(2).open();
    let calls: Vec<_> = (0..20).map(|n| submit(&pool, "echo", &n.to_string())).collect();
    for (n, reply) in calls.into_iter().enumerate() {
        assert_eq!(answer(reply).await.expect("an answer"), n.to_string());
    }
    pool.finish().await;
}

#[tokio::test]
async fn arguments_beyond_the_limit_are_refused_at_the_door() {
    let pool = pool(1).start().await;
    let spec = call("echo", &"x".repeat(pool.config().max_message + 1));
    match pool.submit(spec).map(|_| ()) {
        Err(Error::TooLarge { direction: snakepit::Direction::Arguments, .. }) => {}
        other => panic!("{other:?}"),
    }
    let large = "x".repeat(3 << 20);
    assert!(pool.run("echo", &large).await.expect("a large answer") == large);
    pool.finish().await;
}
