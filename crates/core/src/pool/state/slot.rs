//! One slot: the life of the workers that fill it, and what is in the present one. The phases of that
//! life are drawn in `phase`.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

pub(super) use super::phase::Phase;
use super::standing::{Role, Standing};
use super::{Door, Effect, End, Fallen, Limits, Place, State, Words};
use crate::call::Resident;
use crate::error::{Cause, Recycled};
use crate::id::CallId;
use crate::policy::prefetch::{self, Prefetch};
use crate::policy::restart::{Next, Restart};

/// The load of a slot that takes no calls.
pub(super) const UNAVAILABLE: u32 = u32::MAX;

/// Words a worker shares with the host; more than it can ever use at once.
const WORDS: u32 = 64;

/// Answered calls that a slot remembers.
const RECENT: usize = 8;

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) generation: u64,
    pub(super) phase: Phase,
    /// Its start budget is spent.
    pub(super) degraded: bool,
    /// Calls in the worker, in the order in which they were sent.
    pub(super) lane: VecDeque<CallId>,
    pub(super) prefetch: Prefetch,
    /// Calls that the worker runs at once.
    pub(super) capacity: usize,
    /// Last sign of progress: an answer, or work given while idle.
    pub(super) since: Instant,
    /// What each of the calls took that it answered last.
    pub(super) each: Duration,
    pub(super) answered: u64,
    /// The last calls that it answered, by their number: some, so that a second answer can be told
    /// from one to a call that it never had.
    recent: [CallId; RECENT],
    pub(super) restart: Restart,
    pub(super) standing: Standing,
    /// Bit n: word n is free. None is where the worker does not honour them.
    words: u64,
}

impl Slot {
    pub(super) fn new(place: usize, limits: &Limits, now: Instant) -> Self {
        let (budget, retry) = (limits.life.max_failed_starts, limits.life.degraded_retry);
        Self {
            generation: 0,
            phase: Phase::Empty,
            degraded: false,
            lane: VecDeque::new(),
            prefetch: Prefetch::new(false),
            capacity: limits.capacity,
            since: now,
            each: Duration::ZERO,
            answered: 0,
            recent: [CallId::NONE; RECENT],
            restart: Restart::new(limits.start_timeout, budget, retry, now),
            standing: Standing::new(place, limits.size, now),
            words: 0,
        }
    }

    /// The worker is something else from now on.
    pub(super) fn enter(&mut self, phase: Phase, now: Instant) {
        (self.phase, self.standing.changed) = (phase, now);
    }

    /// The worker that is in it, which is the one of `slot`.
    pub(super) fn resident(&self, slot: usize) -> Resident {
        Resident { slot, number: self.standing.number, generation: self.generation }
    }

    /// The host kills the worker.
    pub(super) fn condemn(&mut self, why: Cause, now: Instant) {
        self.enter(Phase::Condemned, now);
        self.standing.condemned = Some(why);
    }

    /// What a session is told that lived in its worker.
    pub(super) fn loss(&self) -> &'static str {
        match self.phase {
            Phase::Condemned if self.standing.condemned == Some(Cause::Stall) => {
                "its worker was killed: it had been stalled for too long"
            }
            phase => phase.loss(),
        }
    }

    /// Whether one more call may be sent.
    pub(super) fn has_room(&self, now: Instant) -> bool {
        let load = self.lane.len();
        load < self.capacity
            || load < self.prefetch.capacity() && !prefetch::held_up(self.since, now)
    }

    /// Whether a call that is sent now begins at once.
    pub(super) fn is_free(&self) -> bool {
        self.lane.len() < self.capacity
    }

    pub(super) fn take_word(&mut self) -> Option<u8> {
        let word = self.words.trailing_zeros();
        (word < WORDS).then(|| {
            self.words &= !(1 << word);
            word as u8
        })
    }

    /// The worker answered a call.
    pub(super) fn note_answer(&mut self, id: CallId) {
        self.recent[self.answered as usize % RECENT] = id;
        self.answered += 1;
    }

    /// Whether this worker answered the call, as far as that is remembered.
    pub(super) fn has_answered(&self, id: CallId) -> bool {
        id != CallId::NONE && self.recent.contains(&id)
    }

    pub(super) fn free_word(&mut self, word: Option<u8>) {
        if let Some(word) = word {
            self.words |= 1 << word;
        }
    }
}

