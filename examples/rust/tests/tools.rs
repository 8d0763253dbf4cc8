//! What a pool tells of its tools, and arguments that are held against it, from Rust.

mod common;

use std::time::Duration;

use common::{face, finish};
use serde::Serialize;
use snakepit::value::Map;
use snakepit::{Error, Schema, ToolInfo};

#[derive(Serialize)]
struct One<T> {
    value: T,
}

fn named<'a>(tools: &'a [ToolInfo], name: &str) -> &'a ToolInfo {
    tools.iter().find(|tool| tool.name == name).expect("a tool of that name")
}

#[tokio::test]
async fn tools_tell_their_parameters() {
    let Some((builder, mark)) = face() else { return };
    let pool = builder.start().await.expect("a pool");
    let tools = pool.tools(None).await.expect("tools");
    let ping = named(&tools, "ping");
    assert!(!ping.streaming);
    assert_eq!(
        ping.parameters.as_str(),
        r#"{"type":"object","properties":{},"additionalProperties":false}"#
    );
    assert!(named(&tools, "echo").parameters.as_str().contains(r#""required":["value"]"#));
    finish(pool, mark).await;
}

#[tokio::test]
async fn arguments_are_held_against_the_schema_before_they_are_sent() {
    let Some((builder, mark)) = face() else { return };
    let pool = builder.validate_arguments(true).start().await.expect("a pool");
    // No worker is ready yet: this waits, those two cannot.
    let early = pool.call("echo").args(One { value: 1 }).submit::<i64>();
    assert!(matches!(early, Err(Error::NotReady { ready: 0, .. })));
    let early = pool.execute_stream::<i64>("echo", ());
    assert!(matches!(early, Err(Error::NotReady { .. })));

    let error = pool.execute::<i64>("echo", ()).await.expect_err("an argument is missing");
    let Error::Argument { tool, parameter, path, got, .. } = &error else { panic!("{error}") };
    assert_eq!((&**tool, &**parameter, &**path), ("echo", "value", r#"args["value"]"#));
    assert_eq!(got, "nothing");
    let error = pool.session("s").execute::<i64>("echo", ()).await.expect_err("it is missing");
    assert!(matches!(error, Error::Argument { .. }), "{error}");
    assert!(!error.may_have_run());

    assert_eq!(pool.execute::<i64>("echo", One { value: 1 }).await.expect("an echo"), 1);
    let unchecked = pool.call("echo").validate_arguments(false).execute::<i64>().await;
    assert!(matches!(unchecked, Err(Error::Remote { .. })), "{unchecked:?}");
    finish(pool, mark).await;
}

#[tokio::test]
async fn the_wait_for_tools_is_bounded() {
    let Some((builder, mark)) = face() else { return };
    let pool = builder.start().await.expect("a pool");
    let limit = Duration::from_nanos(1);
    let listed = pool.tools(Some(limit)).await;
    assert!(matches!(listed, Err(Error::NotReady { ready: 0, size: 1, .. })), "{listed:?}");
    let call = pool.call("ping").validate_arguments(true).timeout(limit);
    let timed_out = call.execute::<String>().await;
    assert!(matches!(timed_out, Err(Error::Timeout { .. })), "{timed_out:?}");
    finish(pool, mark).await;
}

#[test]
fn a_schema_can_be_asked_without_a_pool() {
    let schema: Schema = r#"{"properties":{"a":{"type":"integer"}}}"#.parse().expect("a schema");
    let encoded = snakepit::value::encode_arguments(&Map::from([("a", "x")])).expect("a map");
    let wrong = schema.check(&encoded).expect_err("no integer");
    assert_eq!((&*wrong.parameter, &*wrong.expected), ("a", "an integer"));
}
