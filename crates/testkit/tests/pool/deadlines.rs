//! A deadline frees the caller at once; what becomes of the worker is up to the worker.

use std::sync::Arc;
use std::time::Duration;

use snakepit::{CallSpec, Error, Step};
use snakepit_testkit::{Gate, Ledger, TestPool, call, pool};

use super::{answer, submit, submit_spec, teach};

/// Enough for a call to reach its gate on a busy machine.
const LIMIT: Duration = Duration::from_secs(1);

fn limited(tool: &str, words: &str) -> CallSpec {
    CallSpec { timeout: Some(LIMIT), ..call(tool, words) }
}

#[track_caller]
fn assert_timeout(outcome: Result<String, Error>, expected: Step) {
    match outcome {
        Err(Error::Timeout { limit: LIMIT, step, .. }) => assert_eq!(step, expected),
        other => panic!("{other:?}"),
    }
}

/// Calls `hold` past its deadline in a worker that honours the cancel.
async fn the_worker_lives(pool: TestPool) {
    let gate = Gate::new();
    let before = pool.run("whoami", "").await.expect("an answer");
    let reply = submit_spec(&pool, limited("hold", &gate.after("")));
    let visit = gate.visit().await;
    assert_timeout(answer(reply).await, Step::Running);
    visit.left().await;
    assert_eq!(pool.run("whoami", "").await.expect("an answer"), before);
    let counters = pool.stats().counters;
    assert_eq!((counters.timeouts, counters.queue_timeouts, counters.worker_deaths), (1, 0, 0));
    pool.finish().await;
}

#[tokio::test]
async fn a_call_that_honours_the_cancel_costs_no_worker() {
    // What comes after the grace must not come.
    the_worker_lives(pool(1).grace(Duration::from_secs(600)).start().await).await;
}

#[tokio::test]
async fn a_worker_without_control_socket_is_told_by_its_line() {
    let pool = pool(1).start_as("plain").grace(Duration::from_secs(600));
    the_worker_lives(pool.start().await).await;
}

#[tokio::test]
async fn a_call_that_ignores_the_cancel_loses_its_worker_after_the_caller_was_freed() {
    for how in ["", "deaf"] {
        let pool = pool(1).start_as(how).start().await;
        let pool = Arc::new(pool);
        let gate = Gate::new();
        let session = pool.session_handle("s", None);
        let spec = CallSpec { session: Some(session.key()), ..call("echo", "") };
        answer(submit_spec(&pool, spec)).await.expect("an answer");

        let reply = submit_spec(&pool, limited("stubborn", &gate.after("")));
        let visit = gate.visit().await;
        // Seen from inside: when the caller was freed, the worker had not been harmed.
        let (deaths, told) = tokio::sync::oneshot::channel();
        let witness = pool.clone();
        reply.on_done(move |_| {
            let _ = deaths.send(witness.stats().counters.worker_deaths);
        });
        assert_timeout(answer(reply).await, Step::Running);
        assert_eq!(told.await, Ok(0));
        visit.left().await;
        pool.refilled(2).await;
        assert_eq!(pool.run("echo", "on").await.expect("a new worker"), "on");
        assert_eq!(pool.stats().counters.worker_deaths, 1);

        let spec = CallSpec { session: Some(session.key()), ..call("echo", "") };
        match pool.submit(spec).map(|_| ()) {
            Err(Error::SessionLost { may_have_run: false, .. }) => {}
            other => panic!("{other:?}"),
        }
        Arc::into_inner(pool).expect("the hook ran and is gone").finish().await;
    }
}

#[tokio::test]
async fn a_call_that_waits_past_its_deadline_never_runs() {
    let pool = pool(1).start().await;
    let (gate, ledger) = (Gate::new(), Ledger::new());
    let holder = submit(&pool, "hold", &gate.after(""));
    let mut visit = gate.visit().await;
    let reply = submit_spec(&pool, limited("record", &ledger.entry("late", None)));
    assert_timeout(answer(reply).await, Step::Queued);
    visit.release().await;
    assert_eq!(answer(holder).await.expect("an answer"), "released");
    assert_eq!(pool.run("echo", "on").await.expect("an answer"), "on");
    assert!(ledger.names().is_empty());
    assert_eq!(pool.stats().counters.queue_timeouts, 1);
    pool.finish().await;
}

#[tokio::test]
async fn a_prefetched_call_past_its_deadline_never_runs() {
    let pool = pool(1).start().await;
    teach(&pool).await;
    let (gate, ledger) = (Gate::new(), Ledger::new());
    // Without an await in between: the call is sent while the worker counts as quick.
    let holder = submit(&pool, "stubborn", &gate.after(""));
    let reply = submit_spec(&pool, limited("record", &ledger.entry("late", None)));
    let expected = if reply.is_running() { Step::Sent } else { Step::Queued };
    let mut visit = gate.visit().await;
    assert_timeout(answer(reply).await, expected);
    visit.release().await;
    assert_eq!(answer(holder).await.expect("an answer"), "released");
    assert_eq!(pool.run("echo", "on").await.expect("the same worker"), "on");
    assert!(ledger.names().is_empty());
    assert_eq!(pool.stats().counters.worker_deaths, 0);
    pool.finish().await;
}
