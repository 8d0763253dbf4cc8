//! The waiting calls: one shared lane, and one lane a slot for calls that only that slot may run.
//!
//! ```text
//! shared   #4 #7 #9          next for slot 0: #2 (pinned), then #4
//! slot 0   #2 #8             next for slot 1: #4
//! slot 1   (empty)
//! ```
//!
//! Whatever the lane, the call that was admitted first goes first; a call that comes back from a
//! dead worker keeps its place. It is bounded in calls and in the bytes of their arguments; calls that
//! rest before they are tried again are in no lane, and count against both bounds all the same. It
//! holds numbers only: whoever takes a call out looks it up anyway, and says how many bytes have left.

use std::collections::VecDeque;

use crate::id::CallId;

/// Which calls wait, in order of admission.
#[derive(Debug)]
pub(crate) struct Queue {
    shared: VecDeque<CallId>,
    pinned: Vec<VecDeque<CallId>>,
    /// Calls in the lanes.
    len: usize,
    /// Calls that rest outside of them.
    resting: usize,
    /// Of both.
    bytes: u64,
    bounds: Bounds,
}

/// How much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) calls: usize,
    pub(crate) bytes: u64,
}

/// Where a call waits.
pub(crate) type Lane = Option<usize>;

impl Queue {
    pub(crate) fn new(slots: usize, bounds: Bounds) -> Self {
        Self {
            shared: VecDeque::new(),
            pinned: (0..slots).map(|_| VecDeque::new()).collect(),
            len: 0,
            resting: 0,
            bytes: 0,
            bounds,
        }
    }

    /// Calls in the lanes: they could run now.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Calls that rest before they are tried again.
    pub(crate) fn resting(&self) -> usize {
        self.resting
    }

    /// Calls that wait, for a worker or for their next try.
    pub(crate) fn waiting(&self) -> usize {
        self.len + self.resting
    }

    /// Bytes of what waits.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether one more call may wait. Where nothing does, its size is no matter: else it never
    /// could.
    pub(crate) fn has_room(&self, bytes: u32) -> bool {
        let within = || self.bytes + u64::from(bytes) <= self.bounds.bytes;
        self.waiting() < self.bounds.calls && (self.bytes == 0 || within())
    }

    pub(crate) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Adds a call in its place by admission; never refuses, since calls that come back from a
    /// worker were admitted once.
    pub(crate) fn put(&mut self, id: CallId, bytes: u32, lane: Lane) {
        let lane = self.lane_mut(lane);
        let at = match lane.back() {
            Some(last) if *last > id => lane.partition_point(|other| *other < id),
            _ => lane.len(),
        };
        lane.insert(at, id);
        self.len += 1;
        self.bytes += u64::from(bytes);
    }

    /// A call of so many bytes was taken out; owed after each one.
    pub(crate) fn release(&mut self, bytes: u32) {
        self.bytes -= u64::from(bytes);
    }

    /// A call of so many bytes rests from now on; never refused, as above.
    pub(crate) fn rest(&mut self, bytes: u32) {
        self.resting += 1;
        self.bytes += u64::from(bytes);
    }

    /// It rests no longer.
    pub(crate) fn wake(&mut self, bytes: u32) {
        self.resting -= 1;
        self.release(bytes);
    }

    /// Removes a call that its caller gave up. True: it was there.
    pub(crate) fn remove(&mut self, id: CallId, lane: Lane) -> bool {
        let lane = self.lane_mut(lane);
        let Ok(at) = lane.binary_search(&id) else { return false };
        lane.remove(at);
        self.len -= 1;
        true
    }

    /// The call that `slot` should run next.
    pub(crate) fn pop(&mut self, slot: usize) -> Option<CallId> {
        let pinned = &mut self.pinned[slot];
        let next = match (self.shared.front(), pinned.front()) {
            (Some(shared), Some(own)) if own < shared => pinned.pop_front(),
            (Some(_), _) => self.shared.pop_front(),
            (None, _) => pinned.pop_front(),
        };
        self.len -= usize::from(next.is_some());
        next
    }

    /// The next call that only `slot` may run.
    pub(crate) fn pop_pinned(&mut self, slot: usize) -> Option<CallId> {
        let next = self.pinned[slot].pop_front();
        self.len -= usize::from(next.is_some());
        next
    }

    pub(crate) fn has_pinned(&self, slot: usize) -> bool {
        !self.pinned[slot].is_empty()
    }

    /// The oldest call that any slot may run.
    pub(crate) fn shared_front(&self) -> Option<CallId> {
        self.shared.front().copied()
    }

    /// Empties the lane of a slot whose worker is gone.
    pub(crate) fn take_pinned(&mut self, slot: usize) -> Vec<CallId> {
        std::iter::from_fn(|| self.pop_pinned(slot)).collect()
    }

