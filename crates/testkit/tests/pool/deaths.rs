//! Whatever a call does to its worker: it alone fails, with the right error; the slot is refilled.

use snakepit::{Direction, Error, WorkerRef};
use snakepit_testkit::{Gate, pool};

use super::{answer, death, submit};

/// How the guilty call ends.
enum Fate {
    /// As a death: exit code, signal, and a part of the reason where the host killed it.
    Died(Option<i32>, Option<&'static str>, Option<&'static str>),
    /// Well: its answer was there before the worker went wrong.
    Answered(&'static str),
}

/// One call runs in the other worker, five wait, while `tool` is run; all but it must end well.
async fn only_the_guilty_call_fails(tool: &str, words: &str, fate: Fate) {
    let pool = pool(2).start().await;
    let (here, there) = (Gate::new(), Gate::new());
    let guilty = submit(&pool, tool, &here.after(words));
    let mut crime = here.visit().await;
    let bystander = submit(&pool, "hold", &there.after(""));
    let mut other = there.visit().await;
    let waiting: Vec<_> = (0..5).map(|n| submit(&pool, "echo", &n.to_string())).collect();

    crime.release().await;
    match (answer(guilty).await, fate) {
        (Err(error), Fate::Died(code, signal, reason)) => {
            let Error::WorkerDied { worker, .. } = &error else { panic!("not a death: {error:?}") };
            assert_eq!(*worker, WorkerRef { pool: "test".into(), slot: 0, generation: 1 });
            let exit = death(error);
            assert_eq!((exit.exit_code, exit.signal_name), (code, signal), "{exit}");
            let told = exit.reason.as_deref().unwrap_or_default();
            assert!(told.contains(reason.unwrap_or_default()), "{told:?}");
            assert_eq!(exit.reason.is_some(), reason.is_some(), "{exit}");
        }
        (Ok(value), Fate::Answered(expected)) => assert_eq!(value, expected),
        (outcome, _) => panic!("{outcome:?}"),
    }
    for (n, reply) in waiting.into_iter().enumerate() {
        assert_eq!(answer(reply).await.expect("a bystander"), n.to_string());
    }
    pool.refilled(2).await;
    other.release().await;
    assert_eq!(answer(bystander).await.expect("a bystander"), "released");
    assert_eq!(pool.generation(1), 1, "the other worker was left alone");
    assert_eq!(pool.stats().counters.worker_deaths, 1);
    pool.finish().await;
}

macro_rules! faults {
    ($($name:ident: $tool:literal $words:literal => $fate:expr;)+) => {$(
        #[tokio::test]
        async fn $name() {
            use Fate::*;
            only_the_guilty_call_fails($tool, $words, $fate).await;
        }
    )+};
}

faults! {
    an_exit_code_is_told: "exit" "3" => Died(Some(3), None, None);
    a_clean_exit_in_a_call_is_a_death: "exit" "0" => Died(Some(0), None, None);
    a_kill_is_told: "signal" "9" => Died(None, Some("SIGKILL"), None);
    a_segfault_is_told: "signal" "11" => Died(None, Some("SIGSEGV"), None);
    an_abort_is_told: "signal" "6" => Died(None, Some("SIGABRT"), None);
    a_second_answer_ends_the_worker_and_the_first_counts: "twice" "" => Answered("once");
    a_worker_that_closes_its_line_is_ended:
        "hang-up" "" => Died(None, Some("SIGKILL"), Some("closed its line"));
    a_grandchild_that_holds_the_socket_hides_no_death: "orphan" "4" => Died(Some(4), None, None);
}

#[tokio::test]
async fn the_last_words_on_stderr_are_in_the_report() {
    let pool = pool(1).start().await;
    let exit = death(pool.run("exit", "3").await.expect_err("a death"));
    assert_eq!(exit.stderr, "leaving with 3");
    pool.finish().await;
}

#[tokio::test]
async fn what_the_adapter_raises_harms_nobody() {
    let pool = pool(1).start().await;
    let before = pool.run("whoami", "").await.expect("an answer");
    match pool.run("raise", "no luck").await {
        Err(Error::Remote { worker, failure, .. }) => {
            assert_eq!((worker.slot, worker.generation), (0, 1));
            assert_eq!((&*failure.type_name, &*failure.message), ("ScriptedError", "no luck"));
            assert_eq!(failure.traceback, "ScriptedError: no luck");
        }
        other => panic!("{other:?}"),
    }
    match pool.run("unfit", "").await {
        Err(Error::EncodeResult { message, .. }) => assert!(message.starts_with("result: ")),
        other => panic!("{other:?}"),
    }
    match pool.run("large", "").await {
        Err(Error::TooLarge { direction: Direction::Result, size: 2000, limit: 1000, .. }) => {}
        other => panic!("{other:?}"),
    }
    match pool.run("echoo", "").await {
        Err(Error::ToolNotFound { tool, suggestions }) => {
            assert_eq!((&*tool, &*suggestions), ("echoo", &["echo".to_owned()][..]));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(pool.run("whoami", "").await.expect("an answer"), before);
    let counters = pool.stats().counters;
    assert_eq!((counters.completed, counters.errors, counters.worker_deaths), (2, 4, 0));
    pool.finish().await;
}

#[tokio::test]
async fn a_worker_without_control_socket_or_shared_page_serves_and_dies_as_well() {
    let pool = pool(1).start_as("plain").start().await;
    super::teach(&pool).await;
    let exit = death(pool.run("exit", "3").await.expect_err("a death"));
    assert_eq!(exit.exit_code, Some(3));
    assert_eq!(pool.run("echo", "on").await.expect("a new worker"), "on");
    pool.finish().await;
}
