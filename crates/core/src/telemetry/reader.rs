//! How those who tell events wake whoever reads them.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::batch::Spare;
use super::interest::Interest;

/// A batch is gathered no further when so many events of one thread are in it: they are still in the
/// processor's caches then, and whoever handles them holds up others for a short time only. With
/// fewer the handling thread wakes so often that calls become slower (`benches/telemetry.py`).
pub(super) const ENOUGH: usize = 512;

/// What those who tell events know of a subscription.
pub(super) struct Reader {
    pub(super) interest: AtomicU64,
    pub(super) room: usize,
    pub(super) dropped: AtomicU64,
    /// What it is to be woken for, as [`NOTHING`], [`ANYTHING`] or [`MANY`]. Whoever tells an event
    /// looks while it has the lock of a queue. The reader says it and looks into the queues then,
    /// and so one of the two sees what the other has done.
    pub(super) waits_for: AtomicU8,
    pub(super) state: Mutex<State>,
    pub(super) bell: Condvar,
}

pub(super) const NOTHING: u8 = 0;
pub(super) const ANYTHING: u8 = 1;
pub(super) const MANY: u8 = 2;

#[derive(Default)]
pub(super) struct State {
    pub(super) spare: Spare,
    /// Whoever gathers a batch shall come at once.
    pub(super) hurry: bool,
    /// Batches.
    pub(super) taken: u64,
    pub(super) closed: bool,
}

impl Reader {
    pub(super) fn new(room: usize) -> Self {
        Self {
            interest: AtomicU64::new(Interest::NONE.0),
            room: room.max(1),
            dropped: AtomicU64::new(0),
            waits_for: AtomicU8::new(NOTHING),
            state: Mutex::default(),
            bell: Condvar::new(),
        }
    }

    pub(super) fn interest(&self) -> Interest {
        Interest(self.interest.load(Ordering::Relaxed))
    }

    pub(super) fn has_missed(&self, events: u64) {
        self.dropped.fetch_add(events, Ordering::Relaxed);
    }

    /// Whether it has to be woken when so many events are in one queue.
    #[inline]
    pub(super) fn is_due(&self, waiting: usize) -> bool {
        match self.waits_for.load(Ordering::Relaxed) {
            NOTHING => false,
            ANYTHING => self.is_met(ANYTHING),
            _ => waiting >= ENOUGH.min(self.room) && self.is_met(MANY),
        }
    }

    /// One of those who see it wakes the reader. By now that may wait for something else.
    fn is_met(&self, waited_for: u8) -> bool {
        let relaxed = Ordering::Relaxed;
        self.waits_for.compare_exchange(waited_for, NOTHING, relaxed, relaxed).is_ok()
    }

    /// Where it is due. No queue may be locked.
    #[cold]
    pub(super) fn wake(&self) {
        drop(self.state()); // it waits, or has not looked yet
        self.bell.notify_all();
    }

    /// A batch is over, and its queues are empty. Waits for nobody: in a child of a fork the lock may
    /// be held by a thread that does not exist there.
    pub(super) fn has_read(&self, spare: Spare) {
        if let Ok(mut state) = self.state.try_lock() {
            state.spare = spare;
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Every field is whole between statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_wakes_a_reader_late_takes_nothing_from_what_it_waits_for_now() {
        let reader = Reader::new(1 << 16);
        reader.waits_for.store(MANY, Ordering::Relaxed);
        assert!(!reader.is_met(ANYTHING), "seen when it waited for anything");
        assert!(!reader.is_due(ENOUGH - 1));
        assert!(reader.is_due(ENOUGH + 1), "another thread has told the one before");
        assert!(!reader.is_due(ENOUGH + 2), "it is woken already");
    }
}
