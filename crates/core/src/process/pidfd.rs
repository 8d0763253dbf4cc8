//! A process named by a descriptor: signals reach it or nobody, whatever became of its number.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::descriptor::HostFd;
use super::{procfs, sys};

/// Handle of one process, in the host.
#[derive(Debug)]
pub struct Pidfd(HostFd);

impl Pidfd {
    /// Opens the process that has this number now. Certain only for a child not yet reaped.
    pub fn open(pid: u32) -> io::Result<Self> {
        sys::pidfd_open(pid).map(Self::from)
    }

    /// Opens a process that need not be a child: `start_time` (field 22 of `/proc/PID/stat`) tells
    /// it from another one that got its number later.
    ///
    /// # Errors
    ///
    /// `NotFound` when that process is gone.
    pub fn open_started(pid: u32, start_time: u64) -> io::Result<Self> {
        let gone = || io::Error::new(io::ErrorKind::NotFound, format!("process {pid} is gone"));
        let pidfd = Self::open(pid)
            .map_err(|e| if e.raw_os_error() == Some(libc::ESRCH) { gone() } else { e })?;
        // Looked up after opening: the process seen here is the one behind the descriptor.
        match procfs::stat(pid) {
            Some(stat) if stat.start_time == start_time => Ok(pidfd),
            _ => Err(gone()),
        }
    }

    /// Sends a signal. A process that has ended already is a success: the wish is fulfilled.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` when it changed its user; `BrokenPipe` in a fork of the host.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        self::signal(&self.0, signal)
    }
}

pub(super) fn signal(pidfd: &HostFd, signal: i32) -> io::Result<()> {
    if !pidfd.is_here() {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    match sys::pidfd_signal(pidfd.as_fd(), signal) {
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        result => result,
    }
}

impl From<Pidfd> for HostFd {
    fn from(pidfd: Pidfd) -> Self {
        pidfd.0
    }
}

impl From<OwnedFd> for Pidfd {
    fn from(fd: OwnedFd) -> Self {
        Self(HostFd::new(fd))
    }
}

impl AsFd for Pidfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Pidfd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
