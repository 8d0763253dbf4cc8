//! The host tools that each worker has asked for and that have not been answered.
//!
//! ```text
//! CallHostTool ──▶ under way ──answered, cancelled, its call ended, its worker gone──▶ (forgotten)
//! ```
//!
//! Whatever comes first ends it, and only that is told to the worker. A worker numbers its host tools
//! itself, and another generation begins anew: so each one has a serial of the host's own beside it,
//! and a late answer to one that is long forgotten finds nothing.

use std::collections::BTreeMap;

use crate::id::CallId;

/// Host tools that may be under way of one worker.
pub(crate) const LIMIT: usize = 256;

/// Why a worker may not ask for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    /// One with that number is under way.
    Twice,
    /// More than [`LIMIT`] would be.
    Number,
    /// Their arguments would take more than they may together.
    Bytes,
}

/// What is under way, by slot and by the worker's number for it.
#[derive(Debug)]
pub(crate) struct HostCalls<T> {
    slots: Vec<Asked<T>>,
    max_bytes: u64,
    serial: u64,
    len: usize,
}

#[derive(Debug)]
struct Asked<T> {
    calls: BTreeMap<u64, Entry<T>>,
    bytes: u64,
}

#[derive(Debug)]
struct Entry<T> {
    serial: u64,
    call: CallId,
    bytes: u64,
    task: T,
}

impl<T> HostCalls<T> {
    pub(crate) fn new(slots: usize, max_bytes: u64) -> Self {
        let slots = (0..slots).map(|_| Asked { calls: BTreeMap::new(), bytes: 0 }).collect();
        Self { slots, max_bytes, serial: 0, len: 0 }
    }

    /// How many are under way in all.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// A worker asks for one on behalf of `call`; `make` is given its serial.
    ///
    /// # Errors
    /// No honest worker asks for that.
    pub(crate) fn begin(
        &mut self,
        slot: usize,
        id: u64,
        call: CallId,
        bytes: u64,
        make: impl FnOnce(u64) -> T,
    ) -> Result<&T, Excess> {
        let asked = &mut self.slots[slot];
        if asked.calls.contains_key(&id) {
            return Err(Excess::Twice);
        }
        if asked.calls.len() >= LIMIT {
            return Err(Excess::Number);
        }
        if !asked.calls.is_empty() && asked.bytes.saturating_add(bytes) > self.max_bytes {
            return Err(Excess::Bytes);
        }
        asked.bytes += bytes;
        self.serial += 1;
        self.len += 1;
        let serial = self.serial;
        let entry = Entry { serial, call, bytes, task: make(serial) };
        Ok(&asked.calls.entry(id).or_insert(entry).task)
    }

    /// What is known of one that is under way.
    pub(crate) fn get(&self, slot: usize, id: u64) -> Option<&T> {
        self.slots[slot].calls.get(&id).map(|entry| &entry.task)
    }

    /// One of that serial has an answer. None: something else ended it before.
    pub(crate) fn answered(&mut self, slot: usize, id: u64, serial: u64) -> Option<T> {
        let entry = self.slots[slot].calls.get(&id)?;
        (entry.serial == serial).then(|| self.take(slot, id)).flatten()
    }

    /// The worker takes one back.
    pub(crate) fn cancel(&mut self, slot: usize, id: u64) -> Option<T> {
        self.take(slot, id)
    }

    /// A call has ended, or nobody waits for it any more: so nobody waits for its host tools.
    pub(crate) fn end_of(&mut self, slot: usize, call: CallId) -> Vec<T> {
        let of_it = |entry: &Entry<T>| entry.call == call;
        let ids: Vec<u64> = self.slots[slot]
            .calls
            .iter()
            .filter_map(|(&id, entry)| of_it(entry).then_some(id))
            .collect();
        ids.into_iter().filter_map(|id| self.take(slot, id)).collect()
    }

