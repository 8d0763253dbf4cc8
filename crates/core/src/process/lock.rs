//! A lock that says "my host lives": the kernel lets go of it with the process, however that ends.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::AsRawFd;

use nix::fcntl::{Flock, FlockArg};

use super::fork::{CloseInChild, close_in_child};

/// A locked file or folder; forks of this process do not hold the lock on.
#[derive(Debug)]
pub(super) struct HostLock {
    // The lock would live on in a forked child that keeps the file open.
    closing: Option<CloseInChild>,
    // None only in `drop`. Forgotten in a fork: to unlock it there would unlock the parent's.
    file: Option<Flock<File>>,
}

impl HostLock {
    /// Locks, without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when another process has it; others where the file system has no locks.
    pub(super) fn take(file: File) -> io::Result<Self> {
        let file = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, errno)| io::Error::from(errno))?;
        let closing = Some(close_in_child(file.as_raw_fd()));
        Ok(Self { closing, file: Some(file) })
    }
}

impl Deref for HostLock {
    type Target = File;

    fn deref(&self) -> &File {
        self.file.as_ref().expect("taken by drop only")
    }
}

impl Drop for HostLock {
    fn drop(&mut self) {
        let here = self.closing.take().is_some_and(|closing| closing.is_here());
        if !here {
            std::mem::forget(self.file.take());
        }
    }
}
