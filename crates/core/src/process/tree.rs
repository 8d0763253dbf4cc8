//! Ends every descendant of this process. One pass; whoever calls repeats it until none is left.
//!
//! The whole tree in each pass, not only the direct children: a killed process hands its children
//! over to the subreaper only once its memory is torn down (some 70 ms a GiB), and they go on
//! meanwhile.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{procfs, sys};

/// Deeper processes come within reach as those above them die.
const MAX_DEPTH: usize = 64;

/// What one pass achieved.
#[derive(Debug, Default)]
pub(super) struct Pass {
    /// Processes that took SIGKILL, the dying included.
    pub(super) signalled: usize,
    /// Processes that this one may not signal (a set-user-id program).
    pub(super) refused: usize,
}

/// Sends SIGKILL to every descendant that can be found now.
pub(super) fn kill_descendants() -> Pass {
    let mut pass = Pass::default();
    let me = std::process::id();
    if procfs::lists_children() {
        walk(me, me, 0, &mut pass);
    } else {
        for (pid, parent) in procfs::scan_descendants(me) {
            if let Some(victim) = Victim::open(pid, parent, me) {
                victim.kill(&mut pass);
            }
        }
    }
    pass
}

fn walk(parent: u32, me: u32, depth: usize, pass: &mut Pass) {
    if depth == MAX_DEPTH {
        return;
    }
    for pid in procfs::children(parent) {
        if let Some(victim) = Victim::open(pid, parent, me) {
            walk(pid, me, depth + 1, pass);
            victim.kill(pass);
        }
    }
}

/// A process that was seen to be a descendant after its number was pinned.
struct Victim {
    pid: u32,
    /// `None` on kernels without pidfds.
    pidfd: Option<OwnedFd>,
}

impl Victim {
    fn open(pid: u32, parent: u32, me: u32) -> Option<Self> {
        let pidfd = match sys::pidfd_open(pid) {
            Ok(pidfd) => Some(pidfd),
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => return None,
            Err(_) => None,
        };
        // Now the number cannot be reused: is it still one of ours? It may have been adopted by us.
        let seen = procfs::stat(pid)?.parent;
        (seen == parent || seen == me).then_some(Self { pid, pidfd })
    }

    fn kill(&self, pass: &mut Pass) {
        let result = match &self.pidfd {
            Some(pidfd) => sys::pidfd_signal(pidfd.as_fd(), libc::SIGKILL),
            None => kill(Pid::from_raw(self.pid as i32), Signal::SIGKILL).map_err(io::Error::from),
        };
        match result {
            Ok(()) => pass.signalled += 1,
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => pass.refused += 1,
            Err(_) => {}
        }
    }
}
