//! The parts that this test program plays when it is spawned again with `--role`: a worker, a host,
//! or something that an adapter started.
//!
//! Roles run before `main`, since libtest gives every test a thread of its own and a shim must be
//! its process's only thread.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::future::Future;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::process::exit;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, getpid, getsid, pause, setsid};
use snakepit::process::{
    Child, Cleanup, Command, Control, Entry, ExitStatus, ForkHooks, FromWorker, GROUP_VARIABLE,
    HostFd, Page, Pidfd, Printer, RUN_VARIABLE, RunDir, Shim, ToWorker, WorkerControl,
    become_worker, cleanup, cleanup_in, owner, spawn, sweep_worker,
};

/// Names the variable by which a test knows its processes.
pub const TOKEN: &str = "SNAKEPIT_TEST_RUN";

#[used]
#[unsafe(link_section = ".init_array")]
static PLAY: extern "C" fn() = play;

extern "C" fn play() {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() != Some("--role") {
        return;
    }
    program();
    nix::unistd::alarm::set(120); // whatever goes wrong, nothing stays for ever
    let (role, name) = (args.next().unwrap_or_default(), args.next().unwrap_or_default());
    let played = catch_unwind(|| match role.as_str() {
        "worker" => play_worker(),
        "sleeper" => wait_for_the_end(),
        "daemon" => play_daemon(),
        "double" => start_program("daemon"),
        "unknown" => start_unknown(&name),
        "host" => block_on(play_host()),
        "noted_host" => block_on(play_noted_host()),
        "headless" => go_on_without_first_thread(|| wait_for_the_end()),
        "headless_host" => go_on_without_first_thread(|| block_on(play_noted_host())),
        "sweeping_host" => block_on(play_sweeping_host()),
        "short_of_files" => play_short_of_files(),
        "cleaner" => {
            let done = cleanup();
            println!("ended {:?} of {:?}", done.ended, done.hosts);
        }
        "careless" => block_on(play_careless_host()),
        "cycler" => block_on(play_cycler()),
        "forker" => play_forker(),
        "too_old" => {
            let file = File::from(io::stdin().as_fd().try_clone_to_owned().unwrap());
            (&file).write_all(b"Eneeds Python 3.11").unwrap();
            exit(78);
        }
        other => panic!("unknown role {other}"),
    });
    exit(if played.is_ok() { 0 } else { 101 });
}

/// This program. Asked for early: nobody can say when the first thread has ended.
fn program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| std::env::current_exe().unwrap()).clone()
}

/// Starts a part as an adapter would start a program.
#[expect(clippy::zombie_processes, reason = "the shim reaps it")]
fn start_program(role: &str) {
    std::process::Command::new(program()).args(["--role", role]).spawn().unwrap();
}

fn wait_for_the_end() -> ! {
    loop {
        pause();
    }
}

/// Does all it can to outlive its parents.
fn play_daemon() {
    setsid().unwrap();
    SigSet::all().thread_set_mask().unwrap();
    wait_for_the_end()
}

