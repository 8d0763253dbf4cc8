//! Sessions live in one worker and end with it.

use snakepit::{Affinity, CallSpec, Error, SessionHandle};
use snakepit_testkit::{Gate, TestPool, call, pool};

use super::{answer, death, submit, submit_spec};

fn within(session: &SessionHandle, tool: &str, words: &str) -> CallSpec {
    CallSpec { session: Some(session.key()), ..call(tool, words) }
}

async fn run(
    pool: &TestPool,
    session: &SessionHandle,
    tool: &str,
    words: &str,
) -> Result<String, Error> {
    answer(pool.submit(within(session, tool, words))?).await
}

#[track_caller]
fn assert_lost<T: std::fmt::Debug>(outcome: Result<T, Error>) {
    match outcome {
        Err(Error::SessionLost { session, worker, may_have_run: false, .. }) => {
            assert_eq!((&*session, worker.generation), ("s", 1), "{worker}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_session_stays_with_its_worker_and_is_new_once() {
    let pool = pool(3).start().await;
    let session = pool.session_handle("s", None);
    assert_eq!(run(&pool, &session, "session", "").await.expect("an answer"), "s new");
    let home = run(&pool, &session, "whoami", "").await.expect("an answer");
    for _ in 0..10 {
        assert_eq!(run(&pool, &session, "session", "").await.expect("an answer"), "s old");
        assert_eq!(run(&pool, &session, "whoami", "").await.expect("an answer"), home);
    }
    pool.finish().await;
}

#[tokio::test]
async fn a_strict_session_waits_for_its_busy_worker() {
    let pool = pool(2).start().await;
    let session = pool.session_handle("s", None);
    let gate = Gate::new();
    let home = run(&pool, &session, "whoami", "").await.expect("an answer");
    let holder = submit_spec(&pool, within(&session, "hold", &gate.after("")));
    let mut visit = gate.visit().await;
    let waiting = submit_spec(&pool, within(&session, "whoami", ""));
    let elsewhere = pool.run("whoami", "").await.expect("the other worker is free");
    assert_ne!(elsewhere, home);
    // In the queue, or in its worker already if that one counts as quick.
    let stats = pool.stats();
    assert_eq!(stats.queued + stats.running, 2, "the free worker must not be taken");
    visit.release().await;
    answer(holder).await.expect("an answer");
    assert_eq!(answer(waiting).await.expect("an answer"), home);
    pool.finish().await;
}

#[tokio::test]
async fn a_session_that_may_not_wait_is_told_at_once() {
    let pool = pool(2).start().await;
    let session = pool.session_handle("s", Some(Affinity::StrictFailFast));
    let gate = Gate::new();
    let holder = submit_spec(&pool, within(&session, "hold", &gate.after("")));
    let mut visit = gate.visit().await;
    match run(&pool, &session, "echo", "").await {
        Err(Error::SessionBusy { session, .. }) => assert_eq!(&*session, "s"),
        other => panic!("{other:?}"),
    }
    visit.release().await;
    answer(holder).await.expect("an answer");
    pool.finish().await;
}

#[tokio::test]
async fn a_session_that_only_prefers_its_worker_moves_on() {
    let pool = pool(2).start().await;
    let session = pool.session_handle("s", Some(Affinity::Hint));
    let gate = Gate::new();
    let holder = submit_spec(&pool, within(&session, "hold", &gate.after("")));
    let mut visit = gate.visit().await;
    assert_eq!(run(&pool, &session, "echo", "on").await.expect("the other worker"), "on");
    visit.release().await;
    answer(holder).await.expect("an answer");
    pool.finish().await;
}

#[tokio::test]
async fn a_session_is_lost_with_its_worker_and_its_id_starts_anew() {
    let pool = pool(2).start().await;
    let session = pool.session_handle("s", None);
    let gate = Gate::new();
    run(&pool, &session, "session", "").await.expect("an answer");
    let guilty = submit_spec(&pool, within(&session, "exit", &gate.after("3")));
    let mut visit = gate.visit().await;
    let waiting = submit_spec(&pool, within(&session, "echo", ""));
    visit.release().await;
    assert_eq!(death(answer(guilty).await.expect_err("a death")).exit_code, Some(3));
    assert_lost(answer(waiting).await);
    assert_lost(run(&pool, &session, "echo", "").await);
    pool.refilled(2).await;
    assert_lost(run(&pool, &session, "echo", "").await);

    let again = pool.session_handle("s", None);
    assert_eq!(run(&pool, &again, "session", "").await.expect("bound anew"), "s new");
    assert_lost(run(&pool, &session, "echo", "").await);
    assert_ne!(again.binding(), session.binding());
    pool.finish().await;
}

#[tokio::test]
async fn a_death_elsewhere_costs_no_session() {
    let pool = pool(2).start().await;
    let session = pool.session_handle("s", None);
    let gate = Gate::new();
    let holder = submit_spec(&pool, within(&session, "hold", &gate.after("")));
    let mut visit = gate.visit().await;
    death(pool.run("exit", "3").await.expect_err("a death of the other worker"));
    visit.release().await;
    answer(holder).await.expect("an answer");
    assert_eq!(run(&pool, &session, "session", "").await.expect("it lives"), "s old");
    pool.finish().await;
}

#[tokio::test]
async fn a_recycled_worker_takes_its_sessions_along() {
    let pool = pool(2).start().await;
    let session = pool.session_handle("s", None);
    run(&pool, &session, "echo", "").await.expect("an answer");
    let bystander = submit(&pool, "echo", "on");
    assert!(pool.recycle(0, None));
    assert_eq!(answer(bystander).await.expect("no bystander is harmed"), "on");
    pool.refilled(2).await;
    assert_lost(run(&pool, &session, "echo", "").await);
    pool.finish().await;
}
