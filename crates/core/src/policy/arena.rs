//! Which part of an arena holds which buffer, and when it may hold another.
//!
//! ```text
//!          take            release            all counted back, or their borrower was reaped
//!  free ──────────▶ held ──────────▶ lent out ─────────────────────────────────────────────▶ free
//!                    │  ▲
//!                    └──┘ lend (a word of the borrower's board counts it back)
//! ```
//!
//! Pure: no memory, no lock, no clock. An arena is a set of *segments*, each a file of memory whose
//! length never changes: a power of two, 2 MiB at least. Its beginning is *warm*: there are pages
//! behind it. A *region* is what one buffer has of it: a whole segment, or one of the equal slots of
//! a 2 MiB segment. Each region has a *word*, the number under which borrowers count it back.
//!
//! A region whose holder is gone and that nobody has borrowed is free, and its segment is idle once
//! all of its regions are. A buffer takes an idle segment that is at most twice as long as it needs;
//! what stays idle too long is dropped, the longest unused first, as the high-water mark of what was
//! in use sinks.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;

/// Segments are multiples of this: a huge page.
pub(crate) const GRANULE: u64 = 2 << 20;

/// Regions of one arena at a time.
pub(crate) const WORDS: usize = 4096;

/// Smallest slot; 128 of them are in a segment.
const LEAST_SLOT: u64 = 16 << 10;

/// Half of the high-water mark is forgotten in so long.
pub(crate) const HALF_LIFE: Duration = Duration::from_secs(10);

/// Below this nothing idle is dropped, whatever the mark.
pub(crate) const LEAST_WATER: u64 = 64 << 20;

/// What an arena may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Warm bytes.
    pub(crate) bytes: u64,
    /// Each costs its owner a descriptor.
    pub(crate) segments: usize,
}

/// A process that regions are lent to, in one of its lives.
pub(crate) type Borrower = u64;

/// How often a borrower has counted a region back since it began.
pub(crate) trait Returned {
    fn returned(&self, borrower: Borrower, word: u32) -> u32;
}

/// A region that was taken. What is to be done before it can be written: make the segment where
/// `make` says so, then warm it from `warm.0` to `warm.1`, then tell [`Arena::made`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) word: u32,
    pub(crate) segment: u32,
    pub(crate) offset: u64,
    /// Length of the segment that does not exist yet.
    pub(crate) make: Option<u64>,
    pub(crate) warm: (u64, u64),
}

/// Nothing more fits before something is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// What an arena has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) segments: usize,
    /// Warm bytes of all segments.
    pub(crate) bytes: u64,
    /// Of those that are not idle.
    pub(crate) in_use: u64,
    /// Bytes of segments that others own: they count against the bound, too.
    pub(crate) elsewhere: u64,
    /// Regions taken from segments that were there, and those that needed a new one.
    pub(crate) reused: u64,
    pub(crate) made: u64,
}

struct Segment {
    length: u64,
    warm: u64,
    /// Of its equal parts; its length where it is one.
    slot: u64,
    /// Which region is in a slot.
    slots: Vec<Option<u32>>,
    taken: usize,
    /// It is being made or warmed: nobody else may use it.
    busy: bool,
    used_at: Instant,
}

impl Segment {
    fn is_idle(&self) -> bool {
        self.taken == 0
    }

    fn cut(&mut self, slot: u64) {
        self.slot = slot;
        self.slots.clear();
        self.slots.resize((self.length / slot) as usize, None);
    }
}

struct Region {
    segment: u32,
    slot: usize,
    held: bool,
    /// Who may not have counted it back yet.
    lent: SmallVec<[Borrower; 2]>,
}

/// See the module.
pub(crate) struct Arena {
    bounds: Bounds,
    /// By number; numbers are not used again.
    segments: BTreeMap<u32, Segment>,
    regions: HashMap<u32, Region>,
    free_words: Vec<u32>,
    /// Words of regions that are lent out and not held.
    lent_out: Vec<u32>,
    /// How often each word was lent to each borrower since it began.
    lent: HashMap<Borrower, HashMap<u32, u32>>,
    next: u32,
    closed: bool,
    tally: Tally,
    water: (f64, Instant),
}