impl<J> State<J> {
    /// A worker can be started. None: it is not wanted any more, or not yet: then its start is asked
    /// for again. Else when it must be ready.
    pub(crate) fn starting(
        &mut self,
        slot: usize,
        generation: u64,
        now: Instant,
        out: &mut Vec<Effect<J>>,
    ) -> Option<Instant> {
        if self.door == Door::Closed || self.slots[slot].generation != generation {
            return None;
        }
        if !self.startup.may_start(slot) {
            self.start_next(now, out);
            return None;
        }
        let it = &mut self.slots[slot];
        it.enter(Phase::Starting, now);
        Some(it.restart.limit(now))
    }

    /// The worker attached and its adapter is initialized. `revocable`: it honours words.
    pub(crate) fn worker_ready(
        &mut self,
        slot: usize,
        revocable: bool,
        now: Instant,
        words: &impl Words,
        out: &mut Vec<Effect<J>>,
    ) {
        let it = &mut self.slots[slot];
        it.restart.ready();
        // Where it runs several at once, another worker would begin what waits in it sooner.
        it.prefetch = Prefetch::new(revocable && it.capacity == 1);
        it.words = if revocable { u64::MAX } else { 0 };
        (it.degraded, it.since, it.answered) = (false, now, 0);
        it.recent = [CallId::NONE; RECENT];
        self.start_is_through(slot, now, out);
        let it = &mut self.slots[slot];
        if it.phase == Phase::Stopping {
            return; // It was told to stop while it started.
        }
        it.phase = Phase::Ready;
        self.loads[slot] = 0;
        self.begin_life(slot, now, words, out);
        self.fill(slot, now, words, out);
    }

    /// The worker's process is gone and its line is read to the end. `permanent`: it failed to
    /// start in a way that trying again cannot mend.
    pub(crate) fn worker_gone(
        &mut self,
        slot: usize,
        permanent: bool,
        now: Instant,
        words: &impl Words,
        out: &mut Vec<Effect<J>>,
    ) {
        let it = &mut self.slots[slot];
        let phase = it.phase;
        // One that was leaving and was not told to go yet died like any other.
        let cause = if phase.is_leaving() { Phase::Ready.loss() } else { it.loss() };
        let under = it.resident(slot);
        let condemned = it.standing.condemned.take();
        it.phase = Phase::Empty;
        it.standing.end_life(now);
        self.loads[slot] = UNAVAILABLE;
        let lane: Vec<_> = std::mem::take(&mut it.lane)
            .into_iter()
            .map(|id| (id, self.is_untouched(id, slot, words)))
            .collect();
        let unbegun = self.unbegun_sessions(slot, &lane);
        self.evict_sessions(slot, cause, &unbegun, out);
        for (id, untouched) in lane {
            if self.loses_nothing(id, &unbegun) {
                self.requeue(id);
            } else {
                self.orphan(id, untouched, under, cause, now, out);
            }
        }
        for id in self.queue.take_pinned(slot) {
            self.release(id);
            if self.loses_nothing(id, &unbegun) {
                self.requeue(id);
            } else {
                self.session_lost(id, under, cause, now, out);
            }
        }
        self.start_is_through(slot, now, out);
        if self.door == Door::Closed {
            return;
        }
        if phase.serves() || matches!(phase, Phase::Condemned | Phase::Outlawed) {
            self.counters.worker_deaths += 1;
            self.fell(slot, condemned, now, out);
        } else if phase == Phase::Stopping {
            self.renew(slot, out);
        }
        if self.is_replaced(slot, out) {
            self.give_up_hope(now, out);
            return self.spread(now, out);
        }
        let it = &mut self.slots[slot];
        let next = match phase {
            Phase::Empty | Phase::Starting => it.restart.failed(permanent, now),
            _ => {
                let leaving = phase.is_leaving() || phase == Phase::Stopping;
                // That a caller lost interest is no sign of a worker that is of no use.
                let wanted = leaving || condemned == Some(Cause::Cancel);
                Next::Start(it.restart.died(wanted || it.answered > 0, now))
            }
        };
        let after = match next {
            Next::Start(after) => after,
            Next::Degrade(after) => {
                // While another one serves under its number nothing is lost yet.
                it.degraded = matches!(it.standing.role, Role::Main);
                after
            }
        };
        self.counters.restarts += 1;
        self.plan(slot, after, out);
        self.give_up_hope(now, out);
        self.spread(now, out);
    }

