//! Calls that wait for the bytes of buffers that could not be read where they lie.

use std::collections::HashMap;

use crate::payload::{Buffer, Buffers, Told};

/// Calls of type `C`, by their numbers.
#[derive(Debug)]
pub struct Parked<C>(HashMap<u64, Waiting<C>>);

#[derive(Debug)]
struct Waiting<C> {
    call: C,
    told: Vec<Told>,
    parts: Vec<Vec<u8>>,
}

impl<C> Default for Parked<C> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<C> Parked<C> {
    /// The other end is asked for what this tells of.
    pub fn add(&mut self, number: u64, call: C, told: Vec<Told>) {
        let parts = vec![Vec::new(); told.len()];
        self.0.insert(number, Waiting { call, told, parts });
    }

    /// What comes next of a buffer. Some: the call has all of them.
    pub fn more(&mut self, number: u64, index: u32, bytes: &[u8]) -> Option<(C, Buffers)> {
        let waiting = self.0.get_mut(&number)?;
        let index = index as usize;
        if let (Some(Told::Shared { length, .. }), Some(part)) =
            (waiting.told.get(index), waiting.parts.get_mut(index))
            && part.len() as u64 + bytes.len() as u64 <= *length
        {
            part.extend_from_slice(bytes);
        }
        let is_whole = |(told, part): (&Told, &Vec<u8>)| match told {
            Told::Shared { length, .. } => part.len() as u64 == *length,
            Told::Inline(_) => true,
        };
        if !waiting.told.iter().zip(&waiting.parts).all(is_whole) {
            return None;
        }
        let Waiting { call, told, parts } = self.0.remove(&number)?;
        let buffer = |(told, part)| match told {
            Told::Shared { .. } => Buffer::from(part),
            Told::Inline(bytes) => Buffer::from(bytes),
        };
        let buffers: Vec<Buffer> = told.into_iter().zip(parts).map(buffer).collect();
        Some((call, buffers.into()))
    }

    /// Nothing comes any more: the call, which nobody waits for.
    pub fn gone(&mut self, number: u64) -> Option<C> {
        Some(self.0.remove(&number)?.call)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_call_goes_on_once_each_of_its_buffers_is_whole() {
        let shared = |length| Told::Shared { segment: 1, offset: 0, length, word: 0 };
        let inline = Told::Inline(Bytes::from_static(b"in"));
        let mut parked = Parked::default();
        parked.add(7, "call", vec![shared(3), inline, shared(2)]);
        assert!(parked.more(8, 0, b"abc").is_none(), "another call");
        assert!(parked.more(7, 0, b"ab").is_none());
        assert!(parked.more(7, 2, b"xy").is_none());
        assert!(parked.more(7, 0, b"cd").is_none(), "longer than was told");
        assert!(parked.more(7, 9, b"c").is_none(), "no such buffer");
        let (call, buffers) = parked.more(7, 0, b"c").unwrap();
        let buffers: Vec<&[u8]> = buffers.iter().map(|buffer| &**buffer).collect();
        assert_eq!((call, buffers), ("call", vec![&b"abc"[..], b"in", b"xy"]));
        assert!(parked.gone(7).is_none(), "it has gone on");

        parked.add(9, "other", vec![shared(1)]);
        assert_eq!((parked.gone(9), parked.gone(9)), (Some("other"), None));
    }
}
