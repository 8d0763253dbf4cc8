//! msgpack on its way out: markers and lengths, always the shortest form that `msgpack` packs.
//!
//! Knows bytes, not Python. Every body that can grow large passes through [`Writer::append`]
//! (bytes) or [`Writer::append_raw`] (buffers), right behind its header: that is the seam where
//! it would leave for an arena instead.

use std::ptr;

use super::failure::{Failure, Step};

/// Enough for the arguments of a usual call in one allocation.
const CAPACITY: usize = 128;

/// The longest header: marker, 32 bits of length, extension type.
const HEADER: usize = 6;

pub(super) struct Writer {
    out: Vec<u8>,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { out: Vec::with_capacity(CAPACITY) }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.out
    }

    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// Takes back what was written behind the first `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        self.out.truncate(len);
    }

    #[inline]
    pub(super) fn nil(&mut self) {
        self.out.push(0xc0);
    }

    #[inline]
    pub(super) fn bool(&mut self, value: bool) {
        self.out.push(0xc2 + u8::from(value));
    }

    #[inline]
    pub(super) fn float(&mut self, value: f64) {
        self.marked(0xcb, value.to_bits().to_be_bytes());
    }

    #[inline]
    pub(super) fn int(&mut self, value: i64) {
        match value {
            0.. => self.uint(value.cast_unsigned()),
            -32..0 => self.out.push(value as u8),
            -0x80..-32 => self.marked(0xd0, [value as u8]),
            -0x8000..-0x80 => self.marked(0xd1, (value as i16).to_be_bytes()),
            -0x8000_0000..-0x8000 => self.marked(0xd2, (value as i32).to_be_bytes()),
            ..-0x8000_0000 => self.marked(0xd3, value.to_be_bytes()),
        }
    }

    #[inline]
    pub(super) fn uint(&mut self, value: u64) {
        match value {
            0..0x80 => self.out.push(value as u8),
            0x80..0x100 => self.marked(0xcc, [value as u8]),
            0x100..0x1_0000 => self.marked(0xcd, (value as u16).to_be_bytes()),
            0x1_0000..0x1_0000_0000 => self.marked(0xce, (value as u32).to_be_bytes()),
            0x1_0000_0000.. => self.marked(0xcf, value.to_be_bytes()),
        }
    }

    #[inline]
    pub(super) fn str(&mut self, utf8: &[u8]) -> Step {
        self.reserve(utf8.len())?;
        match utf8.len() {
            len @ 0..32 => self.out.push(0xa0 | len as u8),
            len @ 32..256 => self.marked(0xd9, [len as u8]),
            len => self.long_len(0xda, len)?,
        }
        self.append(utf8);
        Ok(())
    }

    pub(super) fn bin(&mut self, len: usize) -> Step {
        self.reserve(len)?;
        match len {
            0..256 => self.marked(0xc4, [len as u8]),
            _ => self.long_len(0xc5, len)?,
        }
        Ok(())
    }

    #[inline]
    pub(super) fn array(&mut self, len: usize) -> Step {
        match len {
            0..16 => self.out.push(0x90 | len as u8),
            _ => self.long_len(0xdc, len)?,
        }
        Ok(())
    }

    #[inline]
    pub(super) fn map(&mut self, len: usize) -> Step {
        match len {
            0..16 => self.out.push(0x80 | len as u8),
            _ => self.long_len(0xde, len)?,
        }
        Ok(())
    }

    /// Header of an extension value whose body of `len` bytes the caller appends.
    pub(super) fn extension(&mut self, tag: i8, len: usize) -> Step {
        self.reserve(len)?;
        match len {
            1 | 2 | 4 | 8 | 16 => self.out.push(0xd4 + len.trailing_zeros() as u8),
            0..256 => self.marked(0xc7, [len as u8]),
            _ => self.long_len(0xc8, len)?,
        }
        self.out.push(tag.cast_unsigned());
        Ok(())
    }

    #[inline]
    pub(super) fn append(&mut self, body: &[u8]) {
        self.out.extend_from_slice(body);
    }

    /// # Safety
    ///
    /// `from` is readable for `len` bytes while this runs. It may be memory that Python can write
    /// to, which is why this takes no slice.
    pub(super) unsafe fn append_raw(&mut self, from: *const u8, len: usize) {
        self.out.reserve(len);
        let end = self.out.len();
        // SAFETY: `len` bytes are reserved behind `end`, and the source is readable.
        unsafe {
            ptr::copy_nonoverlapping(from, self.out.as_mut_ptr().add(end), len);
            self.out.set_len(end + len);
        }
    }

    /// Room for a body and its header. Bodies may be huge: running out of memory must not abort.
    #[inline]
    fn reserve(&mut self, body: usize) -> Step {
        let room = body.saturating_add(HEADER);
        self.out
            .try_reserve(room)
            .map_err(|_| Failure::new(format!("no memory for {room} bytes; send it in parts")))
    }

    #[inline]
    fn marked<const N: usize>(&mut self, marker: u8, body: [u8; N]) {
        self.out.reserve(1 + N);
        self.out.push(marker);
        self.out.extend_from_slice(&body);
    }

    /// 16 bits behind `marker`, or 32 behind the next one.
    fn long_len(&mut self, marker: u8, len: usize) -> Step {
        match (u16::try_from(len), u32::try_from(len)) {
            (Ok(len), _) => self.marked(marker, len.to_be_bytes()),
            (_, Ok(len)) => self.marked(marker + 1, len.to_be_bytes()),
            _ => return Err(Failure::new("longer than 2**32 - 1; send it in parts")),
        }
        Ok(())
    }
}
