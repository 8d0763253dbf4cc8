//! What happens in the state that somebody outside may want to hear of, and that no answer tells.

use std::sync::Arc;
use std::time::Duration;

use super::{Effect, State};
use crate::call::Resident;
use crate::error::Cause;
use crate::id::CallId;
use crate::policy::breaker::BreakerState;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// A worker does not answer.
    Stalled(Resident),
    /// It does again.
    Recovered(Resident),
    /// A worker is given up, for a call that it did not let go of.
    Condemned(Resident, Cause),
    /// A worker crashed: its slot is the last choice for so long.
    Tainted(Resident, Duration),
    /// The breaker of a worker's slot does this from now on.
    Breaker(Resident, BreakerState),
    /// A call whose worker died is made again after a pause.
    Retry { id: CallId, under: Resident, pause: Duration },
    /// It would be, but the budget is empty.
    RetryRefused(Resident),
    /// The first call of a session goes to a worker.
    Bound(Arc<str>, Resident),
    /// Sessions lost their worker, of which that became.
    Lost(Vec<Arc<str>>, Resident, &'static str),
}

impl<J> State<J> {
    /// Notes what happened to the worker of a slot.
    pub(super) fn note(
        &self,
        slot: usize,
        what: impl FnOnce(Resident) -> Note,
        out: &mut Vec<Effect<J>>,
    ) {
        out.push(Effect::Note(what(self.slots[slot].resident(slot))));
    }
}
