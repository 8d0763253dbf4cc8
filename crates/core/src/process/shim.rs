//! Turns a fresh interpreter into a shim and its worker.
//!
//! ```text
//! host ── spawns ──▶ python -S ── become_worker() ── forks ──▶ worker (returns)
//!                        └──▶ shim (never returns; watch.rs)
//! ```
//!
//! Forked, not exec'ed: two milliseconds, and the interpreter's pages are shared. Before any
//! import: each page that a later import dirties would exist twice, and threads that it starts
//! would be lost.

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::parent_id;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::{set_child_subreaper, set_pdeathsig};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::{dup2_stdin, execv, setsid};

use super::group::WorkerGroup;
use super::message::FromWorker;
use super::run::RunToken;
use super::{control, limits, procfs, sys, watch};

/// Exit code of a process whose host or shim was gone before it could become anything.
pub(super) const ORPHANED: i32 = 70;
/// Exit code of a worker that could not be given its limits, as of `boot.py`.
const REFUSED: i32 = 78;
/// Told in full to the host: somebody must have done it.
const GO_BETWEEN_KILLED: &str =
    "the process that forks the worker was killed before it had said so";

/// What an interpreter needs around a fork (`PyOS_BeforeFork` and its kin).
#[derive(Clone, Copy, Debug)]
pub struct ForkHooks {
    pub before: fn(),
    pub after_parent: fn(),
    pub after_child: fn(),
}

/// What the worker is left with.
#[derive(Debug)]
pub struct WorkerSide {
    /// The worker's end of the control socket, close-on-exec.
    pub control: OwnedFd,
    pub shim_pid: u32,
    pub host_pid: u32,
    /// What marks this worker's processes, where its host marks them.
    pub run: Option<RunToken>,
}

/// The host, as the process that made the control socket.
pub(super) struct Host {
    pub(super) pid: u32,
    /// `None` where the kernel has no pidfds: then the parent's number must do.
    pub(super) pidfd: Option<OwnedFd>,
}

/// Splits this process in two and returns in the worker only; this process stays behind as its
/// shim.
///
/// Expects the control socket at descriptor 0, and leaves `/dev/null` there. The worker dies with
/// the shim, leads a session of its own, has taken on the limits that its environment tells, and
/// writes no core file unless they allow that, or it raises that limit itself.
///
/// # Errors
///
/// `InvalidInput` when descriptor 0 is no control socket: nobody but Snakepit starts this program.
/// `Unsupported` when the host lives in another PID namespace. Later failures have been reported to
/// the host already.
///
/// # Safety
///
/// This thread must be the process's only one, so that the fork takes all of its state along.
pub unsafe fn become_worker(hooks: &ForkHooks) -> io::Result<WorkerSide> {
    let stdin = io::stdin();
    let host = Host::behind(stdin.as_fd())?;
    // The descriptor was opened first: either it is the host's, or the host is dead, and then this
    // process has another parent.
    if parent_id() != host.pid {
        sys::exit_now(ORPHANED);
    }
    let control = sys::duplicate(stdin.as_fd())?;
    prepare().inspect_err(|error| report(&control, error))?;

    let run = RunToken::of_process();
    let group = run.as_ref().and_then(WorkerGroup::of_process);
    let shim_pid = std::process::id();
    (hooks.before)();
    // SAFETY: the caller promises that there is no other thread.
    match unsafe { fork_worker(group.as_ref()) } {
        Ok(sys::Fork::Child) => {
            die_with_shim(shim_pid);
            // A session apart from the shim's: an adapter that kills its own group must not hit it.
            let _ = setsid();
            if let Err(error) = limits::take_on() {
                report(&control, &error);
                sys::exit_now(REFUSED);
            }
            let host_pid = host.pid;
            drop(host);
            (hooks.after_child)();
            Ok(WorkerSide { control, shim_pid, host_pid, run })
        }
        Ok(sys::Fork::Parent { child }) => {
            (hooks.after_parent)();
            watch::run(control, host, child, run, group)
        }
        Err(error) => {
            (hooks.after_parent)();
            report(&control, &error);
            Err(error)
        }
    }
}

