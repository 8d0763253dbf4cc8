//! What a reader takes of all lanes at once.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use smallvec::SmallVec;

use super::lanes::LANES;
use super::plain::Plain;
use super::reader::Reader;
use super::told::Told;
use super::{Event, Interest};

/// A queue keeps memory for so many events from one batch to the next, the batch for twice as many.
const KEPT: usize = 1024;

/// One queue for each lane.
pub(super) type Queues = [VecDeque<Told>; LANES];

/// Empty queues, to be filled while a batch is read: those of the lanes, and one for the batch itself.
#[derive(Default)]
pub(super) struct Spare {
    pub(super) lanes: Queues,
    batch: Vec<Told>,
}

/// Events, oldest first; those of one thread in the order in which it told them.
pub struct Batch {
    reader: Arc<Reader>,
    spare: Spare,
    /// So many were read. They stay until the end: whoever reads may hold up others, whoever lets go of
    /// a batch need not.
    read: usize,
    /// Nanoseconds from the epoch to when the lanes were made.
    origin: u64,
}

impl Batch {
    /// Of what is in the lanes' queues. Whoever reads it may hold up others then; here it does not.
    /// Returns how many were too many as well: each queue has as much room as all are to have.
    pub(super) fn new(reader: Arc<Reader>, mut spare: Spare, origin: u64) -> (Self, u64) {
        let Spare { lanes, batch } = &mut spare;
        batch.reserve(lanes.iter().map(VecDeque::len).sum());
        let mut filled: SmallVec<[_; LANES]> =
            lanes.iter_mut().filter(|queue| !queue.is_empty()).collect();
        while filled.len() > 1 {
            let first = |queue: &VecDeque<Told>| queue.front().map(|told| told.at);
            let oldest = (1..filled.len()).fold(0, |oldest, next| {
                if first(filled[next]) < first(filled[oldest]) { next } else { oldest }
            });
            if let Some(told) = filled[oldest].pop_front() {
                batch.push(told);
            }
            if filled[oldest].is_empty() {
                filled.remove(oldest);
            }
        }
        batch.extend(filled.into_iter().flat_map(|queue| queue.drain(..)));
        let read = batch.len().saturating_sub(reader.room);
        reader.has_missed(read as u64);
        (Self { reader, spare, read, origin }, read as u64)
    }

    /// One more, younger than the others.
    pub(super) fn add(&mut self, event: Event) {
        self.spare.batch.push(Told::other(u64::MAX, event));
    }

    #[inline]
    fn front(&self) -> Option<&Told> {
        self.spare.batch.get(self.read)
    }

    /// What the next one is, by whom wants it.
    #[must_use]
    #[inline]
    pub fn next_kind(&self) -> Option<Interest> {
        self.front().map(Told::kind)
    }

    /// What the next one is called.
    #[must_use]
    pub fn next_name(&self) -> Option<Cow<'static, str>> {
        self.front().map(Told::name)
    }

    /// The next one, where it is a plain one; may be None for any, and then [`Batch::next`] has it.
    #[must_use]
    #[inline]
    pub fn next_plain(&self) -> Option<Plain<'_>> {
        self.front()?.plain(self.origin)
    }

    /// Goes on without the next one.
    #[inline]
    pub fn skip_next(&mut self) {
        self.read += 1;
    }
}

impl Iterator for Batch {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let told = self.spare.batch.get_mut(self.read)?;
        self.read += 1;
        Some(told.take().into_event(self.origin))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.spare.batch.len().saturating_sub(self.read);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Batch {}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").field("left", &self.len()).finish_non_exhaustive()
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let mut spare = std::mem::take(&mut self.spare);
        for queue in &mut spare.lanes {
            queue.clear();
            queue.shrink_to(KEPT);
        }
        spare.batch.clear();
        spare.batch.shrink_to(2 * KEPT);
        self.reader.has_read(spare);
    }
}
