//! What one buffer has of an arena, from the room that is written to the last reader in this process.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use bytes::Bytes;

use super::memory::Mapping;
use super::owner::Arena;
use crate::payload::{Buffer, Place};
use crate::process::HostFd;

/// A segment of ours.
pub(super) struct Segment {
    pub(super) number: u32,
    pub(super) mapping: Mapping,
    pub(super) fd: HostFd,
}

impl Segment {
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(super) fn length(&self) -> u64 {
        self.mapping.len() as u64
    }
}

/// A region that somebody of this process holds.
pub(super) struct Kept {
    pub(super) arena: Arena,
    pub(super) segment: Arc<Segment>,
    pub(super) offset: usize,
    pub(super) len: usize,
    pub(super) word: u32,
}

impl Kept {
    pub(super) fn start(&self) -> *mut u8 {
        self.segment.mapping.at(self.offset)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.arena.is_here() {
            self.arena.released(self.word, self.start() as usize);
        }
    }
}

/// A part of a region, kept with all of it.
struct Part {
    kept: Arc<Kept>,
    offset: usize,
    len: usize,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        self.kept.segment.mapping.part(self.kept.offset + self.offset, self.len)
    }
}

/// Room for one buffer, to be written. Given back where it is dropped before it was sealed.
pub struct Region(pub(super) Arc<Kept>);

impl Region {
    /// Its bytes.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// Where it begins: a multiple of 16 KiB. All of it may be written through this as long as the
    /// region is there, or a buffer that it was sealed to. What others read meanwhile may be torn.
    pub fn start(&self) -> *mut u8 {
        self.0.start()
    }

    /// Copies bytes into it. For long ones: not attached to an interpreter.
    ///
    /// # Panics
    /// When they do not fit behind `offset`.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset.checked_add(bytes.len());
        assert!(end.is_some_and(|end| end <= self.0.len), "inside the region");
        self.0.segment.mapping.write(self.0.offset + offset, bytes);
    }

    /// What it holds from now on, to be sent or kept.
    pub fn seal(self) -> Buffer {
        let len = self.0.len;
        buffer(&self.0, 0, len)
    }
}

/// A part of it, to be sent or kept.
pub(super) fn buffer(kept: &Arc<Kept>, offset: usize, len: usize) -> Buffer {
    let place = Place {
        arena: kept.arena.number(),
        segment: kept.segment.number,
        offset: (kept.offset + offset) as u64,
        word: kept.word,
    };
    Buffer::placed(Bytes::from_owner(Part { kept: kept.clone(), offset, len }), place)
}
