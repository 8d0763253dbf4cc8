//! What outlives a shim that was killed or stopped, and who ends it.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use snakepit::process::{
    Child, Control, ExitStatus, FromWorker, Pidfd, RUN_VARIABLE, RunDir, Shim, Stream, Tail, pump,
    spawn, sweep_worker,
};

use super::parts::{Worker, command_of, killed, marks};
use super::{Run, first_line};

/// Sleeper, daemon, and the daemon of a parent that is gone.
const FAMILY: usize = 3;

impl Run {
    fn spawn_in(&self, role: &str, folder: &Path) -> Child {
        let mut command = command_of(role, &self.0);
        command.env.push(("XDG_RUNTIME_DIR".into(), folder.into()));
        spawn(&command).unwrap()
    }

    async fn marked_family(&self, mark: &str) -> Worker {
        let mut command = command_of("worker", &self.0);
        command.env.push((RUN_VARIABLE.into(), mark.into()));
        let worker = Worker::start(spawn(&command).unwrap(), "family").await;
        self.until("the family", |alive| alive.len() == 2 + FAMILY).await;
        worker
    }
}

fn signal(pid: u32, signal: i32) {
    Pidfd::open(pid).unwrap().signal(signal).unwrap();
}

#[tokio::test]
async fn a_sweep_ends_what_a_killed_shim_left_and_touches_no_other_worker() {
    let dir = RunDir::of_process().unwrap();
    let (left, living) = (dir.entry(), dir.entry());
    let (run, others) = (Run::new(), Run::new());
    let worker = run.marked_family(&left.token().to_string()).await;
    let sibling = others.marked_family(&living.token().to_string()).await;

    worker.shim.kill().unwrap();
    assert_eq!(worker.shim.exited().await.unwrap(), Some(killed()));
    run.until("the worker is gone", |alive| alive.len() == FAMILY).await;
    let family = run.alive();
    let swept = sweep_worker(left.token(), None);
    assert_eq!(HashSet::from_iter(swept.killed), family);
    assert!(swept.refused.is_empty());
    run.nothing_is_left().await;

    assert_eq!(others.alive().len(), 2 + FAMILY);
    drop(sibling.control);
    assert!(sibling.shim.exited().await.unwrap().is_some());
    others.nothing_is_left().await;
}

/// Of a process that only its command line tells of.
fn unknown(name: &str) -> Option<u32> {
    let named = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.ends_with(format!("\0daemon\0{name}\0").as_bytes())
    };
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).find(named)
}

/// The group is there where this user may make one: root without systemd, or with `Delegate=yes`.
#[tokio::test]
async fn a_control_group_has_whom_neither_tree_nor_mark_leads_to() {
    let dir = RunDir::of_process().unwrap();
    let (entry, run) = (dir.entry(), Run::new());
    let Some(group) = entry.group() else {
        println!("skipped: no control group can be made here");
        return;
    };
    let name = format!("unknown-{}", entry.token());
    let mut command = command_of("worker", &run.0);
    command.env.extend(marks(&entry));
    let worker = Worker::start(spawn(&command).unwrap(), format!("unknown {name}")).await;
    run.until("the unknown one", |_| unknown(&name).is_some()).await;
    let pid = unknown(&name).unwrap();
    let members = fs::read_to_string(group.path().join("cgroup.procs")).unwrap();
    let members: HashSet<u32> = members.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(members, HashSet::from([worker.pid, pid]), "not the shim");

    worker.shim.kill().unwrap();
    assert_eq!(worker.shim.exited().await.unwrap(), Some(killed()));
    run.until("the worker is gone", HashSet::is_empty).await;
    assert!(sweep_worker(entry.token(), None).killed.is_empty(), "it carries no mark");
    assert_eq!(unknown(&name), Some(pid));
    let swept = sweep_worker(entry.token(), Some(group));
    assert_eq!(HashSet::from_iter(swept.killed), HashSet::from([pid]));
    assert_eq!(unknown(&name), None);
    assert!(!group.path().exists());
}

