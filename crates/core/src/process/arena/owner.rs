//! An arena of this process: segments, the regions in them, and who holds those.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{self, Instant};

use super::lender::Lender;
use super::memory::{Board, Mapping};
use super::region::{Kept, Region, Segment, buffer};
use super::stats::{ArenaStats, NoRoom};
use crate::config::{SharedMemory, WhenFull};
use crate::hardware;
use crate::payload::Buffer;
use crate::policy::arena::{self as policy, Borrower, Bounds, Returned, Taken};
use crate::process::{HostFd, Owner, owner};

/// Segments of one arena. Each is a descriptor of this process.
const MAX_SEGMENTS: usize = 128;

/// Nothing tells when a word was counted back: who waits looks, first so soon, then less often.
const FIRST_LOOK: Duration = Duration::from_micros(100);
const LAST_LOOK: Duration = Duration::from_millis(10);

static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// Memory of this process for buffers that others are to read. Cheap to clone.
#[derive(Clone)]
pub struct Arena(Arc<Inner>);

struct Inner {
    number: u64,
    settings: SharedMemory,
    max_bytes: u64,
    state: Mutex<State>,
    /// There is one more segment.
    made: Notify,
    faults: AtomicU64,
    fallbacks: AtomicU64,
    /// There is one more of these.
    trouble: Notify,
    owner: Owner,
}

struct State {
    book: policy::Arena,
    segments: HashMap<u32, Arc<Segment>>,
    boards: HashMap<Borrower, Arc<Board>>,
    lenders: Vec<Weak<Lender>>,
    /// Of each region that is held, by where it begins.
    places: BTreeMap<usize, Weak<Kept>>,
    next_borrower: Borrower,
}

struct Boards<'a>(&'a HashMap<Borrower, Arc<Board>>);

impl Returned for Boards<'_> {
    fn returned(&self, borrower: Borrower, word: u32) -> u32 {
        self.0.get(&borrower).map_or(0, |board| board.returned(word))
    }
}

impl Arena {
    /// An arena without a segment yet: one costs nothing before it is used.
    pub fn new(settings: SharedMemory) -> Self {
        let max_bytes = settings.max_bytes.unwrap_or_else(quarter_of_memory);
        let bounds = Bounds { bytes: max_bytes, segments: MAX_SEGMENTS };
        let state = State {
            book: policy::Arena::new(bounds, Instant::now()),
            segments: HashMap::new(),
            boards: HashMap::new(),
            lenders: Vec::new(),
            places: BTreeMap::new(),
            next_borrower: 0,
        };
        Self(Arc::new(Inner {
            number: NUMBERS.fetch_add(1, Relaxed),
            settings,
            max_bytes,
            state: Mutex::new(state),
            made: Notify::new(),
            faults: AtomicU64::new(0),
            fallbacks: AtomicU64::new(0),
            trouble: Notify::new(),
            owner: owner(),
        }))
    }

    /// Buffers of fewer bytes are better off in the value's encoding.
    pub fn threshold(&self) -> usize {
        self.0.settings.threshold
    }

    /// As it was made.
    pub fn settings(&self) -> &SharedMemory {
        &self.0.settings
    }

    /// The most bytes that all segments may have.
    pub fn max_bytes(&self) -> u64 {
        self.0.max_bytes
    }

    /// Room for a buffer that is to be sent; `None`: it is to go in the frame. Where everything is in
    /// use this waits as long as the settings say, and `limit` at most; so not attached to an
    /// interpreter.
    ///
    /// # Errors
    /// [`NoRoom`], where the settings want an error rather than a copy.
    pub fn place(&self, len: usize, limit: Option<Duration>) -> Result<Option<Region>, NoRoom> {
        if len < self.threshold().max(1) {
            return Ok(None);
        }
        let wait = self.0.settings.wait.min(limit.unwrap_or(Duration::MAX));
        match (self.allocate(len, wait), self.0.settings.when_full) {
            (Ok(region), _) => Ok(Some(region)),
            (Err(_), WhenFull::Inline) => {
                self.fell_back();
                Ok(None)
            }
            (Err(error), WhenFull::Error) => Err(error),
        }
    }