/// As a program whose main thread calls `pthread_exit`: `/proc` shows it as ended.
fn go_on_without_first_thread(part: fn()) {
    std::thread::spawn(move || {
        while !fs::read_to_string("/proc/self/stat").unwrap().contains(") Z ") {
            std::thread::yield_now();
        }
        part();
    });
    // SAFETY: this thread alone ends, without unwinding; nobody joins it.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

/// Starts what no mark and no parent leads to; only its command line tells a test of it.
#[expect(clippy::zombie_processes, reason = "the shim reaps it")]
fn start_unknown(name: &str) {
    std::process::Command::new(program())
        .args(["--role", "daemon", name])
        .env_clear()
        .spawn()
        .unwrap();
}

static HOOKS_RUN: AtomicU32 = AtomicU32::new(0);

fn ran(hook: u32) {
    HOOKS_RUN.fetch_add(hook, Ordering::Relaxed);
}

fn play_worker() {
    let hooks = ForkHooks { before: || ran(1), after_parent: || ran(100), after_child: || ran(10) };
    // SAFETY: before main there is one thread.
    let side = unsafe { become_worker(&hooks) }.unwrap();
    assert_eq!(HOOKS_RUN.load(Ordering::Relaxed), 11);
    assert_eq!(std::os::unix::process::parent_id(), side.shim_pid);
    assert_eq!(getsid(None).unwrap(), getpid(), "a session of its own");
    assert_eq!(getrlimit(Resource::RLIMIT_CORE).unwrap().0, 0);
    assert_eq!(fs::read_link("/proc/self/fd/0").unwrap().to_str(), Some("/dev/null"));
    assert_eq!(SigSet::thread_get_mask().unwrap(), SigSet::empty());

    let control = WorkerControl::new(side.control);
    let Some((ToWorker::Start(text), mut fds)) = control.recv().unwrap() else {
        panic!("not a start message")
    };
    if text.as_ref() == b"family" {
        for role in ["sleeper", "daemon", "double"] {
            start_program(role);
        }
    }
    if let Some(name) = text.strip_prefix(b"unknown ") {
        let name = std::str::from_utf8(name).unwrap();
        let parent =
            std::process::Command::new(program()).args(["--role", "unknown", name]).status();
        assert!(parent.unwrap().success());
    }
    let page = Page::map(fds.pop().unwrap()).unwrap();
    assert!(page.start(5, 77));
    println!("hello from the worker");
    eprint!("and an error");
    control.send(&FromWorker::BootError(format!("ready {}", side.host_pid))).unwrap();
    while let Some((message, _)) = control.recv().unwrap() {
        match message {
            ToWorker::Probe { nonce } => {
                control.send(&FromWorker::ProbeAnswer { nonce }).unwrap();
            }
            ToWorker::Cancel { call } => exit(call as i32),
            ToWorker::Grant { call, .. } => raise(Signal::try_from(call as i32).unwrap()).unwrap(),
            ToWorker::Trace => control.send(&FromWorker::Stack("here".into())).unwrap(),
            ToWorker::Locate { .. } => {}
            ToWorker::Start(_) | ToWorker::Arena(_) => panic!("started twice"),
        }
    }
    wait_for_the_end() // does not even leave when its host is gone: the shim must see to it
}

/// Starts a worker with a family from a thread that ends; forks a child that holds every
/// descriptor.
async fn play_host() {
    let child = std::thread::spawn(|| spawn(&command("worker"))).join().unwrap().unwrap();
    let _copy = child.control.try_clone().unwrap();
    let _worker = Worker::start(child, "family").await;
    // SAFETY: the child makes system calls only.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => wait_for_the_end(),
        ForkResult::Parent { child } => println!("ready {child}"),
    }
    wait_for_the_end()
}

/// What a worker's environment says of its entry.
pub fn marks(entry: &Entry) -> Vec<(OsString, OsString)> {
    let group = entry.group().map(|group| (GROUP_VARIABLE.into(), group.path().into()));
    let mark = (RUN_VARIABLE.into(), entry.token().to_string().into());
    group.into_iter().chain([mark]).collect()
}

/// A worker with a family, marked and in the ledger.
async fn noted(dir: &Arc<RunDir>) -> (Entry, Worker) {
    let mut entry = dir.entry();
    let mut command = command("worker");
    command.env.extend(marks(&entry));
    let child = spawn(&command).unwrap();
    entry.spawned(child.pid);
    let worker = Worker::start(child, "family").await;
    let stat = fs::read_to_string(format!("/proc/{}/stat", worker.pid)).unwrap();
    let start_time = stat.split(' ').nth(21).unwrap().parse().unwrap();
    entry.forked(worker.pid, start_time);
    (entry, worker)
}

