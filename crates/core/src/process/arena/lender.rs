//! What one borrower has been told of an arena: its board, its segments.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::exchange::Aside;
use super::memory::Board;
use super::owner::Arena;
use super::region::Segment;
use crate::payload::{Buffer, Place, Told};
use crate::policy::arena::Borrower;
use crate::process::message::ArenaMessage;

/// Whoever refused a segment is offered none for so long.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// An answer that takes longer counts as a refusal.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// How a segment stands with the borrower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Offered,
    Taken,
    Refused,
}

/// What becomes of a buffer.
pub(super) enum Lent {
    Named(Told),
    /// It is in no segment of this arena.
    NotOurs,
    /// The borrower cannot read it, or not now.
    Refused,
}

/// Lends buffers of an arena to one process, in one of its lives.
pub struct Lender {
    arena: Arena,
    borrower: Borrower,
    aside: Arc<dyn Aside>,
    /// Nothing in a segment may be named before the borrower has said that it took it.
    waits: bool,
    state: Mutex<State>,
    answered: Condvar,
}

#[derive(Default)]
struct State {
    /// Once the board was sent.
    board: Option<OwnedFd>,
    segments: HashMap<u32, Standing>,
    /// Not told yet: there was no room in the socket.
    forgotten: Vec<u32>,
    refused_at: Option<Instant>,
    /// There is nobody who could count anything back.
    gone: bool,
}

impl Lender {
    /// A borrower that `aside` leads to. `waits`: frames cannot be sent again, so what it cannot read
    /// must not be sent.
    pub fn new(arena: &Arena, aside: Arc<dyn Aside>, waits: bool) -> Arc<Self> {
        let lender = Arc::new(Self {
            arena: arena.clone(),
            borrower: arena.new_borrower(),
            aside,
            waits,
            state: Mutex::default(),
            answered: Condvar::new(),
        });
        arena.add_lender(&lender);
        lender
    }

    /// Names a buffer to the borrower.
    pub(super) fn lend(&self, buffer: &Buffer) -> Lent {
        self.lend_after(buffer, self.waits.then_some(ANSWER_LIMIT))
    }

    /// The same, where it has said already that it took the segment.
    pub(super) fn lend_taken(&self, buffer: &Buffer) -> Lent {
        self.lend_after(buffer, Some(Duration::ZERO))
    }

    fn lend_after(&self, buffer: &Buffer, limit: Option<Duration>) -> Lent {
        let Some(place) = self.place(buffer) else { return Lent::NotOurs };
        if !self.can_read(place.segment, limit) {
            return Lent::Refused;
        }
        let state = self.lock();
        if state.gone {
            return Lent::Refused;
        }
        self.arena.lend(place.word, self.borrower);
        drop(state);
        let Place { segment, offset, word, .. } = *place;
        Lent::Named(Told::Shared { segment, offset, length: buffer.len() as u64, word })
    }

    /// Offers the segment of a buffer. Whether the borrower has answered, after `limit` at most.
    pub(super) fn prepare(&self, buffer: &Buffer, limit: Duration) -> bool {
        let Some(place) = self.place(buffer) else { return true };
        self.can_read(place.segment, Some(limit));
        self.lock().segments.get(&place.segment) != Some(&Standing::Offered)
    }

    fn place<'a>(&self, buffer: &'a Buffer) -> Option<&'a Place> {
        let ours = |place: &&Place| place.arena == self.arena.number();
        buffer.place().filter(ours).filter(|_| !buffer.is_empty())
    }

    pub(super) fn arena(&self) -> &Arena {
        &self.arena
    }

    /// A buffer that was named will not be counted back: the borrower could not read the frame.
    pub(super) fn take_back(&self, buffer: &Buffer) {
        if let Some(place) = self.place(buffer) {
            self.arena.take_back(place.word, self.borrower);
        }
    }

    /// A segment was made. Whoever has to answer for it is asked while it is being filled.
    pub(super) fn made(&self, segment: &Segment) {
        if self.waits {
            self.offer(&mut self.lock(), segment);
        }
    }

    /// Segments are gone.
    pub(super) fn forget(&self, segments: &[u32]) {
        let mut state = self.lock();
        for number in segments {
            if state.segments.remove(number).is_some() {
                state.forgotten.push(*number);
            }
        }
        self.tell_forgotten(&mut state);
    }

    /// What the borrower said about a segment.
    pub(super) fn answered(&self, number: u32, taken: bool) {
        let mut state = self.lock();
        if !taken {
            self.arena.failed();
            state.refused_at = Some(Instant::now());
        }
        if let Some(standing) = state.segments.get_mut(&number) {
            *standing = if taken { Standing::Taken } else { Standing::Refused };
        }
        drop(state);
        self.answered.notify_all();
    }

    /// The borrower is no more. Whatever it had is back.
    pub fn reaped(&self) {
        self.lock().gone = true;
        self.answered.notify_all();
        self.arena.reaped(self.borrower);
    }

    /// Whether the borrower can read what is in a segment, as far as is known. `limit`: how long its
    /// answer is waited for; None: to have offered it is enough.
    fn can_read(&self, number: u32, limit: Option<Duration>) -> bool {
        let mut state = self.lock();
        self.tell_forgotten(&mut state);
        if state.gone || state.refused_at.is_some_and(|at| at.elapsed() < AFTER_REFUSAL) {
            return false;
        }
        if !matches!(state.segments.get(&number), Some(Standing::Offered | Standing::Taken)) {
            let Some(segment) = self.arena.segment(number) else { return false };
            if !self.offer(&mut state, &segment) {
                return false;
            }
        }
        let Some(limit) = limit else { return true };
        let open = |state: &mut State| {
            !state.gone && state.segments.get(&number) == Some(&Standing::Offered)
        };
        let waited = self.answered.wait_timeout_while(state, limit, open);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.segments.get(&number) == Some(&Standing::Taken)
    }

    /// Sends the board, once, and a segment. False: neither can be sent now.
    fn offer(&self, state: &mut State, segment: &Segment) -> bool {
        let sent = self.send_board(state).and_then(|()| {
            let (number, length) = (segment.number, segment.length());
            let message = ArenaMessage::Segment { segment: number, length };
            self.aside.tell(message, Some(segment.fd()))
        });
        match sent {
            Ok(()) => {
                state.segments.insert(segment.number, Standing::Offered);
                true
            }
            Err(error) => {
                tracing::debug!(%error, "a segment could not be offered");
                self.arena.failed();
                false
            }
        }
    }

    fn send_board(&self, state: &mut State) -> std::io::Result<()> {
        if state.board.is_none() {
            let (board, fd) = Board::create()?;
            self.aside.tell(ArenaMessage::Board, Some(fd.as_fd()))?;
            self.arena.add_board(self.borrower, Arc::new(board));
            state.board = Some(fd);
        }
        Ok(())
    }

    fn tell_forgotten(&self, state: &mut State) {
        let told =
            |number: &u32| self.aside.tell(ArenaMessage::Forget { segment: *number }, None).is_ok();
        while state.forgotten.last().is_some_and(told) {
            state.forgotten.pop();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
