//! Wakes whoever waits for a stream to have room again: threads, or the event loop of the SDK.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, PoisonError};

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::lock;

/// Rung for every change; who waits looks whether it was his.
pub(super) struct Bell {
    waiting: Mutex<()>,
    rung: Condvar,
    /// For a loop: readable until it is read.
    fd: EventFd,
    /// There is one.
    watched: AtomicBool,
}

impl Bell {
    pub(super) fn new() -> std::io::Result<Self> {
        let fd = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let watched = AtomicBool::new(false);
        Ok(Self { waiting: Mutex::new(()), rung: Condvar::new(), fd, watched })
    }

    /// What a loop watches from now on.
    pub(super) fn fd(&self) -> RawFd {
        self.watched.store(true, SeqCst);
        self.fd.as_raw_fd()
    }

    pub(super) fn ring(&self) {
        // Taken and released: whoever has looked and not begun to wait yet hears it as well.
        drop(lock(&self.waiting));
        self.rung.notify_all();
        self.tell_loop();
    }

    /// Only a loop has to know.
    pub(super) fn tell_loop(&self) {
        if self.watched.load(SeqCst) {
            // It only fails where it has been rung for ages, and is readable.
            let _ = self.fd.write(1);
        }
    }

    /// Waits until `done`; must be called detached.
    pub(super) fn wait_until(&self, done: impl Fn() -> bool) {
        let waiting = lock(&self.waiting);
        let _woken =
            self.rung.wait_while(waiting, |()| !done()).unwrap_or_else(PoisonError::into_inner);
    }
}