    /// A worker is gone.
    pub(crate) fn clear(&mut self, slot: usize) -> Vec<T> {
        let asked = &mut self.slots[slot];
        asked.bytes = 0;
        let calls = std::mem::take(&mut asked.calls);
        self.len -= calls.len();
        calls.into_values().map(|entry| entry.task).collect()
    }

    fn take(&mut self, slot: usize, id: u64) -> Option<T> {
        let asked = &mut self.slots[slot];
        let entry = asked.calls.remove(&id)?;
        asked.bytes -= entry.bytes;
        self.len -= 1;
        Some(entry.task)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn call(number: u64) -> CallId {
        CallId::new(number, 0)
    }

    #[test]
    fn a_late_answer_finds_nothing() {
        let mut calls = HostCalls::new(1, 100);
        let serial = *calls.begin(0, 7, call(1), 0, |serial| serial).expect("room");
        assert_eq!(calls.clear(0), [serial]);
        let again = *calls.begin(0, 7, call(2), 0, |serial| serial).expect("another generation");
        assert_eq!(calls.answered(0, 7, serial), None);
        assert_eq!(calls.answered(0, 7, again), Some(again));
    }

    #[test]
    fn a_flood_is_no_honest_worker_s() {
        let mut calls = HostCalls::new(1, 100);
        calls.begin(0, 0, call(1), 1000, |_| ()).expect("one may always be asked for");
        assert_eq!(calls.begin(0, 0, call(1), 0, |_| ()), Err(Excess::Twice));
        assert_eq!(calls.begin(0, 1, call(1), 1, |_| ()), Err(Excess::Bytes));
        calls.clear(0);
        assert!((0..LIMIT as u64).all(|id| calls.begin(0, id, call(1), 0, |_| ()).is_ok()));
        assert_eq!(calls.begin(0, 999, call(1), 0, |_| ()), Err(Excess::Number));
        assert_eq!(calls.end_of(0, call(1)).len(), LIMIT);
        calls.begin(0, 999, call(1), 0, |_| ()).expect("room again");
    }

    proptest! {
        /// Each one that began ends once, whatever ends it, and the counts are true.
        #[test]
        fn each_ends_once(
            ops in prop::collection::vec((0u8..5, 0usize..2, 0u64..6, 1u64..4, 0u64..60), 0..200),
        ) {
            let mut calls = HostCalls::new(2, 100);
            let mut model = std::collections::BTreeMap::new();
            for (op, slot, id, number, bytes) in ops {
                let of_slot = |model: &std::collections::BTreeMap<(usize, u64), (u64, u64, u64)>| {
                    model.range((slot, 0)..=(slot, u64::MAX)).map(|(_, entry)| entry.2).sum::<u64>()
                };
                match op {
                    0 | 1 => {
                        let busy = of_slot(&model);
                        let any = model.keys().any(|(at, _)| *at == slot);
                        let fits = !any || busy + bytes <= 100;
                        let began = calls.begin(slot, id, call(number), bytes, |serial| serial);
                        prop_assert_eq!(began.is_ok(), fits && !model.contains_key(&(slot, id)));
                        if let Ok(&serial) = began {
                            model.insert((slot, id), (serial, number, bytes));
                        }
                    }
                    2 => {
                        let serial = model.get(&(slot, id)).map_or(u64::MAX, |entry| entry.0);
                        let answered = calls.answered(slot, id, serial);
                        prop_assert_eq!(answered, model.remove(&(slot, id)).map(|entry| entry.0));
                    }
                    3 => {
                        let ended = calls.end_of(slot, call(number));
                        let before = model.len();
                        model.retain(|key, entry| key.0 != slot || entry.1 != number);
                        prop_assert_eq!(ended.len(), before - model.len());
                    }
                    _ => {
                        let taken = calls.cancel(slot, id);
                        prop_assert_eq!(taken, model.remove(&(slot, id)).map(|entry| entry.0));
                    }
                }
                prop_assert_eq!(calls.len(), model.len());
                prop_assert_eq!(calls.slots[slot].bytes, of_slot(&model));
            }
        }
    }
}
