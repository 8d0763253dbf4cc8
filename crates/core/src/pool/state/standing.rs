//! What a slot is to the pool, and what is known about the life of the worker in it.

use tokio::time::Instant;

use super::State;
use super::slot::{Phase, Slot};
use crate::config::Life;
use crate::error::{Cause, Recycled};
use crate::id::CallId;
use crate::policy::heartbeat::Beat;
use crate::policy::recycle::Limits;

/// What a slot is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It has its number.
    Main,
    /// It starts, to take over the number of that slot.
    Heir(usize),
    /// It was replaced, and goes when it is empty.
    Leaving,
    /// It is spare.
    Resting,
}

/// Why a worker is to be replaced, and since when: those that wore out first are first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Worn {
    pub(super) why: Recycled,
    pub(super) since: Instant,
}

#[derive(Debug)]
pub(super) struct Standing {
    pub(super) role: Role,
    /// The number it has, or had last.
    pub(super) number: usize,
    /// Since when the worker is what it is: starting, ready, stalled, leaving, condemned, gone.
    pub(super) changed: Instant,
    /// When the worker last did anything that only its interpreter does.
    pub(super) heard: Option<Instant>,
    /// Where the worker can be asked.
    pub(super) beat: Option<Beat>,
    pub(super) limits: Limits,
    /// The worker is to be replaced.
    pub(super) worn: Option<Worn>,
    /// The call in which it stalled; None: in none, as far as words tell.
    pub(super) stuck_in: Option<CallId>,
    /// Why the host kills it, or is about to: it did not let go of a call, or it stalled.
    pub(super) condemned: Option<Cause>,
    /// A session that may not move has lived in the worker.
    pub(super) strict: bool,
    /// Then a worker that was replaced waits for its sessions no longer, and a doomed one for its
    /// calls.
    pub(super) leaves_at: Option<Instant>,
}

impl Standing {
    pub(super) fn new(place: usize, size: usize, now: Instant) -> Self {
        let spare = place >= size;
        Self {
            role: if spare { Role::Resting } else { Role::Main },
            number: if spare { 0 } else { place },
            changed: now,
            heard: None,
            beat: None,
            limits: Limits::new(None, 0, now),
            worn: None,
            stuck_in: None,
            condemned: None,
            strict: false,
            leaves_at: None,
        }
    }

    /// The worker became ready.
    pub(super) fn begin_life(&mut self, life: &Life, nth: u64, now: Instant) {
        (self.changed, self.heard) = (now, Some(now));
        self.limits = Limits::new(life.recycle, nth, now);
        (self.strict, self.stuck_in) = (false, None);
    }

    /// The worker is gone.
    pub(super) fn end_life(&mut self, now: Instant) {
        (self.changed, self.heard) = (now, None);
        (self.beat, self.worn, self.leaves_at) = (None, None, None);
    }

    /// The worker said something.
    pub(super) fn progressed(&mut self, now: Instant) {
        self.heard = Some(now);
        if let Some(beat) = &mut self.beat
            && beat.is_stalled()
        {
            beat.progressed(now);
            self.changed = now;
        }
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.beat.is_some_and(|beat| beat.is_stalled())
    }

    pub(super) fn is_worn(&self) -> bool {
        self.worn.is_some()
    }
}

impl Slot {
    /// It gets calls of its sessions, though no others.
    pub(super) fn takes_sessions(&self) -> bool {
        self.phase == Phase::Retiring && !self.standing.is_stalled()
    }
}

/// What is known of one of the pool's workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// It takes calls, or would if it were not stalled.
    pub(crate) ready: bool,
    pub(crate) stalled: bool,
    pub(crate) degraded: bool,
    pub(crate) changed: Instant,
    pub(crate) heard: Option<Instant>,
}

impl<J> State<J> {
    /// The number that users know the worker of a slot by.
    pub(crate) fn number(&self, slot: usize) -> usize {
        self.slots[slot].standing.number
    }

    /// The slot of one of the pool's workers.
    pub(crate) fn slot_of(&self, number: usize) -> usize {
        self.numbers[number]
    }

    /// The slot of a worker that has this number, or is about to have it, or had it; None: that one
    /// is gone.
    pub(crate) fn slot_with(&self, number: usize, generation: u64) -> Option<usize> {
        self.slots.iter().position(|Slot { generation: own, standing, .. }| {
            *own == generation && standing.number == number && standing.role != Role::Resting
        })
    }

    /// The slot in which the replacement of a worker starts.
    pub(crate) fn replacement_of(&self, slot: usize) -> Option<usize> {
        let Slot { phase, standing, .. } = &self.slots[slot];
        // Of a worker that is well nobody is looked for: there may be thousands.
        let whole = *phase == Phase::Ready && !standing.is_worn();
        if whole || !self.has_spares() { None } else { self.heir_of(slot) }
    }

    pub(crate) fn facts(&self, slot: usize) -> Facts {
        let Slot { phase, degraded, standing, .. } = &self.slots[slot];
        Facts {
            ready: *phase == Phase::Ready,
            stalled: standing.is_stalled(),
            degraded: *degraded,
            changed: standing.changed,
            heard: standing.heard,
        }
    }

    /// Calls that the worker of a slot runs: what each carries, unless its caller was answered, and
    /// since when. Those behind them wait in the worker.
    pub(crate) fn running(&self, slot: usize) -> impl Iterator<Item = (Option<&J>, Instant)> {
        let Slot { lane, capacity, since, .. } = &self.slots[slot];
        lane.iter().take(*capacity).filter_map(|id| {
            let call = self.table.get(*id)?;
            let at = call.times.sent;
            // One that waited in the worker began when the one before it had been answered.
            let since = if *capacity == 1 { at.max(*since) } else { at };
            Some((call.job.as_ref(), since))
        })
    }

    /// The slots of workers that may be weighed, and their generations.
    pub(crate) fn weighable(&self) -> impl Iterator<Item = (usize, u64)> {
        let slots = self.numbers.iter().map(|&slot| (slot, &self.slots[slot]));
        let weighable = slots.filter(|(_, it)| it.phase == Phase::Ready && !it.standing.is_worn());
        weighable.map(|(slot, it)| (slot, it.generation))
    }

    /// No worker can start.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.numbers.iter().all(|&slot| self.slots[slot].degraded)
    }

    pub(super) fn has_spares(&self) -> bool {
        self.slots.len() > self.numbers.len()
    }
}
