//! Recycling replaces a worker and fails no call.

use snakepit_testkit::{Gate, pool};

use super::{answer, submit};

#[tokio::test]
async fn a_busy_worker_finishes_what_it_has_and_is_replaced() {
    let pool = pool(2).start().await;
    let gate = Gate::new();
    let running = submit(&pool, "hold", &gate.after(""));
    let mut visit = gate.visit().await;
    let old = pool.workers();
    assert!(!pool.recycle(0, Some(7)), "there is no such generation");
    assert!(pool.recycle(0, Some(1)));
    assert!(!pool.recycle(0, None), "it is leaving already");
    assert_eq!(pool.workers()[0].state, "draining");

    let elsewhere = pool.run("whoami", "").await.expect("an answer");
    assert_eq!(Some(elsewhere), old[1].pid.map(|pid| pid.to_string()));
    visit.release().await;
    assert_eq!(answer(running).await.expect("let end"), "released");
    pool.refilled(2).await;
    assert_ne!(pool.workers()[0].pid, old[0].pid);
    assert_eq!(pool.stats().counters.worker_deaths, 0, "it was told to");
    pool.finish().await;
}

#[tokio::test]
async fn an_idle_worker_is_replaced_at_once() {
    let pool = pool(1).start().await;
    let before = pool.run("whoami", "").await.expect("an answer");
    assert!(pool.recycle(0, None));
    let after = pool.run("whoami", "").await.expect("of the next worker");
    assert_ne!(before, after);
    pool.finish().await;
}

#[tokio::test]
async fn no_call_fails_while_all_workers_are_replaced_in_turn() {
    let pool = pool(2).start().await;
    let mut calls = Vec::new();
    for round in 0..6 {
        for n in 0..25 {
            calls.push((n, submit(&pool, "echo", &n.to_string())));
        }
        pool.recycle(round % 2, None);
        for (n, reply) in calls.drain(..) {
            assert_eq!(answer(reply).await.expect("no call fails"), n.to_string());
        }
    }
    pool.finish().await;
}
