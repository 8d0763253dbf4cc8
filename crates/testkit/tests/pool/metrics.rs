//! What a pool measures agrees with its counters, with the errors that callers see, and with the guide.

use std::collections::BTreeMap;
use std::time::Duration;

use snakepit::telemetry::TextFormat;
use snakepit::{CallSpec, Error, PoolMetrics, metrics_table, metrics_text};
use snakepit_testkit::{Gate, call, pool};

use super::{answer, submit, submit_spec};

/// How many calls ended how, whatever their tool.
fn ends(metrics: &PoolMetrics) -> BTreeMap<&'static str, u64> {
    let mut ends = BTreeMap::new();
    for (word, count) in metrics.tools.iter().flat_map(|tool| &tool.ended) {
        *ends.entry(*word).or_default() += count;
    }
    ends
}

#[tokio::test]
async fn outcomes_are_counted_by_tool_and_agree_with_the_counters() {
    let pool = pool(1).max_queue(1).start().await;
    for _ in 0..3 {
        pool.run("echo", "").await.expect("an answer");
    }
    pool.run("raise", "no").await.expect_err("raised");
    pool.run("large", "").await.expect_err("too large");
    pool.run("unfit", "").await.expect_err("no value");

    let gate = Gate::new();
    let holder = submit(&pool, "hold", &gate.after(""));
    let mut visit = gate.visit().await;
    let limit = Some(Duration::from_millis(10));
    let late = submit_spec(&pool, CallSpec { timeout: limit, ..call("echo", "") });
    answer(late).await.expect_err("its deadline");
    let waiting = submit(&pool, "echo", "");
    let refused = pool.submit(call("echo", "")).map(drop).expect_err("a full queue");
    assert!(matches!(refused, Error::QueueFull { .. }));
    let now = pool.metrics();
    assert_eq!((now.stats.queued, now.stats.running, now.workers["busy"]), (1, 1, 1));
    visit.release().await;
    answer(holder).await.expect("an answer");
    answer(waiting).await.expect("an answer");

    pool.run("exit", "3").await.expect_err("a death");
    pool.refilled(2).await;
    let metrics = pool.metrics();
    let expected = [
        ("encode_result", 1),
        ("ok", 5),
        ("remote", 1),
        ("timeout", 1),
        ("too_large", 1),
        ("worker_died", 1),
    ];
    assert_eq!(ends(&metrics), expected.into());
    assert_eq!(metrics.rejected, [("queue_full", 1)].into());
    assert_eq!(metrics.restarts, [("exit_3".into(), 1)].into());

    let counters = pool.stats().counters;
    let of = |words: &[&str]| words.iter().map(|word| ends(&metrics)[word]).sum::<u64>();
    assert_eq!(counters.completed, of(&["ok"]));
    assert_eq!(counters.timeouts, of(&["timeout"]));
    assert_eq!(counters.errors, of(&["encode_result", "remote", "too_large", "worker_died"]));
    assert_eq!(counters.requests, ends(&metrics).values().sum::<u64>());

    // The scripted worker declares these only; all the rest is one.
    let tools: Vec<_> = metrics.tools.iter().map(|tool| &*tool.tool).collect();
    assert_eq!(tools, ["(other)", "echo", "hold"]);
    let echo = &metrics.tools[1];
    assert_eq!((echo.duration.count(), echo.execution.count()), (5, 4), "one never began");
    assert_eq!(echo.queue_wait.sum() + echo.execution.sum(), echo.duration.sum());
    pool.finish().await;
}

#[tokio::test]
async fn waiting_in_the_queue_is_no_execution() {
    let pool = pool(1).start().await;
    let gate = Gate::new();
    let holder = submit(&pool, "hold", &gate.after(""));
    let mut visit = gate.visit().await;
    let waiting = submit(&pool, "echo", "");
    let held = Duration::from_millis(300);
    tokio::time::sleep(held).await;
    visit.release().await;
    answer(holder).await.expect("an answer");
    answer(waiting).await.expect("an answer");
    let metrics = pool.metrics();
    let [echo, hold] = &*metrics.tools else { panic!("{metrics:?}") };
    assert!(echo.queue_wait.sum() >= held && echo.queue_wait.sum() > echo.execution.sum());
    assert!(hold.execution.sum() >= held && hold.execution.sum() > hold.queue_wait.sum());
    pool.finish().await;
}

#[tokio::test]
async fn quick_calls_that_wait_in_their_worker_share_its_time() {
    let pool = pool(1).start().await;
    super::teach(&pool).await;
    let calls: Vec<_> = (0..500).map(|_| submit(&pool, "work", "100")).collect();
    for reply in calls {
        answer(reply).await.expect("an answer");
    }
    let metrics = pool.metrics();
    let work = metrics.tools.iter().find(|tool| &*tool.tool == "(other)").expect("work");
    // Not each of them has what those before it took.
    let (ran, took) = (work.execution.sum(), work.duration.sum());
    assert!(ran >= Duration::from_millis(50) && ran * 4 < took, "{ran:?} of {took:?}");
    pool.finish().await;
}

#[tokio::test]
async fn streams_are_counted_and_the_text_has_every_number() {
    let pool = pool(1).start().await;
    let gate = Gate::new();
    let stream = pool.stream(call("count", &gate.after("3"))).expect("an open pool");
    let mut visit = gate.visit().await;
    assert_eq!((pool.metrics().streams, pool.metrics().streaming), (1, 1));
    visit.release().await;
    drop(stream);
    let text = metrics_text(&[pool.metrics()], TextFormat::Prometheus);
    assert!(text.contains("snakepit_streams_total{pool=\"test\"} 1\n"), "{text}");
    assert!(!text.contains(&std::process::id().to_string()), "no process id is a label");
    pool.finish().await;
}

#[test]
fn the_guide_has_the_table_of_all_metrics() {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
    let guide = std::fs::read_to_string(guide).expect("the guide");
    assert!(guide.contains(&metrics_table()), "docs/metrics.md needs:\n{}", metrics_table());
}