    /// Room for a buffer of so many bytes, one at least; waits for it no longer than `wait`.
    ///
    /// # Errors
    /// There is none, or the system refuses it.
    pub fn allocate(&self, len: usize, wait: Duration) -> Result<Region, NoRoom> {
        let until = Instant::now() + wait.min(Duration::from_secs(1 << 30));
        let mut pause = FIRST_LOOK;
        loop {
            let now = Instant::now();
            if let Some(taken) = self.take(len, now) {
                return self.make(taken, len);
            }
            let hopeless = len as u64 > self.max_bytes() || now >= until || !self.0.owner.is_here();
            if hopeless {
                let in_use = self.lock().book.tally().in_use;
                return Err(NoRoom::Full { asked: len as u64, in_use, limit: self.max_bytes() });
            }
            std::thread::sleep(pause.min(until - now));
            pause = (pause * 2).min(LAST_LOOK);
        }
    }

    /// The buffer that these bytes are a part of, where they lie in a region of this arena that
    /// somebody holds: whoever was given room writes there, and sends it without a copy.
    pub fn find(&self, start: *const u8, len: usize) -> Option<Buffer> {
        let start = start as usize;
        let kept = {
            let state = self.lock();
            state.places.range(..=start).next_back()?.1.upgrade()?
        };
        let offset = start - kept.start() as usize;
        let inside = offset.checked_add(len).is_some_and(|end| end <= kept.len) && len > 0;
        inside.then(|| buffer(&kept, offset, len))
    }

    /// A buffer went another way.
    pub fn fell_back(&self) {
        self.0.fallbacks.fetch_add(1, Relaxed);
        self.0.trouble.notify_one();
    }

    pub(super) fn failed(&self) {
        self.0.faults.fetch_add(1, Relaxed);
        self.0.trouble.notify_one();
    }

    /// Waits until there is a fault or a fallback that nobody has waited for; for one task.
    pub(crate) async fn trouble(&self) {
        self.0.trouble.notified().await;
    }

    /// What there is now.
    pub fn stats(&self) -> ArenaStats {
        let tally = self.lock().book.tally();
        ArenaStats {
            segments: tally.segments,
            bytes: tally.bytes,
            in_use: tally.in_use,
            borrowed: tally.elsewhere,
            reused: tally.reused,
            made: tally.made,
            faults: self.0.faults.load(Relaxed),
            fallbacks: self.0.fallbacks.load(Relaxed),
        }
    }

    /// Drops what has been idle for long; called now and then.
    pub fn tend(&self) {
        let now = Instant::now();
        self.change(|state, dropped| {
            let State { book, boards, .. } = state;
            book.settle(now, &Boards(boards), dropped);
            book.trim(now, dropped);
        });
    }

    /// Drops what has been idle for long, now and then, as long as there is much; to be aborted.
    /// Memory that goes unused is given back though nobody asks for any, and an arena without
    /// such costs no timer.
    pub async fn keep_small(self) {
        loop {
            self.0.made.notified().await;
            while self.stats().bytes > policy::LEAST_WATER {
                time::sleep(policy::HALF_LIFE).await;
                self.tend();
            }
        }
    }

    /// Takes nothing in any more. What somebody holds stays until it is dropped.
    pub fn close(&self) {
        if self.0.owner.is_here() {
            let now = Instant::now();
            self.change(|state, dropped| {
                let State { book, boards, .. } = state;
                book.settle(now, &Boards(boards), dropped);
                book.close(now, dropped);
            });
        }
    }

    fn take(&self, len: usize, now: Instant) -> Option<Taken> {
        if !self.0.owner.is_here() || len == 0 {
            return None;
        }
        self.change(|state, dropped| {
            let State { book, boards, .. } = state;
            book.take(len as u64, now, &Boards(boards), dropped).ok()
        })
    }

    /// Does what the book asks for before a region can be written.
    fn make(&self, taken: Taken, len: usize) -> Result<Region, NoRoom> {
        match self.segment_of(taken) {
            Ok(segment) => {
                let offset = taken.offset as usize;
                let kept = Kept { arena: self.clone(), segment, offset, len, word: taken.word };
                let kept = Arc::new(kept);
                let mut state = self.lock();
                state.book.made(taken.word, true);
                state.places.insert(kept.start() as usize, Arc::downgrade(&kept));
                drop(state);
                Ok(Region(kept))
            }
            Err(error) => {
                self.failed();
                self.change(|state, dropped| {
                    if state.book.made(taken.word, false) {
                        dropped.push(taken.segment);
                    }
                });
                Err(error.into())
            }
        }
    }