/// Forks the worker, into its group where it has one.
///
/// A process is put into a group while it is made, or else its start waits some 20 ms for the
/// kernel. The C library cannot do that everywhere, so a go-between is made without it, which forks
/// the worker properly and goes; the worker then is this process's, as every orphan below it.
///
/// # Errors
///
/// What the system refused. `BrokenPipe` when the go-between was killed before it said whom it had
/// made: then nothing is left of that, and nothing else is tried, lest there be two workers.
///
/// # Safety
///
/// As of [`become_worker`].
unsafe fn fork_worker(group: Option<&WorkerGroup>) -> io::Result<sys::Fork> {
    // SAFETY: the caller's promise, here and below.
    let plain = || unsafe { sys::fork() };
    let Some(group) = group else { return plain() };
    let Ok(folder) = group.open() else { return plain() };
    let Ok((mut told, mut tell)) = io::pipe() else { return plain() };
    // SAFETY: as above, and the child does nothing before it forks.
    match unsafe { sys::clone_into(folder.as_fd()) } {
        // Not permitted, or an older kernel.
        Err(_) => plain(),
        Ok(sys::Fork::Child) => {
            let between = std::process::id();
            let made = match plain() {
                Ok(sys::Fork::Child) => {
                    // Its end would be taken for the shim's, by the signal that is asked for next.
                    while parent_id() == between {
                        std::thread::yield_now();
                    }
                    return Ok(sys::Fork::Child);
                }
                Ok(sys::Fork::Parent { child }) => child as i32,
                Err(error) => -error.raw_os_error().unwrap_or(libc::EAGAIN),
            };
            let _ = tell.write_all(&made.to_ne_bytes());
            sys::exit_now(0)
        }
        Ok(sys::Fork::Parent { .. }) => {
            drop(tell);
            let mut made = [0; 4];
            if told.read_exact(&mut made).is_err() {
                let _ = group.kill();
                return Err(io::Error::new(io::ErrorKind::BrokenPipe, GO_BETWEEN_KILLED));
            }
            match i32::from_ne_bytes(made) {
                errno @ ..0 => Err(io::Error::from_raw_os_error(-errno)),
                child => Ok(sys::Fork::Parent { child: child.unsigned_abs() }),
            }
        }
    }
}

/// Turns the worker that [`become_worker`] made into another program: the first of `command`, an
/// absolute path. It finds the control socket at descriptor 0, with nothing read from it yet.
///
/// # Errors
///
/// Why the program cannot be run. `InvalidInput` for a NUL in `command`, and for an empty one.
pub fn become_program(control: BorrowedFd<'_>, command: &[OsString]) -> io::Result<Infallible> {
    let words = command.iter().map(|word| CString::new(word.as_bytes()));
    let words = words.collect::<Result<Vec<_>, _>>()?;
    let program = words.first().ok_or(io::ErrorKind::InvalidInput)?;
    dup2_stdin(control)?;
    sys::default_write_signals();
    Ok(execv(program, &words)?)
}

impl Host {
    fn behind(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let peer = getsockopt(&socket, sockopt::PeerCredentials).map_err(|errno| {
            let why = format!("descriptor 0 is not a Snakepit control socket: {}", errno.desc());
            io::Error::new(io::ErrorKind::InvalidInput, why)
        })?;
        let pid = u32::try_from(peer.pid()).unwrap_or(0);
        if pid == 0 {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the host lives in another PID namespace: run worker and host in the same one",
            ));
        }
        // By the socket, where the kernel can (6.5): that names the host for sure, even a dead one.
        let by_socket = getsockopt(&socket, sockopt::PeerPidfd).ok();
        let pidfd = by_socket.or_else(|| sys::pidfd_open(pid).ok());
        Ok(Self { pid, pidfd })
    }

    /// Whether the host has ended; one that only hung up has not.
    fn is_dead(&self) -> bool {
        let Some(pidfd) = &self.pidfd else { return self.is_not_parent() };
        let mut ended = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        matches!(poll(&mut ended, PollTimeout::ZERO), Ok(1))
    }

    /// Whether the host has ended, or is about to: its descriptors are closed, and so it hung up,
    /// before a pidfd tells of its end. On a busy machine that is long enough to be noticed.
    pub(super) fn is_ending(&self) -> bool {
        self.is_dead() || procfs::is_ending(self.pid)
    }

    /// Whether the host has ended, for kernels where no descriptor tells.
    pub(super) fn is_not_parent(&self) -> bool {
        parent_id() != self.pid
    }
}

/// What shim and worker have in common.
fn prepare() -> io::Result<()> {
    dup2_stdin(File::open("/dev/null")?)?;
    SigSet::empty().thread_set_mask()?;
    sys::default_sigchld();
    // Away from the terminal's group: Ctrl-C is the host's to answer. Fails only for a group
    // leader.
    let _ = setsid();
    // Orphans of the tree come to the shim instead of to init.
    set_child_subreaper(true)?;
    // A core file delays the news of a death by seconds. The hard limit stays: a worker may want
    // one.
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE)?;
    setrlimit(Resource::RLIMIT_CORE, 0, hard)?;
    Ok(())
}

/// Has the kernel kill this process when its shim ends, and ends it now where that has happened.
///
/// A worker that changes its user makes the kernel forget: it is to be said again then.
pub fn die_with_shim(shim_pid: u32) {
    if set_pdeathsig(Signal::SIGKILL).is_err() || parent_id() != shim_pid {
        sys::exit_now(ORPHANED);
    }
}

/// What the system refused, as a host knows it again: trying again may help.
pub const REFUSED_BY_SYSTEM: &str = "this process cannot become a worker: ";

/// The text ends as `io::Error` tells a number of the system's: `(os error 11)`.
fn report(control: &OwnedFd, error: &io::Error) {
    let text = format!("{REFUSED_BY_SYSTEM}{error}");
    control::tell(control.as_fd(), &FromWorker::BootError(text), None);
}
