//! What this module reads of others, as functions of bytes: see [`crate::fuzzing`].

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
        FromWorker::Stack(_) => assert!(written.len() <= 1 + MAX_STACK),
        _ => assert_eq!(written, bytes, "{message:?}"),
    }
    FromWorker::decode(&written).expect("what was written is read");
}

/// A ledger is refused, or it names processes that may be ended: neither everybody nor init.
pub(crate) fn ledger(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for pid in ledger::named(text) {
        assert!(pid > 1 && i32::try_from(pid).is_ok(), "process {pid}");
    }
}
