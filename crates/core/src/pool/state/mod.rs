//! The pool as a pure state machine: which call is where, and what happens next.
//!
//! ```text
//! submit ─▶ Queued ─▶ Sent(slot) ─▶ answered
//!              │  ▲       │ worker died, not begun
//!              │  └───────┘  (or it is tried again, after a pause in which it is Resting)
//!              ▼          ▼
//!            ended      ended (deadline, cancel, death): the caller is freed at once;
//!                       a call that runs on stays here, without its job, until the worker
//!                       answers or dies
//! ```
//!
//! Events are methods, effects are pushed to `out`, time is passed in as `now`, and the words that
//! are shared with workers are asked through [`Words`]. It owns each call's job `J` (payload and
//! reply sink) and hands it back exactly once. Whoever owns this holds one std mutex around it.

mod condemn;
mod credit;
mod deadline;
mod dispatch;
mod guard;
mod measure;
mod nested;
mod note;
mod phase;
mod reclaim;
#[cfg(feature = "testkit")]
pub mod rehearsal;
mod retry;
mod session;
mod slot;
mod standing;
mod submit;
mod table;
#[cfg(test)]
mod tests;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::call::{Ended, Resident, Step};
use crate::config;
use crate::error::Cause;
use crate::id::CallId;
use crate::policy::breaker::BreakerState;
use crate::policy::budget::Budget;
use crate::policy::meter::Meter;
use crate::policy::queue::{Bounds, Queue};
use crate::policy::rate::Rate;
use crate::policy::session::{self as sessions, Sessions};
use crate::policy::startup::Startup;
pub(crate) use credit::Window;
pub(crate) use dispatch::Said;
use guard::Guards;
pub(crate) use note::Note;
pub(crate) use session::{SessionRow, Visit};
use slot::{Phase, Slot, UNAVAILABLE};
pub(crate) use submit::{Full, NewCall, Refusal};
use table::{Call, Place, Table};

/// What a worker has made of the calls that wait in it: one atomic word a call, shared with it.
pub(crate) trait Words {
    /// Takes a call back. True: the worker had not begun it, and never will.
    fn revoke(&self, slot: usize, word: u8, id: CallId) -> bool;

    /// The worker is to be killed for this call. True: it is still in it, and begins nothing after it.
    /// False: the call has ended, and its answer is on its way.
    fn condemn(&self, slot: usize, word: u8, id: CallId) -> bool;

    /// The worker is in the middle of this call.
    fn runs(&self, slot: usize, word: u8, id: CallId) -> bool;

    /// Asked once about a dead worker: it certainly had not begun the call. Takes the call back.
    fn untouched(&self, slot: usize, word: u8, id: CallId) -> bool;
}

/// What the owner of the state must do.
#[derive(Debug)]
pub(crate) enum Effect<J> {
    /// Send the call to the slot's worker; its job is found by [`State::job`].
    Send {
        slot: usize,
        id: CallId,
        word: Option<u8>,
        /// Where the call belongs to a session: what that is to this worker.
        session: Option<Visit>,
        left: Option<Duration>,
    },
    /// Tell the worker that nobody waits for this call any more.
    Cancel { slot: usize, id: CallId },
    /// Tell the worker that the reader of this stream has taken so much in all.
    Grant { slot: usize, id: CallId, items: u64, bytes: u64 },
    /// Tell the worker that a session is over, by the number of its binding there.
    EndSession { slot: usize, id: Arc<str>, binding: u64 },
    /// A session was closed or has expired: what the pool keeps for it is over.
    SessionOver { id: Arc<str>, how: Ended },
    /// Whoever listens may want to hear of it.
    Note(Note),
    /// The call ended without an answer of its worker.
    End { job: J, end: End },
    /// Ask the worker whether its interpreter makes progress.
    Probe { slot: usize, probe: u64 },
    /// Fill the slot after this long.
    Start { slot: usize, generation: u64, after: Duration },
    /// Let the worker finish and exit.
    Stop { slot: usize, why: Cause },
    /// End the worker: SIGTERM, SIGKILL a second later.
    Kill { slot: usize, why: Cause },
    /// Call [`State::tick`] no later than then.
    Timer(Instant),
}

/// A worker that died under a call.
pub(crate) type Fallen = Resident;

/// How a call ended, other than by an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    TimedOut { limit: Duration, step: Step },
    Cancelled { may_have_run: bool },
    SessionLost { session: Arc<str>, cause: &'static str, home: Resident, may_have_run: bool },
    WorkerDied(Fallen),
    Poison { under: Fallen, deaths: u32 },
    NoWorker,
    Closed { may_have_run: bool },
}

