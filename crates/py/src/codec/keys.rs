//! Keys that were met before: a decoded dict takes the string at hand instead of a new one.
//!
//! Direct-mapped and bounded, so what the other side sends cannot make it grow. The strings are
//! plain ones: an interned string lives for ever on some interpreters, so only the names that a
//! tool's own code has interned come in interned, through [`KeyCache::seed`].

use pyo3::prelude::*;
use pyo3::types::PyString;

const SLOTS: usize = 256;
/// Longest key that is kept, in bytes of UTF-8: three words to compare.
const LONGEST: usize = 24;

type Words = [u64; 3];

struct Slot {
    words: Words,
    len: usize,
    key: Py<PyString>,
}

pub(super) struct KeyCache {
    slots: Box<[Option<Slot>]>,
}

impl KeyCache {
    pub(super) fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| None).collect() }
    }

    /// Decoded keys equal to `name` become `name` itself, so that keyword matching compares
    /// pointers. A name that cannot be kept is left out: it only decodes more slowly.
    pub(super) fn seed(&mut self, name: &Bound<'_, PyString>) {
        let Ok(text) = name.to_str() else { return };
        if name.is_exact_instance_of::<PyString>()
            && let Some((words, index)) = digest(text.as_bytes())
        {
            self.slots[index] = Some(Slot { words, len: text.len(), key: name.clone().unbind() });
        }
    }

    /// The kept key, or the one that `make` makes, which is kept from now on.
    #[inline]
    pub(super) fn get<'py, E>(
        &mut self,
        py: Python<'py>,
        utf8: &[u8],
        make: impl FnOnce() -> Result<Bound<'py, PyString>, E>,
    ) -> Result<Bound<'py, PyString>, E> {
        let Some((words, index)) = digest(utf8) else { return make() };
        let slot = &mut self.slots[index];
        if let Some(slot) = slot
            && slot.words == words
            && slot.len == utf8.len()
        {
            return Ok(slot.key.bind(py).clone());
        }
        let key = make()?;
        *slot = Some(Slot { words, len: utf8.len(), key: key.clone().unbind() });
        Ok(key)
    }
}

/// The key's bytes as words (with its length they tell keys apart) and its slot. Reads overlap
/// because that is cheaper than copying a length known only at run time.
#[inline]
fn digest(key: &[u8]) -> Option<(Words, usize)> {
    let len = key.len();
    let words = match key {
        [] => return None,
        [first, .., last] if len < 4 => {
            [u64::from_le_bytes([*first, key[len / 2], *last, 0, 0, 0, 0, 0]), 0, 0]
        }
        [only] => [u64::from(*only), 0, 0],
        _ if len < 8 => {
            let [head, tail] = [four(&key[..4]), four(&key[len - 4..])];
            [u64::from(head) | u64::from(tail) << 32, 0, 0]
        }
        _ if len <= LONGEST => {
            let middle = if len > 16 { eight(&key[8..16]) } else { 0 };
            [eight(&key[..8]), eight(&key[len - 8..]), middle]
        }
        _ => return None,
    };
    let mixed = words[0] ^ words[1].rotate_left(23) ^ words[2].rotate_left(47) ^ len as u64;
    // Fibonacci hashing: the product's top bits depend on all bits of the key.
    Some((words, (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as usize))
}

#[inline]
fn four(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes.try_into().expect("the caller sliced four bytes"))
}

#[inline]
fn eight(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("the caller sliced eight bytes"))
}
