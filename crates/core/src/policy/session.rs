//! The sessions of a pool: which there are, how long each may be unused, how many there may be.
//!
//! ```text
//!          open                          close, or unused for its ttl
//! (none) ────────▶ open, in `by_id` ─────────────────────────────────▶ ended ──▶ (none)
//!                   │ ▲                                                  its last call has ended:
//!                   └─┘ calls enter and leave                            now its workers are told
//! ```
//!
//! A session is *used* when a call enters and when one is answered, and it does not expire while a
//! call is inside. It has expired from that moment on, whether somebody has swept since or not. One
//! that has ended is found by nobody, but keeps its place until the calls inside have ended: those
//! run on as if nothing had happened.
//!
//! Pure: `now` is passed in. Found by place: a number that stays the same while a call is inside.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::affinity::{Home, Homes};
use crate::call::{Binding, Ended, Life, Opening};

/// Sweeps are so far apart at least, however many sessions expire one after the other.
const SWEEP_PAUSE: Duration = Duration::from_millis(100);

/// Number of a session's entry.
pub(crate) type Place = u32;

/// What a session is like unless it says otherwise, and how many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) ttl: Option<Duration>,
    pub(crate) max: usize,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: Arc<str>,
    life: Arc<Life>,
    pub(crate) homes: Homes,
    pub(crate) ttl: Option<Duration>,
    pub(crate) metadata: Bytes,
    pub(crate) opened: Instant,
    pub(crate) used: Instant,
    /// Calls that were admitted.
    pub(crate) calls: u64,
    /// Of these: inside.
    pub(crate) in_flight: u32,
}

impl Entry {
    /// When it expires, unless it is used before; None: never, as things are.
    fn expires(&self) -> Option<Instant> {
        // A moment beyond what the clock can hold never comes.
        self.ttl.filter(|_| self.in_flight == 0).and_then(|ttl| self.used.checked_add(ttl))
    }

    fn has_expired(&self, now: Instant) -> bool {
        self.expires().is_some_and(|expires| expires <= now)
    }

    /// What is left of its `ttl`; None: no limit.
    pub(crate) fn left(&self, now: Instant) -> Option<Duration> {
        let idle = if self.in_flight > 0 { Duration::ZERO } else { self.idle(now) };
        self.ttl.map(|ttl| ttl.saturating_sub(idle))
    }

    pub(crate) fn idle(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.used)
    }
}

/// What an id stands for at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Open(Place),
    /// Open, though its time is over: to be ended by whoever finds it.
    Stale(Place),
    Nothing,
}

/// A session that is over: its workers have something to forget.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) id: Arc<str>,
    pub(crate) homes: Vec<Home>,
}

/// All sessions of a pool.
#[derive(Debug)]
pub(crate) struct Sessions {
    by_id: HashMap<Arc<str>, Place>,
    entries: Vec<Option<Entry>>,
    free: Vec<Place>,
    /// Sessions that have their home in each slot.
    per_slot: Vec<u32>,
    last_binding: u64,
    limits: Limits,
    /// No session expires before that moment; None: none will, as things are.
    sweep_at: Option<Instant>,
}

impl Sessions {
    pub(crate) fn new(slots: usize, limits: Limits) -> Self {
        Self {
            by_id: HashMap::new(),
            entries: Vec::new(),
            free: Vec::new(),
            per_slot: vec![0; slots],
            last_binding: 0,
            limits,
            sweep_at: None,
        }
    }

