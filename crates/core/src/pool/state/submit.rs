//! The door: is a call admitted, and where does it go first?

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::credit::{Credit, Window};
use super::slot::{Phase, UNAVAILABLE};
use super::table::{InSession, Rare, Times};
use super::{Call, Door, Effect, Place, State};
use crate::call::{Affinity, Binding, Ended, Resident, SessionKey};
use crate::config::RetryPolicy;
use crate::id::CallId;
use crate::policy::affinity::Homes;
use crate::policy::meter::{self, Rejection};
use crate::policy::session::Found;

/// A call at the door.
#[derive(Debug)]
pub(crate) struct NewCall<J> {
    pub(crate) job: J,
    pub(crate) session: Option<SessionKey>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) idempotent: bool,
    pub(crate) retry: Option<Arc<RetryPolicy>>,
    /// Of its arguments.
    pub(crate) bytes: u32,
    /// Where its end is counted.
    pub(crate) place: meter::Place,
    /// The calls of this pool that wait for it: it was made from inside them. Mostly none.
    pub(crate) ancestors: Option<Arc<[CallId]>>,
}

/// Why a call is not admitted; nothing of it remains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Closed,
    QueueFull(Full),
    NoWorker,
    SessionBusy(Arc<str>),
    SessionLost {
        session: Arc<str>,
        cause: &'static str,
        home: Resident,
    },
    SessionEnded(Arc<str>, Ended),
    TooManySessions(Arc<str>, usize),
    /// It would wait for a worker that is held by its own ancestors.
    Reentrant,
}

/// What a queue that is full tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full {
    pub(crate) capacity: usize,
    pub(crate) waiting: usize,
    pub(crate) bytes: u64,
    pub(crate) retry_after: Duration,
}

/// The worker that a session object relies on, if it is gone.
pub(super) fn lost_home(homes: &Homes, object: Option<&Arc<Binding>>) -> Option<Resident> {
    let bound = object?.bound()?;
    homes.is_lost(bound.binding).then_some(bound.home)
}

/// Where a call goes from the door.
pub(super) enum Route {
    Now(usize),
    Wait(Option<usize>),
}