/// Limits that the state enforces.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) size: usize,
    /// Calls that a worker runs at once.
    pub(crate) capacity: usize,
    pub(crate) max_queue: usize,
    pub(crate) max_queue_bytes: u64,
    pub(crate) start_timeout: Duration,
    pub(crate) grace: Duration,
    pub(crate) life: config::Life,
    pub(crate) guards: config::Guards,
    pub(crate) sessions: sessions::Limits,
    /// Spreads the pauses of retries.
    pub(crate) seed: u64,
}

/// Counts since the pool was made, and of now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls admitted.
    pub requests: u64,
    /// Calls that a worker answered with a value.
    pub completed: u64,
    /// Calls that ended in any error but a timeout or a cancel.
    pub errors: u64,
    /// Calls that their callers cancelled.
    pub cancelled: u64,
    /// Calls whose deadline passed, wherever they were.
    pub timeouts: u64,
    /// Of these: before a worker began them.
    pub queue_timeouts: u64,
    /// Calls refused at the door.
    pub rejected: u64,
    /// Of these: because the queue was full or the circuit breaker open.
    pub shed: u64,
    /// Calls that were made again because their worker had died.
    pub retries: u64,
    /// Calls that were not, because the retry budget was empty.
    pub retries_refused: u64,
    /// Calls given up because two workers had died under them.
    pub quarantined: u64,
    /// Workers that ended without being told to.
    pub worker_deaths: u64,
    /// Workers started beyond the first of each slot.
    pub restarts: u64,
}

/// Whether calls are admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Open,
    /// No new calls; those inside end.
    Draining,
    /// Nothing is inside or will be.
    Closed,
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct State<J> {
    limits: Limits,
    door: Door,
    table: Table<J>,
    queue: Queue,
    rate: Rate,
    budget: Budget,
    guards: Guards,
    sessions: Sessions,
    /// One for each worker of the pool, and spare ones: a worker is replaced by one that starts
    /// while it still serves. Who serves in which slot under which number: `numbers`.
    slots: Vec<Slot>,
    /// The slot of each of the pool's workers, by the number that users know.
    numbers: Vec<usize>,
    /// The last generation of each number.
    generations: Vec<u64>,
    startup: Startup,
    /// Calls in each worker, [`UNAVAILABLE`] where nothing may be sent: scanned for every call, so
    /// kept apart from the slots.
    loads: Vec<u32>,
    /// Earliest moment at which a timer is known to be due.
    due: Option<Instant>,
    /// A nested call has come: until then nobody looks for one.
    any_nested: bool,
    counters: Counters,
    meter: Meter,
}

impl<J> State<J> {
    pub(crate) fn new(limits: Limits, now: Instant) -> Self {
        let slots = limits.size + limits.life.spares(limits.size, limits.capacity);
        let (life, guards) = (&limits.life, &limits.guards);
        let bounds = Bounds { calls: limits.max_queue, bytes: limits.max_queue_bytes };
        Self {
            door: Door::Open,
            table: Table::default(),
            queue: Queue::new(slots, bounds),
            rate: Rate::new(now),
            budget: Budget::new(guards.retry_budget),
            guards: Guards::new(slots, limits.size, guards),
            sessions: Sessions::new(slots, limits.sessions),
            slots: (0..slots).map(|place| Slot::new(place, &limits, now)).collect(),
            numbers: (0..limits.size).collect(),
            generations: vec![0; limits.size],
            startup: Startup::new(life.startup_batch_size, life.startup_batch_delay),
            loads: vec![UNAVAILABLE; slots],
            due: None,
            any_nested: false,
            counters: Counters::default(),
            meter: Meter::default(),
            limits,
        }
    }

