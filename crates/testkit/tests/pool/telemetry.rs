//! Events are told with what the catalogue says of them, to whoever listens, and the guide shows the
//! same. (`tests/pool/test_telemetry_catalogue.py` has each of them told.)

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use snakepit::telemetry::{
    CATALOGUE, Event, Events, Field, Interest, Number, Subscription, Value, table,
};
use snakepit::{Affinity, BudgetConfig, CallSpec, Error, Guards, SessionKey};
use snakepit_testkit::{PATIENCE, call, loopback, pool, soon};

use super::{answer, submit, submit_spec};

/// All events until one of this name is there.
async fn until(events: &mut Events, name: &str) -> Vec<Arc<Event>> {
    let mut seen = Vec::new();
    while seen.last().is_none_or(|event: &Arc<Event>| event.name != name) {
        seen.push(soon("an event", events.next()).await.expect("an open pool"));
    }
    seen
}

/// Holds an event against its row: what is always there is, and nothing is that the row does not name.
#[track_caller]
fn check(event: &Event) {
    let spec =
        CATALOGUE.iter().find(|spec| spec.name == event.name).expect("a row of the catalogue");
    let measured: Vec<_> = event.measurements.iter().map(|(name, _)| &**name).collect();
    let described: Vec<_> = event.metadata.iter().map(|(name, _)| &**name).collect();
    for (fields, told) in [(spec.measurements, measured), (spec.metadata, described)] {
        for Field { name, always, .. } in fields {
            assert!(!always || told.contains(name), "{event:?} has no {name}");
        }
        for name in &told {
            assert!(fields.iter().any(|field| field.name == *name), "{event:?}: no row has {name}");
            assert_eq!(told.iter().filter(|other| *other == name).count(), 1, "{event:?}");
        }
    }
    for (name, number) in &event.measurements {
        let positive = match number {
            Number::Whole(whole) => *whole >= 0,
            Number::Real(real) => real.is_finite() && *real >= 0.0,
        };
        assert!(positive, "{name} of {event:?}");
    }
}

