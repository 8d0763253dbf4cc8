//! Names of things: pools, workers, calls.

use std::fmt;
use std::sync::Arc;

/// Name of a pool; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PoolName(Arc<str>);

impl PoolName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for PoolName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for PoolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One process in one slot of one pool. `Display` prints `pool/slot`; nothing parses that.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkerRef {
    /// The pool it belongs to.
    pub pool: PoolName,
    /// Its place in the pool, from 0.
    pub slot: usize,
    /// Counts the processes that have filled the slot, from 1.
    pub generation: u64,
}

impl fmt::Display for WorkerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pool, self.slot)
    }
}

/// Bits of a [`CallId`] that hold its place in the table of live calls.
const INDEX_BITS: u32 = 18;

/// Bits of its sequence: at 100,000 calls a second they last for almost three years, and then wrap.
const SEQUENCE_BITS: u32 = 43;

/// Names one call; not reused within a pool for years. Fits 61 bits, so that a word of the page shared
/// with the worker has room for a state beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(u64);

impl CallId {
    /// No call: sequences begin at 1.
    pub(crate) const NONE: Self = Self(0);

    /// So many calls can be alive at once.
    pub(crate) const MAX_LIVE: usize = 1 << INDEX_BITS;

    pub(crate) fn new(sequence: u64, index: usize) -> Self {
        debug_assert!(index < Self::MAX_LIVE);
        let sequence = sequence & ((1 << SEQUENCE_BITS) - 1);
        Self(sequence << INDEX_BITS | index as u64)
    }

    /// From the wire; may name no live call.
    pub(crate) fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// As it travels.
    pub fn raw(self) -> u64 {
        self.0
    }

    pub(crate) fn index(self) -> usize {
        (self.0 & (Self::MAX_LIVE as u64 - 1)) as usize
    }

    /// Order of admission: a smaller one was admitted earlier.
    pub(crate) fn sequence(self) -> u64 {
        self.0 >> INDEX_BITS
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.sequence())
    }
}
