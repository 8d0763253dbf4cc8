//! A start that fails says why, within its limit, to who waits for readiness and to who calls.

use std::sync::Arc;
use std::time::Duration;

use snakepit::{Error, SourceKind, StartFailure};
use snakepit_testkit::{Builder, PATIENCE, pool, soon};

use super::{answer, submit};

/// Both are told the same; nothing is left.
pub async fn refusal(builder: Builder) -> Arc<StartFailure> {
    let pool = builder.open();
    let early = submit(&pool, "echo", "");
    let Err(Error::Start { worker, failure, .. }) = pool.await_ready(Some(PATIENCE)).await else {
        panic!("it started");
    };
    let named = worker.expect("the worker that did not start").generation;
    assert!(named < pool.generation(0), "one that was tried, not the next one");
    match answer(early).await {
        Err(Error::Start { failure: told, .. }) => assert_eq!(told.reason, failure.reason),
        other => panic!("{other:?}"),
    }
    let late = pool.submit(snakepit_testkit::call("echo", ""));
    assert!(matches!(late, Err(Error::Start { .. })), "a call is refused at the door");
    assert_eq!(pool.workers()[0].state, "degraded");
    pool.finish().await;
    failure
}

#[tokio::test]
async fn an_exit_before_hello_is_told_with_its_code_and_output() {
    let failure = refusal(pool(1).start_as("exit 3")).await;
    assert_eq!(failure.reason, "it ended before it was ready: exit code 3");
    let exit = failure.exit.as_ref().expect("how it ended");
    assert_eq!((exit.exit_code, &*exit.stderr), (Some(3), "leaving before hello"));
    assert!(!failure.permanent);
}

#[tokio::test]
async fn an_exit_in_initialize_is_told_likewise() {
    let failure = refusal(pool(1).start_as("exit-late 5")).await;
    let exit = failure.exit.as_ref().expect("how it ended");
    assert_eq!((exit.exit_code, &*exit.stderr), (Some(5), "leaving initialize()"));
}

#[tokio::test]
async fn a_worker_that_never_dials_is_given_up_after_start_timeout() {
    let limit = Duration::from_millis(500);
    let failure = refusal(pool(1).start_as("mute").start_timeout(limit)).await;
    assert!(failure.reason.contains("start_timeout (500ms)"), "{}", failure.reason);
    assert!(failure.reason.contains("has not dialled in"), "{}", failure.reason);
}

#[tokio::test]
async fn a_program_that_never_dials_is_told_what_checks_it() {
    let limit = Duration::from_millis(500);
    let mute = pool(1).start_as("mute").source(SourceKind::Program).start_timeout(limit);
    let reason = &refusal(mute).await.reason;
    assert!(reason.contains("the program has not dialled in"), "{reason}");
    assert!(reason.contains("python -m snakepit.conformance -- COMMAND"), "{reason}");
}

#[tokio::test]
async fn an_initialize_that_hangs_is_given_up_after_start_timeout() {
    // Long enough to dial on a busy machine.
    let limit = Duration::from_secs(5);
    let failure = refusal(pool(1).start_as("hang").start_timeout(limit)).await;
    assert!(failure.reason.contains("initialize() has not returned"), "{}", failure.reason);
}

#[tokio::test]
async fn what_the_boot_code_says_is_the_reason() {
    let failure = refusal(pool(1).start_as("boot-error")).await;
    assert_eq!((&*failure.reason, failure.permanent), ("scripted to be no worker", true));
}

#[tokio::test]
async fn an_adapter_that_cannot_be_found_is_told_as_such() {
    let failure = refusal(pool(1).start_as("no-source")).await;
    assert!(failure.adapter_source && failure.permanent);
    let raised = failure.failure.as_ref().expect("what was raised");
    assert_eq!(raised.type_name, "ModuleNotFoundError");
}

#[tokio::test]
async fn an_initialize_that_raises_is_tried_five_times() {
    let failure = refusal(pool(1).start_as("fail")).await;
    assert_eq!(failure.reason, "ScriptedError: scripted to fail");
    assert!(!failure.permanent);

    let pool = pool(1).start_as("fail").open();
    assert!(pool.await_ready(Some(PATIENCE)).await.is_err());
    assert_eq!(pool.generation(0), 6, "five were tried, the sixth is for later");
    pool.finish().await;
}

#[tokio::test]
async fn a_permanent_failure_is_not_tried_again() {
    let pool = pool(1).start_as("fail-for-good").open();
    let error = pool.await_ready(Some(PATIENCE)).await.expect_err("it cannot start");
    let Error::Start { worker: Some(worker), .. } = error else { panic!("{error}") };
    assert_eq!((worker.generation, pool.generation(0)), (1, 2));
    pool.finish().await;
}

#[tokio::test]
async fn a_start_that_fails_twice_and_then_succeeds_is_a_start() {
    let pool = pool(2).start_as("ready-from 3").open();
    let early = submit(&pool, "echo", "patient");
    pool.await_ready(Some(PATIENCE)).await.expect("the third try");
    assert_eq!(answer(early).await.expect("an answer"), "patient");
    assert_eq!((pool.generation(0), pool.generation(1)), (3, 3));
    pool.finish().await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_a_permanent_failure() {
    let failure = refusal(pool(1).program("/nowhere/python")).await;
    assert!(failure.permanent);
    assert!(failure.reason.contains("cannot start /nowhere/python"), "{}", failure.reason);
}

#[tokio::test]
async fn waiting_for_readiness_can_be_given_up() {
    let pool = pool(1).start_as("hang").open();
    let error = soon("the limit", pool.await_ready(Some(Duration::from_millis(50)))).await;
    assert!(matches!(error, Err(Error::NotReady { ready: 0, size: 1, .. })), "{error:?}");
    pool.finish().await;
}
