//! What a call took, when it ends.
//!
//! Where a worker runs one call at a time, those that wait in it are not begun when they are sent:
//! what one took is the time since the answer before it, and answers that came together share theirs.
//! All the rest of a call's life is waiting: in the queue, in a busy worker, and in tries that failed.

use std::time::Duration;

use tokio::time::Instant;

use super::dispatch::Said;
use super::table::{Place, Times};
use super::{End, Refusal, State};
use crate::call::Ended;
use crate::policy::meter::{Fate, Meter, Rejection};

impl End {
    fn fate(&self) -> Fate {
        match self {
            Self::TimedOut { .. } => Fate::Timeout,
            Self::Cancelled { .. } => Fate::Cancelled,
            Self::SessionLost { .. } => Fate::SessionLost,
            Self::WorkerDied(_) => Fate::WorkerDied,
            Self::Poison { .. } => Fate::PoisonCall,
            Self::NoWorker => Fate::Start,
            Self::Closed { .. } => Fate::PoolClosed,
        }
    }
}

impl Refusal {
    pub(super) fn rejection(&self) -> Rejection {
        match self {
            Self::Closed => Rejection::PoolClosed,
            Self::QueueFull(_) => Rejection::QueueFull,
            Self::NoWorker => Rejection::Start,
            Self::SessionBusy(_) => Rejection::SessionBusy,
            Self::SessionLost { .. } => Rejection::SessionLost,
            Self::SessionEnded(_, Ended::Closed) => Rejection::SessionClosed,
            Self::SessionEnded(_, Ended::Expired) => Rejection::SessionExpired,
            Self::TooManySessions(..) => Rejection::SessionQuotaExceeded,
            Self::Reentrant => Rejection::ReentrantCall,
        }
    }
}

impl<J> State<J> {
    pub(crate) fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }

    pub(crate) fn measured(&self) -> &Meter {
        &self.meter
    }

    /// Streams under way.
    pub(crate) fn streaming(&self) -> usize {
        let wanted = self.table.iter().filter(|(_, call)| call.job.is_some());
        wanted.filter(|(_, call)| call.credit.is_some()).count()
    }

    /// The worker of a slot answered a call that is still wanted.
    #[inline]
    pub(super) fn measure_answer(&mut self, slot: usize, times: Times, said: Said, now: Instant) {
        let fate = match said {
            Said::Value | Said::End => Fate::Ok,
            Said::Raised => Fate::Remote,
            Said::Failure(fate) => fate,
        };
        let took = now.saturating_duration_since(times.made);
        let it = &self.slots[slot];
        let had = now.saturating_duration_since(times.sent);
        let ran = if it.capacity == 1 { it.each.min(had) } else { had };
        self.meter.ended(times.place, fate, took, Some(ran));
    }

    /// A call ended in `place` without an answer.
    pub(super) fn measure_end(&mut self, place: Place, times: Times, end: &End, now: Instant) {
        let took = now.saturating_duration_since(times.made);
        let ran = match place {
            Place::Sent { slot, .. } => Some(self.ran(slot, times, now).min(took)),
            Place::Queued(_) | Place::Resting(_) => None,
        };
        self.meter.ended(times.place, end.fate(), took, ran);
    }

    /// So long the worker of a slot may have been in a call.
    fn ran(&self, slot: usize, times: Times, now: Instant) -> Duration {
        let it = &self.slots[slot];
        let begun = if it.capacity == 1 { times.sent.max(it.since) } else { times.sent };
        now.saturating_duration_since(begun)
    }
}
