//! What wakes a standby that sleeps outside the runtime: an eventfd, rung at most once per sleep.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

pub(super) struct Bell {
    fd: EventFd,
    /// Rung and not heard yet. Saves the system call of further rings.
    rung: AtomicBool,
}

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        let fd = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self { fd, rung: AtomicBool::new(false) })
    }

    pub(super) fn ring(&self) {
        if !self.rung.swap(true, SeqCst) {
            // It fails only when the counter is full: then it is readable, which is all we want.
            let _ = self.fd.write(1);
        }
    }

    /// Sleeps until the bell rings or `limit` (whole milliseconds) passes. It may return early.
    ///
    /// A ring that finds `rung` still set while we clear it writes nothing. So the listener must
    /// look at everything that it could be rung for after this returns and before it sleeps again.
    pub(super) fn listen(&self, limit: Option<Duration>) {
        let limit = limit.map(|limit| PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX));
        let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, limit) {
            // A signal only makes us look around once more.
            Ok(0) | Err(Errno::EINTR) => return,
            Ok(_) => {}
            Err(error) => {
                // EINVAL and ENOMEM at most: do not turn them into a busy loop.
                tracing::warn!(%error, "blocking driver: poll failed");
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        // First empty, then open for new rings: the other order could swallow one for good.
        let _ = self.fd.read();
        self.rung.store(false, SeqCst);
    }
}
