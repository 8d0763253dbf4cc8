//! Which slots are trusted with calls: one circuit breaker a slot, and the taint after a crash.
//!
//! ```text
//! Trusted ──workers keep dying──▶ Barred ──reset_timeout──▶ Probing ──an answer──▶ Trusted
//!                                   ▲                          │
//!                                   └──────its worker dies─────┘
//! ```
//!
//! A barred slot gets no new calls while another can serve; calls of strict sessions that live
//! there still go there. While it is probing it gets one call at a time, before all others. Never
//! is more than half of the slots barred, so never the last one: a slot whose breaker would open
//! beyond that begins anew.
//!
//! What counts against a slot, by the reason of its worker's end:
//!
//! | crash, broken protocol | failure, taint |
//! | deadline, stall | failure: a worker that hangs does so, too; it did not crash |
//! | cancel | nothing: that the caller lost interest says nothing of the worker |
//! | recycle, request, close | nothing, and what was known of the slot is forgotten |
//!
//! Nothing of it costs a call anything while all slots are trusted. What a worker answered is told
//! to its breaker when it matters, with the next failure: in between only their number counts.

use std::time::Duration;

use tokio::time::Instant;

use super::slot::UNAVAILABLE;
use super::{Effect, Note, State};
use crate::config::{self, BreakerRule, Trip};
use crate::error::Cause;
use crate::id::CallId;
use crate::policy::breaker::{Breaker, BreakerState, Permit};

/// What the breaker of a slot says about new calls.
#[derive(Debug)]
enum Trust {
    Trusted,
    Barred { until: Instant },
    Probing(Option<(CallId, Permit)>),
}

#[derive(Debug)]
struct Guard {
    breaker: Option<Breaker>,
    trust: Trust,
    /// Answers of the present worker that its breaker has been told of.
    told: u64,
    /// Its worker crashed; others are preferred until then.
    tainted: Option<Instant>,
}

/// The guards of all slots.
#[derive(Debug)]
pub(super) struct Guards {
    slots: Vec<Guard>,
    /// Slots that are not trusted, and those that are tainted: with neither, routing is plain.
    distrusted: usize,
    tainted: usize,
    /// So many may be barred: spare slots do not count.
    most: usize,
    rule: Option<BreakerRule>,
    taint: Duration,
}

/// How willingly a call is given to a slot: the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Probe,
    Plain,
    Tainted,
}

impl Guards {
    pub(super) fn new(slots: usize, size: usize, guards: &config::Guards) -> Self {
        let (rule, barrier) = (guards.worker_breaker, guards.crash_barrier);
        let guard = || Guard {
            breaker: rule.map(|rule| Breaker::new(rule.limits)),
            trust: Trust::Trusted,
            told: 0,
            tainted: None,
        };
        Self {
            slots: (0..slots).map(|_| guard()).collect(),
            distrusted: 0,
            tainted: 0,
            most: size / 2,
            rule,
            taint: barrier.map_or(Duration::ZERO, |barrier| barrier.taint),
        }
    }

    /// Whether every slot is as good as any other.
    pub(super) fn are_clear(&self) -> bool {
        self.distrusted + self.tainted == 0
    }

    fn is_trusted(&self, slot: usize) -> bool {
        matches!(self.slots[slot].trust, Trust::Trusted)
    }

    fn wants_probe(&self, slot: usize) -> bool {
        matches!(self.slots[slot].trust, Trust::Probing(None))
    }

    /// What a slot's breaker does, and whether the slot is tainted.
    pub(super) fn describe(&self, slot: usize) -> (BreakerState, bool) {
        let state = match self.slots[slot].trust {
            Trust::Trusted => BreakerState::Closed,
            Trust::Barred { .. } => BreakerState::Open,
            Trust::Probing(_) => BreakerState::HalfOpen,
        };
        (state, self.slots[slot].tainted.is_some())
    }

    /// Slots that are barred or on probation.
    pub(super) fn distrusted(&self) -> usize {
        self.distrusted
    }

    /// Tells the breaker of a slot what its worker has answered so far. `answered` in all.
    fn catch_up(&mut self, slot: usize, answered: u64, now: Instant) {
        let guard = &mut self.slots[slot];
        let Some(breaker) = &mut guard.breaker else { return };
        let most = match self.rule.map(|rule| rule.limits.trip) {
            Some(Trip::Rate { window, .. }) => u64::from(window),
            _ => 1,
        };
        let news = answered.saturating_sub(guard.told).min(most);
        guard.told = answered;
        for _ in 0..news {
            if breaker.state(now) == BreakerState::Closed
                && let Ok(permit) = breaker.admit(now)
            {
                breaker.success(permit, now);
            }
        }
    }

