//! Calls into workers and out of them: send, answer, refill, take back.

use tokio::time::Instant;

use super::credit::{Amount, Credit};
use super::slot::{Phase, UNAVAILABLE};
use super::submit::lost_home;
use super::{Call, Door, Effect, End, Note, Place, State, Visit, Words};
use crate::call::Step;
use crate::error::Violation;
use crate::id::CallId;
use crate::policy::meter::Fate;

/// How a worker ends a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// With the value of a plain call.
    Value,
    /// With the good end of a stream.
    End,
    /// With an exception of the adapter's code.
    Raised,
    /// With what else went wrong.
    Failure(Fate),
}

impl<J> State<J> {
    /// `calls` answers of one worker came together; each is told by [`State::answered`] then.
    pub(crate) fn progressed(
        &mut self,
        slot: usize,
        calls: usize,
        now: Instant,
        out: &mut Vec<Effect<J>>,
    ) {
        self.rate.observe(calls, self.queue.len() > 0, now);
        let it = &mut self.slots[slot];
        if it.standing.is_stalled() {
            out.push(Effect::Note(Note::Recovered(it.resident(slot))));
        }
        it.standing.progressed(now);
        if it.phase == Phase::Ready && self.loads[slot] == UNAVAILABLE {
            self.loads[slot] = it.lane.len() as u32; // It was stalled; it is filled next.
        }
        if calls > 0 && !it.lane.is_empty() {
            let took = now.saturating_duration_since(it.since);
            it.prefetch.observe(took, calls);
            it.since = now;
            it.each = if calls == 1 { took } else { took / calls as u32 };
        }
    }

    /// A worker answered a call. The job, if the caller still waits for it.
    ///
    /// # Errors
    /// No honest worker says that.
    pub(crate) fn answered(
        &mut self,
        slot: usize,
        id: CallId,
        said: Said,
        now: Instant,
        out: &mut Vec<Effect<J>>,
    ) -> Result<Option<J>, Violation> {
        let (word, wanted) = match self.table.get(id) {
            Some(Call { place: Place::Sent { slot: at, word }, credit, job, .. })
                if *at == slot =>
            {
                let streaming = credit.is_some();
                let right_kind = match said {
                    Said::Value => !streaming,
                    Said::End => streaming,
                    Said::Raised | Said::Failure(_) => true,
                };
                if !right_kind {
                    return Err(Violation::WrongKind { call: id, streaming });
                }
                (*word, job.is_some())
            }
            _ => return Err(self.not_in(slot, id)),
        };
        self.vouch(slot, said == Said::Raised && wanted, now, out);
        self.leave(slot, id, word);
        self.slots[slot].note_answer(id);
        self.used_session(id, now);
        let Some(call) = self.remove(id, now, out) else { return Ok(None) };
        if wanted {
            self.measure_answer(slot, call.times, said, now);
            let failed = matches!(said, Said::Raised | Said::Failure(_));
            let count =
                if failed { &mut self.counters.errors } else { &mut self.counters.completed };
            *count += 1;
            if !failed {
                self.budget.deposit();
            }
        }
        Ok(call.job)
    }

    /// A worker sent items of a stream, of these lengths. The job, if the caller still waits.
    ///
    /// # Errors
    /// No honest worker says that, or not yet.
    pub(crate) fn partly_answered(
        &mut self,
        slot: usize,
        id: CallId,
        lengths: impl ExactSizeIterator<Item = usize> + Clone,
    ) -> Result<Option<&mut J>, Violation> {
        match self.table.get(id) {
            Some(Call { place: Place::Sent { slot: at, .. }, .. }) if *at == slot => {}
            _ => return Err(self.not_in(slot, id)),
        }
        let Some(call) = self.table.get_mut(id) else { return Ok(None) };
        let Some(credit) = &mut call.credit else {
            return Err(Violation::WrongKind { call: id, streaming: false });
        };
        if lengths.len() == 0 {
            return Err(Violation::EmptyChunks { call: id });
        }
        credit.send(lengths).map_err(|Amount { items, bytes }| Violation::CreditExceeded {
            call: id,
            items,
            bytes,
            window_items: credit.window.items,
            window_bytes: credit.window.bytes,
        })?;
        call.partly_seen = true;
        Ok(call.job.as_mut())
    }

