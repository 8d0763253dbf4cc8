//! What adapters tell reaches whoever listens, in order, within bounds, and only what is wanted.

use std::sync::{Arc, Mutex};

use snakepit::telemetry::{Event, Events, Number, SpanRecord, Value};
use snakepit::{Affinity, SessionKey, TelemetryFilter};
use snakepit_testkit::{Gate, call, pool, soon, until};

use super::{answer, death, submit, submit_spec};

/// What has come of that name.
fn told(events: &mut Events, name: &str) -> Vec<Arc<Event>> {
    std::iter::from_fn(|| events.try_next()).filter(|event| event.name == name).collect()
}

#[tokio::test]
async fn events_of_a_call_come_before_its_answer_with_what_the_host_knows() {
    let pool = pool(1).start().await;
    let mut events = pool.events();
    let mut spec = call("tell", "model.inference 3");
    spec.session = Some(SessionKey { id: "s".into(), affinity: Affinity::default(), object: None });
    answer(submit_spec(&pool, spec)).await.expect("an answer");
    let told = told(&mut events, "snakepit.python.model.inference");
    let numbers: Vec<_> = told.iter().filter_map(|event| event.measurement("number")).collect();
    assert_eq!(numbers, [0, 1, 2].map(Number::Whole));
    assert_eq!(told[0].text("pool"), Some("test"));
    assert_eq!(told[0].text("worker_id"), Some("test/0"));
    assert_eq!(told[0].text("session_id"), Some("s"));
    assert_eq!(told[0].metadata("scripted"), Some(&Value::Flag(true)));
    assert_eq!(told[0].measurement("system_time"), Some(Number::Whole(1)));
    pool.finish().await;
}

#[tokio::test]
async fn a_worker_is_told_who_listens_and_to_what() {
    let pool = pool(2).start().await;
    let filter = |sampling, allow: &str, deny: &str| TelemetryFilter {
        sampling,
        allow: vec![allow.into()],
        deny: vec![deny.into()],
    };
    let wanted = async || pool.run("wanted", "").await.expect("an answer");
    assert_eq!(wanted().await, "false 1");
    let events = pool.events();
    soon("the news", async { while wanted().await != "true 1" {} }).await;
    pool.set_telemetry(Some(0), filter(0.5, "a.*", "a.b")).expect("a filter");
    assert_eq!(wanted().await, "true 0.5 a.* -a.b");
    pool.set_telemetry(Some(2), TelemetryFilter::default()).expect_err("no such worker");
    pool.set_telemetry(None, filter(2.0, "a", "b")).expect_err("more than all");
    // Its successor knows it too.
    death(pool.run("exit", "3").await.expect_err("a death"));
    pool.refilled(2).await;
    assert_eq!(pool.generation(0), 2);
    assert_eq!(wanted().await, "true 0.5 a.* -a.b");
    pool.set_telemetry(None, TelemetryFilter::default()).expect("a filter");
    assert_eq!(wanted().await, "true 1");
    drop(events);
    soon("the news", async { while wanted().await != "false 1" {} }).await;
    pool.finish().await;
}

#[tokio::test]
async fn a_flood_costs_drops_that_are_counted_and_nobody_else() {
    const FLOOD: u64 = 40_000;
    let pool = pool(2).start().await;
    let mut events = pool.events();
    let gate = Gate::new();
    let flood = submit(&pool, "tell", &gate.after(&format!("flood {FLOOD}")));
    gate.visit().await.release().await;
    for _ in 0..20 {
        pool.run("echo", "beside").await.expect("an answer");
    }
    answer(flood).await.expect("an answer");
    // Ours is the last word about drops; that of the worker itself is added.
    answer(submit(&pool, "dropped", "7")).await.expect("an answer");
    let (mut seen, mut counted) = (0, 0);
    while let Some(event) = events.try_next() {
        match &*event.name {
            "snakepit.python.flood" => seen += 1,
            "snakepit.python.dropped" => match event.measurement("count") {
                Some(Number::Whole(count)) => counted += count,
                other => panic!("{other:?}"),
            },
            _ => {}
        }
    }
    let missed = events.dropped();
    assert!(seen <= 4096 && seen + missed <= FLOOD + 100, "{seen} and {missed}");
    assert!(counted >= 7, "{counted}");
    pool.finish().await;
}

#[tokio::test]
async fn spans_come_in_order_and_before_the_answer_though_nobody_listens_to_events() {
    let pool = pool(1).start().await;
    let spans = Arc::new(Mutex::new(Vec::new()));
    let heard = spans.clone();
    assert!(pool.on_spans(Arc::new(move |records| {
        let worker = |span: &SpanRecord| match &span.attributes[..] {
            [(key, Value::Text(worker))] if key == "snakepit.worker" => worker.to_string(),
            other => panic!("{other:?}"),
        };
        let told = records.into_iter().map(|span| (worker(&span), span.name, span.end));
        heard.lock().expect("no panic").extend(told);
    })));
    assert!(!pool.on_spans(Arc::new(|_| {})), "one is enough");
    pool.run("span", "work").await.expect("an answer");
    let seen = std::mem::take(&mut *spans.lock().expect("no panic"));
    let of = |end| ("test/0".to_owned(), "work".to_owned(), end);
    assert_eq!(seen, [of(None), of(Some(2))]);
    pool.finish().await;
}

#[tokio::test]
async fn who_was_not_asked_may_tell_nothing() {
    let pool = pool(1).start_as("no-telemetry").start().await;
    let _events = pool.events();
    assert_eq!(pool.run("wanted", "").await.expect("an answer"), "nothing");
    let exit = death(pool.run("tell", "a 1").await.expect_err("a violation"));
    assert_eq!(exit.violation.as_ref().expect("one").name(), "bad_telemetry");
    until("the next worker", || pool.generation(0) == 2).await;
    pool.finish().await;
}
