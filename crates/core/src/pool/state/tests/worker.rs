//! A worker as the state's owner sees it, and the page of words that it shares with the host.

use std::cell::RefCell;
use std::collections::VecDeque;

use tokio::time::Instant;

use crate::error::Cause;
use crate::id::CallId;
use crate::pool::state::Words;

/// One word of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Free,
    Queued(CallId),
    Started(CallId),
    Revoked(CallId),
    Done(CallId),
    Condemned(CallId),
}

/// The pages of all workers. A word is queued when the `Send` effect is carried out, not earlier:
/// whoever revokes a call in the event that sent it is told that it was begun.
pub(super) struct Page(RefCell<Vec<[Word; 64]>>);

impl Page {
    pub(super) fn new(slots: usize) -> Self {
        Self(RefCell::new(vec![[Word::Free; 64]; slots]))
    }

    pub(super) fn reset(&self, slot: usize) {
        self.0.borrow_mut()[slot] = [Word::Free; 64];
    }

    pub(super) fn queue(&self, slot: usize, word: u8, id: CallId) {
        let place = &mut self.0.borrow_mut()[slot][usize::from(word)];
        let used = matches!(place, Word::Queued(_) | Word::Started(_) | Word::Condemned(_));
        assert!(!used, "word {word} of slot {slot} is in use for {place:?}, given to {id}");
        *place = Word::Queued(id);
    }

    /// The worker's side: true where it may begin.
    fn start(&self, slot: usize, word: u8, id: CallId) -> bool {
        self.swap(slot, word, Word::Queued(id), Word::Started(id))
    }

    /// The worker's side: false where the call was condemned.
    fn finish(&self, slot: usize, word: u8, id: CallId) -> bool {
        let done = self.swap(slot, word, Word::Started(id), Word::Done(id));
        assert!(done || self.is_condemned(slot, word, id), "{id} was not started");
        done
    }

    pub(super) fn is_condemned(&self, slot: usize, word: u8, id: CallId) -> bool {
        self.read(slot, word) == Word::Condemned(id)
    }

    fn read(&self, slot: usize, word: u8) -> Word {
        self.0.borrow()[slot][usize::from(word)]
    }

    fn swap(&self, slot: usize, word: u8, from: Word, to: Word) -> bool {
        let place = &mut self.0.borrow_mut()[slot][usize::from(word)];
        let same = *place == from;
        if same {
            *place = to;
        }
        same
    }
}

impl Words for Page {
    fn revoke(&self, slot: usize, word: u8, id: CallId) -> bool {
        self.swap(slot, word, Word::Queued(id), Word::Revoked(id))
    }

    fn condemn(&self, slot: usize, word: u8, id: CallId) -> bool {
        self.swap(slot, word, Word::Started(id), Word::Condemned(id))
            || self.read(slot, word) != Word::Done(id)
    }

    fn runs(&self, slot: usize, word: u8, id: CallId) -> bool {
        self.read(slot, word) == Word::Started(id)
    }

    fn untouched(&self, slot: usize, word: u8, id: CallId) -> bool {
        self.revoke(slot, word, id)
    }
}

/// How far the process of a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    None,
    /// To be started then.
    Planned(Instant),
    /// It may start when the pool says so once more.
    Waiting,
    Starting,
    Ready,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) id: CallId,
    pub(super) word: Option<u8>,
}

/// Begins the frames it was sent in their order, and runs as many at once as it can.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) life: Life,
    pub(super) generation: u64,
    pub(super) revocable: bool,
    pub(super) stopped: bool,
    pub(super) killed: bool,
    /// Why, for either.
    pub(super) why: Cause,
    /// It broke the protocol: the host kills it and listens no more.
    pub(super) outlawed: bool,
    /// Probes that it has not answered.
    pub(super) probes: Vec<u64>,
    pub(super) inbox: VecDeque<Frame>,
    pub(super) running: VecDeque<Frame>,
    /// So many frames.
    capacity: usize,
    /// The call that it has just ended was condemned: it begins nothing more.
    pub(super) halted: bool,
    /// Answers that the host has not read.
    pub(super) finished: Vec<CallId>,
    /// The host has read answers and not filled the worker again yet.
    pub(super) unfilled: bool,
}

impl Worker {
    pub(super) fn new(life: Life, generation: u64) -> Self {
        Self {
            life,
            generation,
            revocable: false,
            stopped: false,
            killed: false,
            why: Cause::default(),
            outlawed: false,
            probes: Vec::new(),
            inbox: VecDeque::new(),
            running: VecDeque::new(),
            capacity: 1,
            halted: false,
            finished: Vec::new(),
            unfilled: false,
        }
    }

    /// It runs so many frames at once.
    pub(super) fn with_capacity(self, capacity: usize) -> Self {
        Self { capacity, ..self }
    }

    /// Takes the next call that was not revoked.
    pub(super) fn begin(&mut self, slot: usize, page: &Page) -> Option<CallId> {
        if self.running.len() >= self.capacity || self.halted {
            return None;
        }
        while let Some(frame) = self.inbox.pop_front() {
            if frame.word.is_none_or(|word| page.start(slot, word, frame.id)) {
                self.running.push_back(frame);
                return Some(frame.id);
            }
        }
        None
    }

    /// Ends the call that it began first.
    pub(super) fn finish(&mut self, slot: usize, page: &Page) -> bool {
        self.finish_nth(0, slot, page)
    }

    pub(super) fn finish_nth(&mut self, nth: usize, slot: usize, page: &Page) -> bool {
        let Some(frame) = self.running.remove(nth) else { return false };
        if let Some(word) = frame.word {
            self.halted = !page.finish(slot, word, frame.id);
        }
        self.finished.push(frame.id);
        true
    }
}