impl<J> State<J> {
    /// Admits a call, or refuses it and gives its job back. `window`: it streams, and so much of it may
    /// be under way.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub(crate) fn submit(
        &mut self,
        new: NewCall<J>,
        window: Option<Window>,
        now: Instant,
        out: &mut Vec<Effect<J>>,
    ) -> Result<CallId, (Refusal, J)> {
        let ancestors = new.ancestors.as_deref();
        let (route, session) = match self.admit(new.session, new.bytes, ancestors, now, out) {
            Ok(admitted) => admitted,
            Err(refusal) => {
                self.counters.rejected += 1;
                self.counters.shed += u64::from(matches!(refusal, Refusal::QueueFull(_)));
                self.meter.rejected(refusal.rejection());
                return Err((refusal, new.job));
            }
        };
        self.counters.requests += 1;
        if window.is_some() {
            self.meter.streamed();
        }
        self.any_nested |= new.ancestors.is_some();
        // A deadline beyond what the clock can hold is none.
        let deadline = new.timeout.and_then(|timeout| now.checked_add(timeout));
        let id = self.table.insert(Call {
            job: Some(new.job),
            place: Place::Queued(None),
            session,
            deadline,
            limit: new.timeout.unwrap_or(Duration::MAX),
            idempotent: new.idempotent,
            bytes: new.bytes,
            partly_seen: false,
            times: Times::new(new.place, now),
            credit: window.map(|window| Box::new(Credit::new(window))),
            rare: Rare::of(new.retry, new.ancestors),
        });
        if let Some(deadline) = deadline {
            self.watch(deadline, out);
        }
        match route {
            Route::Now(slot) => self.send(slot, id, now, out),
            Route::Wait(lane) => {
                if let Some(call) = self.table.get_mut(id) {
                    call.place = Place::Queued(lane);
                }
                self.queue.put(id, new.bytes, lane);
                if !self.guards.are_clear() {
                    // What waits in front may avoid a slot that takes this one.
                    self.spread(now, out);
                }
            }
        }
        Ok(id)
    }

    /// A call was refused before it came to this door.
    pub(crate) fn shed(&mut self) {
        self.counters.rejected += 1;
        self.counters.shed += 1;
        self.meter.rejected(Rejection::CircuitOpen);
    }

    fn admit(
        &mut self,
        session: Option<SessionKey>,
        bytes: u32,
        ancestors: Option<&[CallId]>,
        now: Instant,
        out: &mut Vec<Effect<J>>,
    ) -> Result<(Route, Option<InSession>), Refusal> {
        if self.door != Door::Open {
            return Err(Refusal::Closed);
        }
        if self.is_hopeless() {
            return Err(Refusal::NoWorker);
        }
        let (route, found) = match &session {
            None => (Ok(self.any_slot(now)), Found::Nothing),
            Some(session) => {
                let found = self.find_session(session, now)?;
                (self.home_slot(session, found, now), found)
            }
        };
        let route = match ancestors {
            None => route?,
            Some(ancestors) => {
                let home = self.strict_home(session.as_ref(), found);
                self.route_nested(ancestors, home, route)?
            }
        };
        let full = matches!(route, Route::Wait(_)) && !self.queue.has_room(bytes);
        if full || !self.table.has_room() {
            let waiting = self.queue.waiting();
            return Err(Refusal::QueueFull(Full {
                capacity: self.queue.bounds().calls,
                waiting,
                bytes: self.queue.bytes(),
                retry_after: self.rate.retry_after(waiting, now),
            }));
        }
        let enter = |session| self.enter_session(session, found, now, out);
        Ok((route, session.map(enter).transpose()?))
    }

    fn any_slot(&self, now: Instant) -> Route {
        // Where calls wait for any slot, none has room; whoever comes now goes behind them.
        match self.queue.shared_front() {
            Some(_) => Route::Wait(None),
            None => self.least_loaded(now).map_or(Route::Wait(None), Route::Now),
        }
    }

    /// As [`Self::any_slot`], for a session without a home: of the slots that are equally loaded
    /// and have room the one with the fewest sessions, since its calls will come back there.
    fn new_home(&self, now: Instant) -> Route {
        match self.any_slot(now) {
            Route::Now(slot) => {
                let equal = (0..self.loads.len())
                    .filter(|&it| self.are_equal(slot, it) && self.slots[it].has_room(now));
                // One that is to be replaced soon would lose what comes to live there.
                let burden = |&slot: &usize| {
                    (self.slots[slot].standing.is_worn(), self.sessions.count(slot))
                };
                Route::Now(equal.min_by_key(burden).unwrap_or(slot))
            }
            wait => wait,
        }
    }

    fn home_slot(
        &self,
        session: &SessionKey,
        found: Found,
        now: Instant,
    ) -> Result<Route, Refusal> {
        let Found::Open(place) = found else { return Ok(self.new_home(now)) };
        let homes = &self.sessions.get(place).homes;
        let strict = session.affinity.is_strict();
        let lost = |cause, home| Refusal::SessionLost { session: session.id.clone(), cause, home };
        if strict && let Some(home) = lost_home(homes, session.object.as_ref()) {
            return Err(lost("its worker is gone", home));
        }
        let Some(home) = homes.home() else { return Ok(self.new_home(now)) };
        let slot = &self.slots[home.slot];
        if strict && !matches!(slot.phase, Phase::Ready | Phase::Retiring) {
            return Err(lost(slot.loss(), slot.resident(home.slot)));
        }
        let ready = self.loads[home.slot] != UNAVAILABLE || strict && slot.takes_sessions();
        let free = ready && slot.has_room(now);
        match session.affinity {
            Affinity::StrictQueue if free => Ok(Route::Now(home.slot)),
            Affinity::StrictQueue => Ok(Route::Wait(Some(home.slot))),
            Affinity::StrictFailFast if ready && slot.is_free() => Ok(Route::Now(home.slot)),
            Affinity::StrictFailFast => Err(Refusal::SessionBusy(session.id.clone())),
            Affinity::Hint if ready && slot.is_free() && !self.is_barred(home.slot) => {
                Ok(Route::Now(home.slot))
            }
            Affinity::Hint => Ok(self.any_slot(now)),
        }
    }

    /// The slot with the fewest calls that has room for one more.
    pub(super) fn least_loaded(&self, now: Instant) -> Option<usize> {
        if !self.guards.are_clear() {
            return self.most_trusted(now);
        }
        let mut best = None;
        let mut least = UNAVAILABLE;
        for (slot, &load) in self.loads.iter().enumerate() {
            if load < least && (load == 0 || self.slots[slot].has_room(now)) {
                (best, least) = (Some(slot), load);
                if load == 0 {
                    break;
                }
            }
        }
        best
    }
}
