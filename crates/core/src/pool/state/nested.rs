//! Calls from inside other calls: what a worker asks of its host, and what that asks of the pool.
//!
//! A call that a host tool makes is *nested*: its ancestors are the calls whose workers wait for it.
//! It is never sent behind another call, but only where it begins at once, since that one may wait for
//! the same circle; and it is refused where it would wait for itself (`policy/reentrancy`). While it
//! waits nothing that came after it is prefetched: fast workers would never have a place.

use tokio::time::Instant;

use super::submit::{Refusal, Route};
use super::{Call, Phase, Place, State};
use crate::call::SessionKey;
use crate::error::Violation;
use crate::id::CallId;
use crate::policy::reentrancy::{Waiter, is_stuck};
use crate::policy::session::Found;

/// A call on whose behalf a worker asks for something.
pub(crate) struct Asking<'s, J> {
    /// None: its caller does not wait any more.
    pub(crate) job: Option<&'s mut J>,
    pub(crate) deadline: Option<Instant>,
}

impl<J> State<J> {
    /// A worker asks its host for something on behalf of a call.
    ///
    /// # Errors
    /// The worker does not have that call.
    pub(crate) fn asks(&mut self, slot: usize, id: CallId) -> Result<Asking<'_, J>, Violation> {
        match self.table.get(id) {
            Some(Call { place: Place::Sent { slot: at, .. }, .. }) if *at == slot => {}
            _ => return Err(self.not_in(slot, id)),
        }
        let call = self.table.get_mut(id);
        let deadline = call.as_ref().and_then(|call| call.deadline);
        Ok(Asking { job: call.and_then(|call| call.job.as_mut()), deadline })
    }

    /// The home of a session whose calls may not run elsewhere.
    pub(super) fn strict_home(&self, session: Option<&SessionKey>, found: Found) -> Option<usize> {
        let strict = session.is_some_and(|session| session.affinity.is_strict());
        match found {
            Found::Open(place) if strict => Some(self.sessions.get(place).homes.home()?.slot),
            _ => None,
        }
    }

    /// Where a nested call goes that would go by `route` if it were not nested. `strict_home`: the
    /// only slot that its session may run in.
    pub(super) fn route_nested(
        &self,
        ancestors: &[CallId],
        strict_home: Option<usize>,
        route: Result<Route, Refusal>,
    ) -> Result<Route, Refusal> {
        let needs = match &route {
            Ok(Route::Now(slot)) if self.slots[*slot].is_free() => return route,
            Ok(Route::Now(_)) | Err(Refusal::SessionBusy(_)) => strict_home,
            Ok(Route::Wait(lane)) => *lane,
            Err(_) => return route,
        };
        let new = Waiter { needs, holds: self.held_by(ancestors) };
        if is_stuck(&new, &self.nested_waiters(), &self.places(needs)) {
            return Err(Refusal::Reentrant);
        }
        route.map(|_| Route::Wait(needs))
    }

    /// Whether a call may not be sent to a worker whose every place is taken.
    pub(super) fn wants_place(&self, id: CallId, slot: usize) -> bool {
        self.any_nested && !self.slots[slot].is_free() && self.is_nested(id)
    }

    /// The call that holds up all that wait for any worker, since it wants a place. When it is
    /// another one than before, they may have room.
    pub(super) fn obstacle(&self) -> Option<CallId> {
        let front = if self.any_nested { self.queue.shared_front() } else { None };
        front.filter(|&id| self.is_nested(id))
    }

    fn is_nested(&self, id: CallId) -> bool {
        self.table.get(id).is_some_and(|call| !call.ancestors().is_empty())
    }

    fn held_by(&self, ancestors: &[CallId]) -> Vec<(usize, CallId)> {
        let held = ancestors.iter().filter_map(|&id| match self.table.get(id)?.place {
            Place::Sent { slot, .. } => Some((slot, id)),
            Place::Queued(_) | Place::Resting(_) => None,
        });
        held.collect()
    }

    fn nested_waiters(&self) -> Vec<Waiter> {
        let waiting = self.table.iter().filter_map(|(_, call)| {
            let needs = match call.place {
                Place::Queued(lane) => lane,
                Place::Resting(_) => None,
                Place::Sent { .. } => return None,
            };
            let holds = self.held_by(call.ancestors());
            (!holds.is_empty()).then_some(Waiter { needs, holds })
        });
        waiting.collect()
    }

    /// How many calls each slot can run at once. `needs`: a home, which may serve its sessions where
    /// nobody else is sent.
    fn places(&self, needs: Option<usize>) -> Vec<u32> {
        let mut places = vec![0; self.slots.len()];
        for &slot in &self.numbers {
            let it = &self.slots[slot];
            places[slot] = if it.degraded { 0 } else { it.capacity as u32 };
        }
        if let Some(home) = needs
            && self.slots[home].phase != Phase::Empty
        {
            places[home] = self.slots[home].capacity as u32;
        }
        places
    }
}
