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
    EXECUTE_EXCEPTION, EXECUTE_START, EXECUTE_STOP, Event, Events, SPAWN_FAILED, Spec,
    WORKER_RESTARTED, WORKER_SPAWNED, WORKER_TERMINATED,
};
use crate::worker::Ending;

/// A call whose start was told.
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
        if !self.events.is_heard() {
            return None;
        }
        let (tool, session) = (job.tool.clone(), job.session.clone());
        let call = ToldCall { since: now, tool, session };
        self.events.tell(self.of_call(EXECUTE_START, &call).now());
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
        let worker = worker.map(|number| format!("{}/{number}", self.config.name));
        let event = self.of_call(spec, &call).took("duration_ms", call.since.elapsed());
        let event = event.with_any("worker_id", worker);
        self.events.tell(event.with_any("error", outcome.err().map(word)));
    }

    /// The worker of a slot is ready.
    pub(super) fn tell_spawned(&self, slot: usize) {
        if !self.events.is_heard() {
            return;
        }
        let event = self.of_worker(WORKER_SPAWNED, slot).took("duration", self.age(slot)).now();
        let pid = self.pid(slot).unwrap_or_default();
        self.events.tell(event.with("python_pid", pid.to_string()));
        if self.present(slot).generation > 1 {
            self.events.tell(self.of_worker(WORKER_RESTARTED, slot).now());
        }
    }

    /// The worker of a slot has ended.
    pub(super) fn tell_terminated(&self, slot: usize, end: &Ending) {
        if !self.events.is_heard() {
            return;
        }
        let age = self.age(slot);
        self.events.tell(match end {
            Ending::NeverReady(failure) => self
                .of_worker(SPAWN_FAILED, slot)
                .took("duration", age)
                .now()
                .with("reason", &*failure.reason),
            Ending::Died(report) => self
                .of_worker(WORKER_TERMINATED, slot)
                .took("lifetime", age)
                .now()
                .with("reason", report.cause.to_string())
                .with("crash", report.cause.is_crash().to_string()),
        });
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
        event.with("generation", worker.generation.to_string())
    }
}