    /// The worker of a slot failed. When it may be probed, where it is barred now.
    fn failed(&mut self, slot: usize, now: Instant) -> Option<Instant> {
        let barred = self.slots.iter().filter(|it| !matches!(it.trust, Trust::Trusted));
        let room = barred.count() < self.most || !self.is_trusted(slot);
        let guard = &mut self.slots[slot];
        let breaker = guard.breaker.as_mut()?;
        let permit = match std::mem::replace(&mut guard.trust, Trust::Trusted) {
            Trust::Trusted => breaker.admit(now).ok()?,
            // Barred, and called all the same: it has nothing to lose.
            barred @ Trust::Barred { .. } => {
                guard.trust = barred;
                return None;
            }
            Trust::Probing(Some((_, permit))) => permit,
            Trust::Probing(None) => breaker.admit(now).ok()?,
        };
        breaker.failure(permit, now);
        let until = breaker.open_until()?;
        if !room {
            breaker.reset();
            return None;
        }
        guard.trust = Trust::Barred { until };
        Some(until)
    }

    #[cold]
    fn probe(&mut self, slot: usize, id: CallId, now: Instant) {
        let guard = &mut self.slots[slot];
        if let (Trust::Probing(probe @ None), Some(breaker)) =
            (&mut guard.trust, &mut guard.breaker)
        {
            *probe = breaker.admit(now).ok().map(|permit| (id, permit));
        }
    }

    /// The worker of a slot ended, and that says nothing: where one of its calls was the probe, its
    /// place is free again.
    fn release(&mut self, slot: usize, now: Instant) {
        let guard = &mut self.slots[slot];
        if let (Trust::Probing(probe), Some(breaker)) = (&mut guard.trust, &mut guard.breaker)
            && let Some((_, permit)) = probe.take()
        {
            breaker.release(permit, now);
        }
    }

    #[cold]
    fn probe_left(&mut self, slot: usize, id: CallId, now: Instant) {
        let guard = &mut self.slots[slot];
        if let (Trust::Probing(probe), Some(breaker)) = (&mut guard.trust, &mut guard.breaker)
            && let Some((_, permit)) = probe.take_if(|(probe, _)| *probe == id)
        {
            breaker.release(permit, now);
        }
    }

    fn count(&mut self) {
        let distrusted = |it: &&Guard| !matches!(it.trust, Trust::Trusted);
        self.distrusted = self.slots.iter().filter(distrusted).count();
        self.tainted = self.slots.iter().filter(|it| it.tainted.is_some()).count();
    }
}

impl<J> State<J> {
    /// Whether a slot gets no call that others may run: its breaker is open, and another slot can
    /// serve.
    pub(super) fn is_barred(&self, slot: usize) -> bool {
        self.guards.distrusted > 0
            && !self.guards.is_trusted(slot)
            && !self.guards.wants_probe(slot)
            && (0..self.loads.len())
                .any(|it| self.guards.is_trusted(it) && self.loads[it] != UNAVAILABLE)
    }

    /// Whether a call had better not run in a slot: its worker died under it there, the slot is
    /// tainted, and another slot that is not can serve.
    pub(super) fn avoids(&self, id: CallId, slot: usize) -> bool {
        let fell_here = || {
            let call = self.table.get(id);
            call.and_then(|call| call.died_under()).is_some_and(|under| under.slot == slot)
        };
        self.guards.tainted > 0
            && self.guards.slots[slot].tainted.is_some()
            && fell_here()
            && (0..self.loads.len()).any(|it| {
                self.loads[it] != UNAVAILABLE
                    && self.guards.is_trusted(it)
                    && self.guards.slots[it].tainted.is_none()
            })
    }

    /// Whether a slot may have one more call that others may run.
    pub(super) fn may_have(&self, slot: usize, now: Instant) -> bool {
        self.loads[slot] != UNAVAILABLE && self.slots[slot].has_room(now) && !self.is_barred(slot)
    }

    /// As [`State::least_loaded`], where not all slots are trusted: idle slots before busy ones,
    /// among them probes first and tainted ones last.
    #[cold]
    pub(super) fn most_trusted(&self, now: Instant) -> Option<usize> {
        let open = (0..self.loads.len()).filter(|&slot| self.may_have(slot, now));
        open.min_by_key(|&slot| {
            let load = self.loads[slot];
            (load > 0, self.rank(slot), load)
        })
    }

    /// Whether two slots are as good as one another for a new call.
    pub(super) fn are_equal(&self, one: usize, other: usize) -> bool {
        let as_good = || self.rank(one) == self.rank(other) && !self.is_barred(other);
        self.loads[one] == self.loads[other] && (self.guards.are_clear() || as_good())
    }

    /// When the next slot is put on probation, or loses its taint.
    #[cfg(test)]
    pub(super) fn due_of_guards(&self) -> Option<Instant> {
        let due = self.guards.slots.iter().flat_map(|guard| {
            let barred = match guard.trust {
                Trust::Barred { until } => Some(until),
                _ => None,
            };
            barred.into_iter().chain(guard.tainted)
        });
        due.min()
    }

    fn rank(&self, slot: usize) -> Rank {
        if self.guards.wants_probe(slot) {
            Rank::Probe
        } else if self.guards.slots[slot].tainted.is_some() {
            Rank::Tainted
        } else {
            Rank::Plain
        }
    }

    /// A call was sent to a slot: where that is on probation, it is the probe.
    #[inline]
    pub(super) fn probe(&mut self, slot: usize, id: CallId, now: Instant) {
        if self.guards.distrusted > 0 {
            self.guards.probe(slot, id, now);
        }
    }