    /// Sessions that are open.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn max(&self) -> usize {
        self.limits.max
    }

    pub(crate) fn is_full(&self) -> bool {
        self.by_id.len() >= self.limits.max
    }

    /// Sessions that have their home in `slot`.
    pub(crate) fn count(&self, slot: usize) -> u32 {
        self.per_slot[slot]
    }

    /// The sessions that are open at `now`.
    pub(crate) fn iter(&self, now: Instant) -> impl Iterator<Item = &Entry> {
        let open = self.by_id.values().filter_map(|&place| self.entries[place as usize].as_ref());
        open.filter(move |entry| !entry.has_expired(now))
    }

    pub(crate) fn get(&self, place: Place) -> &Entry {
        self.entries[place as usize].as_ref().expect("a place is kept while it is in use")
    }

    fn get_mut(&mut self, place: Place) -> &mut Entry {
        self.entries[place as usize].as_mut().expect("a place is kept while it is in use")
    }

    /// The session that a call asks for by its id, and by its object where it has one.
    ///
    /// # Errors
    /// The object's session has ended.
    pub(crate) fn find(
        &self,
        id: &str,
        object: Option<&Binding>,
        now: Instant,
    ) -> Result<Found, Ended> {
        if let Some(ended) = object.and_then(Binding::ended) {
            return Err(ended);
        }
        let Some(&place) = self.by_id.get(id) else { return Ok(Found::Nothing) };
        if !self.get(place).has_expired(now) {
            return Ok(Found::Open(place));
        }
        // An object that has never been used relies on nothing that was there.
        match object.and_then(Binding::life) {
            Some(_) => Err(Ended::Expired),
            None => Ok(Found::Stale(place)),
        }
    }

    /// Opens a session where there is none of that id; whether one more may be is the caller's.
    pub(crate) fn open(&mut self, id: &Arc<str>, now: Instant) -> Place {
        let place = self.free.pop().unwrap_or(self.entries.len() as Place);
        let entry = Entry {
            id: id.clone(),
            life: Arc::default(),
            homes: Homes::default(),
            ttl: self.limits.ttl,
            metadata: Bytes::new(),
            opened: now,
            used: now,
            calls: 0,
            in_flight: 0,
        };
        match self.entries.get_mut(place as usize) {
            Some(free) => *free = Some(entry),
            None => self.entries.push(Some(entry)),
        }
        let before = self.by_id.insert(id.clone(), place);
        debug_assert!(before.is_none(), "opened twice");
        place
    }

    /// An object belongs to the session from now on; what it says of it counts at its first use.
    pub(crate) fn join(&mut self, place: Place, object: &Binding) {
        let entry = self.get_mut(place);
        let first = object.life().is_none();
        if !object.join(&entry.life) || !first {
            return;
        }
        let Opening { ttl, metadata } = &object.opening;
        if let Some(ttl) = *ttl {
            entry.ttl = ttl;
        }
        if let Some(metadata) = metadata {
            entry.metadata = metadata.clone();
        }
    }

    /// When the next session expires, as far as is known without looking: asked after one was opened
    /// or joined, and when the last call inside has left. Some: earlier than before.
    pub(crate) fn note_expiry(&mut self, place: Place) -> Option<Instant> {
        let expires = self.get(place).expires()?;
        let earlier = self.sweep_at.is_none_or(|at| expires < at);
        earlier.then(|| *self.sweep_at.insert(expires))
    }

    pub(crate) fn sweep_at(&self) -> Option<Instant> {
        self.sweep_at
    }

    /// A call enters.
    pub(crate) fn enter(&mut self, place: Place, now: Instant) {
        let entry = self.get_mut(place);
        (entry.used, entry.calls) = (now, entry.calls + 1);
        entry.in_flight += 1;
    }

    /// Its worker has answered a call.
    pub(crate) fn touch(&mut self, place: Place, now: Instant) {
        self.get_mut(place).used = now;
    }

    /// A call has left. Some: it was the last one of a session that has ended.
    pub(crate) fn leave(&mut self, place: Place) -> Option<Gone> {
        let entry = self.get_mut(place);
        entry.in_flight -= 1;
        let over = entry.in_flight == 0 && entry.life.ended().is_some();
        over.then(|| self.remove(place))
    }

    /// The binding of a session to the slot that one of its calls is sent to, and whether it is new
    /// there.
    pub(crate) fn arrive(&mut self, place: Place, slot: usize) -> (Home, bool) {
        let entry = self.entries[place as usize].as_mut().expect("a call is inside");
        let had_home = entry.homes.home().is_some();
        let known = entry.homes.in_slot(slot);
        match known {
            Some(_) => entry.homes.settle(slot),
            None => {
                self.last_binding += 1;
                entry.homes.bind(slot, self.last_binding);
            }
        }
        self.per_slot[slot] += u32::from(!had_home);
        (entry.homes.count(slot), known.is_none())
    }

    /// Ends every binding to `slot`. The open sessions that had their home there.
    pub(crate) fn evict(&mut self, slot: usize) -> Vec<Place> {
        self.per_slot[slot] = 0;
        let mut lost = Vec::new();
        for (place, entry) in self.entries.iter_mut().enumerate() {
            let Some(entry) = entry else { continue };
            let at_home = entry.homes.home().is_some_and(|home| home.slot == slot);
            if at_home && entry.life.ended().is_none() {
                lost.push(place as Place);
            }
            entry.homes.evict(slot);
        }
        lost
    }

    /// Ends an open session. Some: nothing of it is inside, so it is over.
    pub(crate) fn end(&mut self, place: Place, how: Ended) -> Option<Gone> {
        let entry = self.entries[place as usize].as_mut().expect("an open session");
        entry.life.end(how);
        let idle = entry.in_flight == 0;
        self.by_id.remove(&entry.id);
        idle.then(|| self.remove(place))
    }

    /// Ends what has expired, and says when to look again.
    pub(crate) fn sweep(&mut self, now: Instant) -> Vec<Gone> {
        let open = || self.by_id.values().map(|&place| (place, self.get(place)));
        let stale: Vec<_> = open().filter(|(_, entry)| entry.has_expired(now)).collect();
        let stale: Vec<_> = stale.into_iter().map(|(place, _)| place).collect();
        // Those with calls inside are noted when the last one leaves.
        let next = open().filter_map(|(_, entry)| entry.expires()).filter(|&at| at > now).min();
        self.sweep_at = next.map(|next| next.max(now + SWEEP_PAUSE));
        stale.into_iter().filter_map(|place| self.end(place, Ended::Expired)).collect()
    }

    fn remove(&mut self, place: Place) -> Gone {
        let entry = self.entries[place as usize].take().expect("an entry that is over");
        self.free.push(place);
        if let Some(home) = entry.homes.home() {
            self.per_slot[home.slot] -= 1;
        }
        Gone { id: entry.id, homes: entry.homes.iter().collect() }
    }
}

#[cfg(test)]
mod tests;
