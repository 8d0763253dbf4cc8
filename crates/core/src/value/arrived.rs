//! Buffers that came beside the message that is being decoded, for values that keep them.
//!
//! serde hands slices around, and a slice cannot be kept without a copy. So the decoder names a
//! buffer, and the type that wants it takes it from here: from the thread on which it is decoded.

use std::cell::RefCell;

use bytes::Bytes;

use crate::payload::Buffers;

thread_local! {
    static ARRIVED: RefCell<Vec<Bytes>> = const { RefCell::new(Vec::new()) };
}

/// While this is there, [`get`] knows the buffers of one message. Those of the message around it, where
/// a type decodes another message while it is read, are back afterwards.
pub(super) struct Scope {
    outer: Vec<Bytes>,
}

pub(super) fn enter(buffers: &Buffers) -> Scope {
    let buffers = buffers.iter().map(|buffer| buffer.bytes().clone()).collect();
    Scope { outer: ARRIVED.replace(buffers) }
}

impl Drop for Scope {
    fn drop(&mut self) {
        ARRIVED.set(std::mem::take(&mut self.outer));
    }
}

/// A buffer of the message that is being decoded.
pub(super) fn get(number: u32) -> Option<Bytes> {
    ARRIVED.with_borrow(|arrived| arrived.get(usize::try_from(number).ok()?).cloned())
}
