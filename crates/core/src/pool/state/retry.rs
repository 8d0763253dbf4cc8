//! A call whose worker died under it: does it run again, when, and who pays?
//!
//! ```text
//! died ─▶ a second time? PoisonCall ─▶ policy and budget say no? WorkerDied ─▶ Resting ─▶ Queued
//! ```
//!
//! A call that certainly had not begun is no retry: it goes back to its place and costs nothing.
//! What rests counts against the queue's bounds like what waits in it.

use std::time::Duration;

use tokio::time::Instant;

use super::{Effect, End, Fallen, Note, Place, State};
use crate::id::CallId;
use crate::policy::retry::{Attempts, Fault, GiveUp, NextAttempt};

impl<J> State<J> {
    /// The worker of a call died, and it may have run. `stays`: it belongs to that worker alone.
    pub(super) fn retry(
        &mut self,
        id: CallId,
        under: Fallen,
        stays: bool,
        now: Instant,
        out: &mut Vec<Effect<J>>,
    ) {
        let Some(call) = self.table.get_mut(id) else { return };
        let (idempotent, deadline) = (call.idempotent, call.deadline);
        let movable = !stays && !call.partly_seen;
        let rare = call.rare();
        if rare.died_under.replace(under).is_some() {
            self.counters.quarantined += 1;
            return self.end(id, End::Poison { under, deaths: 2 }, now, out);
        }
        let policy = rare.retry.as_deref().unwrap_or(&self.limits.guards.retry);
        let restarts = self.limits.guards.crash_barrier.map_or(1, |barrier| barrier.max_restarts);
        let fault = Fault {
            retriable: movable && restarts > 0,
            may_have_run: !(idempotent || policy.idempotent),
            counts: true,
            retry_after: None,
        };
        let seed = self.limits.seed ^ id.raw();
        let mut attempts = Attempts::new(deadline, seed);
        match attempts.failed(policy, fault, Some(&mut self.budget), now) {
            NextAttempt::After(pause) => {
                self.counters.retries += 1;
                out.push(Effect::Note(Note::Retry { id, under, pause }));
                self.rest(id, pause, now, out);
            }
            NextAttempt::Stop(why) => {
                if why == GiveUp::Budget {
                    self.counters.retries_refused += 1;
                    out.push(Effect::Note(Note::RetryRefused(under)));
                }
                self.end(id, End::WorkerDied(under), now, out);
            }
        }
    }

    fn rest(&mut self, id: CallId, pause: Duration, now: Instant, out: &mut Vec<Effect<J>>) {
        let Some(call) = self.table.get_mut(id) else { return };
        match now.checked_add(pause) {
            Some(until) if !pause.is_zero() => {
                call.place = Place::Resting(until);
                self.queue.rest(call.bytes);
                self.watch(until, out);
            }
            _ => self.requeue(id),
        }
    }

    /// Puts a call back to its place among those that any worker may run.
    pub(super) fn requeue(&mut self, id: CallId) {
        let Some(call) = self.table.get_mut(id) else { return };
        if matches!(call.place, Place::Resting(_)) {
            self.queue.wake(call.bytes);
        }
        call.place = Place::Queued(None);
        self.queue.put(id, call.bytes, None);
    }

    /// Puts a call that was taken out of the queue back to where it was in it.
    pub(super) fn put_back(&mut self, id: CallId) {
        let Some(call) = self.table.get(id) else { return };
        let lane = if let Place::Queued(lane) = call.place { lane } else { None };
        self.queue.put(id, call.bytes, lane);
    }

    /// A call was taken out of the queue, and may come back.
    pub(super) fn release(&mut self, id: CallId) {
        let bytes = self.table.get(id).map_or(0, |call| call.bytes);
        self.queue.release(bytes);
    }

    /// Takes every call out that is in no worker, oldest first.
    pub(super) fn take_waiting(&mut self) -> Vec<CallId> {
        let rest = self.queue.resting() > 0;
        let mut all = self.queue.take_all();
        if rest {
            let resting =
                self.table.iter().filter(|(_, call)| matches!(call.place, Place::Resting(_)));
            all.extend(resting.map(|(id, _)| id));
            all.sort_unstable();
        }
        all
    }
}
