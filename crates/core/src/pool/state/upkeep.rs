//! Keeps workers going: starts them a few at a time, asks them for signs of life, replaces them
//! when they are worn out.
//!
//! ```text
//! Main, worn ──a spare slot is free──▶ its Heir starts ──ready──▶ the Heir is Main
//!                                                                  │
//!                              Resting ◀──gone── Leaving ◀── the old one, once it is empty
//! ```

use std::time::Duration;

use tokio::time::Instant;

use super::slot::Phase;
use super::standing::{Role, Worn};
use super::{Door, Effect, Note, Place, State, Words};
use crate::error::{Cause, Recycled};
use crate::id::CallId;
use crate::policy::heartbeat::{Beat, Pulse};

impl<J> State<J> {
    /// The slot is to be filled after so long.
    pub(super) fn plan(&mut self, slot: usize, after: Duration, out: &mut Vec<Effect<J>>) {
        let it = &mut self.slots[slot];
        it.answered = 0;
        let last = &mut self.generations[it.standing.number];
        // Above both, so that neither a number nor a slot ever sees one twice.
        *last = it.generation.max(*last) + 1;
        (it.generation, it.phase) = (*last, Phase::Empty);
        out.push(Effect::Start { slot, generation: it.generation, after });
    }

    /// A start has come out, one way or the other.
    pub(super) fn start_is_through(&mut self, slot: usize, now: Instant, out: &mut Vec<Effect<J>>) {
        self.startup.through(slot, now);
        self.start_next(now, out);
    }

    /// Starts those whose turn it is.
    pub(super) fn start_next(&mut self, now: Instant, out: &mut Vec<Effect<J>>) {
        if self.door == Door::Closed {
            return;
        }
        while let Some(slot) = self.startup.next(now) {
            let generation = self.slots[slot].generation;
            out.push(Effect::Start { slot, generation, after: Duration::ZERO });
        }
        if let Some(due) = self.startup.due() {
            self.watch(due, out);
        }
    }

    /// The worker of a slot became ready.
    pub(super) fn begin_life(
        &mut self,
        slot: usize,
        now: Instant,
        words: &impl Words,
        out: &mut Vec<Effect<J>>,
    ) {
        let it = &mut self.slots[slot];
        let nth = it.generation.wrapping_add(it.standing.number as u64);
        it.standing.begin_life(&self.limits.life, nth, now);
        if let Some(expires) = it.standing.limits.expires() {
            self.watch(expires, out);
        }
        if let Role::Heir(old) = self.slots[slot].standing.role {
            self.hand_over(old, slot, now, words, out);
            self.replace_worn(now, out);
        }
    }

    /// The worker of a slot can be asked for signs of life.
    pub(crate) fn can_be_probed(&mut self, slot: usize, now: Instant, out: &mut Vec<Effect<J>>) {
        let it = &mut self.slots[slot];
        if let Some(heartbeat) = self.limits.life.heartbeat
            && it.phase.serves()
        {
            let beat = Beat::new(heartbeat, self.limits.life.stall_kill, now);
            it.standing.beat = Some(beat);
            self.watch(beat.due(), out);
        }
    }

    /// The interpreter of a worker answered a probe.
    pub(crate) fn probe_answered(
        &mut self,
        slot: usize,
        probe: u64,
        now: Instant,
        words: &impl Words,
        out: &mut Vec<Effect<J>>,
    ) {
        let standing = &mut self.slots[slot].standing;
        let was_stalled = standing.is_stalled();
        let Some(beat) = standing.beat.as_mut() else { return };
        if !beat.answered(probe, now) {
            return;
        }
        let due = beat.due();
        standing.heard = Some(now);
        if was_stalled {
            standing.changed = now;
        }
        self.watch(due, out);
        if was_stalled {
            self.recover(slot, now, words, out);
        }
    }

    /// A worker that became ready in this event held so many bytes before. Some: more than it ever
    /// may, so that limit does not hold for it.
    pub(crate) fn weighed_first(&mut self, slot: usize, bytes: u64) -> Option<u64> {
        self.slots[slot].standing.limits.weighed_first(bytes)
    }

    /// A worker holds so many bytes.
    pub(crate) fn weighed(
        &mut self,
        slot: usize,
        generation: u64,
        bytes: u64,
        now: Instant,
        out: &mut Vec<Effect<J>>,
    ) {
        let it = &mut self.slots[slot];
        if it.generation == generation
            && it.phase == Phase::Ready
            && let Some(why) = it.standing.limits.weighed(bytes)
        {
            self.wear_out(slot, why, now, out);
        }
    }

    /// A worker has answered; is it worn out?
    pub(crate) fn check_use(&mut self, slot: usize, now: Instant, out: &mut Vec<Effect<J>>) {
        let it = &self.slots[slot];
        if let Some(why) = it.standing.limits.used(it.answered) {
            self.wear_out(slot, why, now, out);
        }
    }