impl Arena {
    pub(crate) fn new(bounds: Bounds, now: Instant) -> Self {
        Self {
            bounds,
            segments: BTreeMap::new(),
            regions: HashMap::new(),
            free_words: (0..WORDS as u32).rev().collect(),
            lent_out: Vec::new(),
            lent: HashMap::new(),
            next: 1,
            closed: false,
            tally: Tally::default(),
            water: (0.0, now),
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Takes room for so many bytes, more than none. Segments that had to go for it are added to
    /// `dropped`, also where it was in vain.
    pub(crate) fn take(
        &mut self,
        bytes: u64,
        now: Instant,
        returned: &impl Returned,
        dropped: &mut Vec<u32>,
    ) -> Result<Taken, Full> {
        if self.closed || bytes > self.bounds.bytes {
            return Err(Full);
        }
        self.settle(now, returned, dropped);
        let slot = bytes.next_power_of_two().max(LEAST_SLOT);
        let (slot, length) =
            if slot < GRANULE { (slot, GRANULE) } else { (slot.max(GRANULE), slot.max(GRANULE)) };
        let needs = if slot < GRANULE { GRANULE } else { bytes.next_multiple_of(GRANULE) };
        let found = self.fitting(slot, length);
        let warm = found.map_or(0, |number| self.segments[&number].warm);
        let grows = needs.saturating_sub(warm);
        let at_limit = |arena: &Self| {
            arena.tally.bytes + arena.tally.elsewhere + grows > arena.bounds.bytes
                || found.is_none() && arena.segments.len() >= arena.bounds.segments
        };
        while at_limit(self) {
            let Some(oldest) = self.oldest_idle(found) else { return Err(Full) };
            self.remove(oldest);
            dropped.push(oldest);
        }
        let Some(word) = self.free_words.pop() else { return Err(Full) };
        let number = found.unwrap_or_else(|| self.add(length, now));
        let Some(segment) = self.segments.get_mut(&number) else { return Err(Full) };
        if segment.is_idle() {
            segment.cut(if length > GRANULE { segment.length } else { slot });
            self.tally.in_use += segment.warm;
        }
        let place = segment.slots.iter().position(Option::is_none).unwrap_or_default();
        segment.slots[place] = Some(word);
        segment.taken += 1;
        segment.used_at = now;
        let warm = (segment.warm, segment.warm + grows);
        segment.warm += grows;
        segment.busy = grows > 0;
        self.tally.bytes += grows;
        self.tally.in_use += grows;
        let count = if found.is_some() { &mut self.tally.reused } else { &mut self.tally.made };
        *count += 1;
        let offset = place as u64 * segment.slot;
        let region = Region { segment: number, slot: place, held: true, lent: SmallVec::new() };
        self.regions.insert(word, region);
        self.raise_water(now);
        self.trim(now, dropped);
        let make = found.is_none().then_some(length);
        Ok(Taken { word, segment: number, offset, make, warm })
    }

    /// What [`Arena::take`] asked for is done; or it cannot be, and the region and its segment are
    /// gone. True: the segment existed, and is to be dropped.
    pub(crate) fn made(&mut self, word: u32, done: bool) -> bool {
        let Some(number) = self.regions.get(&word).map(|region| region.segment) else {
            return false;
        };
        if done {
            if let Some(segment) = self.segments.get_mut(&number) {
                segment.busy = false;
            }
            return false;
        }
        self.regions.remove(&word);
        self.free_words.push(word);
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.taken = 0;
            self.tally.in_use -= segment.warm;
        }
        self.remove(number);
        true
    }

    /// Nobody of this process holds the region any more. A segment that was only kept by it is added
    /// to `dropped`, where the arena is closed.
    pub(crate) fn release(&mut self, word: u32, now: Instant, dropped: &mut Vec<u32>) {
        let Some(region) = self.regions.get_mut(&word) else { return };
        region.held = false;
        match region.lent.is_empty() {
            true => self.free(word, now, dropped),
            false => self.lent_out.push(word),
        }
    }

    /// A region is about to be named to a borrower once more.
    pub(crate) fn lend(&mut self, word: u32, to: Borrower) {
        let Some(region) = self.regions.get_mut(&word) else { return };
        if !region.lent.contains(&to) {
            region.lent.push(to);
        }
        let count = self.lent.entry(to).or_default().entry(word).or_default();
        *count = count.wrapping_add(1);
    }

    /// It was not named to it after all.
    pub(crate) fn take_back(&mut self, word: u32, from: Borrower) {
        if let Some(count) = self.lent.get_mut(&from).and_then(|words| words.get_mut(&word)) {
            *count = count.wrapping_sub(1);
        }
    }

    /// A borrower is no more: whatever it had is back.
    pub(crate) fn reaped(&mut self, borrower: Borrower, now: Instant, dropped: &mut Vec<u32>) {
        self.lent.remove(&borrower);
        for region in self.regions.values_mut() {
            region.lent.retain(|other| *other != borrower);
        }
        self.free_returned(now, dropped);
    }

    /// Looks what was counted back since the last time.
    pub(crate) fn settle(
        &mut self,
        now: Instant,
        returned: &impl Returned,
        dropped: &mut Vec<u32>,
    ) {
        if self.lent_out.is_empty() {
            return;
        }
        for word in &self.lent_out {
            let Some(region) = self.regions.get_mut(word) else { continue };
            region.lent.retain(|borrower| {
                let lent = self.lent.get(borrower).and_then(|words| words.get(word));
                let open = lent.map(|lent| lent.wrapping_sub(returned.returned(*borrower, *word)));
                // One that counts back what it never had harms itself alone.
                open.is_some_and(|open| open as i32 > 0)
            });
        }
        self.free_returned(now, dropped);
    }

    /// A segment of somebody else is to be mapped. False: there is no room for it.
    pub(crate) fn borrow(&mut self, bytes: u64, dropped: &mut Vec<u32>) -> bool {
        let taken = |it: &Self| it.tally.bytes + it.tally.elsewhere;
        while self.bounds.bytes.saturating_sub(taken(self)) < bytes {
            let Some(oldest) = self.oldest_idle(None) else { return false };
            self.remove(oldest);
            dropped.push(oldest);
        }
        self.tally.elsewhere += bytes;
        true
    }

    /// It is mapped no more.
    pub(crate) fn unborrow(&mut self, bytes: u64) {
        self.tally.elsewhere -= bytes;
    }

    /// Drops what has been idle for too long.
    pub(crate) fn trim(&mut self, now: Instant, dropped: &mut Vec<u32>) {
        let water = self.water_at(now);
        let (idle, in_use) = (|it: &Self| it.tally.bytes - it.tally.in_use, self.tally.in_use);
        // As much as was in use a while ago, or half of it beside what is.
        let allowed = (water / 2).max(water.saturating_sub(in_use));
        let allowed = if self.closed { 0 } else { allowed };
        while idle(self) > allowed || self.closed {
            let Some(oldest) = self.oldest_idle(None) else { break };
            self.remove(oldest);
            dropped.push(oldest);
        }
    }

    /// Nothing more is taken, and what is idle or becomes so is dropped.
    pub(crate) fn close(&mut self, now: Instant, dropped: &mut Vec<u32>) {
        self.closed = true;
        self.trim(now, dropped);
    }

    /// A segment for a region of `slot` bytes: one with a free slot of that size, else the shortest
    /// idle one that is long enough and not too long, and of these the warmest.
    fn fitting(&self, slot: u64, length: u64) -> Option<u32> {
        let usable = || self.segments.iter().filter(|(_, segment)| !segment.busy);
        if slot < GRANULE {
            let open = |(_, it): &(&u32, &Segment)| {
                it.slot == slot && it.taken > 0 && it.taken < it.slots.len()
            };
            if let Some((number, _)) = usable().find(open) {
                return Some(*number);
            }
        }
        usable()
            .filter(|(_, it)| it.is_idle() && it.length >= length && it.length / 2 <= length)
            .filter(|(_, it)| slot >= GRANULE || it.length == GRANULE)
            .min_by_key(|(_, it)| (it.length, u64::MAX - it.warm))
            .map(|(number, _)| *number)
    }

    fn oldest_idle(&self, but: Option<u32>) -> Option<u32> {
        let idle =
            self.segments.iter().filter(|(number, it)| it.is_idle() && Some(**number) != but);
        idle.min_by_key(|(_, it)| it.used_at).map(|(number, _)| *number)
    }

    fn add(&mut self, length: u64, now: Instant) -> u32 {
        let number = self.next;
        self.next += 1;
        let segment = Segment {
            length,
            warm: 0,
            slot: length,
            slots: Vec::new(),
            taken: 0,
            busy: true,
            used_at: now,
        };
        self.segments.insert(number, segment);
        self.tally.segments += 1;
        number
    }

    fn remove(&mut self, number: u32) {
        if let Some(segment) = self.segments.remove(&number) {
            self.tally.segments -= 1;
            self.tally.bytes -= segment.warm;
        }
    }

    fn free_returned(&mut self, now: Instant, dropped: &mut Vec<u32>) {
        let words = std::mem::take(&mut self.lent_out);
        for word in words {
            match self.regions.get(&word) {
                Some(region) if region.lent.is_empty() => self.free(word, now, dropped),
                Some(_) => self.lent_out.push(word),
                None => {}
            }
        }
    }

    fn free(&mut self, word: u32, now: Instant, dropped: &mut Vec<u32>) {
        let Some(region) = self.regions.remove(&word) else { return };
        self.free_words.push(word);
        let Some(segment) = self.segments.get_mut(&region.segment) else { return };
        segment.slots[region.slot] = None;
        segment.taken -= 1;
        segment.used_at = now;
        if segment.is_idle() {
            // What is idle now was in use until now.
            let warm = segment.warm;
            self.raise_water(now);
            self.tally.in_use -= warm;
            if self.closed {
                self.trim(now, dropped);
            }
        }
    }

    fn water_at(&self, now: Instant) -> u64 {
        let (mark, at) = self.water;
        let half_lives = now.saturating_duration_since(at).as_secs_f64() / HALF_LIFE.as_secs_f64();
        ((mark * (-half_lives).exp2()) as u64).max(LEAST_WATER).max(self.tally.in_use)
    }

    fn raise_water(&mut self, now: Instant) {
        self.water = (self.water_at(now) as f64, now);
    }
}
