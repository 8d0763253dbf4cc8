//! What is true between any two events.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::World;
use super::worker::{Frame, Life, Worker};
use crate::id::CallId;
use crate::policy::breaker::BreakerState;
use crate::policy::meter::Fate;
use crate::policy::prefetch;
use crate::pool::state::Words;
use crate::pool::state::slot::{Phase, Slot, UNAVAILABLE};
use crate::pool::state::standing::Role;
use crate::pool::state::table::{Call, Place};

impl World {
    pub(super) fn check(&self) {
        for slot in 0..self.workers.len() {
            self.check_slot(slot);
        }
        let starting = self.workers.iter().filter(|it| it.life == Life::Starting).count();
        let batch = self.limits.life.startup_batch_size;
        assert!(batch.is_none_or(|batch| starting <= batch), "{starting} start at once");
        self.check_calls();
        self.check_sessions();
        self.check_rest();
        if !self.workers.iter().any(|worker| worker.unfilled) {
            self.check_work_is_shared_out();
        }
    }

    fn check_slot(&self, slot: usize) {
        let (it, worker) = (&self.state.slots[slot], &self.workers[slot]);
        let Slot { phase, lane, .. } = it;
        let load = self.state.loads[slot];
        if *phase == Phase::Ready && !it.standing.is_stalled() {
            assert_eq!(load as usize, lane.len(), "the load of slot {slot}");
        } else {
            assert_eq!(load, UNAVAILABLE, "slot {slot} is {phase:?}");
        }
        match worker.life {
            Life::None => {
                let rests = it.standing.role == Role::Resting;
                assert!((self.closed || rests) && *phase == Phase::Empty);
            }
            Life::Planned(_) | Life::Waiting => assert_eq!(*phase, Phase::Empty),
            Life::Starting if worker.stopped => assert_eq!(*phase, Phase::Stopping),
            Life::Starting => assert_eq!(*phase, Phase::Starting),
            Life::Ready if worker.killed => assert_eq!(*phase, Phase::Condemned),
            Life::Ready if worker.stopped => assert_eq!(*phase, Phase::Stopping),
            Life::Ready if worker.outlawed => assert_eq!(*phase, Phase::Outlawed),
            Life::Ready => assert!(phase.serves()),
        }
        self.check_standing(slot, it);
        self.check_lane(slot, it, worker);
    }

    /// Every number has one slot, and whatever will be due for a worker, the timer is set no later.
    fn check_standing(&self, slot: usize, it: &Slot) {
        let number = it.standing.number;
        match it.standing.role {
            Role::Main => assert_eq!(self.state.numbers[number], slot),
            Role::Heir(old) => {
                assert_eq!((self.state.numbers[number], it.phase.serves()), (old, false));
                assert!(self.state.slots[old].standing.is_worn() || self.closed);
            }
            Role::Leaving => assert_ne!(it.phase, Phase::Ready),
            Role::Resting => assert_eq!(it.phase, Phase::Empty),
        }
        let deserted = self.state.sessions.count(slot) == 0 && it.lane.is_empty();
        // What it answered has been read, and it is not filled yet: then it goes.
        let goes = self.state.queue.has_pinned(slot) || self.workers[slot].unfilled;
        assert!(it.phase != Phase::Retiring || !deserted || goes);
        if self.closed || !it.phase.serves() {
            return;
        }
        let beat = it.standing.beat.map(|beat| beat.due());
        let due = beat.into_iter().chain(it.standing.leaves_at);
        let ages = it.phase == Phase::Ready && !it.standing.is_worn();
        for due in due.chain(it.standing.limits.expires().filter(|_| ages)) {
            assert!(self.timer.is_some_and(|timer| timer <= due), "slot {slot}: {due:?}");
        }
    }

    /// The lane is what the worker has, and each call in it has a word of its own.
    fn check_lane(&self, slot: usize, it: &Slot, worker: &Worker) {
        let Worker { inbox, running, finished, .. } = worker;
        let mut words = u64::MAX;
        for &id in &it.lane {
            let call = self.state.table.get(id).expect("alive");
            let Place::Sent { slot: at, word } = call.place else { panic!("{id} is queued") };
            assert_eq!(at, slot);
            if let Some(word) = word {
                assert!(words & (1 << word) != 0, "word {word} of slot {slot} is used twice");
                words &= !(1 << word);
            }
            let known = inbox.iter().chain(running).any(|frame| frame.id == id);
            assert!(known || finished.contains(&id), "slot {slot} does not have {id}");
        }
        for id in running.iter().map(|frame| &frame.id).chain(finished) {
            assert!(it.lane.contains(id), "{id} runs unknown to the host");
        }
    }

