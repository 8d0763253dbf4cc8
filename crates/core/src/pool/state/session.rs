//! Sessions in the pool: calls find them, enter and leave; they are opened, closed, swept.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::slot::Phase;
use super::table::InSession;
use super::{Call, Effect, Note, Refusal, State};
use crate::call::{Binding, Bound, Ended, Resident, SessionKey};
use crate::id::CallId;
use crate::policy::session::{Entry, Found, Gone, Place, Sessions};

/// What a call's session is to the worker that the call is sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Visit {
    /// Number of its binding there.
    pub(crate) binding: u64,
    pub(crate) is_new: bool,
    pub(crate) metadata: Bytes,
}

impl Visit {
    /// A call of a session is sent to a slot.
    pub(super) fn pay(
        sessions: &mut Sessions,
        session: &InSession,
        slot: usize,
        resident: impl FnOnce(usize) -> Resident,
    ) -> Self {
        let (here, is_new) = sessions.arrive(session.place, slot);
        let entry = sessions.get(session.place);
        if let (Some(object), Some(home)) = (&session.object, entry.homes.home()) {
            object.set_first(Bound { binding: home.binding, home: resident(home.slot) });
        }
        Self { binding: here.binding, is_new, metadata: entry.metadata.clone() }
    }
}

/// One session, for people.
#[derive(Clone, Debug)]
pub(crate) struct SessionRow {
    pub(crate) id: Arc<str>,
    /// Number and generation of its worker, and number of its binding there.
    pub(crate) home: Option<(usize, u64, u64)>,
    pub(crate) calls: u64,
    pub(crate) in_flight: u32,
    pub(crate) age: Duration,
    pub(crate) idle: Duration,
    pub(crate) ttl: Option<Duration>,
    pub(crate) ttl_left: Option<Duration>,
    pub(crate) metadata: Bytes,
}

