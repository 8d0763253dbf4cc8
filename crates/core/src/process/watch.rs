//! The shim's only work: wait for the end of the worker or of the host, then end what is left.
//!
//! ```text
//! worker dead ──▶ tell the host how, at once ─┐
//!                                             ├──▶ kill and reap the tree until none is left,
//! host dead, or it hung up ───────────────────┘    then exit with the worker's code
//! ```
//!
//! A host that died cannot end what a killed sibling of this shim has left: that is swept too.
//!
//! The host's end is seen twice: by its pidfd, and by the socket. Neither is enough: a child that
//! the host forked may hold the socket, and a host that hangs up lives on. The socket is never read
//! here; what is in it is the worker's.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_name;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, chdir, dup2_stderr, dup2_stdout};

use super::exit::ExitStatus;
use super::group::WorkerGroup;
use super::message::FromWorker;
use super::run::RunToken;
use super::shim::{Host, ORPHANED};
use super::{control, procfs, sweep, sys, tree};

/// What a shim is called in process lists.
pub(super) const NAME: &CStr = c"snakepit-shim";
/// Exit code of a shim that could not do its work; the worker dies with it.
const BROKEN: i32 = 71;
/// How often the parent is asked for where the host has no pidfd.
const PARENT_CHECK_MS: u16 = 200;
/// When all that is left refuses to be signalled for so long, it is not ours to kill.
const GIVE_UP_AFTER: Duration = Duration::from_secs(3);

/// Watches over `worker` and ends this process after it; never returns to the interpreter.
pub(super) fn run(
    control: OwnedFd,
    host: Host,
    worker: u32,
    run: Option<RunToken>,
    group: Option<WorkerGroup>,
) -> ! {
    /// Even a panic must not get back into the caller's interpreter, a second time.
    struct NeverReturn;
    impl Drop for NeverReturn {
        fn drop(&mut self) {
            sys::exit_now(BROKEN);
        }
    }
    let _guard = NeverReturn;
    let code = match Watch::start(control, host, worker, run, group) {
        Ok(mut watch) => watch.until_the_end(),
        Err(_) => BROKEN,
    };
    sys::exit_now(code)
}

struct Watch {
    control: OwnedFd,
    host: Host,
    worker: u32,
    /// A thread of a preloaded library may swallow SIGCHLD; the news must not depend on it.
    worker_pidfd: Option<OwnedFd>,
    /// `Some` once the worker is reaped.
    worker_end: Option<(i32, i32)>,
    child_signal: SignalFd,
    /// Marks what this shim answers for.
    run: Option<RunToken>,
    /// Holds the worker and all that it starts, where there are such groups.
    group: Option<WorkerGroup>,
}

/// What one round of reaping left.
enum Left {
    Some { reaped: usize },
    None,
}

impl Watch {
    fn start(
        control: OwnedFd,
        host: Host,
        worker: u32,
        run: Option<RunToken>,
        group: Option<WorkerGroup>,
    ) -> io::Result<Self> {
        // All of them: whoever means to stop a worker addresses the worker.
        SigSet::all().thread_set_mask()?;
        let mut child = SigSet::empty();
        child.add(Signal::SIGCHLD);
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let child_signal = SignalFd::with_flags(&child, flags)?;
        let worker_pidfd = sys::pidfd_open(worker).ok();
        let worker_end = None;
        let watch =
            Self { control, host, worker, worker_pidfd, worker_end, child_signal, run, group };
        watch.let_go_of_the_rest();

        let start_time = procfs::stat(worker).map_or(0, |stat| stat.start_time);
        let pidfd = watch.worker_pidfd.as_ref().map(AsFd::as_fd);
        let message = FromWorker::WorkerIs { pid: worker, start_time };
        control::tell(watch.control.as_fd(), &message, pidfd);
        Ok(watch)
    }

    /// Keeps neither a pipe open, whose end the host awaits, nor a directory busy.
    fn let_go_of_the_rest(&self) {
        // All best effort: each failure costs a nicety, and there is nobody to tell.
        let _ = set_name(NAME);
        let _ = chdir("/");
        let null = io::stdin();
        let _ = dup2_stdout(&null);
        let _ = dup2_stderr(&null);
        let mut keep = vec![self.control.as_raw_fd(), self.child_signal.as_fd().as_raw_fd()];
        keep.extend(self.host.pidfd.as_ref().map(AsRawFd::as_raw_fd));
        keep.extend(self.worker_pidfd.as_ref().map(AsRawFd::as_raw_fd));
        sys::close_all_but(&mut keep);
    }

