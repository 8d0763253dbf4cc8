//! The calls that are alive, found by id without hashing.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Fallen;
use super::credit::Credit;
use crate::call::{Affinity, Binding, SessionKey};
use crate::config::RetryPolicy;
use crate::error::Cause;
use crate::id::CallId;
use crate::policy::meter;
use crate::policy::queue::Lane;
use crate::policy::session;

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Queued(Lane),
    /// Its worker died, and it is tried again from then on.
    Resting(Instant),
    /// In the worker of a slot; the word tells whether it has begun, where there is one.
    Sent {
        slot: usize,
        word: Option<u8>,
    },
}

/// The session that a call belongs to.
#[derive(Debug)]
pub(super) struct InSession {
    pub(super) id: Arc<str>,
    pub(super) object: Option<Arc<Binding>>,
    pub(super) affinity: Affinity,
    /// Where it is among the sessions, as long as the call is alive.
    pub(super) place: session::Place,
}

impl InSession {
    pub(super) fn new(key: SessionKey, place: session::Place) -> Self {
        let SessionKey { id, affinity, object } = key;
        Self { id, object, affinity, place }
    }
}

/// One call that is alive.
#[derive(Debug)]
pub(super) struct Call<J> {
    /// Payload and reply sink; None once the caller was answered while the worker runs on.
    pub(super) job: Option<J>,
    pub(super) place: Place,
    pub(super) session: Option<InSession>,
    pub(super) deadline: Option<Instant>,
    /// What the caller asked for, to name it in the error.
    pub(super) limit: Duration,
    pub(super) idempotent: bool,
    /// Of its arguments, while it waits.
    pub(super) bytes: u32,
    /// The caller has seen a part of the answer: it must not run twice.
    pub(super) partly_seen: bool,
    /// What its end is measured by.
    pub(super) times: Times,
    /// What its worker may send ahead of the reader; None: it does not stream.
    pub(super) credit: Option<Box<Credit>>,
    /// What only few calls have; apart, so that the others are small.
    pub(super) rare: Option<Box<Rare>>,
}

/// What is measured of a call, and where it counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) made: Instant,
    /// To the worker that had it last; as made, where none had it.
    pub(super) sent: Instant,
    pub(super) place: meter::Place,
}

impl Times {
    pub(super) fn new(place: meter::Place, now: Instant) -> Self {
        Self { made: now, sent: now, place }
    }
}

/// What becomes of a call that is not simply answered.
#[derive(Debug, Default)]
pub(super) struct Rare {
    /// When it is made again; None: as the pool says.
    pub(super) retry: Option<Arc<RetryPolicy>>,
    /// The worker that died under it, if one did: then it may have run, wherever it is now.
    pub(super) died_under: Option<Fallen>,
    /// The worker must have let go of it by then, or is killed.
    pub(super) kill_at: Option<Instant>,
    /// It has ended in its worker, which had until `kill_at` to say so.
    pub(super) ended: bool,
    /// Why its caller gave it up, if so: its deadline, or a cancel.
    pub(super) given_up: Cause,
    /// The calls from inside which it was made.
    pub(super) ancestors: Option<Arc<[CallId]>>,
}

impl Rare {
    /// What a new call has that most do not.
    pub(super) fn of(
        retry: Option<Arc<RetryPolicy>>,
        ancestors: Option<Arc<[CallId]>>,
    ) -> Option<Box<Self>> {
        let any = retry.is_some() || ancestors.is_some();
        any.then(|| Box::new(Self { retry, ancestors, ..Self::default() }))
    }
}

impl<J> Call<J> {
    pub(super) fn died_under(&self) -> Option<Fallen> {
        self.rare.as_ref()?.died_under
    }

    pub(super) fn kill_at(&self) -> Option<Instant> {
        self.rare.as_ref()?.kill_at
    }

    pub(super) fn given_up(&self) -> Cause {
        self.rare.as_ref().map(|rare| rare.given_up).unwrap_or_default()
    }

    /// The calls from inside which it was made; mostly none.
    pub(super) fn ancestors(&self) -> &[CallId] {
        self.rare.as_ref().and_then(|rare| rare.ancestors.as_deref()).unwrap_or_default()
    }

    pub(super) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }
}

#[derive(Debug)]
struct Entry<J> {
    id: CallId,
    call: Option<Call<J>>,
}

/// A slab: an id's low bits are its place, its high bits tell whether the place is still its own.
#[derive(Debug)]
pub(super) struct Table<J> {
    entries: Vec<Entry<J>>,
    free: Vec<usize>,
    sequence: u64,
}

impl<J> Default for Table<J> {
    fn default() -> Self {
        Self { entries: Vec::new(), free: Vec::new(), sequence: 0 }
    }
}

impl<J> Table<J> {
    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.entries.len()
    }

    pub(super) fn has_room(&self) -> bool {
        !self.free.is_empty() || self.entries.len() < CallId::MAX_LIVE
    }

    /// The caller checked that there is room.
    pub(super) fn insert(&mut self, call: Call<J>) -> CallId {
        let index = self.free.pop().unwrap_or(self.entries.len());
        self.sequence += 1;
        let id = CallId::new(self.sequence, index);
        let entry = Entry { id, call: Some(call) };
        match self.entries.get_mut(index) {
            Some(place) => *place = entry,
            None => self.entries.push(entry),
        }
        id
    }

    pub(super) fn get(&self, id: CallId) -> Option<&Call<J>> {
        let entry = self.entries.get(id.index()).filter(|entry| entry.id == id)?;
        entry.call.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: CallId) -> Option<&mut Call<J>> {
        let entry = self.entries.get_mut(id.index()).filter(|entry| entry.id == id)?;
        entry.call.as_mut()
    }

    pub(super) fn remove(&mut self, id: CallId) -> Option<Call<J>> {
        let entry = self.entries.get_mut(id.index()).filter(|entry| entry.id == id)?;
        let call = entry.call.take()?;
        self.free.push(id.index());
        Some(call)
    }

    /// Whether there was a call of this name, as far as it can be told: what its place holds now is
    /// no older.
    pub(super) fn was_made(&self, id: CallId) -> bool {
        let made = self.entries.get(id.index()).is_some_and(|entry| entry.id >= id);
        made && id.sequence() > 0
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (CallId, &Call<J>)> {
        self.entries.iter().filter_map(|entry| Some((entry.id, entry.call.as_ref()?)))
    }
}
