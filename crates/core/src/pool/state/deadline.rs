//! Deadlines and cancels: the caller is freed at once, the worker gets a grace, then it is killed.
//!
//! One timer for the whole pool. A deadline only matters when it passes, and most calls are long
//! answered by then: so none is kept in order. The earliest known one arms the timer, and when it
//! fires the calls that are alive are looked through.
//!
//! A kill must not meet another call than the one that it is for, and a worker that goes on to the
//! next one is quicker than any news of it: so the call is condemned first, in the word that it shares
//! with its worker. One that has ended by then costs nobody anything.

use std::time::Duration;

use tokio::time::Instant;

use super::slot::{Phase, UNAVAILABLE};
use super::{Effect, End, Note, Place, State, Words};
use crate::call::Step;
use crate::error::Cause;
use crate::id::CallId;

/// An answer that its worker has given by its own account is waited for so long.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(5);

impl<J> State<J> {
    /// The caller gave up. False: the call had ended already.
    pub(crate) fn cancel(
        &mut self,
        id: CallId,
        now: Instant,
        words: &impl Words,
        out: &mut Vec<Effect<J>>,
    ) -> bool {
        let wanted = self.table.get(id).is_some_and(|call| call.job.is_some());
        if wanted {
            let end = |may_have_run| End::Cancelled { may_have_run };
            self.give_up_alone(id, now, words, out, end);
        }
        wanted
    }

    /// Ends a call as if its deadline had passed now: nothing came of it for `limit`. False: it had
    /// ended already.
    pub(crate) fn expire(
        &mut self,
        id: CallId,
        limit: Duration,
        now: Instant,
        words: &impl Words,
        out: &mut Vec<Effect<J>>,
    ) -> bool {
        let Some(call) = self.table.get(id).filter(|call| call.job.is_some()) else { return false };
        let step = match call.place {
            Place::Queued(_) | Place::Resting(_) => Step::Queued,
            Place::Sent { .. } => Step::Sent,
        };
        self.give_up_alone(id, now, words, out, |may_have_run| {
            let step = if may_have_run { Step::Running } else { step };
            End::TimedOut { limit, step }
        });
        true
    }

    /// Something is due at `at`.
    pub(super) fn watch(&mut self, at: Instant, out: &mut Vec<Effect<J>>) {
        if self.due.is_none_or(|due| at < due) {
            self.due = Some(at);
            out.push(Effect::Timer(at));
        }
    }