/// The shim of the first of two workers is killed. Says who the second worker is.
async fn play_noted_host() {
    let dir = RunDir::of_process().unwrap();
    let (_first, worker) = noted(&dir).await;
    let (_second, other) = noted(&dir).await;
    worker.shim.kill().unwrap();
    worker.shim.exited().await.unwrap();
    println!("ready {} {}", other.pid, other.shim.pid());
    wait_for_the_end()
}

/// Kills shims of its own and sweeps behind them, again and again, beside others that do the same;
/// one worker of it is never touched.
async fn play_sweeping_host() {
    let dir = RunDir::of_process().unwrap();
    let folder = std::env::var_os("XDG_RUNTIME_DIR").unwrap();
    let (kept, standing) = noted(&dir).await;
    let untouched = family_of(&kept, &standing).await;
    for nonce in 0..12 {
        let (entry, worker) = noted(&dir).await;
        let family = family_of(&entry, &worker).await;
        worker.shim.kill().unwrap();
        worker.shim.exited().await.unwrap();
        let mut swept = sweep_worker(entry.token(), entry.group());
        swept.killed.remove(&worker.pid); // it dies by itself
        assert_eq!(swept.killed, family);
        drop(entry);
        assert_eq!(cleanup_in(&[folder.clone().into()]), Cleanup::default());
        standing.control.send(&ToWorker::Probe { nonce }, &[]).unwrap();
        let answer = standing.control.recv().await.unwrap().unwrap();
        assert_eq!(answer.message, FromWorker::ProbeAnswer { nonce });
    }
    assert_eq!(family_of(&kept, &standing).await, untouched);
}

/// What a worker with a family has started, once all are there.
async fn family_of(entry: &Entry, worker: &Worker) -> BTreeSet<u32> {
    let mark = format!("{RUN_VARIABLE}={}\0", entry.token());
    let read = |pid: u32, name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let is_other = |pid: &u32| {
        let environ = read(*pid, "environ");
        let carries = environ.windows(mark.len()).any(|part| part == mark.as_bytes());
        carries && ![worker.pid, worker.shim.pid()].contains(pid)
    };
    loop {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let family: BTreeSet<u32> = pids.filter(is_other).collect();
        // For a moment there is the parent of one of them, and what is yet to become another program.
        let is_at_its_part = |pid: &u32| {
            let line = read(*pid, "cmdline");
            line.ends_with(b"\0sleeper\0") || line.ends_with(b"\0daemon\0")
        };
        if family.len() == 3 && family.iter().all(is_at_its_part) {
            return family;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A sweep that can see nothing at first goes on until it can.
fn play_short_of_files() {
    let dir = RunDir::of_process().unwrap();
    let entry = dir.entry();
    let mut left = std::process::Command::new(program())
        .args(["--role", "daemon"])
        .env(RUN_VARIABLE, entry.token().to_string())
        .spawn()
        .unwrap();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 0, hard).unwrap();
    let freeing = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    });
    let swept = sweep_worker(entry.token(), None);
    freeing.join().unwrap();
    assert_eq!(swept.killed, BTreeSet::from([left.id()]));
    assert!(!left.wait().unwrap().success());
}

/// Ignores SIGCHLD and blocks all signals, as some hosts do; its workers must not notice.
async fn play_careless_host() {
    SigSet::all().thread_set_mask().unwrap();
    // SAFETY: SIG_IGN runs no code.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    let mut worker = Worker::start(spawn(&command("worker")).unwrap(), "").await;
    worker.control.send(&ToWorker::Cancel { call: 3 }, &[]).unwrap();
    assert_eq!(worker.end().await, ExitStatus::Exited(3), "known by message");
    assert_eq!(worker.shim.exited().await.unwrap(), None, "nobody can know the shim's");
}

