//! What is told of an arena: its figures, and why it has no room.

use std::io;

/// Why there is no room in shared memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoRoom {
    /// Everything is in use.
    #[error(
        "{asked} bytes do not fit into shared memory: {in_use} of {limit} bytes are in use; let go \
         of results and references, or raise shared_memory.max_bytes"
    )]
    Full {
        /// Bytes that were asked for.
        asked: u64,
        /// Bytes of segments that hold something.
        in_use: u64,
        /// Bytes that all segments may have.
        limit: u64,
    },
    /// The system refuses memory, or a descriptor for it.
    #[error("no shared memory: {0}")]
    System(#[from] io::Error),
}

/// What an arena has and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArenaStats {
    /// Segments that there are.
    pub segments: usize,
    /// Bytes of memory behind them.
    pub bytes: u64,
    /// Of those the bytes of segments that hold something.
    pub in_use: u64,
    /// Buffers that were put where others had been.
    pub reused: u64,
    /// Buffers that needed a new segment.
    pub made: u64,
    /// Bytes of segments of other processes that are mapped here.
    pub borrowed: u64,
    /// Times that the system refused memory or a descriptor, or the other end a segment.
    pub faults: u64,
    /// Buffers that went another way: copied into a frame.
    pub fallbacks: u64,
}