    /// The worker of a slot is to be replaced. False: it is being replaced already, or going.
    pub(super) fn wear_out(
        &mut self,
        slot: usize,
        why: Recycled,
        now: Instant,
        out: &mut Vec<Effect<J>>,
    ) -> bool {
        let it = &mut self.slots[slot];
        let whole = it.phase == Phase::Ready && !it.standing.is_worn();
        if whole {
            it.standing.worn = Some(Worn { why, since: now });
            self.replace_worn(now, out);
        }
        whole
    }

    /// Starts replacements, as many as may start at a time: for those that wore out first. One whose
    /// predecessor is still there waits until that is gone.
    pub(crate) fn replace_worn(&mut self, now: Instant, out: &mut Vec<Effect<J>>) {
        let worn = |slot: usize| {
            let it = &self.slots[slot];
            it.standing.worn.filter(|_| it.phase == Phase::Ready)
        };
        let has_worn = || self.numbers.iter().any(|&slot| worn(slot).is_some());
        if self.door != Door::Open || !self.has_spares() || !has_worn() {
            return;
        }
        let (mut heirs, mut taken) = (0, vec![false; self.numbers.len()]);
        for standing in self.slots.iter().map(|it| &it.standing) {
            let is_heir = matches!(standing.role, Role::Heir(_));
            heirs += usize::from(is_heir);
            taken[standing.number] |= is_heir || standing.role == Role::Leaving;
        }
        let numbers = self.numbers.iter().enumerate().filter(|(number, _)| !taken[*number]);
        let since = |(_, slot): (usize, &usize)| Some((worn(*slot)?.since, *slot));
        let mut waiting: Vec<_> = numbers.filter_map(since).collect();
        waiting.sort_unstable();
        let most = self.limits.life.replaced_at_once(self.numbers.len());
        for (_, old) in waiting.into_iter().take(most.saturating_sub(heirs)) {
            let Some(spare) = self.with_role(Role::Resting) else { return };
            self.start_heir(old, spare, now, out);
        }
    }

    pub(super) fn start_heir(
        &mut self,
        old: usize,
        spare: usize,
        now: Instant,
        out: &mut Vec<Effect<J>>,
    ) {
        let it = &self.slots[old];
        let wanted = it.standing.worn.is_some_and(|worn| worn.why == Recycled::Request);
        let (number, mut restart) = (it.standing.number, it.restart);
        // Where workers wear out by themselves, before they are of any use, the next comes later.
        let pause = restart.died(wanted || it.answered > 0, now);
        let heir = &mut self.slots[spare];
        heir.restart = restart;
        (heir.standing.role, heir.standing.number) = (Role::Heir(old), number);
        self.counters.restarts += 1;
        self.plan(spare, pause, out);
    }

    /// The worker of a slot is gone. True: it needs no other one there.
    pub(super) fn is_replaced(&mut self, slot: usize, out: &mut Vec<Effect<J>>) -> bool {
        match (self.slots[slot].standing.role, self.heir_of(slot)) {
            (Role::Main, Some(heir)) => {
                // It did not live to see its replacement, which is on its way.
                self.slots[heir].standing.role = Role::Main;
                self.numbers[self.slots[slot].standing.number] = heir;
                // While this one served, nothing was lost by starts that failed.
                self.slots[heir].degraded = self.slots[heir].restart.is_spent();
            }
            (Role::Leaving, _) => {}
            _ => return false,
        }
        self.slots[slot].standing.role = Role::Resting;
        self.renew(slot, out);
        true
    }

    /// The heir is ready: it takes the number of the old one, which ends what only it can.
    fn hand_over(
        &mut self,
        old: usize,
        heir: usize,
        now: Instant,
        words: &impl Words,
        out: &mut Vec<Effect<J>>,
    ) {
        self.numbers[self.slots[heir].standing.number] = heir;
        self.slots[heir].standing.role = Role::Main;
        let it = &mut self.slots[old];
        it.standing.role = Role::Leaving;
        if it.phase != Phase::Ready {
            return; // It is being killed.
        }
        it.standing.changed = now;
        self.renew(old, out);
        self.withdraw(old, 1, now, words, out);
        let keeps = self.slots[old].standing.strict && self.sessions.count(old) > 0;
        let it = &mut self.slots[old];
        it.phase = if keeps { Phase::Retiring } else { Phase::Draining };
        if keeps {
            let until = now + self.limits.life.session_drain();
            it.standing.leaves_at = Some(until);
            self.watch(until, out);
        }
        self.retire(old, now, out);
    }

