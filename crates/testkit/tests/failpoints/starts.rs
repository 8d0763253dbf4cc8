//! A system that has too little of something (row 16): who is there serves on, and no call is lost.

use snakepit::failpoint::Point;
use snakepit_testkit::{call, pool, soon};

use super::armed;

#[tokio::test]
async fn while_nothing_can_be_started_the_workers_that_are_there_serve_all_calls() {
    for kind in ["EAGAIN", "EMFILE", "ENOMEM"] {
        let armed = armed("seed=1").await;
        let pool = pool(2).start().await;
        drop(armed);
        let armed = super::armed(&format!("seed=1,spawn:error={kind}:times=3")).await;
        pool.run("exit", "3").await.expect_err("a death");
        let replies: Vec<_> = (0..50)
            .map(|n| (n, pool.submit(call("echo", &n.to_string())).expect("room")))
            .collect();
        for (n, reply) in replies {
            let answer = soon("an answer", reply).await.expect("a call that was not lost");
            assert_eq!(answer.bytes, n.to_string().as_bytes());
        }
        snakepit_testkit::until("the slot is filled", || pool.stats().ready == 2).await;
        assert_eq!(armed.plan.fired(Point::Spawn), 3);
        let generations = [0, 1].map(|slot| pool.generation(slot));
        assert_eq!(generations.iter().sum::<u64>(), 2 + 1 + 3, "three tries failed");
        pool.finish().await;
    }
}

#[tokio::test]
async fn what_fails_by_chance_fails_some_and_never_all() {
    // Five starts in a row that fail would be a degraded slot: rare, with these chances.
    let armed = armed("seed=3,spawn:5%,handshake:5%,run:20%:crash").await;
    let pool = pool(2).start().await;
    let (mut answered, mut died) = (0, 0);
    for _ in 0..40 {
        match pool.run("echo", "on").await {
            Ok(_) => answered += 1,
            Err(snakepit::Error::WorkerDied { .. }) => died += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(answered > 10 && died > 2, "{answered} answered, {died} died");
    drop(armed);
    pool.finish().await;
}