    /// A worker cannot read what a call names beside its frame, and waits. The job, if the caller
    /// still does.
    ///
    /// # Errors
    /// No honest worker says that.
    pub(crate) fn unread(&mut self, slot: usize, id: CallId) -> Result<Option<&J>, Violation> {
        match self.table.get(id) {
            Some(Call { place: Place::Sent { slot: at, .. }, job, .. }) if *at == slot => {
                Ok(job.as_ref())
            }
            _ => Err(self.not_in(slot, id)),
        }
    }

    /// Why a worker may not speak of a call.
    #[cold]
    pub(super) fn not_in(&self, slot: usize, call: CallId) -> Violation {
        if self.slots[slot].has_answered(call) {
            Violation::AnsweredTwice { call }
        } else if self.table.was_made(call) {
            Violation::NotItsCall { call }
        } else {
            Violation::UnknownCall { call }
        }
    }

    /// The reader of a stream has taken so much in all: its worker may send as much more.
    pub(crate) fn grant(&mut self, id: CallId, items: u64, bytes: u64, out: &mut Vec<Effect<J>>) {
        let Some(call) = self.table.get_mut(id) else { return };
        if let (Place::Sent { slot, .. }, Some(credit)) = (call.place, &mut call.credit) {
            // Before the worker is told: it must never know of a grant that is not noted.
            credit.grant(items, bytes);
            out.push(Effect::Grant { slot, id, items, bytes });
        }
    }

    /// Gives a worker as much as it may have; one that is idle while others have calls waiting in
    /// them takes those. A worker that is being recycled still runs what waits for it alone.
    pub(crate) fn fill(
        &mut self,
        slot: usize,
        now: Instant,
        words: &impl Words,
        out: &mut Vec<Effect<J>>,
    ) {
        self.fill_alone(slot, now, words, out);
        if !self.guards.are_clear() {
            // Who may have what has changed, or it took over what it may not run itself.
            self.spread(now, out);
        }
    }

    fn fill_alone(
        &mut self,
        slot: usize,
        now: Instant,
        words: &impl Words,
        out: &mut Vec<Effect<J>>,
    ) {
        if self.door == Door::Closed || self.loads[slot] == UNAVAILABLE {
            if self.slots[slot].phase.is_leaving() {
                self.give(slot, now, out);
            }
            return self.retire(slot, now, out);
        }
        if !self.slots[slot].has_room(now) {
            return;
        }
        if self.relieve_held_up(now, words) > 0 {
            self.spread(now, out);
        }
        self.give(slot, now, out);
        while self.slots[slot].lane.is_empty()
            && !self.is_barred(slot)
            && self.take_over(slot, words)
        {
            self.give(slot, now, out);
        }
    }

    /// Sends what waits for a worker, as long as it has room.
    fn give(&mut self, slot: usize, now: Instant, out: &mut Vec<Effect<J>>) {
        let obstacle = self.obstacle();
        while self.slots[slot].has_room(now) {
            let Some(id) = self.next_for(slot, now, out) else { break };
            self.send(slot, id, now, out);
        }
        if self.obstacle() != obstacle {
            self.spread(now, out);
        }
    }

    /// Deals what waits for any worker out to all that have room, the least loaded first.
    pub(super) fn spread(&mut self, now: Instant, out: &mut Vec<Effect<J>>) {
        while self.queue.shared_front().is_some() {
            let Some((slot, id)) = self.pick(now, out) else { break };
            self.send(slot, id, now, out);
        }
    }

    fn pick(&mut self, now: Instant, out: &mut Vec<Effect<J>>) -> Option<(usize, CallId)> {
        let first = self.least_loaded(now)?;
        if let Some(id) = self.next_for(first, now, out) {
            return Some((first, id));
        }
        // All that waits avoids that slot.
        (0..self.loads.len()).find_map(|slot| {
            let open = slot != first && self.may_have(slot, now);
            let id = open.then(|| self.next_for(slot, now, out)).flatten()?;
            Some((slot, id))
        })
    }

    /// The next call that this slot may run. A session's first call makes the slot its home; one
    /// whose home turned out to be elsewhere goes there. A call whose deadline has passed ends
    /// here, before it costs a worker anything.
    fn next_for(&mut self, slot: usize, now: Instant, out: &mut Vec<Effect<J>>) -> Option<CallId> {
        let mut avoided = Vec::new();
        let next = self.next_but(slot, &mut avoided, now, out);
        if !avoided.is_empty() {
            avoided.into_iter().for_each(|id| self.put_back(id));
        }
        next
    }

