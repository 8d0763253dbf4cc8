//! Refusals and ends of calls, as the errors that callers see.

use super::job::Job;
use super::shared::{Inner, Shared};
use super::state::{End, Full, Refusal};
use crate::error::Error;
use crate::id::WorkerRef;

impl Shared {
    pub(super) fn refused(&self, refusal: Refusal) -> Error {
        let pool = self.config.name.clone();
        match refusal {
            Refusal::Closed => Error::PoolClosed { pool, may_have_run: false },
            Refusal::QueueFull(Full { capacity, waiting, bytes, retry_after }) => {
                Error::QueueFull { pool, capacity, waiting, bytes, retry_after }
            }
            Refusal::NoWorker => self.start_error(),
            Refusal::SessionBusy(session) => Error::SessionBusy { pool, session },
            Refusal::SessionLost(session, cause) => {
                Error::SessionLost { session, cause: cause.into(), may_have_run: false }
            }
        }
    }

    /// Why a call ended without an answer.
    pub(super) fn ended(&self, inner: &Inner, job: &Job, end: End) -> Error {
        let tool = job.tool.clone();
        match end {
            End::TimedOut { limit, step } => Error::Timeout { tool, limit, step },
            End::Cancelled { may_have_run } => Error::Cancelled { tool, may_have_run },
            End::SessionLost { session, cause, may_have_run } => {
                Error::SessionLost { session, cause: cause.into(), may_have_run }
            }
            End::WorkerDied { slot, generation } => {
                let worker = self.worker(slot, generation);
                let exit = inner.records[slot].exit.clone();
                Error::WorkerDied { tool, worker, exit, may_have_run: true }
            }
            End::Poison { slot, generation, deaths } => {
                let worker = self.worker(slot, generation);
                let exit = inner.records[slot].exit.clone();
                Error::PoisonCall { tool, worker, exit, deaths }
            }
            End::NoWorker => self.no_worker(inner),
            End::Closed { may_have_run } => {
                Error::PoolClosed { pool: self.config.name.clone(), may_have_run }
            }
        }
    }

    pub(super) fn worker(&self, slot: usize, generation: u64) -> WorkerRef {
        WorkerRef { pool: self.config.name.clone(), slot, generation }
    }

    /// Why a slot cannot start, told for the first such slot.
    pub(super) fn no_worker(&self, inner: &Inner) -> Error {
        let slot = inner.state.degraded().unwrap_or(0);
        let failure = inner.records[slot].start_failure.clone().unwrap_or_default();
        let worker = Some(self.worker(slot, inner.state.generation(slot)));
        Error::Start { pool: self.config.name.clone(), worker, failure }
    }
}