impl<J> State<J> {
    /// Opens a session, or joins the one that is open under its id.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub(crate) fn open_session(
        &mut self,
        key: &SessionKey,
        now: Instant,
        out: &mut Vec<Effect<J>>,
    ) -> Result<(), Refusal> {
        if !self.is_open() {
            return Err(Refusal::Closed);
        }
        let found = self.find_session(key, now)?;
        self.session_place(key, found, now, out)?;
        Ok(())
    }

    /// Ends the session that is open under that id. False: there is none.
    pub(crate) fn close_session(
        &mut self,
        id: &str,
        now: Instant,
        out: &mut Vec<Effect<J>>,
    ) -> bool {
        match self.sessions.find(id, None, now) {
            Ok(Found::Open(place)) => {
                self.end_session(place, Ended::Closed, now, out);
                true
            }
            Ok(Found::Stale(place)) => {
                self.end_session(place, Ended::Expired, now, out);
                false
            }
            Ok(Found::Nothing) | Err(_) => false,
        }
    }

    /// Ends the session of that id where its time is over, though nobody has swept since.
    pub(crate) fn end_stale(&mut self, id: &str, now: Instant, out: &mut Vec<Effect<J>>) {
        if let Ok(Found::Stale(place)) = self.sessions.find(id, None, now) {
            self.end_session(place, Ended::Expired, now, out);
        }
    }

    /// As [`Self::close_session`], for the session of an object alone. One that was never used is
    /// closed, too: it opens none any more.
    pub(crate) fn close_session_of(
        &mut self,
        id: &str,
        object: &Binding,
        now: Instant,
        out: &mut Vec<Effect<J>>,
    ) -> bool {
        if object.life().is_none() {
            object.close_unused();
            return false;
        }
        // A life that has not ended is the one that is open under its id.
        object.ended().is_none() && self.close_session(id, now, out)
    }

    /// The sessions that are open, or the one of that id.
    pub(crate) fn session_rows(&self, id: Option<&str>, now: Instant) -> Vec<SessionRow> {
        let row = |entry: &Entry| SessionRow {
            id: entry.id.clone(),
            home: entry
                .homes
                .home()
                .map(|home| (self.number(home.slot), self.generation(home.slot), home.binding)),
            calls: entry.calls,
            in_flight: entry.in_flight,
            age: now.saturating_duration_since(entry.opened),
            idle: entry.idle(now),
            ttl: entry.ttl,
            ttl_left: entry.left(now),
            metadata: entry.metadata.clone(),
        };
        match id.map(|id| self.sessions.find(id, None, now)) {
            None => self.sessions.iter(now).map(row).collect(),
            Some(Ok(Found::Open(place))) => vec![row(self.sessions.get(place))],
            Some(_) => Vec::new(),
        }
    }

    pub(super) fn find_session(&self, key: &SessionKey, now: Instant) -> Result<Found, Refusal> {
        let found = self.sessions.find(&key.id, key.object.as_deref(), now);
        found.map_err(|how| Refusal::SessionEnded(key.id.clone(), how))
    }

    /// A call enters its session, which is opened where there is none.
    pub(super) fn enter_session(
        &mut self,
        key: SessionKey,
        found: Found,
        now: Instant,
        out: &mut Vec<Effect<J>>,
    ) -> Result<InSession, Refusal> {
        let place = self.session_place(&key, found, now, out)?;
        self.sessions.enter(place, now);
        Ok(InSession::new(key, place))
    }

    fn session_place(
        &mut self,
        key: &SessionKey,
        found: Found,
        now: Instant,
        out: &mut Vec<Effect<J>>,
    ) -> Result<Place, Refusal> {
        let object = key.object.as_deref();
        if let Found::Open(place) = found {
            if let Some(object) = object.filter(|object| object.life().is_none()) {
                self.sessions.join(place, object);
                self.watch_expiry(place, out);
            }
            return Ok(place);
        }
        if let Found::Stale(place) = found {
            self.end_session(place, Ended::Expired, now, out);
        }
        if self.sessions.is_full() {
            self.sweep_sessions(now, out);
        }
        if self.sessions.is_full() {
            return Err(Refusal::TooManySessions(key.id.clone(), self.sessions.max()));
        }
        let place = self.sessions.open(&key.id, now);
        if let Some(object) = object {
            self.sessions.join(place, object);
        }
        self.watch_expiry(place, out);
        Ok(place)
    }

    /// The timer is set no later than the next session expires.
    fn watch_expiry(&mut self, place: Place, out: &mut Vec<Effect<J>>) {
        if let Some(at) = self.sessions.note_expiry(place) {
            self.watch(at, out);
        }
    }

    /// A worker has answered a call.
    pub(super) fn used_session(&mut self, id: CallId, now: Instant) {
        if let Some(Call { session: Some(session), .. }) = self.table.get(id) {
            self.sessions.touch(session.place, now);
        }
    }

    /// Takes a call out for good.
    pub(super) fn remove(
        &mut self,
        id: CallId,
        now: Instant,
        out: &mut Vec<Effect<J>>,
    ) -> Option<Call<J>> {
        let call = self.table.remove(id)?;
        if let Some(session) = &call.session {
            match self.sessions.leave(session.place) {
                Some(gone) => self.bury(gone, now, out),
                None => self.watch_expiry(session.place, out),
            }
        }
        Some(call)
    }

    /// The sessions that lose nothing with the worker of that slot: of all they ever sent there none
    /// has begun. Their objects take the next binding for their first. `lane`: the calls that were in
    /// it, and whether they are certainly untouched.
    pub(super) fn unbegun_sessions(&self, slot: usize, lane: &[(CallId, bool)]) -> Vec<Place> {
        let sessions = lane
            .iter()
            .filter(|(_, untouched)| *untouched)
            .filter_map(|(id, _)| self.table.get(*id)?.session.as_ref());
        let mut untouched: Vec<(Place, u32)> = Vec::new();
        for session in sessions.clone() {
            match untouched.iter_mut().find(|(place, _)| *place == session.place) {
                Some((_, calls)) => *calls += 1,
                None => untouched.push((session.place, 1)),
            }
        }
        let home = |place| self.sessions.get(place).homes.home().filter(|home| home.slot == slot);
        untouched.retain(|&(place, calls)| home(place).is_some_and(|home| home.sent == calls));
        let unbegun: Vec<_> = untouched.into_iter().map(|(place, _)| place).collect();
        for session in sessions {
            if unbegun.contains(&session.place)
                && let (Some(object), Some(home)) = (&session.object, home(session.place))
            {
                object.forget(home.binding);
            }
        }
        unbegun
    }

    /// Whether somebody waits for a call of one of those sessions.
    pub(super) fn loses_nothing(&self, id: CallId, unbegun: &[Place]) -> bool {
        let call = self.table.get(id).filter(|call| call.job.is_some());
        let session = call.and_then(|call| call.session.as_ref());
        session.is_some_and(|session| unbegun.contains(&session.place))
    }

    /// The worker of a slot is gone, or is given up, and with it what sessions had there; but for those
    /// that lose nothing.
    pub(super) fn evict_sessions(
        &mut self,
        slot: usize,
        cause: &'static str,
        unbegun: &[Place],
        out: &mut Vec<Effect<J>>,
    ) {
        let mut lost = self.sessions.evict(slot);
        lost.retain(|place| !unbegun.contains(place));
        if !lost.is_empty() {
            let ids = lost.into_iter().map(|place| self.sessions.get(place).id.clone()).collect();
            self.note(slot, |worker| Note::Lost(ids, worker, cause), out);
        }
    }

    fn end_session(&mut self, place: Place, how: Ended, now: Instant, out: &mut Vec<Effect<J>>) {
        out.push(Effect::SessionOver { id: self.sessions.get(place).id.clone(), how });
        if let Some(gone) = self.sessions.end(place, how) {
            self.bury(gone, now, out);
        }
    }

    /// A session is over, and nothing of it is inside.
    fn bury(&mut self, gone: Gone, now: Instant, out: &mut Vec<Effect<J>>) {
        let homes = gone.homes.clone();
        tell(gone, out);
        for home in homes {
            if self.slots[home.slot].phase == Phase::Retiring {
                self.retire(home.slot, now, out);
            }
        }
    }

    fn sweep_sessions(&mut self, now: Instant, out: &mut Vec<Effect<J>>) {
        for gone in self.sessions.sweep(now) {
            out.push(Effect::SessionOver { id: gone.id.clone(), how: Ended::Expired });
            self.bury(gone, now, out);
        }
    }

    /// Ends what has expired, where it is time to look.
    pub(super) fn tick_sessions(&mut self, now: Instant, out: &mut Vec<Effect<J>>) {
        if self.sessions.sweep_at().is_some_and(|at| at <= now) {
            self.sweep_sessions(now, out);
        }
        if let Some(at) = self.sessions.sweep_at() {
            self.watch(at, out);
        }
    }
}

/// Every worker that the session has been in forgets it.
fn tell<J>(gone: Gone, out: &mut Vec<Effect<J>>) {
    for home in &gone.homes {
        let (slot, binding) = (home.slot, home.binding);
        out.push(Effect::EndSession { slot, id: gone.id.clone(), binding });
    }
}
