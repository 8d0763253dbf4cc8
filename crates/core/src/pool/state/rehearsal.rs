//! A pool's decisions alone: the real state machine, with workers that answer when told to. No
//! task, no lock, no I/O, and time is passed in, so every run executes the same instructions.
//!
//! For benchmarks that count instructions. Not for embedders.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::{Effect, Limits, NewCall, Said, State, Words};
use crate::call::SessionKey;
use crate::config::Life;
use crate::id::CallId;
use crate::policy::prefetch::Prefetch;
use crate::policy::queue::{Bounds, Queue};
use crate::policy::session as sessions;

/// How long a worker takes for a call: short enough for prefetching at its deepest.
const SERVICE: Duration = Duration::from_micros(5);

/// The calls in each worker; the first is begun, the others can be taken back.
struct Lanes(RefCell<Vec<VecDeque<CallId>>>);

impl Words for Lanes {
    fn revoke(&self, slot: usize, _word: u8, id: CallId) -> bool {
        let lane = &mut self.0.borrow_mut()[slot];
        let waits = lane.len() > 1 && lane.back() == Some(&id);
        if waits {
            lane.pop_back();
        }
        waits
    }

    fn condemn(&self, slot: usize, _word: u8, id: CallId) -> bool {
        self.0.borrow()[slot].front() == Some(&id)
    }

    fn runs(&self, slot: usize, _word: u8, id: CallId) -> bool {
        self.0.borrow()[slot].front() == Some(&id)
    }

    fn untouched(&self, slot: usize, _word: u8, id: CallId) -> bool {
        self.0.borrow()[slot].front() != Some(&id)
    }
}

/// A pool of ready workers.
pub struct Rehearsal {
    state: State<()>,
    lanes: Lanes,
    /// Slots in the order in which their workers answer: one entry a call that was sent.
    turns: VecDeque<usize>,
    now: Instant,
    out: Vec<Effect<()>>,
}

impl Rehearsal {
    /// Every worker is ready and has answered often enough for calls to be prefetched into it.
    pub fn new(workers: usize, now: Instant) -> Self {
        let limits = Limits {
            size: workers,
            capacity: 1,
            max_queue: 1000,
            max_queue_bytes: u64::MAX,
            start_timeout: Duration::from_secs(60),
            grace: Duration::from_secs(2),
            life: Life::default(),
            guards: Default::default(),
            sessions: sessions::Limits { ttl: Some(Duration::from_secs(3600)), max: usize::MAX },
            seed: 0,
        };
        let mut this = Self {
            state: State::new(limits, now),
            lanes: Lanes(RefCell::new(vec![VecDeque::new(); workers])),
            turns: VecDeque::new(),
            now,
            out: Vec::new(),
        };
        this.state.open(&mut this.out);
        this.out.clear();
        for slot in 0..workers {
            let generation = this.state.generation(slot);
            this.state.starting(slot, generation, now, &mut this.out);
            this.state.worker_ready(slot, true, now, &this.lanes, &mut this.out);
        }
        for _ in 0..4 * workers {
            this.submit(None, None);
        }
        while this.answer() {}
        this
    }

    /// Admits a call; it goes to a worker or waits.
    pub fn submit(&mut self, session: Option<&SessionKey>, timeout: Option<Duration>) {
        let new = NewCall {
            job: (),
            session: session.cloned(),
            timeout,
            idempotent: false,
            retry: None,
            bytes: 0,
            place: Default::default(),
            ancestors: None,
        };
        let admitted = self.state.submit(new, None, self.now, &mut self.out);
        debug_assert!(admitted.is_ok(), "more calls than may wait");
        self.send();
    }

    /// The next worker in turn answers the oldest of its calls and is given more. False: none has
    /// any.
    pub fn answer(&mut self) -> bool {
        while let Some(slot) = self.turns.pop_front() {
            let oldest = self.lanes.0.borrow_mut()[slot].pop_front();
            let Some(id) = oldest else { continue }; // it was taken back
            self.now += SERVICE;
            self.state.progressed(slot, 1, self.now, &mut self.out);
            let job = self.state.answered(slot, id, Said::Value, self.now, &mut self.out);
            debug_assert_eq!(job, Ok(Some(())), "a call that is wanted");
            self.state.fill(slot, self.now, &self.lanes, &mut self.out);
            self.send();
            return true;
        }
        false
    }

    fn send(&mut self) {
        for effect in self.out.drain(..) {
            if let Effect::Send { slot, id, .. } = effect {
                self.lanes.0.borrow_mut()[slot].push_back(id);
                self.turns.push_back(slot);
            }
        }
    }
}

/// Puts `calls` into a queue of `slots`, every fourth for one slot only, and takes them out again.
/// How many came out.
pub fn queue(slots: usize, calls: u64) -> usize {
    let mut queue = Queue::new(slots, Bounds { calls: usize::MAX, bytes: u64::MAX });
    for call in 0..calls {
        let pinned = (call % 4 == 0).then_some(call as usize % slots);
        queue.put(CallId::new(call, 0), 0, pinned);
    }
    (0..slots)
        .cycle()
        .map_while(|slot| (queue.len() > 0).then(|| queue.pop(slot)))
        .flatten()
        .count()
}

/// Observes `answers` that came singly, `each` apart, and asks after each how many calls may be in
/// the worker. The sum.
pub fn prefetch(answers: usize, each: Duration) -> usize {
    let mut prefetch = Prefetch::new(true);
    let asked = (0..answers).map(|_| {
        prefetch.observe(each, 1);
        prefetch.capacity()
    });
    asked.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_answered_whatever_is_in_flight() {
        for workers in [1, 8, 64] {
            let mut pool = Rehearsal::new(workers, Instant::now());
            for _ in 0..64 {
                pool.submit(None, None);
            }
            for _ in 0..1000 {
                assert!(pool.answer());
                pool.submit(None, None);
            }
            while pool.answer() {}
            assert!(pool.state.is_idle(), "{workers} workers");
            assert_eq!(pool.state.counters().completed, 4 * workers as u64 + 1064);
        }
    }

    #[test]
    fn what_went_into_the_queue_comes_out() {
        assert_eq!(queue(8, 1000), 1000);
    }
}