    /// Who is killed for a call is in it: no other one runs there then, or ever will.
    pub(super) fn check_kill(&self, slot: usize) {
        let Worker { running, finished, inbox, .. } = &self.workers[slot];
        // Of several at once, the others were given their time.
        let several = self.limits.capacity > 1;
        if several || finished.iter().any(|&id| self.is_unsaid(id)) {
            return;
        }
        let suffers = match (running.front(), inbox.front()) {
            (Some(Frame { id, word: Some(word) }), _) => !self.page.is_condemned(slot, *word, *id),
            // Without words nothing is behind the call that it is killed for.
            (Some(_), _) | (None, Some(Frame { word: None, .. })) => {
                self.state.slots[slot].lane.len() > 1
            }
            (None, _) => inbox.iter().any(|Frame { id, word }| {
                word.is_some_and(|word| self.page.untouched(slot, word, *id))
            }),
        };
        assert!(!suffers, "slot {slot} is killed in the wrong call: {:?}", self.workers[slot]);
    }

    /// Its worker had all the time there is to say how it ended.
    fn is_unsaid(&self, id: CallId) -> bool {
        let call = self.state.table.get(id).and_then(|call| call.rare.as_deref());
        call.is_some_and(|rare| rare.ended && rare.kill_at.is_some_and(|at| at <= self.now))
    }

    fn check_calls(&self) {
        let (mut queued, mut bytes, mut sent, mut wanted) = (0, 0, 0, 0);
        for (id, call) in self.state.table.iter() {
            let record = &self.calls[self.by_id[&id]];
            assert_eq!(call.job.is_some(), record.outcome.is_none(), "the job of {id}");
            wanted += u64::from(call.job.is_some());
            match call.place {
                Place::Queued(_) => {
                    queued += 1;
                    bytes += u64::from(call.bytes);
                    assert!(call.job.is_some(), "nobody waits for {id}, which is queued");
                }
                Place::Resting(_) => {
                    queued += 1;
                    bytes += u64::from(call.bytes);
                    assert!(call.job.is_some() && call.died_under().is_some(), "{id} rests");
                }
                Place::Sent { slot, .. } => {
                    sent += 1;
                    let lane = &self.state.slots[slot].lane;
                    assert!(lane.contains(&id));
                    let begins = lane.iter().take(self.limits.capacity).any(|at| *at == id);
                    assert!(begins || call.ancestors().is_empty(), "{id} waits for its ancestors");
                }
            }
        }
        assert_eq!((self.state.queued(), self.state.queued_bytes()), (queued, bytes));
        assert_eq!(self.state.in_workers(), sent);
        let open = self.calls.iter().filter(|call| call.outcome.is_none()).count() as u64;
        assert_eq!(wanted, open, "an admitted call is lost");

        let told = self.state.counters();
        assert_eq!(told.requests, self.calls.len() as u64);
        let ended = told.completed + told.errors + told.cancelled + told.timeouts;
        assert_eq!(told.requests, ended + open);
        let measured = self.state.measured();
        let fates = |of: &[Fate]| -> u64 {
            let tallies = measured.tallies();
            tallies.iter().flat_map(|tally| of.iter().map(|&fate| tally.fates[fate as usize])).sum()
        };
        assert_eq!(fates(&Fate::ALL), ended);
        assert_eq!(fates(&[Fate::Ok]), told.completed);
        assert_eq!(fates(&[Fate::Timeout]), told.timeouts);
        let rejected: u64 = measured.rejections().map(|(_, count)| count).sum();
        assert_eq!(rejected, told.rejected);
    }

    /// Who is inside is counted, homes are counted by slot, and who will expire is watched.
    fn check_sessions(&self) {
        let sessions = &self.state.sessions;
        let mut inside = HashMap::new();
        for (_, call) in self.state.table.iter() {
            let Some(session) = &call.session else { continue };
            assert_eq!(sessions.get(session.place).id, session.id);
            *inside.entry(session.place).or_insert(0) += 1;
        }
        for (&place, &calls) in &inside {
            assert_eq!(sessions.get(place).in_flight, calls, "calls in session {place}");
        }
        // Of those that are not open only what is inside is known.
        let open = sessions.iter(self.now).filter(|entry| entry.in_flight == 0);
        if let Some(due) = open.filter_map(|entry| entry.used.checked_add(entry.ttl?)).min() {
            // A sweep may be late.
            let late = due + Duration::from_millis(100);
            assert!(self.timer.is_some_and(|timer| timer <= late), "nothing watches {due:?}");
        }
        let homes = sessions.iter(self.now).filter_map(|entry| entry.homes.home());
        let mut counts = vec![0; self.workers.len()];
        homes.for_each(|home| counts[home.slot] += 1);
        for (slot, count) in counts.into_iter().enumerate() {
            assert!(sessions.count(slot) >= count, "slot {slot}");
        }
    }