    /// Empties every lane, oldest call first; no bytes are owed, by those that rest neither.
    pub(crate) fn take_all(&mut self) -> Vec<CallId> {
        let lanes = std::iter::once(&mut self.shared).chain(&mut self.pinned);
        let mut all: Vec<_> = lanes.flat_map(|lane| lane.drain(..)).collect();
        all.sort_unstable();
        (self.len, self.resting, self.bytes) = (0, 0, 0);
        all
    }

    fn lane_mut(&mut self, lane: Lane) -> &mut VecDeque<CallId> {
        match lane {
            Some(slot) => &mut self.pinned[slot],
            None => &mut self.shared,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(sequence: u64) -> CallId {
        CallId::new(sequence, 0)
    }

    fn queue(slots: usize) -> Queue {
        Queue::new(slots, Bounds { calls: 10, bytes: 100 })
    }

    #[test]
    fn the_call_admitted_first_goes_first_whatever_its_lane() {
        let mut queue = queue(2);
        queue.put(id(1), 1, None);
        queue.put(id(2), 1, Some(0));
        queue.put(id(3), 1, None);
        assert_eq!(queue.pop(1), Some(id(1)));
        assert_eq!(queue.pop(0), Some(id(2)));
        assert_eq!(queue.pop(0), Some(id(3)));
        assert_eq!(queue.pop(0), None);
    }

    #[test]
    fn a_call_that_comes_back_keeps_its_place() {
        let mut queue = queue(1);
        for n in 1..=3 {
            queue.put(id(n), 1, None);
        }
        let first = queue.pop(0).expect("just put");
        queue.put(first, 1, None);
        assert_eq!(queue.pop(0), Some(id(1)));
    }

    #[test]
    fn it_is_full_of_calls_or_of_bytes_and_one_call_may_always_wait() {
        let mut queue = queue(1);
        assert!(queue.has_room(1000), "else this call could never wait");
        queue.put(id(1), 60, None);
        assert!(queue.has_room(40) && !queue.has_room(41));
        (2..=10).for_each(|n| queue.put(id(n), 1, Some(0)));
        assert!(!queue.has_room(0), "ten calls");
        queue.take_pinned(0).iter().for_each(|_| queue.release(1));
        assert!(queue.has_room(40));
    }

    #[test]
    fn calls_that_rest_take_room_and_no_turn() {
        let mut queue = queue(1);
        queue.rest(60);
        assert_eq!((queue.len(), queue.waiting(), queue.pop(0)), (0, 1, None));
        assert!(queue.has_room(40) && !queue.has_room(41), "its bytes");
        (0..9).for_each(|_| queue.rest(0));
        assert!(!queue.has_room(0), "ten calls");
        queue.wake(60);
        assert!(queue.has_room(100));
        assert!(queue.take_all().is_empty());
        assert_eq!((queue.resting(), queue.bytes()), (0, 0));
    }

    proptest! {
        /// Whatever is put, removed, popped and rests: nothing is lost, nothing comes twice, and
        /// what waits is bounded by what all of it is.
        #[test]
        fn nothing_is_lost(ops in prop::collection::vec((0u8..6, 0u64..40, 0usize..3), 0..200)) {
            let mut queue = queue(3);
            let mut model: std::collections::BTreeMap<u64, Lane> = Default::default();
            let mut resting = Vec::new();
            for (op, n, slot) in ops {
                let lane = (slot > 0).then_some(slot);
                match op {
                    0 | 1 if !model.contains_key(&n) => {
                        queue.put(id(n), n as u32, lane);
                        model.insert(n, lane);
                    }
                    2 => {
                        let was = model.get(&n).copied();
                        let removed = queue.remove(id(n), was.unwrap_or(None));
                        prop_assert_eq!(removed, was.is_some());
                        model.remove(&n).inspect(|_| queue.release(n as u32));
                    }
                    3 => {
                        let want = model
                            .iter()
                            .find(|(_, lane)| lane.is_none_or(|l| l == slot))
                            .map(|(n, _)| *n);
                        prop_assert_eq!(queue.pop(slot), want.map(id));
                        want.map(|n| model.remove(&n).inspect(|_| queue.release(n as u32)));
                    }
                    4 => {
                        queue.rest(n as u32);
                        resting.push(n);
                    }
                    5 if !resting.is_empty() => {
                        queue.wake(resting.swap_remove(n as usize % resting.len()) as u32);
                    }
                    _ => {}
                }
                prop_assert_eq!(queue.len(), model.len());
                let bytes = model.keys().chain(&resting).sum::<u64>();
                prop_assert_eq!(queue.bytes(), bytes);
                let waiting = model.len() + resting.len();
                let room = waiting < 10 && (bytes == 0 || bytes + n <= 100);
                prop_assert_eq!(queue.has_room(n as u32), room);
            }
        }
    }
}