    /// The same; what avoids this slot is taken out.
    fn next_but(
        &mut self,
        slot: usize,
        avoided: &mut Vec<CallId>,
        now: Instant,
        out: &mut Vec<Effect<J>>,
    ) -> Option<CallId> {
        loop {
            let leaving = self.slots[slot].phase.is_leaving() || self.is_barred(slot);
            let id = if leaving { self.queue.pop_pinned(slot) } else { self.queue.pop(slot) }?;
            if self.wants_place(id, slot) {
                // What is behind it waits too: a worker that is always given more is never idle.
                self.release(id);
                avoided.push(id);
                return None;
            }
            if self.avoids(id, slot) {
                self.release(id);
                avoided.push(id);
                continue;
            }
            let Some(call) = self.table.get_mut(id) else { continue };
            self.queue.release(call.bytes);
            if call.deadline.is_some_and(|deadline| deadline <= now) {
                let ran_before = call.died_under().is_some();
                let step = if ran_before { Step::Running } else { Step::Queued };
                let end = End::TimedOut { limit: call.limit, step };
                self.end(id, end, now, out);
                continue;
            }
            let Some(session) = &call.session else { return Some(id) };
            if !session.affinity.is_strict() {
                return Some(id);
            }
            let homes = &self.sessions.get(session.place).homes;
            if let Some(home) = lost_home(homes, session.object.as_ref()) {
                self.session_lost(id, home, "its worker is gone", now, out);
                continue;
            }
            match homes.home() {
                Some(home) if home.slot != slot => self.send_home(home.slot, id, now, out),
                _ => return Some(id),
            }
        }
    }

    /// Sends a call to its session's home, or has it wait there.
    fn send_home(&mut self, home: usize, id: CallId, now: Instant, out: &mut Vec<Effect<J>>) {
        let serves = self.loads[home] != UNAVAILABLE || self.slots[home].takes_sessions();
        let open = self.slots[home].has_room(now) && !self.wants_place(id, home);
        if serves && !self.queue.has_pinned(home) && open {
            return self.send(home, id, now, out);
        }
        let Some(call) = self.table.get_mut(id) else { return };
        call.place = Place::Queued(Some(home));
        self.queue.put(id, call.bytes, Some(home));
    }

    /// Hands a call to the worker of `slot`, which has room.
    pub(super) fn send(&mut self, slot: usize, id: CallId, now: Instant, out: &mut Vec<Effect<J>>) {
        let Some(call) = self.table.get_mut(id) else { return };
        let visit = call.session.as_ref().map(|session| {
            self.slots[slot].standing.strict |= session.affinity.is_strict();
            let resident = |home: usize| self.slots[home].resident(home);
            let visit = Visit::pay(&mut self.sessions, session, slot, resident);
            if visit.is_new {
                let id = self.sessions.get(session.place).id.clone();
                out.push(Effect::Note(Note::Bound(id, self.slots[slot].resident(slot))));
            }
            visit
        });
        let it = &mut self.slots[slot];
        if it.lane.is_empty() {
            it.since = now;
        }
        let word = it.take_word();
        call.place = Place::Sent { slot, word };
        call.times.sent = now;
        if let Some(credit) = &mut call.credit {
            // A worker that died with it sent nothing that counts: else it would not be sent again.
            **credit = Credit::new(credit.window);
        }
        it.lane.push_back(id);
        if self.loads[slot] != UNAVAILABLE {
            self.loads[slot] += 1;
        }
        let left = call.deadline.map(|deadline| deadline.saturating_duration_since(now));
        out.push(Effect::Send { slot, id, word, session: visit, left });
        self.probe(slot, id, now);
    }

    /// Takes a call out of its worker's lane.
    pub(super) fn leave(&mut self, slot: usize, id: CallId, word: Option<u8>) {
        let it = &mut self.slots[slot];
        if let Some(at) = it.lane.iter().position(|&other| other == id) {
            it.lane.remove(at);
            it.free_word(word);
            if self.loads[slot] != UNAVAILABLE {
                self.loads[slot] -= 1;
            }
            self.probe_left(slot, id);
        }
    }
}
