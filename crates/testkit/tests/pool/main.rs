//! The pool over real processes that misbehave: one module a behaviour, names are rules.
//!
//! Nothing here sleeps to be in time: calls wait at gates, tests wait for visits and outcomes.
//! Each test ends with "no process of ours is left".

mod arenas;
mod chaos;
mod closing;
mod deadlines;
mod deaths;
mod dropping;
mod guards;
mod overload;
mod paused;
mod queueing;
mod recycling;
mod relay;
mod requeueing;
mod sessions;
mod starting;
mod strangers;
mod streaming;
mod telemetry;
mod upkeep;
mod violations;

use std::sync::Arc;

use snakepit::{CallSpec, Error, ExitReport, Outcome, Pool, Reply};
use snakepit_testkit::{TestPool, call, soon};

fn text(outcome: Outcome) -> Result<String, Error> {
    outcome
        .map(|value| String::from_utf8(value.bytes.to_vec()).expect("scripted workers speak UTF-8"))
}

async fn answer(reply: Reply) -> Result<String, Error> {
    text(soon("the outcome of a call", reply).await)
}

/// Submits a call that the pool takes.
fn submit(pool: &Pool, tool: &str, words: &str) -> Reply {
    pool.submit(call(tool, words)).expect("an open pool with room")
}

fn submit_spec(pool: &Pool, spec: CallSpec) -> Reply {
    pool.submit(spec).expect("an open pool with room")
}

/// How the worker died under a call that may have run.
#[track_caller]
fn death(error: Error) -> Arc<ExitReport> {
    match error {
        Error::WorkerDied { exit, may_have_run: true, .. } => exit,
        other => panic!("not a death: {other:?}"),
    }
}

/// Has one-call-at-a-time traffic teach the pool that this worker is quick, so that it prefetches.
async fn teach(pool: &TestPool) {
    for _ in 0..50 {
        pool.run("echo", "quick").await.expect("an answer");
    }
}
