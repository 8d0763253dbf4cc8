//! Workers as real processes: how they start, die, and take everything of theirs along.
//!
//! This program plays all the parts itself (`parts.rs`); the tests here are the audience.

mod leftovers;
mod limits;
mod parts;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use snakepit::process::{
    Child, Control, ExitStatus, FromWorker, Pidfd, Shim, Stream, Tail, ToWorker, WordState, pump,
    spawn,
};

use parts::{TOKEN, Worker, command_of, killed};

/// One test's processes, known by a token in their environment.
struct Run(String);

impl Run {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self(format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    fn spawn(&self, role: &str) -> Child {
        spawn(&command_of(role, &self.0)).unwrap()
    }

    fn alive(&self) -> HashSet<u32> {
        let entry = format!("{TOKEN}={}\0", self.0);
        let ours = |pid: &u32| {
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ.windows(entry.len()).any(|part| part == entry.as_bytes())
        };
        let entries = fs::read_dir("/proc").unwrap().flatten();
        entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).filter(ours).collect()
    }

    async fn until(&self, what: &str, condition: impl Fn(&HashSet<u32>) -> bool) {
        let all = async {
            while !condition(&self.alive()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(30), all).await.is_err() {
            panic!("not in time: {what}; alive: {:?}", self.alive());
        }
    }

    async fn nothing_is_left(&self) {
        self.until("nothing is left", HashSet::is_empty).await;
    }
}

#[tokio::test]
async fn a_worker_starts_answers_and_dies_with_its_control_socket() {
    let run = Run::new();
    let worker = Worker::start(run.spawn("worker"), "").await;
    assert_eq!(worker.page.state(5, 77), WordState::Started);
    assert_eq!(run.alive(), HashSet::from([worker.pid, worker.shim.pid()]));
    let name = fs::read_to_string(format!("/proc/{}/comm", worker.shim.pid())).unwrap();
    assert_eq!(name, "snakepit-shim\n");

    worker.control.send(&ToWorker::Probe { nonce: 42 }, &[]).unwrap();
    let answer = worker.control.recv().await.unwrap().unwrap();
    assert_eq!(answer.message, FromWorker::ProbeAnswer { nonce: 42 });
    assert_eq!(answer.sender_pid, worker.pid);

    drop(worker.control);
    assert_eq!(worker.shim.exited().await.unwrap(), Some(ExitStatus::Exited(137)));
    run.nothing_is_left().await;
}

#[tokio::test]
async fn hanging_up_ends_the_whole_family_although_a_copy_is_open() {
    let run = Run::new();
    let child = run.spawn("worker");
    let _copy = child.control.try_clone().unwrap();
    let worker = Worker::start(child, "family").await;
    run.until("the family", |alive| alive.len() == 5).await;
    worker.control.hang_up();
    assert_eq!(worker.shim.exited().await.unwrap(), Some(ExitStatus::Exited(137)));
    assert!(run.alive().is_empty(), "the shim leaves last");
}

#[tokio::test]
async fn a_death_is_told_at_once_and_takes_the_family_along() {
    for (how, expected) in [
        (ToWorker::Cancel { call: 7 }, ExitStatus::Exited(7)),
        (ToWorker::Cancel { call: 0 }, ExitStatus::Exited(0)),
        (
            ToWorker::Grant { call: 11, items: 0, bytes: 0 },
            ExitStatus::Signaled { signal: 11, core: false },
        ),
        (ToWorker::Grant { call: 9, items: 0, bytes: 0 }, killed()),
    ] {
        let run = Run::new();
        let mut worker = Worker::start(run.spawn("worker"), "family").await;
        run.until("the family", |alive| alive.len() == 5).await;
        worker.control.send(&how, &[]).unwrap();
        assert_eq!(worker.end().await, expected);
        let mirror = ExitStatus::Exited(expected.mirrored());
        assert_eq!(worker.shim.exited().await.unwrap(), Some(mirror));
        assert!(run.alive().is_empty(), "the shim leaves last");
        assert!(worker.control.recv().await.unwrap().is_none());
        worker.pidfd.signal(libc::SIGKILL).unwrap(); // too late is no error
    }
}

#[tokio::test]
async fn nothing_outlives_a_killed_host() {
    let run = Run::new();
    let host = run.spawn("host");
    let host_pid = host.pid;
    let shim = Shim::new(host.pid, host.pidfd).unwrap();
    // Its child holds copies of all that the host had open: no end of file tells anybody anything.
    let forked: u32 =
        first_line(host.stdout).await.strip_prefix("ready ").unwrap().parse().unwrap();
    run.until("all are there", |alive| alive.len() == 7).await;
    assert!(run.alive().contains(&host_pid));

    shim.kill().unwrap();
    assert_eq!(shim.exited().await.unwrap(), Some(killed()));
    run.until("only the host's child is left", |alive| *alive == HashSet::from([forked])).await;
    Pidfd::open(forked).unwrap().signal(libc::SIGKILL).unwrap();
    run.nothing_is_left().await;
}

#[tokio::test]
async fn a_dead_shim_takes_its_worker_along() {
    let run = Run::new();
    let worker = Worker::start(run.spawn("worker"), "").await;
    worker.shim.kill().unwrap();
    assert_eq!(worker.shim.exited().await.unwrap(), Some(killed()));
    run.nothing_is_left().await;
    assert!(worker.control.recv().await.unwrap().is_none());
}

#[tokio::test]
async fn the_thread_that_spawns_may_end() {
    let run = Run::new();
    let child = std::thread::scope(|scope| scope.spawn(|| run.spawn("worker")).join()).unwrap();
    let worker = Worker::start(child, "").await;
    worker.control.send(&ToWorker::Probe { nonce: 1 }, &[]).unwrap();
    assert!(worker.control.recv().await.unwrap().is_some());
    drop(worker);
    run.nothing_is_left().await;
}

#[tokio::test]
async fn parts_that_check_themselves() {
    for role in ["careless", "cycler", "forker", "short_of_files"] {
        let run = Run::new();
        let child = run.spawn(role);
        let shim = Shim::new(child.pid, child.pidfd).unwrap();
        let mut errors = Tail::default();
        pump(child.stderr, Stream::Stderr, |_, line| errors.push(line)).await.unwrap();
        let end = shim.exited().await.unwrap();
        assert_eq!(end, Some(ExitStatus::Exited(0)), "{role}: {}", errors.text());
        if role == "forker" {
            assert_eq!(errors.text(), "[p/0] parent\n[p/0] child");
        }
        run.nothing_is_left().await;
    }
}

#[tokio::test]
async fn output_arrives_and_ends_with_the_worker() {
    let run = Run::new();
    let mut child = run.spawn("worker");
    let swap = |fd: &mut _| std::mem::replace(fd, File::open("/dev/null").unwrap().into());
    let (stdout, stderr) = (swap(&mut child.stdout), swap(&mut child.stderr));
    let worker = Worker::start(child, "").await;
    worker.control.hang_up();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    pump(stdout, Stream::Stdout, |_, line| out.push(line.to_owned())).await.unwrap();
    pump(stderr, Stream::Stderr, |_, line| err.push(line.to_owned())).await.unwrap();
    assert_eq!((out, err), (vec!["hello from the worker".into()], vec!["and an error".into()]));
    run.nothing_is_left().await;
}

#[tokio::test]
async fn an_interpreter_that_cannot_be_a_worker_says_why() {
    let run = Run::new();
    let child = run.spawn("too_old");
    let control = Control::new(child.control).unwrap();
    let shim = Shim::new(child.pid, child.pidfd).unwrap();
    let told = control.recv().await.unwrap().unwrap();
    assert_eq!(told.message, FromWorker::BootError("needs Python 3.11".into()));
    assert_eq!(told.sender_pid, child.pid);
    assert!(control.recv().await.unwrap().is_none());
    assert_eq!(shim.exited().await.unwrap(), Some(ExitStatus::Exited(78)));
    run.nothing_is_left().await;
}

#[test]
fn a_missing_or_unusable_interpreter_is_told_apart() {
    let start = |program: &str| {
        let mut command = command_of("worker", "none");
        command.program = program.into();
        spawn(&command).unwrap_err()
    };
    let file = std::env::temp_dir().join(format!("snakepit-test-{}", std::process::id()));
    fs::write(&file, "no program").unwrap();
    let text = file.to_str().unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(start(text).kind(), io::ErrorKind::PermissionDenied);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(start(text).kind(), io::ErrorKind::Unsupported);
    fs::remove_file(&file).unwrap();
    let missing = start("/nonexistent/python");
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    assert!(missing.to_string().contains("/nonexistent/python"), "{missing}");
    assert_eq!(start("/usr\0/bin").kind(), io::ErrorKind::InvalidInput);
}

async fn first_line(fd: std::os::fd::OwnedFd) -> String {
    let (tell, mut told) = tokio::sync::oneshot::channel();
    let mut tell = Some(tell);
    let reading = pump(fd, Stream::Stdout, |_, line| {
        if let Some(tell) = tell.take() {
            tell.send(line.to_owned()).unwrap();
        }
    });
    // Not until its end: the host's child keeps the pipe open.
    tokio::select! {
        line = &mut told => line.unwrap(),
        // One poll may read the line and see the end.
        end = reading => told.try_recv().unwrap_or_else(|_| panic!("no line: {end:?}")),
    }
}
