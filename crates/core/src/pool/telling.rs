//! What a pool tells of its calls and workers, as events of the catalogue.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Pool;
use super::job::Job;
use super::shared::Shared;
use super::trace::word;
use crate::error::Error;
use crate::telemetry::{
    EXECUTE_EXCEPTION, EXECUTE_START, EXECUTE_STOP, Event, Events, Interest, SPAWN_FAILED, Spec,
    WORKER_RESTARTED, WORKER_SPAWNED, WORKER_TERMINATED,
};
use crate::worker::Ending;

/// Who wants one of these wants to know of calls.
const CALLS: Interest =
    EXECUTE_START.interest().and(EXECUTE_STOP.interest()).and(EXECUTE_EXCEPTION.interest());

/// A call whose end may have to be told.
pub(super) struct ToldCall {
    since: Instant,
    tool: Arc<str>,
    session: Option<Arc<str>>,
}

impl Pool {
    /// What the pool tells from now on, by the names of [`crate::telemetry::CATALOGUE`].
    #[must_use]
    pub fn events(&self) -> Events {
        self.shared.events.listen()
    }
}

impl Shared {
    /// A call is made. Where somebody listens: what its end must tell.
    pub(super) fn tell_call(&self, job: &Job, now: Instant) -> Option<Arc<ToldCall>> {
        if !self.events.hears(CALLS) {
            return None;
        }
        let (tool, session) = (job.tool.clone(), job.session.clone());
        let call = ToldCall { since: now, tool, session };
        self.tell(EXECUTE_START, |spec| self.of_call(spec, &call).now());
        Some(Arc::new(call))
    }

    /// A call ended whose start may have been told; `worker` is the number of the one that had it last.
    pub(super) fn tell_end_of_call(
        &self,
        told: Option<Arc<ToldCall>>,
        worker: Option<usize>,
        outcome: Result<(), &Error>,
    ) {
        let Some(call) = told else { return };
        let spec = outcome.map_or(EXECUTE_EXCEPTION, |()| EXECUTE_STOP);
        self.tell(spec, |spec| {
            let worker = worker.map(|number| format!("{}/{number}", self.config.name));
            let event = self.of_call(spec, &call).took("duration_ms", call.since.elapsed());
            event.with_any("worker_id", worker).with_any("error", outcome.err().map(word))
        });
    }

    /// The worker of a slot is ready.
    pub(super) fn tell_spawned(&self, slot: usize) {
        self.tell(WORKER_SPAWNED, |spec| {
            let pid = self.pid(slot).unwrap_or_default();
            let event = self.of_worker(spec, slot).took("duration", self.age(slot)).now();
            event.with("python_pid", u64::from(pid))
        });
        if self.present(slot).generation > 1 {
            self.tell(WORKER_RESTARTED, |spec| self.of_worker(spec, slot).now());
        }
    }

    /// The worker of a slot has ended.
    pub(super) fn tell_terminated(&self, slot: usize, end: &Ending) {
        match end {
            Ending::NeverReady(failure) => self.tell(SPAWN_FAILED, |spec| {
                let event = self.of_worker(spec, slot).took("duration", self.age(slot)).now();
                event.with("reason", &*failure.reason)
            }),
            Ending::Died(report) => self.tell(WORKER_TERMINATED, |spec| {
                let event = self.of_worker(spec, slot).took("lifetime", self.age(slot)).now();
                let event = event.with("reason", report.cause.to_string());
                event.with("crash", report.cause.is_crash())
            }),
        }
    }

    /// Tells an event, which is made where somebody wants it. No lock may be held.
    fn tell(&self, spec: &Spec, make: impl FnOnce(&Spec) -> Event) {
        if self.events.hears(spec.interest()) {
            self.events.tell(make(spec));
        }
    }

    /// How long ago the start of a slot's worker began.
    fn age(&self, slot: usize) -> Duration {
        let started = self.lock().records[slot].started;
        started.map_or(Duration::ZERO, |started| started.elapsed())
    }

    fn of_pool(&self, spec: &Spec) -> Event {
        Event::new(spec).with("pool", self.config.name.as_str())
    }

    fn of_call(&self, spec: &Spec, call: &ToldCall) -> Event {
        let event = self.of_pool(spec).with("command", call.tool.clone());
        event.with_any("session_id", call.session.clone())
    }

    fn of_worker(&self, spec: &Spec, slot: usize) -> Event {
        let worker = self.present(slot);
        let event = self.of_pool(spec).with("worker_id", worker.to_string());
        event.with("generation", worker.generation)
    }
}