    /// Looks after every worker for which something is due.
    pub(super) fn tick_life(&mut self, now: Instant, words: &impl Words, out: &mut Vec<Effect<J>>) {
        if self.door == Door::Closed {
            return;
        }
        for slot in 0..self.slots.len() {
            if !self.slots[slot].phase.serves() {
                continue;
            }
            self.tick_beat(slot, now, words, out);
            let (phase, standing) = (self.slots[slot].phase, &self.slots[slot].standing);
            let (expires, leaves_at) = (standing.limits.expires(), standing.leaves_at);
            // Whoever is on its way out has no age to be replaced at.
            let ages = phase == Phase::Ready && !standing.is_worn();
            if let Some(expires) = expires.filter(|_| ages) {
                match expires <= now {
                    true => _ = self.wear_out(slot, Recycled::Age, now, out),
                    false => self.watch(expires, out),
                }
            }
            match leaves_at {
                Some(until) if until <= now => {
                    let it = &mut self.slots[slot];
                    match it.phase {
                        Phase::Doomed => self.end_doomed(slot, now, out),
                        Phase::Retiring => {
                            it.standing.leaves_at = None;
                            it.phase = Phase::Draining;
                            self.retire(slot, now, out);
                        }
                        _ => it.standing.leaves_at = None,
                    }
                }
                Some(until) => self.watch(until, out),
                None => {}
            }
        }
        self.start_next(now, out);
    }

    fn tick_beat(
        &mut self,
        slot: usize,
        now: Instant,
        words: &impl Words,
        out: &mut Vec<Effect<J>>,
    ) {
        let standing = &mut self.slots[slot].standing;
        let (Some(beat), Some(heard)) = (&mut standing.beat, standing.heard) else { return };
        let pulse = beat.tick(heard, now);
        let due = beat.due();
        match pulse {
            Pulse::Wait => {}
            Pulse::Ask(probe) => out.push(Effect::Probe { slot, probe }),
            Pulse::Stalled(probe) => {
                standing.changed = now;
                out.push(Effect::Probe { slot, probe });
                self.stall(slot, now, words, out);
            }
            Pulse::Kill => return self.give_up_on(slot, now, words, out),
        }
        self.watch(due, out);
    }

    /// A worker does not answer: others run what it has certainly not begun, and what comes.
    fn stall(&mut self, slot: usize, now: Instant, words: &impl Words, out: &mut Vec<Effect<J>>) {
        self.note(slot, Note::Stalled, out);
        self.withdraw(slot, 0, now, words, out);
        let mut begun = self.slots[slot].lane.iter().copied();
        let stuck = begun.find(|&id| self.word(id).is_some_and(|word| words.runs(slot, word, id)));
        self.slots[slot].standing.stuck_in = stuck;
    }

    /// A worker has been stalled for longer than it may: it is killed, unless it has come to itself
    /// by now, which its words may tell sooner than anything that it says.
    fn give_up_on(
        &mut self,
        slot: usize,
        now: Instant,
        words: &impl Words,
        out: &mut Vec<Effect<J>>,
    ) {
        let stuck = self.slots[slot].standing.stuck_in;
        let stuck = stuck.and_then(|id| Some((id, self.word(id)?)));
        let still_there = match stuck {
            Some((id, word)) => words.condemn(slot, word, id),
            // It was idle: only the calls of sessions are there, and they wait for the next worker.
            None => self.empty_lane(slot, words),
        };
        if !still_there {
            self.slots[slot].standing.progressed(now);
            let due = self.slots[slot].standing.beat.map(|beat| beat.due());
            due.into_iter().for_each(|due| self.watch(due, out));
            self.recover(slot, now, words, out);
            return self.spread(now, out);
        }
        self.condemn(slot, Cause::Stall, now, words, out);
        self.spread(now, out);
    }

    /// Takes back what a worker has not begun, whoever may run it. False: it has begun something.
    fn empty_lane(&mut self, slot: usize, words: &impl Words) -> bool {
        for id in Vec::from(self.slots[slot].lane.clone()) {
            let Some(word) = self.word(id) else { continue };
            if !words.revoke(slot, word, id) {
                return false;
            }
            self.leave(slot, id, Some(word));
            self.requeue(id);
        }
        true
    }

    /// The word of a call that is in a worker.
    fn word(&self, id: CallId) -> Option<u8> {
        match self.table.get(id)?.place {
            Place::Sent { word, .. } => word,
            _ => None,
        }
    }

    /// A worker answers again.
    fn recover(&mut self, slot: usize, now: Instant, words: &impl Words, out: &mut Vec<Effect<J>>) {
        self.note(slot, Note::Recovered, out);
        if self.slots[slot].phase == Phase::Ready {
            self.loads[slot] = self.slots[slot].lane.len() as u32;
        }
        self.fill(slot, now, words, out);
    }

    pub(super) fn heir_of(&self, slot: usize) -> Option<usize> {
        self.with_role(Role::Heir(slot))
    }

    pub(super) fn with_role(&self, role: Role) -> Option<usize> {
        // Spare slots only come after the others at first; in time they are anywhere.
        self.slots.iter().position(|it| it.standing.role == role)
    }
}
