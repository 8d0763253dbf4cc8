//! Workers, from their start to their end.

use std::sync::Arc;
use std::time::Duration;

use super::super::shared::Shared;
use crate::error::{Cause, ExitReport};
use crate::telemetry::{
    Event, SPAWN_FAILED, Spec, WORKER_CRASH, WORKER_RECYCLED, WORKER_RESTARTED, WORKER_SPAWNED,
    WORKER_TERMINATED,
};
use crate::worker::Ending;

impl Shared {
    /// The worker of a slot is ready.
    pub(in super::super) fn tell_spawned(&self, slot: usize) {
        self.tell_of(WORKER_SPAWNED, slot, |event| {
            let pid = self.pid(slot).unwrap_or_default();
            let event = event.took("duration", self.age(slot)).now();
            event.with("python_pid", u64::from(pid))
        });
        if self.present(slot).generation > 1 {
            self.tell_of(WORKER_RESTARTED, slot, Event::now);
        }
    }

    /// The worker of a slot has ended; the state has not been told.
    pub(in super::super) fn tell_terminated(&self, slot: usize, end: &Ending) {
        match end {
            Ending::NeverReady(failure) => self.tell_of(SPAWN_FAILED, slot, |event| {
                let event = event.took("duration", self.age(slot)).now();
                event.with("reason", &*failure.reason)
            }),
            Ending::Died(report) => self.tell_death(slot, report),
        }
    }

    fn tell_death(&self, slot: usize, report: &ExitReport) {
        let (cause, age) = (report.cause, self.age(slot));
        let answered = || self.read(|state| state.describe(slot).1);
        self.tell_of(WORKER_TERMINATED, slot, |event| {
            let event = event.took("lifetime", age).count("total_commands", answered()).now();
            let event = event.with("reason", cause.to_string()).with("crash", cause.is_crash());
            event.with("planned", matches!(cause, Cause::Recycle(_) | Cause::Close))
        });
        if cause.is_crash() {
            self.tell_of(WORKER_CRASH, slot, |event| {
                let event = event.took("lifetime", age).now().with("reason", cause.to_string());
                let event = event.with_any("exit_code", report.exit_code);
                event.with_any("signal", report.signal)
            });
        }
        if let Cause::Recycle(why) = cause {
            self.tell_of(WORKER_RECYCLED, slot, |event| {
                let event = event.took("uptime_ms", age).count("request_count", answered()).now();
                event.with("reason", why.as_str())
            });
        }
    }

    /// Tells an event about the worker that is in a slot.
    fn tell_of(&self, spec: &Spec, slot: usize, make: impl FnOnce(Event) -> Event) {
        self.events.tell(spec, |event| {
            let (worker, generation): (Arc<str>, u64) = self.name_of(slot);
            make(event.with("worker_id", worker).with("generation", generation))
        });
    }

    /// How long ago the start of a slot's worker began.
    fn age(&self, slot: usize) -> Duration {
        let started = self.lock().records[slot].started;
        started.map_or(Duration::ZERO, |started| started.elapsed())
    }
}