    fn check_rest(&self) {
        // Whatever will be due, the timer is set no later.
        let condemned = |slot: usize| {
            matches!(self.state.slots[slot].phase, Phase::Condemned | Phase::Outlawed)
        };
        // What a doomed worker did not let go of in time is not waited for.
        let overdue = |slot: usize, at: Option<Instant>| {
            self.state.slots[slot].phase == Phase::Doomed && at.is_some_and(|at| at <= self.now)
        };
        let due = self.state.table.iter().filter_map(|(_, call)| match call.place {
            Place::Resting(until) => Some(call.deadline.map_or(until, |at| at.min(until))),
            _ if call.job.is_some() => call.deadline,
            Place::Sent { slot, .. } if condemned(slot) || overdue(slot, call.kill_at()) => None,
            _ => call.kill_at(),
        });
        if let Some(due) = due.chain(self.state.due_of_guards()).min() {
            assert!(self.timer.is_some_and(|timer| timer <= due), "nothing watches {due:?}");
        }
        if self.closed || self.state.is_hopeless() {
            assert_eq!(self.state.queued(), 0);
        }
        self.check_guards();
    }

    /// Retries are paid for, and the pool is never left without workers that it trusts.
    fn check_guards(&self) {
        let told = self.state.counters();
        let budget = self.limits.guards.retry_budget;
        let paid = u64::from(budget.capacity) + u64::from(budget.deposit) * told.completed;
        assert!(told.retries * u64::from(budget.retry_cost) <= paid, "unpaid retries: {told:?}");
        assert!(self.state.distrusted() <= self.limits.size / 2, "too many slots are barred");
        let (probing, plain) = (0..self.workers.len())
            .partition::<Vec<_>, _>(|&slot| self.state.trust(slot).0 == BreakerState::HalfOpen);
        assert!(plain.len() >= probing.len(), "{probing:?}");
    }

    /// No call waits in vain: room is used, and a worker without work has looked for some.
    fn check_work_is_shared_out(&self) {
        let state = &self.state;
        let ready = || {
            let all = state.slots.iter().enumerate();
            all.filter(|(slot, _)| state.loads[*slot] != UNAVAILABLE)
        };
        let open = || ready().filter(|(slot, _)| !state.is_barred(*slot));
        let idle: Vec<_> =
            open().filter(|(_, it)| it.lane.is_empty()).map(|(slot, _)| slot).collect();
        // Whether all those had better not run it.
        let avoids = |id| idle.iter().all(|&slot| state.avoids(id, slot));
        let held_up = ready().any(|(_, it)| {
            it.lane.len() > self.limits.capacity && prefetch::held_up(it.since, self.now)
        });
        // Whether an older call that only that slot may run wants a place there.
        let holds_up = |slot, front| {
            let older = state.table.iter().filter(|(id, _)| *id < front);
            older
                .filter(|(_, it)| it.place == Place::Queued(Some(slot)))
                .any(|(id, _)| state.wants_place(id, slot))
        };
        if let Some(front) = state.queue.shared_front() {
            let room = open().any(|(slot, it)| {
                it.has_room(self.now)
                    && !state.avoids(front, slot)
                    && !state.wants_place(front, slot)
                    && !holds_up(slot, front)
            });
            assert!(!room || held_up, "{front} waits though a worker has room");
        }
        for (id, call) in state.table.iter().filter(|(_, it)| it.place == Place::Queued(None)) {
            assert!(avoids(id), "{id} waits though {idle:?} are idle: {call:?}");
        }
        for (slot, it) in ready() {
            // With some in hand it may have room and not be told: others took calls from it.
            let in_vain = state.queue.has_pinned(slot) && it.lane.is_empty();
            assert!(!in_vain, "a call waits for slot {slot}, which is idle");
        }
        // A slot that is trusted again, or needed again, takes nothing over before it is next filled.
        if idle.iter().any(|&slot| state.trust(slot).0 == BreakerState::Closed) {
            let behind = ready().flat_map(|(_, it)| it.lane.iter().skip(self.limits.capacity));
            for id in behind {
                let call = state.table.get(*id).expect("alive");
                assert!(
                    avoids(*id) || !self.is_movable(call, *id),
                    "{id} waits in a worker, another is idle"
                );
            }
        }
    }

    fn is_movable<J>(&self, call: &Call<J>, id: crate::id::CallId) -> bool {
        let record = &self.calls[self.by_id[&id]];
        let begun = match call.place {
            Place::Sent { slot, .. } => {
                record.begun.contains(&(slot, self.workers[slot].generation))
            }
            Place::Queued(_) | Place::Resting(_) => false,
        };
        !begun && call.job.is_some() && record.spec.strict().is_none()
    }
}
