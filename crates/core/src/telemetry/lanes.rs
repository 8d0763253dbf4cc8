//! Where events wait for whoever reads them.
//!
//! ```text
//! threads that tell ──▶ lanes, mostly one each ──▶ a batch, oldest first
//! ```
//!
//! Two threads tell of each call: one that it begins, one that it ended. In one queue for both the
//! lock and the last events would move from processor to processor with each of them.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::batch::Queues;
use super::clock::{nanoseconds, system_time};
use super::interest::Interest;
use super::reader::Reader;
use super::told::Told;

/// Few, since each may be full.
pub(super) const LANES: usize = 4;

/// As many queues for each reader.
pub(super) struct Lanes {
    lanes: [Lane; LANES],
    since: Instant,
}

/// On cache lines of its own; processors fetch them in pairs.
#[derive(Default)]
#[repr(align(128))]
struct Lane(Mutex<Vec<Line>>);

/// What waits in a lane for one reader.
struct Line {
    reader: Arc<Reader>,
    events: VecDeque<Told>,
    /// Events that made room since the last batch.
    missed: u64,
}

impl Lane {
    #[inline]
    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        // A line is whole after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This thread's.
    #[inline]
    fn own() -> usize {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static OWN: Cell<Option<usize>> = const { Cell::new(None) });
        OWN.get().unwrap_or_else(|| {
            let own = NEXT.fetch_add(1, Ordering::Relaxed) % LANES;
            OWN.set(Some(own));
            own
        })
    }
}

impl Line {
    #[cold]
    fn make_room(&mut self) {
        self.events.pop_front();
        self.missed += 1;
        self.reader.has_missed(1);
    }

    /// Returns whether the reader has to be woken.
    #[inline(always)]
    fn put(&mut self, told: Told) -> bool {
        if self.events.len() >= self.reader.room {
            self.make_room();
        }
        self.events.push_back(told);
        self.reader.is_due(self.events.len())
    }
}

impl Lanes {
    pub(super) fn new() -> Self {
        Self { lanes: Default::default(), since: Instant::now() }
    }

    /// A moment, as those who tell say it: in nanoseconds. 0: before anybody listened.
    #[inline]
    pub(super) fn moment(&self, at: Instant) -> u64 {
        nanoseconds(at.saturating_duration_since(self.since))
    }

    pub(super) fn add(&self, reader: &Arc<Reader>) {
        let line = || Line { reader: reader.clone(), events: VecDeque::new(), missed: 0 };
        self.lanes.iter().for_each(|lane| lane.lines().push(line()));
    }

    /// What waits for it is lost.
    pub(super) fn remove(&self, reader: &Arc<Reader>) {
        self.lanes
            .iter()
            .for_each(|lane| lane.lines().retain(|line| !Arc::ptr_eq(&line.reader, reader)));
    }

    /// All readers.
    pub(super) fn readers(&self) -> Vec<Arc<Reader>> {
        self.lanes[0].lines().iter().map(|line| line.reader.clone()).collect()
    }

    /// Gives an event to those who want its kind. It happened at a moment that this thread has read, and
    /// from which on it only told what had happened by then; so what follows from it comes after it.
    #[inline(always)] // else the event is made, and then copied to its place
    pub(super) fn put(&self, kind: Interest, told: Told) {
        let mut lines = self.lanes[Lane::own()].lines();
        // Mostly there is one, and nothing has to be copied.
        let [line] = &mut lines[..] else { return put_in_each(lines, kind, &told) };
        if line.reader.interest().meets(kind) && line.put(told) {
            let reader = line.reader.clone();
            drop(lines);
            reader.wake();
        }
    }

    /// The length of the reader's longest queue.
    pub(super) fn longest(&self, reader: &Arc<Reader>) -> usize {
        let waiting =
            |lane: &Lane| of(&mut lane.lines(), reader).map_or(0, |line| line.events.len());
        self.lanes.iter().map(waiting).max().unwrap_or(0)
    }

    /// When they were made, by the system's time as it is now.
    pub(super) fn origin(&self) -> u64 {
        system_time(self.since)
    }

    /// Takes all that waits for the reader into empty queues. Returns how many had to go since the last
    /// time.
    pub(super) fn take(&self, reader: &Arc<Reader>, queues: &mut Queues) -> u64 {
        let mut missed = 0;
        // All at once, or an event could be in an earlier batch than what it follows from.
        let mut lanes = self.lanes.each_ref().map(Lane::lines);
        for (lines, queue) in lanes.iter_mut().zip(queues) {
            if let Some(line) = of(lines, reader) {
                std::mem::swap(&mut line.events, queue);
                missed += std::mem::take(&mut line.missed);
            }
        }
        missed
    }
}

#[cold]
fn put_in_each(mut lines: MutexGuard<'_, Vec<Line>>, kind: Interest, told: &Told) {
    let wanting = lines.iter_mut().filter(|line| line.reader.interest().meets(kind));
    let is_due = |line: &mut Line| line.put(told.clone()).then(|| line.reader.clone());
    let to_wake: Vec<_> = wanting.filter_map(is_due).collect();
    drop(lines);
    to_wake.iter().for_each(|reader| reader.wake());
}

fn of<'a>(lines: &'a mut MutexGuard<'_, Vec<Line>>, reader: &Arc<Reader>) -> Option<&'a mut Line> {
    lines.iter_mut().find(|line| Arc::ptr_eq(&line.reader, reader))
}

#[cfg(test)]
mod tests {
    use std::sync::TryLockError;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn all_lanes_are_read_at_once() {
        let (lanes, reader) = (Lanes::new(), Arc::new(Reader::new(8)));
        lanes.add(&reader);
        let is_locked = || matches!(lanes.lanes[0].0.try_lock(), Err(TryLockError::WouldBlock));
        thread::scope(|scope| {
            let last = lanes.lanes[LANES - 1].lines();
            let read = scope.spawn(|| lanes.take(&reader, &mut Queues::default()));
            let until = Instant::now() + Duration::from_secs(10);
            while !is_locked() {
                assert!(Instant::now() < until, "the first one is read by itself");
                thread::yield_now();
            }
            // Had it read the first one alone, an event could be put there now, and what follows from
            // it into the last one.
            thread::sleep(Duration::from_millis(20));
            assert!(is_locked());
            drop(last);
            assert_eq!(read.join().expect("no panic"), 0);
        });
    }
}