    /// The first start of every slot.
    pub(crate) fn open(&mut self, out: &mut Vec<Effect<J>>) {
        for slot in 0..self.limits.size {
            self.plan(slot, Duration::ZERO, out);
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    /// Calls that wait for a worker, or for their next try.
    pub(crate) fn queued(&self) -> usize {
        self.queue.waiting()
    }

    /// Bytes of arguments that wait.
    pub(crate) fn queued_bytes(&self) -> u64 {
        self.queue.bytes()
    }

    /// Tokens left for retries.
    pub(crate) fn retry_tokens(&self) -> u32 {
        self.budget.tokens()
    }

    /// Slots that are barred from new calls, or on probation.
    pub(crate) fn distrusted(&self) -> usize {
        self.guards.distrusted()
    }

    /// What the breaker of a slot does, and whether the slot is tainted by a crash.
    pub(crate) fn trust(&self, slot: usize) -> (BreakerState, bool) {
        self.guards.describe(slot)
    }

    /// Calls that are in a worker.
    pub(crate) fn in_workers(&self) -> usize {
        self.slots.iter().map(|slot| slot.lane.len()).sum()
    }

    /// Calls that are in the worker of a slot.
    pub(crate) fn load(&self, slot: usize) -> usize {
        self.slots[slot].lane.len()
    }

    /// Sessions that are open.
    pub(crate) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.door == Door::Closed
    }

    pub(crate) fn is_open(&self) -> bool {
        self.door == Door::Open
    }

    /// No call is anywhere.
    pub(crate) fn is_idle(&self) -> bool {
        self.table.is_empty()
    }

    /// No slot has a worker.
    pub(crate) fn all_gone(&self) -> bool {
        self.slots.iter().all(|slot| slot.phase == Phase::Empty)
    }

    /// Workers that are ready.
    pub(crate) fn ready(&self) -> usize {
        let serves = |slot: &&Slot| slot.phase == Phase::Ready && !slot.standing.is_stalled();
        self.numbers.iter().map(|&slot| &self.slots[slot]).filter(serves).count()
    }

    /// The first slot that cannot start, if any.
    pub(crate) fn degraded(&self) -> Option<usize> {
        self.numbers.iter().copied().find(|&slot| self.slots[slot].degraded)
    }

    /// State, calls answered and sessions of a slot, for people.
    pub(crate) fn describe(&self, slot: usize) -> (&'static str, u64, u32) {
        let Slot { phase, answered, lane, .. } = &self.slots[slot];
        let ready = *phase == Phase::Ready;
        let name = match phase {
            _ if ready && self.slots[slot].standing.is_stalled() => "stalled",
            _ if ready && !lane.is_empty() => "busy",
            _ => phase.name(self.slots[slot].degraded),
        };
        (name, *answered, self.sessions.count(slot))
    }

    pub(crate) fn generation(&self, slot: usize) -> u64 {
        self.slots[slot].generation
    }

    /// Whether a call is in a worker.
    pub(crate) fn is_sent(&self, id: CallId) -> bool {
        let call = self.table.get(id);
        call.is_some_and(|call| call.job.is_some() && matches!(call.place, Place::Sent { .. }))
    }

    /// The job of a call that is alive and still wanted.
    pub(crate) fn job(&mut self, id: CallId) -> Option<&mut J> {
        self.table.get_mut(id)?.job.as_mut()
    }

    /// No new calls from now on; those inside end.
    pub(crate) fn drain(&mut self) {
        if self.door == Door::Open {
            self.door = Door::Draining;
        }
    }

    /// Ends every call that is left, cancels those that run, lets every worker go.
    pub(crate) fn close(&mut self, now: Instant, words: &impl Words, out: &mut Vec<Effect<J>>) {
        if self.door == Door::Closed {
            return;
        }
        self.door = Door::Closed;
        for id in self.take_waiting() {
            let may_have_run = self.table.get(id).is_some_and(|call| call.died_under().is_some());
            self.end(id, End::Closed { may_have_run }, now, out);
        }
        let sent: Vec<_> = self.slots.iter().flat_map(|slot| slot.lane.iter().copied()).collect();
        for id in sent {
            self.give_up(id, now, words, out, |may_have_run| End::Closed { may_have_run });
        }
        for slot in 0..self.slots.len() {
            self.retire(slot, now, out);
        }
    }

    /// Removes a call for good and hands its job out, if the caller still waits.
    fn end(&mut self, id: CallId, end: End, now: Instant, out: &mut Vec<Effect<J>>) {
        let Some(call) = self.remove(id, now, out) else { return };
        let Some(job) = call.job else { return };
        self.count(&end);
        self.measure_end(call.place, call.times, &end, now);
        out.push(Effect::End { job, end });
    }

    fn count(&mut self, end: &End) {
        match end {
            End::TimedOut { step, .. } => {
                self.counters.timeouts += 1;
                self.counters.queue_timeouts += u64::from(*step != Step::Running);
            }
            End::Cancelled { .. } => self.counters.cancelled += 1,
            _ => self.counters.errors += 1,
        }
    }
}