    fn segment_of(&self, taken: Taken) -> io::Result<Arc<Segment>> {
        let segment = match taken.make {
            Some(length) => {
                let (mapping, fd) = Mapping::create(length)?;
                let number = taken.segment;
                let segment = Arc::new(Segment { number, mapping, fd: HostFd::new(fd) });
                let lenders = {
                    let mut state = self.lock();
                    state.segments.insert(number, segment.clone());
                    state.lenders.clone()
                };
                self.0.made.notify_one();
                // While it is being filled, who must answer for it can.
                for lender in lenders.iter().filter_map(Weak::upgrade) {
                    lender.made(&segment);
                }
                segment
            }
            None => self.segment(taken.segment).ok_or(io::ErrorKind::NotFound)?,
        };
        segment.mapping.warm(segment.fd(), taken.warm.0, taken.warm.1)?;
        Ok(segment)
    }

    pub(super) fn released(&self, word: u32, start: usize) {
        let now = Instant::now();
        self.change(|state, dropped| {
            state.places.remove(&start);
            state.book.release(word, now, dropped);
        });
    }

    /// Changes the book; what it drops is unmapped and closed after the lock is released, and those
    /// who were told of it are told.
    fn change<R>(&self, change: impl FnOnce(&mut State, &mut Vec<u32>) -> R) -> R {
        let mut dropped = Vec::new();
        let (result, gone, lenders) = {
            let mut state = self.lock();
            let result = change(&mut state, &mut dropped);
            if dropped.is_empty() {
                return result;
            }
            let gone: Vec<_> =
                dropped.iter().filter_map(|number| state.segments.remove(number)).collect();
            state.lenders.retain(|lender| lender.strong_count() > 0);
            (result, gone, state.lenders.clone())
        };
        for lender in lenders.iter().filter_map(Weak::upgrade) {
            lender.forget(&dropped);
        }
        drop(gone);
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic inside is a bug of ours; at worst a segment is not used again.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For its lenders and regions.
impl Arena {
    pub(super) fn number(&self) -> u64 {
        self.0.number
    }

    /// False: this process is a fork of the arena's, and its lock may be held for ever.
    pub(super) fn is_here(&self) -> bool {
        self.0.owner.is_here()
    }

    pub(super) fn new_borrower(&self) -> Borrower {
        let mut state = self.lock();
        state.next_borrower += 1;
        state.next_borrower
    }

    pub(super) fn add_lender(&self, lender: &Arc<Lender>) {
        self.lock().lenders.push(Arc::downgrade(lender));
    }

    pub(super) fn add_board(&self, borrower: Borrower, board: Arc<Board>) {
        self.lock().boards.insert(borrower, board);
    }

    pub(super) fn segment(&self, number: u32) -> Option<Arc<Segment>> {
        self.lock().segments.get(&number).cloned()
    }

    pub(super) fn lend(&self, word: u32, to: Borrower) {
        self.lock().book.lend(word, to);
    }

    pub(super) fn take_back(&self, word: u32, from: Borrower) {
        self.lock().book.take_back(word, from);
    }

    /// Room for a segment of another process; true: [`Arena::unborrow`] is owed.
    pub(super) fn borrow(&self, length: u64) -> bool {
        self.change(|state, dropped| state.book.borrow(length, dropped))
    }

    pub(super) fn unborrow(&self, length: u64) {
        if self.0.owner.is_here() {
            self.lock().book.unborrow(length);
        }
    }

    pub(super) fn reaped(&self, borrower: Borrower) {
        if self.0.owner.is_here() {
            let now = Instant::now();
            self.change(|state, dropped| {
                state.boards.remove(&borrower);
                state.book.reaped(borrower, now, dropped);
            });
        }
    }
}

impl std::fmt::Debug for Arena {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arena").field("stats", &self.stats()).finish()
    }
}

/// The default of `max_bytes`: what lies in segments counts for the limits of control groups, too.
fn quarter_of_memory() -> u64 {
    hardware::usable_memory().map_or(1 << 30, |bytes| bytes / 4)
}
