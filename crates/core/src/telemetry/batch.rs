//! What a reader takes of all lanes at once.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Event;
use super::heard::Heard;
use super::lanes::LANES;
use super::reader::Reader;
use super::told::Told;
use smallvec::SmallVec;

/// Queues keep memory for so many events from one batch to the next.
const KEPT: usize = 1024;

/// One queue for each lane.
pub(super) type Queues = [VecDeque<Told>; LANES];

/// Events, oldest first; those of one thread in the order in which it told them.
pub struct Batch {
    reader: Arc<Reader>,
    queues: Queues,
    /// Those that were not empty, mostly two.
    filled: SmallVec<[usize; LANES]>,
    left: usize,
    /// Nanoseconds from the epoch to when the lanes were made.
    origin: u64,
}

impl Batch {
    pub(super) fn new(reader: Arc<Reader>, queues: Queues, origin: u64) -> Self {
        let filled = (0..LANES).filter(|&lane| !queues[lane].is_empty()).collect();
        let left = queues.iter().map(VecDeque::len).sum();
        Self { reader, queues, filled, left, origin }
    }

    /// One more, younger than the others.
    pub(super) fn add(&mut self, event: Event) {
        let last = self.filled.last().copied().unwrap_or_default();
        if self.filled.is_empty() {
            self.filled.push(last);
        }
        self.queues[last].push_back(Told::other(u64::MAX, event));
        self.left += 1;
    }

    /// As the iterator's next one, before it is made an [`Event`].
    #[inline]
    pub fn next_heard(&mut self) -> Option<Heard> {
        let told = self.queues[self.oldest()?].pop_front()?;
        self.left -= 1;
        Some(told.heard(self.origin))
    }

    #[inline]
    fn oldest(&self) -> Option<usize> {
        let front = |&lane: &usize| Some((self.queues[lane].front()?.at, lane));
        self.filled.iter().filter_map(front).min().map(|(_, lane)| lane)
    }
}

impl Iterator for Batch {
    type Item = Event;

    #[inline]
    fn next(&mut self) -> Option<Event> {
        self.next_heard().map(Heard::into_event)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Batch {}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").field("left", &self.left).finish_non_exhaustive()
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let mut queues = std::mem::take(&mut self.queues);
        for queue in &mut queues {
            queue.clear();
            queue.shrink_to(KEPT);
        }
        self.reader.has_read(queues);
    }
}