#[tokio::test]
async fn a_control_group_goes_with_its_shim() {
    let dir = RunDir::of_process().unwrap();
    let (entry, run) = (dir.entry(), Run::new());
    let mut command = command_of("worker", &run.0);
    command.env.extend(marks(&entry));
    let worker = Worker::start(spawn(&command).unwrap(), "family").await;
    worker.control.hang_up();
    assert_eq!(worker.shim.exited().await.unwrap(), Some(ExitStatus::Exited(137)));
    run.nothing_is_left().await;
    assert!(entry.group().is_none_or(|group| !group.path().exists()));
}

#[tokio::test]
async fn a_shim_sweeps_for_its_killed_sibling_when_their_host_dies() {
    let (run, folder) = (Run::new(), tempfile::tempdir().unwrap());
    let host = run.spawn_in("noted_host", folder.path());
    let shim = Shim::new(host.pid, host.pidfd).unwrap();
    first_line(host.stdout).await;
    run.until("two families, one without a shim", |alive| alive.len() == 3 + 2 * FAMILY).await;
    shim.kill().unwrap();
    assert_eq!(shim.exited().await.unwrap(), Some(killed()));
    run.nothing_is_left().await;
}

#[tokio::test]
async fn a_cleanup_ends_what_a_dead_host_left_and_spares_the_living() {
    let folder = tempfile::tempdir().unwrap();
    let (dead, living) = (Run::new(), Run::new());
    let sibling = living.spawn_in("noted_host", folder.path());
    first_line(sibling.stdout).await;
    living.until("its families", |alive| alive.len() == 3 + 2 * FAMILY).await;

    let host = dead.spawn_in("noted_host", folder.path());
    let told = first_line(host.stdout).await;
    let shim_pid: u32 = told.rsplit(' ').next().unwrap().parse().unwrap();
    dead.until("its families", |alive| alive.len() == 3 + 2 * FAMILY).await;
    // The one that would sweep for its sibling cannot.
    signal(shim_pid, libc::SIGSTOP);
    signal(host.pid, libc::SIGKILL);
    Shim::new(host.pid, host.pidfd).unwrap().exited().await.unwrap();
    assert_eq!(dead.alive().len(), 2 + 2 * FAMILY, "nobody sees to it yet");

    let cleaner = Run::new().spawn_in("cleaner", folder.path());
    let done = first_line(cleaner.stdout).await;
    assert!(done.contains(&host.pid.to_string()), "{done}");
    Shim::new(cleaner.pid, cleaner.pidfd).unwrap().exited().await.unwrap();
    dead.nothing_is_left().await;
    assert_eq!(living.alive().len(), 3 + 2 * FAMILY, "its host lives");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "one folder is left");

    signal(sibling.pid, libc::SIGKILL);
    Shim::new(sibling.pid, sibling.pidfd).unwrap().exited().await.unwrap();
    living.nothing_is_left().await;
}

/// Who has died, as a cleaner says.
fn hosts_in(done: &str) -> Vec<u32> {
    let (_, hosts) = done.rsplit_once('[').unwrap();
    hosts.trim_end_matches(']').split(", ").filter_map(|pid| pid.parse().ok()).collect()
}

#[tokio::test]
async fn a_host_whose_first_thread_ended_is_not_taken_for_dead() {
    let (run, folder) = (Run::new(), tempfile::tempdir().unwrap());
    let host = run.spawn_in("headless_host", folder.path());
    let told = first_line(host.stdout).await;
    let pids: Vec<u32> = told.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [worker, shim] = pids[..] else { panic!("{told}") };
    // Its own environment cannot be read any more.
    run.until("two families, one without a shim", |alive| alive.len() == 2 + 2 * FAMILY).await;
    let clean = || async {
        let cleaner = Run::new().spawn_in("cleaner", folder.path());
        let done = first_line(cleaner.stdout).await;
        Shim::new(cleaner.pid, cleaner.pidfd).unwrap().exited().await.unwrap();
        hosts_in(&done)
    };

    // Nobody has locked a copy: as where the file system has no locks.
    let copy = folder.path().join("snakepit-copied");
    let of_host = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    fs::create_dir(&copy).unwrap();
    fs::copy(of_host.join("ledger"), copy.join("ledger")).unwrap();
    assert!(!clean().await.contains(&host.pid));
    assert_eq!(run.alive().len(), 2 + 2 * FAMILY, "its host lives");

    signal(worker, libc::SIGKILL);
    run.until("the other shim is gone", |alive| !alive.contains(&shim)).await;
    assert_eq!(run.alive().len(), FAMILY, "what its sibling left is the host's to sweep");

    signal(host.pid, libc::SIGKILL);
    assert_eq!(Shim::new(host.pid, host.pidfd).unwrap().exited().await.unwrap(), Some(killed()));
    assert!(clean().await.contains(&host.pid));
    run.nothing_is_left().await;
}

