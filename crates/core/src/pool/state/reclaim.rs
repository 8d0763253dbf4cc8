//! Calls that come back from a worker which had not begun them, for another one to run.

use std::ops::Range;

use tokio::time::Instant;

use super::slot::UNAVAILABLE;
use super::{Effect, Place, State, Words};
use crate::id::CallId;
use crate::policy::prefetch;

impl<J> State<J> {
    /// Takes back what waits behind long calls, so that it keeps its turn. How many calls.
    pub(super) fn relieve_held_up(&mut self, now: Instant, words: &impl Words) -> usize {
        let mut taken = 0;
        let waiting = self.loads_that_wait();
        // Mostly none, and this loop the processor does for several slots at a time.
        if !self.loads.iter().fold(false, |any, load| any | waiting.contains(load)) {
            return 0;
        }
        for slot in 0..self.slots.len() {
            if waiting.contains(&self.loads[slot]) && prefetch::held_up(self.slots[slot].since, now)
            {
                taken += self.take_back(slot, usize::MAX, words);
            }
        }
        taken
    }

    /// Moves half of what waits in another worker, the fullest first, back to the queue, yet no
    /// more than `slot` may have. False: nothing can be moved.
    pub(super) fn take_over(&mut self, slot: usize, words: &impl Words) -> bool {
        let loads_that_wait = self.loads_that_wait();
        let loads = self.loads.iter().enumerate();
        let waiting = loads.filter(|(_, load)| loads_that_wait.contains(load));
        let Some((fullest, _)) = waiting.max_by_key(|(_, load)| **load) else { return false };
        let room = self.slots[slot].prefetch.capacity();
        for from in std::iter::once(fullest).chain(0..self.loads.len()) {
            let load = self.loads[from];
            if loads_that_wait.contains(&load) {
                let half = load as usize / 2;
                if self.take_back(from, half.min(room), words) > 0 {
                    return true;
                }
            }
        }
        false
    }

    /// Of a worker in which calls wait. Asked once for all slots: each dispatch looks at them.
    fn loads_that_wait(&self) -> Range<u32> {
        self.limits.capacity as u32 + 1..UNAVAILABLE
    }

    /// A call that ends now was taken back from its worker: it has not begun.
    pub(super) fn came_back(&mut self, id: CallId) {
        if let Some(call) = self.table.get_mut(id) {
            call.place = Place::Queued(None);
        }
    }

    /// Takes up to `most` calls that any worker may run back from `slot`, the last sent first, but
    /// for its next one.
    pub(super) fn take_back(&mut self, slot: usize, most: usize, words: &impl Words) -> usize {
        self.take_back_behind(slot, 1, most, words)
    }

    /// A slot gets no more calls: others run what its worker has certainly not begun, but for its
    /// first `kept`.
    pub(super) fn withdraw(
        &mut self,
        slot: usize,
        kept: usize,
        now: Instant,
        words: &impl Words,
        out: &mut Vec<Effect<J>>,
    ) {
        self.loads[slot] = UNAVAILABLE;
        let taken = self.take_back_behind(slot, kept, usize::MAX, words);
        // Whoever is the last that can serve gets what waits, trusted or not.
        if taken > 0 || !self.guards.are_clear() {
            self.spread(now, out);
        }
    }

    /// As [`Self::take_back`], but for the first `kept`.
    pub(super) fn take_back_behind(
        &mut self,
        slot: usize,
        kept: usize,
        most: usize,
        words: &impl Words,
    ) -> usize {
        let mut taken = 0;
        for at in (kept..self.slots[slot].lane.len()).rev() {
            if taken == most {
                break;
            }
            let id = self.slots[slot].lane[at];
            let Some(call) = self.table.get_mut(id) else { continue };
            let strict = call.session.as_ref().is_some_and(|key| key.affinity.is_strict());
            let Place::Sent { word: Some(word), .. } = call.place else { continue };
            if strict || call.job.is_none() || !words.revoke(slot, word, id) {
                continue;
            }
            self.leave(slot, id, Some(word));
            self.requeue(id);
            taken += 1;
        }
        taken
    }
}