    /// A call left a slot without an answer: where it was the probe, its place is free again.
    #[inline]
    pub(super) fn probe_left(&mut self, slot: usize, id: CallId) {
        if self.guards.distrusted > 0 {
            let now = self.slots[slot].since; // a release is no matter of time
            self.guards.probe_left(slot, id, now);
        }
    }

    /// A worker answered; `raised`: that the adapter's code failed.
    #[inline]
    pub(super) fn vouch(
        &mut self,
        slot: usize,
        raised: bool,
        now: Instant,
        out: &mut Vec<Effect<J>>,
    ) {
        if raised || self.guards.distrusted > 0 {
            self.judge(slot, raised, now, out);
        }
    }

    #[cold]
    fn judge(&mut self, slot: usize, raised: bool, now: Instant, out: &mut Vec<Effect<J>>) {
        let counts = raised && self.guards.rule.is_some_and(|rule| rule.count_remote_errors);
        if counts {
            // This answer is no success: those before it are told first.
            let answered = self.slots[slot].answered;
            self.guards.catch_up(slot, answered, now);
            self.guards.slots[slot].told += 1;
            return self.distrust(slot, now, out);
        }
        if self.guards.distrusted == 0 {
            return;
        }
        let guard = &mut self.guards.slots[slot];
        let Some(breaker) = &mut guard.breaker else { return };
        if let Trust::Probing(probe) = &mut guard.trust {
            // One that was sent before the probation says as much.
            let permit = probe.take().map(|(_, permit)| permit).or_else(|| breaker.admit(now).ok());
            if let Some(permit) = permit {
                breaker.success(permit, now);
                guard.trust = Trust::Trusted;
                guard.told = self.slots[slot].answered + 1;
                self.guards.count();
                self.note(slot, |worker| Note::Breaker(worker, BreakerState::Closed), out);
            }
        }
    }

    /// The worker of a slot died. `condemned`: the host killed it, for that reason.
    pub(super) fn fell(
        &mut self,
        slot: usize,
        condemned: Option<Cause>,
        now: Instant,
        out: &mut Vec<Effect<J>>,
    ) {
        let answered = self.slots[slot].answered;
        self.guards.catch_up(slot, answered, now);
        self.guards.slots[slot].told = 0;
        match condemned {
            Some(Cause::Cancel) => self.guards.release(slot, now),
            _ => self.distrust(slot, now, out),
        }
        // One that the host killed did not crash.
        let tainted = condemned.is_none() && !self.guards.taint.is_zero();
        if tainted && let Some(until) = now.checked_add(self.guards.taint) {
            self.guards.slots[slot].tainted = Some(until);
            let taint = self.guards.taint;
            self.note(slot, |worker| Note::Tainted(worker, taint), out);
            self.watch(until, out);
        }
        self.guards.count();
    }

    /// A slot gets a worker that has nothing to do with the one before it: that one was replaced in
    /// good order, and what is known of it says nothing about the next.
    pub(super) fn renew(&mut self, slot: usize, out: &mut Vec<Effect<J>>) {
        if !self.guards.is_trusted(slot) {
            self.note(slot, |worker| Note::Breaker(worker, BreakerState::Closed), out);
        }
        let guard = &mut self.guards.slots[slot];
        if let Some(breaker) = &mut guard.breaker {
            breaker.reset();
        }
        (guard.trust, guard.told, guard.tainted) = (Trust::Trusted, 0, None);
        self.guards.count();
    }

    fn distrust(&mut self, slot: usize, now: Instant, out: &mut Vec<Effect<J>>) {
        if let Some(until) = self.guards.failed(slot, now) {
            self.note(slot, |worker| Note::Breaker(worker, BreakerState::Open), out);
            self.watch(until, out);
        }
        self.guards.count();
    }

    /// Time has passed: barred slots are put on probation, taints fade. The slots that may have
    /// calls now, and when to look again.
    pub(super) fn forgive(
        &mut self,
        now: Instant,
        out: &mut Vec<Effect<J>>,
    ) -> (Vec<usize>, Option<Instant>) {
        let (mut freed, mut next) = (Vec::new(), None);
        if self.guards.are_clear() {
            return (freed, next);
        }
        let mut later = |at: Instant| next = Some(next.map_or(at, |next: Instant| next.min(at)));
        for (slot, guard) in self.guards.slots.iter_mut().enumerate() {
            match guard.trust {
                Trust::Barred { until } if until <= now => {
                    guard.trust = Trust::Probing(None);
                    freed.push(slot);
                    let worker = self.slots[slot].resident(slot);
                    out.push(Effect::Note(Note::Breaker(worker, BreakerState::HalfOpen)));
                }
                Trust::Barred { until } => later(until),
                Trust::Trusted | Trust::Probing(_) => {}
            }
            match guard.tainted {
                Some(until) if until <= now => {
                    guard.tainted = None;
                    freed.push(slot);
                }
                Some(until) => later(until),
                None => {}
            }
        }
        self.guards.count();
        (freed, next)
    }
}