#[tokio::test]
async fn a_sweep_finds_a_process_whose_first_thread_ended() {
    let dir = RunDir::of_process().unwrap();
    let entry = dir.entry();
    let mut left = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--role", "headless"])
        .env(RUN_VARIABLE, entry.token().to_string())
        .spawn()
        .unwrap();
    let stat = format!("/proc/{}/stat", left.id());
    while !fs::read_to_string(&stat).unwrap().contains(") Z ") {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(sweep_worker(entry.token(), None).killed.contains(&left.id()));
    assert!(!left.wait().unwrap().success());
}

#[tokio::test]
async fn two_hosts_that_start_and_sweep_at_once_touch_only_their_own() {
    let (folder, runs) = (tempfile::tempdir().unwrap(), [Run::new(), Run::new()]);
    let mut ends = Vec::new();
    for run in &runs {
        let host = run.spawn_in("sweeping_host", folder.path());
        ends.push((Shim::new(host.pid, host.pidfd).unwrap(), host.stderr, host.control));
    }
    for (host, stderr, _control) in ends {
        let mut errors = Tail::default();
        pump(stderr, Stream::Stderr, |_, line| errors.push(line)).await.unwrap();
        let end = host.exited().await.unwrap();
        assert_eq!(end, Some(ExitStatus::Exited(0)), "{}", errors.text());
    }
    for run in &runs {
        run.nothing_is_left().await;
    }
}

/// As above, where a group can be made. A process that is put into a frozen group is frozen before
/// it does anything.
#[tokio::test]
async fn a_worker_whose_go_between_is_killed_is_not_made_a_second_time() {
    let dir = RunDir::of_process().unwrap();
    let (entry, run) = (dir.entry(), Run::new());
    let Some(group) = entry.group() else {
        println!("skipped: no control group can be made here");
        return;
    };
    fs::write(group.path().join("cgroup.freeze"), "1").unwrap();
    let mut command = command_of("worker", &run.0);
    command.env.extend(marks(&entry));
    let child = spawn(&command).unwrap();
    let members = || fs::read_to_string(group.path().join("cgroup.procs")).unwrap();
    while members().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    signal(members().trim().parse().unwrap(), libc::SIGKILL);
    let told = Control::new(child.control).unwrap().recv().await.unwrap().unwrap();
    let FromWorker::BootError(why) = told.message else { panic!("{:?}", told.message) };
    assert!(why.contains("this process cannot become a worker") && why.contains("killed"), "{why}");
    assert!(Shim::new(child.pid, child.pidfd).unwrap().exited().await.unwrap().is_some());
    assert!(members().is_empty());
    run.nothing_is_left().await;
}

#[test]
fn a_run_folder_is_private_shared_and_goes_with_its_last_holder() {
    use std::os::unix::fs::PermissionsExt;

    // Other tests of this process may hold it too.
    let dir = RunDir::of_process().unwrap();
    let again = RunDir::of_process().unwrap();
    let (first, second) = (dir.socket(), again.socket());
    assert_eq!(first.parent(), second.parent());
    assert_ne!(first, second);
    let mode = fs::metadata(first.parent().unwrap()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(first.as_os_str().len() <= 100, "it fits sockaddr_un");
}