    /// Time has passed: ends what is over its deadline, kills workers that were given grace enough,
    /// tries again what has rested.
    pub(crate) fn tick(&mut self, now: Instant, words: &impl Words, out: &mut Vec<Effect<J>>) {
        self.due = None;
        let mut late = Vec::new();
        let mut overdue = Vec::new();
        let mut rested = Vec::new();
        let (mut freed, mut next) = self.forgive(now, out);
        for (id, call) in self.table.iter() {
            let at = if call.job.is_some() { call.deadline } else { call.kill_at() };
            let over = at.is_some_and(|at| at <= now);
            let rests_until = match call.place {
                Place::Resting(until) if !over && until <= now => {
                    rested.push(id);
                    None
                }
                Place::Resting(until) => Some(until),
                _ => None,
            };
            for at in at.into_iter().chain(rests_until).filter(|_| !over) {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
            match (at, call.place) {
                _ if !over => {}
                (Some(_), Place::Queued(_) | Place::Resting(_)) => {
                    late.push((id, call.limit, Step::Queued));
                }
                (Some(_), _) if call.job.is_some() => late.push((id, call.limit, Step::Sent)),
                (Some(_), Place::Sent { slot, word }) => overdue.push((id, slot, word)),
                _ => {}
            }
        }
        let mut deal = !rested.is_empty();
        let obstacle = self.obstacle();
        for (id, slot, word) in overdue {
            deal |= self.overdue(id, slot, word, now, words, out);
        }
        for id in rested {
            self.requeue(id);
        }
        for (id, limit, step) in late {
            freed.extend(self.give_up(id, now, words, out, |may_have_run| {
                let step = if may_have_run { Step::Running } else { step };
                End::TimedOut { limit, step }
            }));
        }
        deal |= self.obstacle() != obstacle;
        self.fill_freed(freed, deal, now, words, out);
        if let Some(next) = next {
            self.watch(next, out);
        }
        self.tick_sessions(now, out);
        self.tick_life(now, words, out);
    }

    /// Fills several slots in one event. What is sent in an event cannot be taken back in it: so
    /// first all that they may take over is fetched, then it is dealt out. `deal`: also where no
    /// slot is free.
    fn fill_freed(
        &mut self,
        mut freed: Vec<usize>,
        deal: bool,
        now: Instant,
        words: &impl Words,
        out: &mut Vec<Effect<J>>,
    ) {
        freed.sort_unstable();
        freed.dedup();
        for &slot in &freed {
            if self.loads[slot] == 0 && !self.is_barred(slot) {
                self.take_over(slot, words);
            }
        }
        if deal || !freed.is_empty() {
            self.spread(now, out);
        }
        for slot in freed {
            self.fill(slot, now, words, out);
        }
    }

    /// A worker did not let go of a call in time. True: there is something to deal out.
    fn overdue(
        &mut self,
        id: CallId,
        slot: usize,
        word: Option<u8>,
        now: Instant,
        words: &impl Words,
        out: &mut Vec<Effect<J>>,
    ) -> bool {
        let Some(call) = self.table.get_mut(id) else { return false };
        if !self.slots[slot].phase.serves() {
            return false;
        }
        if self.slots[slot].phase == Phase::Doomed {
            self.end_doomed(slot, now, out);
            return false;
        }
        let why = call.given_up();
        // A worker without words has nothing behind this call.
        let has_ended = word.is_some_and(|word| !words.condemn(slot, word, id));
        let rare = call.rare();
        if has_ended && !std::mem::replace(&mut rare.ended, true) {
            let until = now + ANSWER_LIMIT;
            rare.kill_at = Some(until);
            self.watch(until, out);
            return false;
        }
        match self.slots[slot].capacity {
            1 => self.condemn(slot, why, now, words, out),
            _ => self.doom(slot, why, now, words, out),
        }
    }

    /// Ends the worker of a slot, for a call that it is in: what it has not begun others run. True:
    /// there is something to deal out.
    pub(super) fn condemn(
        &mut self,
        slot: usize,
        why: Cause,
        now: Instant,
        words: &impl Words,
        out: &mut Vec<Effect<J>>,
    ) -> bool {
        self.slots[slot].condemn(why, now);
        self.loads[slot] = UNAVAILABLE;
        self.note(slot, |worker| Note::Condemned(worker, why), out);
        out.push(Effect::Kill { slot, why });
        // Whoever is the last that can serve gets what waits, trusted or not.
        self.take_back_behind(slot, 0, usize::MAX, words) > 0 || !self.guards.are_clear()
    }

    /// Frees the caller of one call, and gives others the room that it leaves.
    fn give_up_alone(
        &mut self,
        id: CallId,
        now: Instant,
        words: &impl Words,
        out: &mut Vec<Effect<J>>,
        end: impl FnOnce(bool) -> End,
    ) {
        let obstacle = self.obstacle();
        if let Some(slot) = self.give_up(id, now, words, out, end) {
            self.fill(slot, now, words, out);
        }
        if self.obstacle() != obstacle {
            self.spread(now, out);
        }
    }

    /// Frees the caller of a call. One that no worker has begun is gone then; one that runs is
    /// cancelled in its worker, which is killed if it does not let go within the grace. The slot
    /// that has room now, to be filled by whoever calls this.
    pub(super) fn give_up(
        &mut self,
        id: CallId,
        now: Instant,
        words: &impl Words,
        out: &mut Vec<Effect<J>>,
        end: impl FnOnce(bool) -> End,
    ) -> Option<usize> {
        let call = self.table.get_mut(id)?;
        let ran_before = call.died_under().is_some();
        let (slot, word) = match call.place {
            Place::Queued(lane) => {
                if self.queue.remove(id, lane) {
                    self.queue.release(call.bytes);
                }
                let nested = !call.ancestors().is_empty();
                self.end(id, end(ran_before), now, out);
                // It may have held up what waited for its worker.
                return lane.filter(|_| nested);
            }
            Place::Resting(_) => {
                self.queue.wake(call.bytes);
                self.end(id, end(ran_before), now, out);
                return None;
            }
            Place::Sent { slot, word } => (slot, word),
        };
        if word.is_some_and(|word| words.revoke(slot, word, id)) {
            self.leave(slot, id, word);
            self.came_back(id);
            self.end(id, end(ran_before), now, out);
            return Some(slot);
        }
        let job = call.job.take()?;
        let (place, times) = (call.place, call.times);
        // A grace beyond what the clock can hold never ends.
        let kill_at = now.checked_add(self.limits.grace);
        let end = end(true);
        let late = matches!(end, End::TimedOut { .. });
        let rare = call.rare();
        rare.kill_at = kill_at;
        rare.given_up = if late { Cause::Deadline } else { Cause::Cancel };
        self.count(&end);
        self.measure_end(place, times, &end, now);
        out.push(Effect::End { job, end });
        if !matches!(self.slots[slot].phase, Phase::Condemned | Phase::Outlawed) {
            out.push(Effect::Cancel { slot, id });
            if let Some(kill_at) = kill_at {
                self.watch(kill_at, out);
            }
        }
        None
    }
}