#[tokio::test]
async fn what_becomes_of_calls_and_workers_is_told_as_the_catalogue_says() {
    let works = pool(1).open();
    let mut events = works.events();
    works.await_ready(Some(PATIENCE)).await.expect("scripted workers start");
    assert_eq!(works.run("echo", "hello").await.expect("an answer"), "hello");
    let mut seen = until(&mut events, "snakepit.grpc_worker.execute.stop").await;
    let stop = seen.last().expect("an event").clone();
    assert_eq!(stop.text("command"), Some("echo"));
    assert_eq!(stop.text("worker_id"), Some("test/0"));
    assert_eq!(stop.text("session_id"), None);

    let mut spec = call("echo", "again");
    spec.session = Some(SessionKey { id: "s".into(), affinity: Affinity::default(), object: None });
    answer(submit_spec(&works, spec)).await.expect("an answer");
    seen.extend(until(&mut events, "snakepit.grpc_worker.execute.stop").await);
    let stop = seen.last().expect("an event").clone();
    assert_eq!(stop.text("session_id"), Some("s"));

    works.run("exit", "3").await.expect_err("a death");
    works.refilled(2).await;
    seen.extend(until(&mut events, "snakepit.worker.restarted").await);
    let find = |name: &str| {
        let found = seen.iter().find(|event| event.name == name);
        found.unwrap_or_else(|| panic!("no {name}")).clone()
    };
    let failed = find("snakepit.grpc_worker.execute.exception");
    assert_eq!(failed.text("error"), Some("worker_died"));
    assert_eq!(failed.text("worker_id"), Some("test/0"));
    let ended = find("snakepit.pool.worker.terminated");
    assert_eq!(ended.metadata("crash"), Some(&Value::Flag(true)));
    assert_eq!(ended.metadata("generation"), Some(&Value::Number(Number::Whole(1))));
    works.finish().await;

    let broken = pool(1).start_as("exit 3").open();
    let mut events = broken.events();
    broken.await_ready(Some(PATIENCE)).await.expect_err("it does not start");
    seen.extend(until(&mut events, "snakepit.pool.worker.spawn_failed").await);
    let reason = seen.last().and_then(|event| event.text("reason")).expect("a reason");
    assert_eq!(reason, "it ended before it was ready: exit code 3");
    broken.finish().await;

    seen.iter().for_each(|event| check(event));
    let told: BTreeSet<_> = seen.iter().map(|event| &*event.name).collect();
    for name in [
        "snakepit.pool.initialized",
        "snakepit.pool.worker.spawned",
        "snakepit.grpc_worker.execute.start",
        "snakepit.session.bound",
        "snakepit.session.lost",
        "snakepit.worker.crash",
    ] {
        assert!(told.contains(name), "no {name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_for_which_no_retry_is_left_is_told() {
    let retry_budget = BudgetConfig { capacity: 14, retry_cost: 14, deposit: 0 };
    let pool = loopback(1).guards(Guards { retry_budget, ..Guards::default() }).start().await;
    let mut events = pool.events();
    for _ in 0..2 {
        let exit = CallSpec { idempotent: true, ..call("exit", "3") };
        answer(submit_spec(&pool, exit)).await.expect_err("a death");
    }
    let seen = until(&mut events, "snakepit.retry.refused").await;
    check(seen.last().expect("an event"));
    assert_eq!(seen.last().and_then(|event| event.text("worker_id")), Some("loopback/0"));
    pool.close(Duration::ZERO).await;
    let seen = until(&mut events, "snakepit.pool.closed").await;
    seen.iter().for_each(|event| check(event));
}

#[tokio::test(start_paused = true)]
async fn one_subscription_hears_all_pools_of_the_process_and_only_what_it_wants() {
    let early = loopback(1).start().await;
    let heard = Subscription::new(64);
    let name = "snakepit.pool.queue.full";
    heard.want(Interest::in_names([name]));
    let late = loopback(1).max_queue(0).start().await;
    answer(submit(&early, "echo", "")).await.expect("an answer");
    let _runs = submit(&late, "never", "");
    let refused = late.submit(call("echo", "")).err().expect("no room");
    assert!(matches!(refused, Error::QueueFull { .. }), "{refused:?}");
    let batch: Vec<_> = heard.next_batch(Duration::ZERO).expect("events").collect();
    // Other tests of this process fill queues, too.
    assert!(batch.iter().all(|event| event.name == name), "{batch:?}");
    batch.iter().for_each(|event| check(event));
    heard.close();
    early.close(Duration::ZERO).await;
    late.close(Duration::ZERO).await;
}

/// What a subscriber of `tracing` writes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_of_tracing_hears_the_same() {
    let log = Log::default();
    let writer = log.clone();
    let _listening = tracing::subscriber::set_default(
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(move || writer.clone())
            .finish(),
    );
    let pool = loopback(1).start().await;
    answer(submit(&pool, "echo", "hello")).await.expect("an answer");
    pool.close(Duration::ZERO).await;
    let text = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
    let stop = "name=\"snakepit.grpc_worker.execute.stop\"";
    let line = text.lines().find(|line| line.contains(stop)).expect("the end of the call");
    for part in ["DEBUG snakepit::telemetry", "duration_ms", "command", "echo", "loopback/0"] {
        assert!(line.contains(part), "{line} has no {part}");
    }
}

#[tokio::test]
async fn a_refused_call_has_a_start_and_an_end_too() {
    let pool = pool(1).max_queue(0).open();
    let mut events = pool.events();
    let refused = pool.submit(call("echo", "")).err().expect("no worker, and no room to wait");
    assert!(matches!(refused, Error::QueueFull { .. }), "{refused:?}");
    let seen = until(&mut events, "snakepit.grpc_worker.execute.exception").await;
    seen.iter().for_each(|event| check(event));
    let end = seen.last().expect("an event");
    assert_eq!((end.text("error"), end.text("worker_id")), (Some("queue_full"), None));
    pool.finish().await;
}

#[tokio::test]
async fn a_call_that_nobody_heard_begin_is_not_told_to_end() {
    let pool = pool(1).open();
    let early = submit(&pool, "echo", "early");
    let mut events = pool.events();
    answer(early).await.expect("an answer");
    answer(submit(&pool, "echo", "late")).await.expect("an answer");
    let seen = until(&mut events, "snakepit.grpc_worker.execute.stop").await;
    let calls = seen.iter().filter(|event| event.text("command").is_some()).count();
    assert_eq!(calls, 2, "start and end of the second one: {seen:?}");
    pool.finish().await;
}

#[test]
fn the_guide_shows_the_catalogue() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/telemetry.md");
    let guide = std::fs::read_to_string(path).expect("the guide");
    assert!(guide.contains(&table()), "docs/telemetry.md must hold this table:\n\n{}", table());
}
