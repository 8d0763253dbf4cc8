//! Signs of life, replacement, starts and health, on real processes.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use snakepit::{HealthConfig, HealthMonitor, HealthStatus, Heartbeat, Life, Recycle};
use snakepit_testkit::{Gate, TestPool, call, pool, until};

use super::{answer, death, submit};

fn quick() -> Life {
    let heartbeat = Heartbeat {
        interval: Duration::from_millis(20),
        timeout: Duration::from_secs(1),
        ..Heartbeat::default()
    };
    Life { heartbeat: Some(heartbeat), ..Life::default() }
}

fn recycled(recycle: Recycle) -> Life {
    Life { recycle: Some(recycle), ..Life::default() }
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid as i32), signal).expect("a process of ours");
}

fn state(pool: &TestPool, number: usize) -> &'static str {
    pool.workers()[number].state
}

fn reasons(pool: &TestPool) -> Vec<(String, u64)> {
    pool.restart_reasons().iter().map(|(reason, count)| (reason.to_string(), *count)).collect()
}

#[tokio::test]
async fn a_stopped_worker_stalls_and_serves_again_once_it_goes_on() {
    let pool = pool(2).life(quick()).start().await;
    assert_eq!(pool.health().status, HealthStatus::Healthy);
    let stopped = pool.workers()[0].pid.expect("a process");
    signal(stopped, Signal::SIGSTOP);
    until("it is stalled", || state(&pool, 0) == "stalled").await;
    let health = pool.health();
    assert_eq!(health.status, HealthStatus::Degraded);
    let facts = &health.workers[0];
    assert_eq!((facts.alive, facts.progressing, facts.ready), (true, false, true));
    for _ in 0..10 {
        let pid = pool.run("whoami", "").await.expect("the other worker");
        assert_ne!(pid, stopped.to_string());
    }
    signal(stopped, Signal::SIGCONT);
    until("it answers", || state(&pool, 0) == "ready").await;
    assert_eq!((pool.generation(0), pool.stats().counters.restarts), (1, 0));
    assert_eq!(pool.health().status, HealthStatus::Healthy);
    pool.finish().await;
}

#[tokio::test]
async fn a_stalled_worker_is_killed_where_that_was_asked_for() {
    let life = Life { stall_kill: Some(Duration::from_millis(50)), ..quick() };
    let pool = pool(1).life(life).start().await;
    signal(pool.workers()[0].pid.expect("a process"), Signal::SIGSTOP);
    pool.refilled(2).await;
    assert_eq!(reasons(&pool), [("stall".to_owned(), 1)]);
    assert_eq!(pool.health().crashes.total_crashes, 0, "that was the pool's doing");
    pool.finish().await;
}

#[tokio::test]
async fn calls_go_on_while_workers_are_replaced_all_the_time() {
    let recycle = Recycle { calls: Some(20), ..Recycle::default() };
    let pool = pool(2).life(recycled(recycle)).start().await;
    for _ in 0..400 {
        let calls: Vec<_> = (0..4).map(|n| submit(&pool, "echo", &n.to_string())).collect();
        for (n, call) in calls.into_iter().enumerate() {
            assert_eq!(answer(call).await.expect("no call fails"), n.to_string());
        }
    }
    until("some were replaced", || {
        reasons(&pool).iter().any(|(reason, count)| reason == "recycle_calls" && *count >= 2)
    })
    .await;
    assert_eq!(pool.stats().counters.worker_deaths, 0);
    pool.finish().await;
}

#[tokio::test]
async fn a_worker_serves_until_its_replacement_is_ready() {
    let pool = pool(1).life(recycled(Recycle::default())).start().await;
    let old = pool.run("whoami", "").await.expect("an answer");
    let gate = Gate::new();
    let holder = submit(&pool, "hold", &gate.after(""));
    let mut visit = gate.visit().await;
    assert!(pool.recycle(0, Some(1)));
    pool.refilled(2).await;
    let new = pool.run("whoami", "").await.expect("an answer, though the old one is busy");
    assert_ne!(new, old);
    visit.release().await;
    answer(holder).await.expect("it ends what it runs");
    until("the old one is gone", || reasons(&pool) == [("recycle_request".to_owned(), 1)]).await;
    assert_eq!(pool.workers().len(), 1);
    assert!(!pool.recycle(0, Some(1)), "that worker is gone");
    pool.finish().await;
}

#[tokio::test]
async fn a_worker_that_is_too_heavy_from_the_start_is_left_alone() {
    let recycle = Recycle { memory: Some(1), ..Recycle::default() };
    let pool = pool(1).life(recycled(recycle)).start().await;
    // Workers are weighed once a second.
    let age = || pool.health().workers[0].since;
    until("it is weighed again", || age() > Duration::from_millis(1500)).await;
    assert_eq!((reasons(&pool), pool.workers()[0].worker.generation), (Vec::new(), 1));
    pool.run("echo", "on").await.expect("an answer");
    pool.finish().await;
}

#[tokio::test]
async fn crashes_are_told_by_reason_and_other_ends_are_not() {
    let pool = pool(2).start().await;
    let monitor =
        HealthMonitor::new(HealthConfig { max_crashes: 2, ..HealthConfig::default() }).unwrap();
    pool.monitor(&monitor);
    death(pool.run("exit", "3").await.expect_err("a death"));
    pool.await_ready(None).await.expect("it is replaced");
    assert!(monitor.is_healthy());
    death(pool.run("signal", "9").await.expect_err("a death"));
    assert!(!monitor.is_healthy());
    pool.await_ready(None).await.expect("it is replaced");
    let generation = pool.generation(0);
    assert!(pool.recycle(0, None));
    pool.refilled(generation + 1).await;

    let stats = monitor.stats();
    let told: Vec<_> = stats.reasons.iter().map(|(reason, n)| (&**reason, *n)).collect();
    assert_eq!(told, [("exit_3", 1), ("signal_9", 1)]);
    assert_eq!(
        reasons(&pool),
        [("exit_3", 1), ("recycle_request", 1), ("signal_9", 1)].map(|(r, n)| (r.to_owned(), n))
    );
    pool.finish().await;
    assert_eq!(monitor.stats().total_crashes, 2, "the end of the pool is no crash");
}

#[tokio::test]
async fn a_pool_whose_workers_cannot_start_says_so_and_recovers() {
    let life = Life {
        max_failed_starts: 2,
        degraded_retry: Duration::from_millis(100),
        ..Life::default()
    };
    let pool = pool(1).life(life).start_as("ready-from 5").open();
    until("it is degraded", || state(&pool, 0) == "degraded").await;
    let health = pool.health();
    assert_eq!(health.status, HealthStatus::Unhealthy);
    let failure = health.workers[0].start_failure.clone().expect("a reason");
    assert!(failure.failure.as_ref().expect("what was raised").traceback.contains("not yet"));
    until("it is tried again", || pool.health().status == HealthStatus::Healthy).await;
    assert_eq!(reasons(&pool), [("start".to_owned(), 4)]);
    pool.finish().await;
}

#[tokio::test]
async fn workers_start_a_few_at_a_time() {
    let life = Life { startup_batch_size: Some(2), ..Life::default() };
    let pool = pool(6).life(life).open();
    let mut most = 0;
    until("all are ready", || {
        let rows = pool.workers();
        let starting = rows.iter().filter(|row| row.state == "starting" && row.pid.is_some());
        most = most.max(starting.count());
        rows.iter().all(|row| row.state == "ready")
    })
    .await;
    assert!(most <= 2, "{most} at once");
    pool.submit(call("echo", "")).expect("admitted").await.expect("an answer");
    pool.finish().await;
}