    /// Where no worker can start nobody waits for one.
    pub(super) fn give_up_hope(&mut self, now: Instant, out: &mut Vec<Effect<J>>) {
        if self.is_hopeless() {
            for id in self.take_waiting() {
                let died_under = self.table.get(id).and_then(|call| call.died_under());
                self.end(id, died_under.map_or(End::NoWorker, End::WorkerDied), now, out);
            }
        }
    }

    /// Lets a worker finish what it has and replaces it. False: it is gone already.
    pub(crate) fn recycle(
        &mut self,
        slot: usize,
        generation: Option<u64>,
        now: Instant,
        words: &impl Words,
        out: &mut Vec<Effect<J>>,
    ) -> bool {
        let it = &mut self.slots[slot];
        if generation.is_some_and(|wanted| wanted != it.generation) || it.phase != Phase::Ready {
            return false;
        }
        if self.has_spares() {
            return self.wear_out(slot, Recycled::Request, now, out);
        }
        self.slots[slot].enter(Phase::Draining, now);
        self.withdraw(slot, 1, now, words, out);
        self.retire(slot, now, out);
        true
    }

    /// The worker broke the protocol and is being killed: it gets nothing more, and others run what
    /// it has certainly not begun.
    pub(crate) fn outlaw(
        &mut self,
        slot: usize,
        now: Instant,
        words: &impl Words,
        out: &mut Vec<Effect<J>>,
    ) {
        let it = &mut self.slots[slot];
        // One that is leaving, or being killed already, gets nothing either.
        if !it.phase.serves() {
            return;
        }
        it.enter(Phase::Outlawed, now);
        self.withdraw(slot, 1, now, words, out);
    }

    /// Stops a worker that has nothing left to do and gets nothing more.
    pub(super) fn retire(&mut self, slot: usize, now: Instant, out: &mut Vec<Effect<J>>) {
        let phase = self.slots[slot].phase;
        if phase == Phase::Doomed && self.door != Door::Closed {
            return self.end_doomed(slot, now, out);
        }
        // One that only waited for its sessions goes when the last of them has ended.
        let deserted = phase == Phase::Retiring && self.sessions.count(slot) == 0;
        let leaving = self.door == Door::Closed || phase == Phase::Draining || deserted;
        let it = &mut self.slots[slot];
        let running = it.phase.serves() || it.phase == Phase::Starting;
        if leaving && running && it.lane.is_empty() && !self.queue.has_pinned(slot) {
            let why = match self.door {
                Door::Closed => Cause::Close,
                _ => Cause::Recycle(it.standing.worn.map_or(Recycled::Request, |worn| worn.why)),
            };
            it.enter(Phase::Stopping, now);
            self.loads[slot] = UNAVAILABLE;
            out.push(Effect::Stop { slot, why });
        }
    }

    /// Whether the worker of a slot had certainly not begun a call. To ask takes the call back, so
    /// it is asked once.
    fn is_untouched(&self, id: CallId, slot: usize, words: &impl Words) -> bool {
        let place = self.table.get(id).map(|call| call.place);
        matches!(place, Some(Place::Sent { word: Some(word), .. }) if words.untouched(slot, word, id))
    }

    /// A call whose worker is gone.
    fn orphan(
        &mut self,
        id: CallId,
        untouched: bool,
        under: Fallen,
        cause: &'static str,
        now: Instant,
        out: &mut Vec<Effect<J>>,
    ) {
        let Some(call) = self.table.get(id) else { return };
        let strict = call.session.as_ref().is_some_and(|session| session.affinity.is_strict());
        if call.job.is_none() {
            self.remove(id, now, out);
        } else if untouched && strict {
            self.came_back(id);
            self.session_lost(id, under, cause, now, out);
        } else if untouched {
            self.requeue(id);
        } else {
            self.retry(id, under, strict, now, out);
        }
    }

    /// A call that has not begun and relies on a worker that is gone.
    pub(super) fn session_lost(
        &mut self,
        id: CallId,
        home: Resident,
        cause: &'static str,
        now: Instant,
        out: &mut Vec<Effect<J>>,
    ) {
        let Some(call) = self.table.get(id) else { return };
        let Some(key) = &call.session else { return };
        let session = key.id.clone();
        self.end(id, End::SessionLost { session, cause, home, may_have_run: false }, now, out);
    }
}
