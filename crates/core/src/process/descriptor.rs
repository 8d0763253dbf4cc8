//! A descriptor of the host alone: closed in forked children, and never closed there twice.

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::fork::{CloseInChild, close_in_child};

/// Owns a descriptor in the process that made it; in forks of that process it owns nothing.
#[derive(Debug)]
pub struct HostFd {
    fd: ManuallyDrop<OwnedFd>,
    // An Option so that it can be dropped before `fd`: closing first would let another thread reuse
    // the number, and a fork at that moment would close a stranger.
    closing: Option<CloseInChild>,
}

impl HostFd {
    pub fn new(fd: OwnedFd) -> Self {
        let closing = Some(close_in_child(fd.as_raw_fd()));
        Self { fd: ManuallyDrop::new(fd), closing }
    }

    /// Whether this process owns the descriptor. In a fork it is closed and must not be used.
    pub fn is_here(&self) -> bool {
        self.closing.as_ref().is_some_and(CloseInChild::is_here)
    }
}

impl From<OwnedFd> for HostFd {
    fn from(fd: OwnedFd) -> Self {
        Self::new(fd)
    }
}

impl AsFd for HostFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for HostFd {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl Drop for HostFd {
    fn drop(&mut self) {
        let here = self.is_here();
        self.closing = None;
        if here {
            super::sys::close(self.fd.as_raw_fd());
        }
    }
}
