//! Refusals and ends of calls, as the errors that callers see.

use std::sync::Arc;

use super::job::Job;
use super::shared::{Inner, Shared};
use super::state::{End, Fallen, Full, Refusal};
use crate::call::Ended;
use crate::error::{Error, ExitReport};
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
            Refusal::SessionEnded(session, Ended::Closed) => Error::SessionClosed { session },
            Refusal::SessionEnded(session, Ended::Expired) => Error::SessionExpired { session },
            Refusal::TooManySessions(session, limit) => {
                Error::SessionQuotaExceeded { pool, session, limit }
            }
            Refusal::SessionBusy(session) => Error::SessionBusy { pool, session },
            // Who made the call knows its tool.
            Refusal::Reentrant => Error::ReentrantCall { tool: Arc::from(""), session: None },
            Refusal::SessionLost { session, cause, home } => {
                let worker = self.worker(home.number, home.generation);
                let cause = cause.into();
                Error::SessionLost { session, worker, cause, exit: None, may_have_run: false }
            }
        }
    }

    /// Why a call ended without an answer.
    pub(super) fn ended(&self, inner: &Inner, job: &Job, end: End) -> Error {
        let tool = job.tool.clone();
        match end {
            End::TimedOut { limit, step } => Error::Timeout { tool, limit, step },
            End::Cancelled { may_have_run } => Error::Cancelled { tool, may_have_run },
            End::SessionLost { session, cause, home, may_have_run } => {
                let worker = self.worker(home.number, home.generation);
                let record = &inner.records[home.slot];
                let exit = (record.exited == home.generation).then(|| record.exit.clone());
                Error::SessionLost { session, worker, cause: cause.into(), exit, may_have_run }
            }
            End::WorkerDied(under) => {
                let (worker, exit) = self.fallen(inner, under);
                Error::WorkerDied { tool, worker, exit, may_have_run: true }
            }
            End::Poison { under, deaths } => {
                let (worker, exit) = self.fallen(inner, under);
                Error::PoisonCall { tool, worker, exit, deaths }
            }
            End::NoWorker => self.no_worker(inner),
            End::Closed { may_have_run } => {
                Error::PoolClosed { pool: self.config.name.clone(), may_have_run }
            }
        }
    }

    /// A worker that died, and how, where its slot has not seen another end since.
    fn fallen(&self, inner: &Inner, under: Fallen) -> (WorkerRef, Arc<ExitReport>) {
        let record = &inner.records[under.slot];
        let known = record.exited == under.generation;
        let exit = if known { record.exit.clone() } else { Arc::default() };
        (self.worker(under.number, under.generation), exit)
    }

    pub(super) fn worker(&self, number: usize, generation: u64) -> WorkerRef {
        WorkerRef { pool: self.config.name.clone(), slot: number, generation }
    }

    /// The worker that is in a slot.
    pub(super) fn present(&self, slot: usize) -> WorkerRef {
        let (number, generation) = self.read(|state| (state.number(slot), state.generation(slot)));
        self.worker(number, generation)
    }

    /// Why a slot cannot start, told for the first such slot.
    pub(super) fn no_worker(&self, inner: &Inner) -> Error {
        let slot = inner.state.degraded().unwrap_or(0);
        let failed = inner.records[slot].start_failure.clone();
        let (worker, failure) = failed.map_or_else(Default::default, |(generation, failure)| {
            (Some(self.worker(inner.state.number(slot), generation)), failure)
        });
        Error::Start { pool: self.config.name.clone(), worker, failure }
    }
}
