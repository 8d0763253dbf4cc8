//! A worker that did not let go of a call within its grace must go. Others may run in it.
//!
//! ```text
//! one call at a time:   Ready ──▶ Condemned (killed at once)
//! several at once:      Ready ──▶ Doomed ──the last other call ended, or condemn_drain──▶ Condemned
//!                         │           └──even that call came to its end──▶ Stopping
//!                         └── its number, and what waits for it, go to a spare slot at once
//! ```

use tokio::time::Instant;

use super::slot::{Phase, UNAVAILABLE};
use super::standing::Role;
use super::{Door, Effect, State, Words};
use crate::error::Cause;
use crate::id::CallId;

impl<J> State<J> {
    /// The worker of a slot, which runs several calls, did not let go of one in time. True: there is
    /// something to deal out, once all of this event are doomed: none of them may get it.
    pub(super) fn doom(
        &mut self,
        slot: usize,
        why: Cause,
        now: Instant,
        words: &impl Words,
        out: &mut Vec<Effect<J>>,
    ) -> bool {
        self.loads[slot] = UNAVAILABLE;
        let came_back = self.take_back_behind(slot, 0, usize::MAX, words) > 0;
        // Whoever is the last that can serve gets what waits, trusted or not.
        let deal = came_back || !self.guards.are_clear();
        if !self.is_needed(slot, now) {
            self.kill(slot, why, now, out);
            return deal;
        }
        let until = now.checked_add(self.limits.life.condemn_drain);
        let it = &mut self.slots[slot];
        it.enter(Phase::Doomed, now);
        (it.standing.condemned, it.standing.leaves_at) = (Some(why), until);
        if let Some(until) = until {
            self.watch(until, out);
        }
        self.forsake_sessions(slot, now, out);
        if self.door != Door::Closed {
            self.supersede(slot, now, out);
        }
        deal
    }

    /// Something has happened to a doomed worker: is there still anything to wait for?
    pub(super) fn end_doomed(&mut self, slot: usize, now: Instant, out: &mut Vec<Effect<J>>) {
        let it = &mut self.slots[slot];
        let why = it.standing.condemned.unwrap_or_default();
        if it.lane.is_empty() {
            // It let go after all: it may leave in good order.
            it.enter(Phase::Stopping, now);
            out.push(Effect::Stop { slot, why });
        } else if it.standing.leaves_at.is_some_and(|until| until <= now)
            || !self.is_needed(slot, now)
        {
            self.kill(slot, why, now, out);
        }
    }

    fn kill(&mut self, slot: usize, why: Cause, now: Instant, out: &mut Vec<Effect<J>>) {
        self.slots[slot].condemn(why, now);
        self.loads[slot] = UNAVAILABLE;
        out.push(Effect::Kill { slot, why });
    }

    /// Somebody waits for a call in the worker, or one of them is still given its grace.
    fn is_needed(&self, slot: usize, now: Instant) -> bool {
        let needed = |id: &CallId| {
            let call = self.table.get(*id);
            call.is_some_and(|call| call.job.is_some() || call.kill_at().is_some_and(|at| at > now))
        };
        self.slots[slot].lane.iter().any(needed)
    }

    /// The sessions of a worker are lost while it still runs.
    fn forsake_sessions(&mut self, slot: usize, now: Instant, out: &mut Vec<Effect<J>>) {
        let it = &self.slots[slot];
        let (cause, under) = (it.loss(), it.resident(slot));
        self.sessions.evict(slot);
        for id in self.queue.take_pinned(slot) {
            self.release(id);
            self.session_lost(id, under, cause, now, out);
        }
    }

    /// Another slot takes the number of this one, whose worker is on its way out, and starts.
    fn supersede(&mut self, slot: usize, now: Instant, out: &mut Vec<Effect<J>>) {
        let number = self.slots[slot].standing.number;
        if self.numbers[number] != slot {
            return; // It had been replaced already.
        }
        let heir = match self.heir_of(slot) {
            Some(heir) => heir,
            None => {
                let Some(spare) = self.with_role(Role::Resting) else { return };
                self.start_heir(slot, spare, now, out);
                spare
            }
        };
        self.numbers[number] = heir;
        let heir = &mut self.slots[heir];
        heir.standing.role = Role::Main;
        // While the old one served, nothing was lost by starts that failed.
        heir.degraded = heir.restart.is_spent();
        self.slots[slot].standing.role = Role::Leaving;
        self.give_up_hope(now, out);
    }
}