async fn play_cycler() {
    let open = || fs::read_dir("/proc/self/fd").unwrap().count();
    let mut before = 0;
    for round in 0..51 {
        let mut worker = Worker::start(spawn(&command("worker")).unwrap(), "").await;
        worker.pidfd.signal(libc::SIGKILL).unwrap();
        assert_eq!(worker.end().await, killed());
        assert_eq!(worker.shim.exited().await.unwrap(), Some(ExitStatus::Exited(137)));
        drop(worker);
        if round == 0 {
            before = open(); // the runtime has its own by now
        }
    }
    assert_eq!(open(), before);
}

fn play_forker() {
    let here = owner();
    let host_fd = HostFd::new(File::open("/dev/null").unwrap().into());
    let number = host_fd.as_raw_fd();
    let target = |fd: i32| fs::read_link(format!("/proc/self/fd/{fd}"));
    Printer::global().print("p/0", "parent");
    Printer::global().flush(Duration::from_secs(30));
    // SAFETY: the printer's thread is idle; it alone runs beside this one.
    if let ForkResult::Parent { child } = unsafe { fork() }.unwrap() {
        let end = waitpid(child, None).unwrap();
        assert_eq!(end, WaitStatus::Exited(child, 0));
        assert!(here.is_here() && host_fd.is_here());
        assert!(target(number).is_ok());
        drop(host_fd);
        assert!(target(number).is_err());
        return;
    }
    assert!(!here.is_here() && !host_fd.is_here());
    assert!(owner().is_here());
    assert!(target(number).is_err(), "closed in the child");
    let stranger = File::open("/dev/zero").unwrap();
    assert_eq!(stranger.as_raw_fd(), number, "the number is used again");
    drop(host_fd);
    assert!(target(number).is_ok(), "and not closed by the old owner");
    Printer::global().print("p/0", "child");
    Printer::global().flush(Duration::from_secs(30));
}

/// A worker as its host sees it.
pub struct Worker {
    pub control: Control,
    pub shim: Shim,
    pub pid: u32,
    pub pidfd: Pidfd,
    pub page: Page,
}

impl Worker {
    pub async fn start(child: Child, text: impl Into<String>) -> Self {
        let shim = Shim::new(child.pid, child.pidfd).unwrap();
        let control = Control::new(child.control).unwrap();
        let mut first = control.recv().await.unwrap().expect("the shim speaks first");
        let FromWorker::WorkerIs { pid, start_time } = first.message else {
            panic!("{:?}", first.message)
        };
        assert_eq!(first.sender_pid, shim.pid());
        let pidfd = Pidfd::from(first.fds.pop().unwrap());
        assert!(Pidfd::open_started(pid, start_time).is_ok());
        let wrong = Pidfd::open_started(pid, start_time + 1).unwrap_err();
        assert_eq!(wrong.kind(), io::ErrorKind::NotFound);

        let page = Page::create().unwrap();
        assert!(page.queue(5, 77));
        control.send(&ToWorker::Start(text.into().into()), &[page.fd()]).unwrap();
        let ready = control.recv().await.unwrap().unwrap();
        let expected = format!("ready {}", std::process::id());
        assert_eq!(ready.message, FromWorker::BootError(expected));
        assert_eq!(ready.sender_pid, pid);
        Self { control, shim, pid, pidfd, page }
    }

    /// How the worker ended, as the shim says.
    pub async fn end(&mut self) -> ExitStatus {
        let told = self.control.recv().await.unwrap().unwrap();
        assert_eq!(told.sender_pid, self.shim.pid());
        let FromWorker::WorkerExited { code, status } = told.message else {
            panic!("{:?}", told.message)
        };
        ExitStatus::from_wait(code, status).unwrap()
    }
}

fn command(role: &str) -> Command {
    command_of(role, &std::env::var(TOKEN).unwrap())
}

pub fn command_of(role: &str, token: &str) -> Command {
    Command {
        program: program(),
        args: vec!["--role".into(), role.into()],
        env: vec![(TOKEN.into(), token.into())],
    }
}

pub fn killed() -> ExitStatus {
    ExitStatus::Signaled { signal: 9, core: false }
}

fn block_on(part: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(part);
}
