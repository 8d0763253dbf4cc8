//! Limits are the worker's and not its shim's, and one that cannot be had is told.

use std::fs;

use snakepit::Limits;
use snakepit::process::limits::{LIMITS_VARIABLE, told};
use snakepit::process::{Control, FromWorker, Shim, spawn};

use super::Run;
use super::parts::{Worker, command_of};

fn read(pid: u32, file: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap()
}

/// Soft and hard, as the kernel writes them.
fn limit(pid: u32, name: &str) -> Vec<String> {
    let all = read(pid, "limits");
    let line = all.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_ascii_whitespace().take(2).map(str::to_owned).collect()
}

fn status(pid: u32, name: &str) -> String {
    let all = read(pid, "status");
    all.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
}

#[tokio::test]
async fn limits_are_the_workers_and_not_its_shims() {
    let run = Run::new();
    let limits = Limits {
        nice: 2,
        address_space: Some(1 << 30),
        open_files: Some(77),
        umask: Some(0o77),
        ..Limits::default()
    };
    let mut command = command_of("worker", &run.0);
    command.env.push((LIMITS_VARIABLE.into(), told(&limits).into()));
    let worker = Worker::start(spawn(&command).unwrap(), "").await;
    let (me, shim) = (std::process::id(), worker.shim.pid());
    assert_eq!(limit(worker.pid, "Max open files"), ["77", "77"]);
    assert_eq!(limit(worker.pid, "Max address space"), ["1073741824", "1073741824"]);
    assert_eq!(limit(worker.pid, "Max core file size")[0], "0");
    assert_eq!(status(worker.pid, "NoNewPrivs:"), "1");
    assert_eq!(status(worker.pid, "Umask:"), "0077");
    let score = |pid| read(pid, "oom_score_adj").trim().parse::<i32>().unwrap();
    assert_eq!(score(worker.pid), (score(me) + 500).min(1000));
    let nice = |pid| {
        let stat = read(pid, "stat");
        let (_, fields) = stat.rsplit_once(')').unwrap();
        fields.split_ascii_whitespace().nth(16).unwrap().parse::<i32>().unwrap()
    };
    assert_eq!(nice(worker.pid), (nice(me) + 2).min(19));

    for name in ["Max open files", "Max address space"] {
        assert_eq!(limit(shim, name), limit(me, name));
    }
    assert_eq!((nice(shim), score(shim)), (nice(me), score(me)));
    assert_eq!(status(shim, "NoNewPrivs:"), status(me, "NoNewPrivs:"));
    drop(worker);
    run.nothing_is_left().await;
}

#[tokio::test]
async fn a_limit_that_cannot_be_had_is_told_and_no_worker_runs() {
    let run = Run::new();
    let mut command = command_of("worker", &run.0);
    // No number, so that nobody can grant it, whatever rights the test has.
    command.env.push((LIMITS_VARIABLE.into(), "later_word=1 open_files=many".into()));
    let child = spawn(&command).unwrap();
    let control = Control::new(child.control).unwrap();
    let shim = Shim::new(child.pid, child.pidfd).unwrap();
    let mut said = Vec::new();
    while let Some(received) = control.recv().await.unwrap() {
        said.push(received.message);
    }
    let reason = said.iter().find_map(|message| match message {
        FromWorker::BootError(reason) => Some(reason),
        _ => None,
    });
    let reason = reason.unwrap_or_else(|| panic!("not told: {said:?}"));
    assert!(reason.contains("limits: open_files=many cannot be had"), "{reason}");
    shim.exited().await.unwrap();
    run.nothing_is_left().await;
}
