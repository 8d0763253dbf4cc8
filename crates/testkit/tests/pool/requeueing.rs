//! Calls that wait in a worker which dies have not begun: they run elsewhere, exactly once.

use snakepit::{CallSpec, Error, Reply};
use snakepit_testkit::{Gate, Ledger, TestPool, call, pool};

use super::{answer, death, submit, submit_spec, teach};

/// Few enough to fit the millisecond of work that may wait in a worker.
const BEHIND: usize = 8;

/// Rounds until prefetching was seen; on a busy machine a quick worker may look slow for a while.
const ROUNDS: usize = 50;

/// Has `guilty` run with calls prefetched behind it, ends the worker with `end`, and checks that
/// each of those ran once and `guilty` once at most.
async fn each_runs_once(guilty: impl Fn(&Ledger, &Gate) -> CallSpec, kill: Option<i32>) {
    let pool = pool(1).start().await;
    for round in 1..=ROUNDS {
        teach(&pool).await;
        let (gate, ledger) = (Gate::new(), Ledger::new());
        let first = submit_spec(&pool, guilty(&ledger, &gate));
        let behind: Vec<_> =
            (0..BEHIND).map(|n| submit(&pool, "record", &ledger.entry(n, None))).collect();
        let prefetched = behind.iter().filter(|reply| reply.is_running()).count();
        let mut visit = gate.visit().await;
        match kill {
            Some(signal) => signal_worker(&pool, signal),
            None => visit.release().await,
        }
        death(answer(first).await.expect_err("a death"));
        for (n, reply) in behind.into_iter().enumerate() {
            assert_eq!(answer(reply).await.expect("not begun, so run again"), n.to_string());
        }
        let counts = ledger.counts();
        for n in 0..BEHIND {
            assert_eq!(counts[&n.to_string()], 1, "call {n} in round {round}");
        }
        if prefetched > 0 {
            return pool.finish().await;
        }
    }
    panic!("nothing was ever prefetched");
}

fn signal_worker(pool: &TestPool, signal: i32) {
    let pid = pool.workers()[0].pid.expect("a worker that runs");
    let signal = nix::sys::signal::Signal::try_from(signal).expect("a signal");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), signal).expect("it is there");
}

#[tokio::test]
async fn behind_a_call_that_exits() {
    each_runs_once(|_, gate| call("exit", &gate.after("3")), None).await;
}

#[tokio::test]
async fn behind_a_call_that_is_killed_from_outside() {
    each_runs_once(|ledger, gate| call("record", &ledger.entry("guilty", Some(gate))), Some(9))
        .await;
}

#[tokio::test]
async fn behind_a_call_that_sends_garbage() {
    each_runs_once(|_, gate| call("lie", &gate.after("no-frame")), None).await;
}

#[tokio::test]
async fn a_call_that_had_begun_is_not_run_again() {
    let pool = pool(1).start().await;
    let (gate, ledger) = (Gate::new(), Ledger::new());
    let reply = submit(&pool, "record", &ledger.entry("begun", Some(&gate)));
    let _visit = gate.visit().await;
    signal_worker(&pool, 9);
    let exit = death(answer(reply).await.expect_err("a death"));
    assert_eq!((exit.signal, &exit.reason), (Some(9), &None));
    assert_eq!(pool.run("echo", "on").await.expect("a new worker"), "on");
    assert_eq!(ledger.counts()["begun"], 1);
    pool.finish().await;
}

fn idempotent(pool: &TestPool, tool: &str, words: &str) -> Reply {
    submit_spec(pool, CallSpec { idempotent: true, ..call(tool, words) })
}

#[tokio::test]
async fn an_idempotent_call_that_had_begun_is_run_again() {
    let pool = pool(1).start().await;
    let (gate, ledger) = (Gate::new(), Ledger::new());
    let reply = idempotent(&pool, "record", &ledger.entry("twice", Some(&gate)));
    let _first = gate.visit().await;
    signal_worker(&pool, 9);
    gate.visit().await.release().await;
    assert_eq!(answer(reply).await.expect("the second run"), "twice");
    assert_eq!(ledger.counts()["twice"], 2);
    pool.finish().await;
}

#[tokio::test]
async fn a_call_under_which_two_workers_died_is_given_up() {
    let pool = pool(1).start().await;
    match answer(idempotent(&pool, "exit", "3")).await {
        Err(Error::PoisonCall { worker, exit, deaths: 2, .. }) => {
            assert_eq!((worker.generation, exit.exit_code), (2, Some(3)));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(pool.run("echo", "on").await.expect("the third worker"), "on");
    pool.finish().await;
}

#[tokio::test]
async fn an_idle_worker_takes_what_waits_behind_a_long_call() {
    let pool = pool(2).start().await;
    teach(&pool).await;
    let ledger = Ledger::new();
    let (long, short) = (Gate::new(), Gate::new());
    let holder = submit(&pool, "stubborn", &long.after(""));
    let other = submit(&pool, "stubborn", &short.after(""));
    let behind: Vec<_> =
        (0..BEHIND).map(|n| submit(&pool, "record", &ledger.entry(n, None))).collect();
    let mut held = long.visit().await;
    short.visit().await.release().await;
    answer(other).await.expect("an answer");
    for reply in behind {
        answer(reply).await.expect("run in the other worker");
    }
    assert_eq!(ledger.counts().values().sum::<u32>() as usize, BEHIND);
    held.release().await;
    answer(holder).await.expect("an answer");
    pool.finish().await;
}