    /// Returns the code to exit with, once nothing of the tree is left.
    fn until_the_end(&mut self) -> i32 {
        loop {
            let left = self.reap();
            if let Some((code, status)) = self.worker_end {
                let message = FromWorker::WorkerExited { code, status };
                control::tell(self.control.as_fd(), &message, None);
                break;
            }
            if matches!(left, Left::None) || self.host_is_gone() {
                break;
            }
        }
        self.end_tree();
        if let Some(group) = &self.group {
            group.remove();
        }
        if let Some(run) = self.run.take()
            && self.host.is_ending()
        {
            // What a sibling has left that was killed: nobody else is there to see to it.
            sweep::sweep_for_siblings(&run, self.group.as_ref());
        }
        let end = self.worker_end.and_then(|(code, status)| ExitStatus::from_wait(code, status));
        end.map_or(ORPHANED, ExitStatus::mirrored)
    }

    /// Sleeps until something may have changed; true if that is the host's end.
    fn host_is_gone(&mut self) -> bool {
        // nix has no name for this bit and reports it as "unknown", which `any` gives as None.
        let hang_up = PollFlags::from_bits_retain(libc::POLLRDHUP);
        let mut fds = vec![
            PollFd::new(self.control.as_fd(), hang_up),
            PollFd::new(self.child_signal.as_fd(), PollFlags::POLLIN),
        ];
        let host = self.host.pidfd.as_ref().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN));
        let host_at = host.map(|fd| push(&mut fds, fd));
        let worker =
            self.worker_pidfd.as_ref().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN));
        let worker_at = worker.map(|fd| push(&mut fds, fd));
        let timeout = host_at.map_or(PollTimeout::from(PARENT_CHECK_MS), |_| PollTimeout::NONE);

        let woken = poll(&mut fds, timeout).is_ok();
        let happened = |index: usize| woken && fds[index].any().unwrap_or(true);
        let gone = happened(0) || host_at.map_or_else(|| self.host.is_not_parent(), happened);
        // Once only: a debugger may keep a dead worker from being reaped, and this would spin.
        let forget_worker = worker_at.is_some_and(happened);
        drop(fds);
        if forget_worker {
            self.worker_pidfd = None;
        }
        drain(&self.child_signal);
        gone
    }

    /// Reaps all that has ended, adopted daemons included.
    fn reap(&mut self) -> Left {
        let mut reaped = 0;
        loop {
            match sys::wait_any() {
                Ok(sys::Waited::Ended { pid, code, status }) => {
                    reaped += 1;
                    // Once: an adopted daemon may have got the number since.
                    if pid == self.worker && self.worker_end.is_none() {
                        self.worker_end = Some((code, status));
                    }
                }
                Ok(sys::Waited::Running) | Err(_) => return Left::Some { reaped },
                Ok(sys::Waited::NoChild) => return Left::None,
            }
        }
    }

    fn end_tree(&mut self) {
        if let Some(group) = &self.group {
            // Also who changed its user, which the walk below may not signal.
            let _ = group.kill();
        }
        let mut last_success = Instant::now();
        for pass in 0u32.. {
            let mut killed = tree::kill_descendants().signalled;
            if self.worker_end.is_none() {
                // Also where /proc shows nothing. Not reaped yet, so the number is still its own.
                let worker = Pid::from_raw(self.worker as i32);
                killed += usize::from(kill(worker, Signal::SIGKILL).is_ok());
            }
            match self.reap() {
                Left::None => return,
                Left::Some { reaped } if killed + reaped > 0 => last_success = Instant::now(),
                Left::Some { .. } if last_success.elapsed() > GIVE_UP_AFTER => return,
                Left::Some { .. } => {}
            }
            // Most end within a millisecond; what takes longer is freeing memory.
            let pause: u8 = if pass < 50 { 1 } else { 20 };
            let mut ready = [PollFd::new(self.child_signal.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut ready, pause);
            drain(&self.child_signal);
        }
    }
}

fn push<T>(list: &mut Vec<T>, item: T) -> usize {
    list.push(item);
    list.len() - 1
}

fn drain(signals: &SignalFd) {
    while let Ok(Some(_)) = signals.read_signal() {}
}
