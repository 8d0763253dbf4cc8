//! What travels of a value: its encoding, and beside it the large buffers that the encoding names.
//!
//! ```text
//! Payload { bytes: … ext "buffer 0" … ext "buffer 1" …, buffers: [ ▒▒▒▒▒▒▒▒▒▒▒▒ , ▒▒▒▒▒ ] }
//! ```
//!
//! A buffer is memory that somebody keeps alive: the heap, a region of an arena of this process, or
//! one of the other end's that is mapped here. Whoever reads it does not see which. Only whoever sends
//! it looks at its [`Place`]: what lies in an arena of ours goes by name, and nothing else does.

use std::fmt;
use std::ops::{Deref, Range};

use bytes::Bytes;

/// An encoded value and its buffers. What has none is its bytes and one word.
#[derive(Clone, Default)]
pub struct Payload {
    /// The encoding.
    pub bytes: Bytes,
    /// What it names, by position.
    pub buffers: Buffers,
}

impl Payload {
    /// Bytes of the encoding and of all buffers.
    pub fn size(&self) -> u64 {
        self.buffers.iter().fold(self.bytes.len() as u64, |sum, buffer| sum + buffer.len() as u64)
    }
}

impl<B: Into<Bytes>> From<B> for Payload {
    fn from(bytes: B) -> Self {
        Self { bytes: bytes.into(), buffers: Buffers::default() }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes", self.bytes.len())?;
        self.buffers.iter().try_for_each(|buffer| write!(f, ", {buffer:?}"))?;
        f.write_str(")")
    }
}

/// The buffers of one payload; none, as a rule.
#[derive(Clone, Debug, Default)]
#[expect(clippy::box_collection, reason = "one word in every payload instead of three")]
pub struct Buffers(Option<Box<Vec<Buffer>>>);

impl From<Vec<Buffer>> for Buffers {
    fn from(buffers: Vec<Buffer>) -> Self {
        Self(Some(buffers).filter(|buffers| !buffers.is_empty()).map(Box::new))
    }
}

impl Deref for Buffers {
    type Target = [Buffer];

    fn deref(&self) -> &[Buffer] {
        self.0.as_ref().map_or(&[], |buffers| buffers)
    }
}

/// Where a buffer lies in an arena of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which arena; no two in a process have the same number.
    pub(crate) arena: u64,
    pub(crate) segment: u32,
    pub(crate) offset: u64,
    /// The word that counts how often it was given back.
    pub(crate) word: u32,
}

/// Memory that is read, and kept as long as anybody has this or a clone of it.
///
/// The bytes of a buffer that lies in shared memory may change while it is read, where the program that
/// owns it writes there: nothing may rely on reading the same twice.
#[derive(Clone)]
pub struct Buffer {
    bytes: Bytes,
    place: Option<Place>,
}

impl Buffer {
    /// `bytes` keep what is at `place`.
    pub(crate) fn placed(bytes: Bytes, place: Place) -> Self {
        Self { bytes, place: Some(place) }
    }

    pub(crate) fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// Whether it lies in an arena of this process.
    pub(crate) fn is_shared(&self) -> bool {
        self.place.is_some()
    }

    /// The same memory, kept by what is returned: no copy.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// A part of it: no copy.
    ///
    /// # Panics
    /// When the range is not inside.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let place =
            self.place.map(|place| Place { offset: place.offset + range.start as u64, ..place });
        Self { bytes: self.bytes.slice(range), place }
    }
}

impl<B: Into<Bytes>> From<B> for Buffer {
    fn from(bytes: B) -> Self {
        Self { bytes: bytes.into(), place: None }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = if self.place.is_some() { " shared" } else { "" };
        write!(f, "{}{shared} bytes", self.bytes.len())
    }
}

/// A buffer as a frame tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// In a segment of whoever sends it, which the reader has been given.
    Shared {
        /// The segment's number.
        segment: u32,
        /// Where it begins there.
        offset: u64,
        /// Its bytes.
        length: u64,
        /// The word that counts it back.
        word: u32,
    },
    /// In the frame itself.
    Inline(Bytes),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_without_buffers_is_its_bytes_and_a_word() {
        assert_eq!(size_of::<Payload>(), size_of::<Bytes>() + size_of::<usize>());
        assert_eq!(Payload::from(vec![0; 3]).size(), 3);
        assert!(Buffers::from(Vec::new()).is_empty());
    }

    #[test]
    fn a_part_of_a_buffer_knows_where_it_lies() {
        let place = Place { arena: 1, segment: 2, offset: 100, word: 4 };
        let whole = Buffer::placed(Bytes::from_static(b"abcdef"), place);
        let part = whole.slice(2..4);
        assert_eq!((&*part, part.place()), (&b"cd"[..], Some(&Place { offset: 102, ..place })));
        let payload =
            Payload { bytes: Bytes::from_static(b"12"), buffers: vec![whole, part].into() };
        assert_eq!(payload.size(), 10);
    }
}
