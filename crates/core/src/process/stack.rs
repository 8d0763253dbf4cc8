//! Where a worker's threads are, told while C code holds its interpreter or its signals are blocked.
//!
//! The interpreter's own handler writes it: `faulthandler.register(signal, file, all_threads=True)`
//! walks the threads without asking anybody. The thread that wants to know raises the signal to
//! itself, so it matters little what the others block.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileExt;

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::message::MAX_STACK;
use super::sys;

/// Where the handler writes.
#[derive(Debug)]
pub struct StackDump {
    file: File,
}

impl StackDump {
    /// The signal to register: a real-time one, from the end that nobody counts from.
    pub fn signal() -> i32 {
        libc::SIGRTMAX() - 3
    }

    /// Makes the file.
    pub fn create() -> io::Result<Self> {
        let file = memfd_create(c"snakepit-stack", MFdFlags::MFD_CLOEXEC)?;
        Ok(Self { file: file.into() })
    }

    /// What to register as the handler's file; open as long as this lives.
    pub fn file(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Where the threads are now: at most 64 KiB; `None` where no handler is registered any more.
    ///
    /// A thread that runs Python code meanwhile may confuse the handler: ask only a process that is
    /// about to be ended.
    pub fn take(&self) -> Option<String> {
        // The handler writes where it stopped last.
        self.file.set_len(0).ok()?;
        nix::unistd::lseek(&self.file, 0, nix::unistd::Whence::SeekSet).ok()?;
        if !sys::raise_handled(Self::signal()) {
            return None;
        }
        let mut text = vec![0; MAX_STACK];
        let len = self.file.read_at(&mut text, 0).ok()?;
        text.truncate(len);
        (len > 0).then(|| String::from_utf8_lossy(&text).into_owned())
    }
}
