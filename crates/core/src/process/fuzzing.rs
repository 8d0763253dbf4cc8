//! What this module reads of others, as functions of bytes: see [`crate::fuzzing`].

use std::io;
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::ftruncate;

use super::ledger;
use super::message::{FromWorker, MAX_BOOT_ERROR, MAX_STACK, ToWorker};

/// A message of the control socket is refused, or it is written as it was read.
pub(crate) fn control(bytes: &[u8]) {
    if let Ok(message) = ToWorker::decode(bytes)
        && let Ok(written) = message.encode()
    {
        assert_eq!(written, bytes, "{message:?}");
    }
    let Ok(message) = FromWorker::decode(bytes) else { return };
    let written = message.encode();
    match &message {
        // Texts are cut, and what is no UTF-8 in them is replaced.
        FromWorker::BootError(_) => assert!(written.len() <= 1 + MAX_BOOT_ERROR),
        FromWorker::Stack(_) | FromWorker::Located { .. } => {
            assert!(written.len() <= 1 + MAX_STACK);
        }
        _ => assert_eq!(written, bytes, "{message:?}"),
    }
    FromWorker::decode(&written).expect("what was written is read");
}

thread_local! {
    /// Made once: an input is quick, and a file of memory is not.
    static FILES: Vec<OwnedFd> = files().expect("files of memory");
}

/// A descriptor that may come with a message: none, a board, a segment of 2 MiB, one that could
/// shrink, one that is shorter, one that is no memory.
pub(crate) fn file(kind: u8) -> Option<OwnedFd> {
    let index = usize::from(kind).checked_sub(1)?;
    FILES.with(|files| files.get(index).map(|file| file.try_clone().expect("a descriptor")))
}

fn files() -> io::Result<Vec<OwnedFd>> {
    let file = |bytes: i64, sealed| -> io::Result<OwnedFd> {
        let file = memfd_create(c"fuzz", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        ftruncate(&file, bytes)?;
        if sealed {
            let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
            fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
        }
        Ok(file)
    };
    let null = std::fs::File::open("/dev/null")?.into();
    Ok(vec![
        file(16 << 10, true)?,
        file(2 << 20, true)?,
        file(2 << 20, false)?,
        file(4096, true)?,
        null,
    ])
}

/// A ledger is refused, or it names processes that may be ended: neither everybody nor init.
pub(crate) fn ledger(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for pid in ledger::named(text) {
        assert!(pid > 1 && i32::try_from(pid).is_ok(), "process {pid}");
    }
}
