//! Faults from Rust, with real Python workers: the rows of `docs/faults.md` whose cause lies in the
//! host's runtime or its process. The adapter is that of the rows in Python.

mod common;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{python, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;
use snakepit::{Builder, Env, Error, OutputMode, Pool, Step};
use snakepit_testkit::{Mark, until};

const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests");

/// The host of another test: where it says that its workers are busy.
const HOST: &str = "FAULTS_HOST";

#[derive(Serialize)]
struct Started<'a> {
    started: &'a Path,
}

fn faulty() -> Option<(Builder, Mark)> {
    let mark = Mark::new();
    let (name, value) = mark.variable();
    let builder = Pool::builder("faults.adapters:Faulty")
        .size(2)
        .python(python()?)
        .pythonpath(TESTS)
        .env(Env::inherit().set(name, value))
        .grace(Duration::from_millis(300))
        .worker_output(OutputMode::Drop);
    Some((builder, mark))
}

fn kill_now(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a process id"));
    kill(pid, Signal::SIGKILL).expect("it lives, and is ours");
}

/// Row 18. Its blocking threads end after a moment without work, and the kernel's "die with your
/// parent" is about threads.
#[test]
fn workers_outlive_the_thread_that_started_them() {
    let Some((builder, mark)) = faulty() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_keep_alive(Duration::from_millis(10))
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async move {
        let handle = tokio::runtime::Handle::current();
        let start = move || handle.block_on(builder.start());
        let pool = tokio::task::spawn_blocking(start).await.expect("no panic").expect("a pool");
        pool.await_ready(None).await.expect("workers");
        let before: Vec<_> = pool.workers().iter().map(|worker| worker.pid).collect();
        tokio::time::sleep(Duration::from_millis(500)).await; // The fault itself.
        for _ in 0..10 {
            let pid: u32 = pool.execute("pid", ()).await.expect("an answer");
            assert!(before.contains(&Some(pid)), "a worker of the first ones");
        }
        assert_eq!(pool.stats().counters.restarts, 0);
        common::finish(pool, mark).await;
    });
}

/// Row 5.
#[tokio::test]
async fn a_killed_worker_costs_its_call_and_no_other() {
    #[derive(Serialize)]
    struct Work {
        seconds: f64,
    }
    let Some((builder, mark)) = faulty() else { return };
    let pool = builder.start().await.expect("a pool");
    pool.await_ready(None).await.expect("workers");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("began");
    let session = pool.session("victim");
    let home: u32 = session.execute("pid", ()).await.expect("a worker");
    let arguments = Started { started: &file };
    let victim = pool.call("hold").session("victim").args(&arguments).submit::<()>();
    let victim = victim.expect("a call");
    until("it runs", || file.exists()).await;
    let bystanders: Vec<_> = (0..20)
        .map(|_| pool.call("work").args(Work { seconds: 0.02 }).submit::<u32>().expect("a call"))
        .collect();

    kill_now(home);
    let error = victim.await.expect_err("it had begun");
    let Error::WorkerDied { exit, may_have_run: true, .. } = &error else { panic!("{error}") };
    assert_eq!(exit.signal, Some(9));
    for bystander in bystanders {
        assert_ne!(bystander.await.expect("not harmed"), home);
    }
    common::finish(pool, mark).await;
}

/// Rows 9 and 10.
#[tokio::test]
async fn a_deadline_ends_whoever_does_not_stop() {
    let Some((builder, mark)) = faulty() else { return };
    let pool = builder.start().await.expect("a pool");
    pool.await_ready(None).await.expect("workers");
    for tool in ["hold_the_interpreter", "block_all_signals"] {
        let call = pool.call(tool).session(tool).timeout(Duration::from_millis(300));
        let error = call.execute::<()>().await.expect_err("it does not stop");
        assert!(matches!(error, Error::Timeout { step: Step::Running, .. }), "{error}");
    }
    until("both are replaced", || pool.stats().counters.restarts == 2 && pool.stats().ready == 2)
        .await;
    let pong: u32 = pool.execute("pid", ()).await.expect("a new worker");
    assert!(pong > 0);
    common::finish(pool, mark).await;
}

/// Row 1: what the test below kills.
#[tokio::test]
#[ignore = "a program for the test below"]
async fn a_host_with_busy_workers() {
    let Some(file) = std::env::var_os(HOST) else { return };
    let file = Path::new(&file);
    let builder = Pool::builder("faults.adapters:Faulty").python(python().expect("a Python"));
    let pool = builder.pythonpath(TESTS).start().await.expect("a pool");
    let family: Vec<u32> = pool.execute("family", ()).await.expect("children");
    assert_eq!(family.len(), 3);
    let arguments = Started { started: file };
    let held = pool.call("hold_the_interpreter").args(arguments).timeout(None).submit::<()>();
    held.expect("a call").await.expect("the host is killed before");
}

#[tokio::test]
async fn nothing_outlives_a_rust_host() {
    if python().is_none() {
        return;
    }
    let mark = Mark::new();
    let (name, value) = mark.variable();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("began");
    let mut host = Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "a_host_with_busy_workers"])
        .env(name, value)
        .env(HOST, &file)
        .stdout(Stdio::null())
        .spawn()
        .expect("it runs");
    wait_until("its worker is busy", || file.exists());
    assert!(mark.alive().len() >= 6, "host, shim, worker and three children");
    let killed = Instant::now();
    host.kill().expect("it lives");
    host.wait().expect("its end");
    mark.assert_nothing_left().await;
    assert!(killed.elapsed() < Duration::from_secs(10), "half a second, where there is peace");
}
