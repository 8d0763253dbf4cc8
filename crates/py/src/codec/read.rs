//! msgpack on its way in: a cursor that never reads past its end.
//!
//! Knows bytes, not Python. Lengths come from the other side and may lie, so they are compared
//! with what is left before anyone allocates for them.

use super::failure::{Failure, Step};

pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    /// Bytes that have not been read.
    #[inline]
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The type of the extension that starts here. None: the bytes end before it.
    pub(super) fn peek_extension(&self) -> Option<i8> {
        let place = match self.peek()? {
            0xc7 => 2,
            0xc8 => 3,
            0xc9 => 5,
            _ => 1,
        };
        self.rest.get(place).map(|tag| tag.cast_signed())
    }

    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Step<&'a [u8]> {
        match self.rest.split_at_checked(len) {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(head)
            }
            None => Err(truncated()),
        }
    }

    #[inline]
    pub(super) fn chunk<const N: usize>(&mut self) -> Step<[u8; N]> {
        match self.rest.split_first_chunk() {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(*head)
            }
            None => Err(truncated()),
        }
    }

    #[inline]
    pub(super) fn u8(&mut self) -> Step<u8> {
        Ok(self.chunk::<1>()?[0])
    }

    #[inline]
    pub(super) fn len8(&mut self) -> Step<usize> {
        Ok(usize::from(self.u8()?))
    }

    #[inline]
    pub(super) fn len16(&mut self) -> Step<usize> {
        Ok(usize::from(u16::from_be_bytes(self.chunk()?)))
    }

    #[inline]
    pub(super) fn len32(&mut self) -> Step<usize> {
        Ok(u32::from_be_bytes(self.chunk()?) as usize)
    }
}

#[cold]
pub(super) fn truncated() -> Box<Failure> {
    Failure::new("the bytes end inside a value")
}
