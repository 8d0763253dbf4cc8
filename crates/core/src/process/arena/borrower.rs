//! Segments of another process that are mapped here, and what is read in them.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::memory::{Board, Known, Mapping};
use super::owner::Arena;
use crate::payload::{Buffer, Buffers, Told};
use crate::process::message::ArenaMessage;
use crate::process::{Owner, owner};

/// Segments of one owner that are mapped at a time.
const MAX_SEGMENTS: usize = 256;

/// Why what a frame names cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// It was not given, or could not be mapped.
    #[error("segment {segment} was refused")]
    Refused {
        /// Its number.
        segment: u32,
    },
    /// Nobody gave it.
    #[error("segment {segment} is not known")]
    Unknown {
        /// Its number.
        segment: u32,
    },
    /// What is named is not inside.
    #[error(
        "{length} bytes at {offset} of segment {segment}, which has {size}, counted back by {word}"
    )]
    Outside {
        /// Its number.
        segment: u32,
        /// Where the buffer is said to begin.
        offset: u64,
        /// Bytes that it is said to have.
        length: u64,
        /// The word that is said to count it back.
        word: u32,
        /// Bytes of the segment.
        size: u64,
    },
}

/// What was borrowed of one owner.
pub(super) struct Borrower {
    /// Ours: both share one bound.
    arena: Arena,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    board: Option<Arc<Board>>,
    /// None: it was refused.
    segments: HashMap<u32, Option<Arc<Borrowed>>>,
}

/// A segment that counts as long as it is mapped.
struct Borrowed {
    /// For who wants to write to what is read here.
    _known: Option<Known>,
    mapping: Mapping,
    arena: Arena,
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        self.arena.unborrow(self.mapping.len() as u64);
    }
}

/// A part of a segment, until it is dropped; then it is counted back.
struct View {
    segment: Arc<Borrowed>,
    board: Arc<Board>,
    offset: usize,
    length: usize,
    word: u32,
    /// A fork of this process has its own copy of this, and what it drops is read on here.
    owner: Owner,
}

impl AsRef<[u8]> for View {
    fn as_ref(&self) -> &[u8] {
        self.segment.mapping.part(self.offset, self.length)
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if self.owner.is_here() {
            self.board.give_back(self.word);
        }
    }
}

impl Borrower {
    pub(super) fn new(arena: &Arena) -> Self {
        Self { arena: arena.clone(), state: Mutex::default(), changed: Condvar::new() }
    }

    /// What the owner said, and the answer to that.
    pub(super) fn heard(&self, message: ArenaMessage, fds: Vec<OwnedFd>) -> Option<ArenaMessage> {
        let answer = match message {
            ArenaMessage::Board => {
                // Without one nothing can be counted back: then its segments are refused.
                let board = fds.first().and_then(|fd| Board::map(fd.as_fd()).ok());
                let mut state = self.lock();
                if state.board.is_none() {
                    state.board = board.map(Arc::new);
                }
                None
            }
            ArenaMessage::Segment { segment, length } => Some(self.take(segment, length, &fds)),
            ArenaMessage::Forget { segment } => {
                let gone = self.lock().segments.remove(&segment);
                drop(gone); // unmapped here, unless something of it is still read
                None
            }
            ArenaMessage::Taken { .. } | ArenaMessage::Refused { .. } => None,
        };
        self.changed.notify_all();
        answer
    }

    fn take(&self, segment: u32, length: u64, fds: &[OwnedFd]) -> ArenaMessage {
        let taken = self.map(segment, length, fds).inspect_err(|error| {
            tracing::debug!(%error, segment, length, "a segment is refused");
            self.arena.failed();
        });
        let answer = match taken {
            Ok(_) => ArenaMessage::Taken { segment },
            Err(_) => ArenaMessage::Refused { segment },
        };
        let mut state = self.lock();
        // A refused one is remembered, so that who waits for it knows; but not without bound.
        if taken.is_ok() || state.segments.len() < 2 * MAX_SEGMENTS {
            state.segments.entry(segment).or_insert_with(|| taken.ok().map(Arc::new));
        }
        answer
    }

    fn map(&self, segment: u32, length: u64, fds: &[OwnedFd]) -> io::Result<Borrowed> {
        // Of a message whose descriptor was lost this process has none left.
        let lost = || io::Error::from_raw_os_error(libc::EMFILE);
        let fd = fds.first().ok_or_else(lost)?;
        let state = self.lock();
        // A number that comes twice is a lie: what is mapped under it stays what it was.
        let known = state.segments.contains_key(&segment);
        if known || state.board.is_none() || state.segments.len() >= MAX_SEGMENTS {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        drop(state);
        if !self.arena.borrow(length) {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let mapping = Mapping::receive(fd.as_fd(), length);
        let mapping = mapping.inspect_err(|_| self.arena.unborrow(length))?;
        let known = Known::new(&mapping, fd.as_fd());
        Ok(Borrowed { _known: known, mapping, arena: self.arena.clone() })
    }

    /// What a frame tells, as buffers: all of it or nothing. Waits up to `limit` for segments that
    /// are on their way.
    pub(super) fn read(&self, told: &[Told], limit: Duration) -> Result<Buffers, Unreadable> {
        let known = |told: &Told, state: &State| match told {
            Told::Shared { segment, .. } => state.segments.contains_key(segment),
            Told::Inline(_) => true,
        };
        let missing = |state: &mut State| !told.iter().all(|told| known(told, state));
        let waited = self.changed.wait_timeout_while(self.lock(), limit, missing);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        // First all are looked at: what has become a view is counted back when it is dropped.
        let checked: Vec<_> =
            told.iter().map(|told| state.check(told)).collect::<Result<_, _>>()?;
        let owner = owner();
        let buffer = |(told, found): (&Told, Option<Found>)| match told {
            Told::Inline(bytes) => Some(Buffer::from(bytes.clone())),
            Told::Shared { offset, length, word, .. } => {
                let (segment, board) = found?;
                let (offset, length, word) = (*offset as usize, *length as usize, *word);
                let view = View { segment, board, offset, length, word, owner };
                Some(Buffer::from(Bytes::from_owner(view)))
            }
        };
        let buffers: Vec<_> = told.iter().zip(checked).filter_map(buffer).collect();
        Ok(buffers.into())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The segment that is named, and the board that it is counted back in.
type Found = (Arc<Borrowed>, Arc<Board>);

impl State {
    /// The segment that is named and the board, where what is named is inside of both.
    fn check(&self, told: &Told) -> Result<Option<Found>, Unreadable> {
        let Told::Shared { segment, offset, length, word } = *told else { return Ok(None) };
        let found = self.segments.get(&segment).ok_or(Unreadable::Unknown { segment })?;
        let (Some(borrowed), Some(board)) = (found, &self.board) else {
            return Err(Unreadable::Refused { segment });
        };
        let size = borrowed.mapping.len() as u64;
        let inside = length > 0 && offset.checked_add(length).is_some_and(|end| end <= size);
        if !inside || !Board::has(word) {
            return Err(Unreadable::Outside { segment, offset, length, word, size });
        }
        Ok(Some((borrowed.clone(), board.clone())))
    }
}
