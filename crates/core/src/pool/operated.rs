//! A pool as the operator socket sees it. Threads of that socket come here, never a runtime's.

use std::time::Duration;

use tokio::time::Instant;

use super::inquiry::Located;
use super::shared::Shared;
use crate::breaker::CircuitBreaker;
use crate::config::{Access, AdapterSource, SourceKind};
use crate::operator::answer::{
    Calls, Config, Pool, Queue, Running, SharedMemory, Stack, Worker, WorkerRow,
};
use crate::operator::{Refused, Subject};
use crate::process::Way;

/// An interpreter that nobody holds tells in much less.
const INTERPRETER_LIMIT: Duration = Duration::from_secs(1);

fn refused<T>(kind: &'static str, message: String) -> Result<T, Refused> {
    Err(Refused { kind, message })
}

impl Subject for Shared {
    fn name(&self) -> &str {
        self.config.name.as_str()
    }

    fn size(&self) -> usize {
        self.config.size
    }

    fn access(&self) -> Access {
        self.config.control
    }

    fn report(&self, id: u64) -> Pool {
        let (stats, health) = (self.stats(), self.health());
        let now = Instant::now();
        let rows = health.workers.iter().map(|facts| {
            let number = facts.worker.slot;
            let failure = facts.start_failure.as_ref().map(|failure| failure.reason.clone());
            self.row(number, facts.since, failure, now)
        });
        let counters = stats.counters;
        Pool {
            id,
            name: self.name().into(),
            access: self.access().as_str(),
            state: self.read(|state| match () {
                () if state.is_open() => "open",
                () if state.is_closed() => "closed",
                () => "draining",
            }),
            config: self.made_from(),
            queue: Queue { calls: stats.queued, bytes: stats.queued_bytes },
            calls: Calls {
                running: stats.running,
                requests: counters.requests,
                completed: counters.completed,
                errors: counters.errors,
                timeouts: counters.timeouts,
                cancelled: counters.cancelled,
                rejected: counters.rejected,
                retries: counters.retries,
                worker_deaths: counters.worker_deaths,
            },
            health: health.status.as_str(),
            circuit: self.gate.breaker().map(CircuitBreaker::state).map(|state| state.as_str()),
            barred: stats.barred,
            retry_tokens: stats.retry_tokens,
            sessions: stats.sessions,
            restarts: {
                let inner = self.lock();
                inner.restarts.iter().map(|(why, count)| (why.to_string(), *count)).collect()
            },
            shared_memory: stats.shared_memory.map(|memory| SharedMemory {
                bytes: memory.bytes,
                in_use: memory.in_use,
                segments: memory.segments as u64,
            }),
            workers: rows.collect(),
        }
    }

    fn stack(
        &self,
        number: usize,
        generation: Option<u64>,
        limit: Duration,
    ) -> Result<Stack, Refused> {
        let (port, present, pid, state) = {
            let inner = self.lock();
            let slot = inner.state.slot_of(number);
            let (present, (state, ..)) = (inner.state.generation(slot), inner.state.describe(slot));
            (inner.ports.0[slot].clone(), present, inner.records[slot].pid, state)
        };
        let worker = self.checked(number, generation, present)?;
        let Some(port) = port else {
            return refused("not_ready", format!("{worker} is {state}: it does not hear yet"));
        };
        if !port.has_control() {
            let message = format!("the program of {worker} does not read its control socket");
            return refused("no_answer", message);
        }
        let until = Instant::now() + limit;
        let mut inquiry = self.inquiries.open();
        for (way, at_most) in [(Way::Interpreter, INTERPRETER_LIMIT), (Way::Signal, limit)] {
            port.locate(inquiry.number(way), way);
            let left = until.saturating_duration_since(Instant::now()).min(at_most);
            if let Some(Located { way, text }) = inquiry.answer(left)
                && !text.is_empty()
            {
                let by = match way {
                    Way::Interpreter => "interpreter",
                    Way::Signal => "signal",
                };
                let worker = Worker { pool: self.name().into(), slot: number, generation: present };
                return Ok(Stack { worker, pid, by, text });
            }
        }
        refused(
            "no_answer",
            format!(
                "{worker} did not tell within {limit:?}: it is stopped, or its end cannot tell"
            ),
        )
    }

    fn recycle(&self, number: usize, generation: Option<u64>) -> Result<Worker, Refused> {
        let (present, state) = {
            let inner = self.lock();
            let slot = inner.state.slot_of(number);
            (inner.state.generation(slot), inner.state.describe(slot).0)
        };
        let worker = self.checked(number, generation, present)?;
        // By its generation: what was looked at is what is replaced.
        if !Self::recycle(self, number, Some(present)) {
            let message = format!("{worker} is {state}: only one that serves is replaced");
            return refused("not_ready", message);
        }
        Ok(Worker { pool: self.name().into(), slot: number, generation: present })
    }
}

impl Shared {
    /// The worker in words, if it is the one that is meant.
    fn checked(&self, number: usize, wanted: Option<u64>, present: u64) -> Result<String, Refused> {
        let worker = format!("{}/{number}", self.name());
        match wanted {
            Some(wanted) if wanted != present => refused(
                "gone",
                format!("{worker} of generation {wanted} is gone; generation {present} is there"),
            ),
            _ => Ok(worker),
        }
    }

    fn made_from(&self) -> Config {
        let config = &self.config;
        let AdapterSource { kind, location, qualname } = &config.worker.adapter;
        Config {
            adapter: match kind {
                SourceKind::Program => location.clone(),
                _ => format!("{location}:{qualname}"),
            },
            python: config.worker.program.to_string_lossy().into(),
            size: config.size,
            profile: config.worker.profile.as_str(),
            capacity: config.worker.capacity,
            max_queue: config.max_queue,
            max_sessions: config.max_sessions,
        }
    }

    fn row(
        &self,
        number: usize,
        state_for: Duration,
        failure: Option<String>,
        now: Instant,
    ) -> WorkerRow {
        let info = self.worker_info(number);
        let ago = |at| now.saturating_duration_since(at).as_secs_f64();
        let inner = self.lock();
        let slot = inner.state.slot_of(number);
        let record = &inner.records[slot];
        let running = inner.state.running(slot).map(|(job, since)| Running {
            tool: job.map(|job| job.tool.to_string()),
            session: job.and_then(|job| job.session.as_deref().map(Into::into)),
            running_for: ago(since),
        });
        let running: Vec<_> = running.collect();
        let device = self.config.worker.device_at(number);
        WorkerRow {
            slot: number,
            generation: info.worker.generation,
            pid: info.pid,
            state: info.state,
            state_for: state_for.as_secs_f64(),
            age: record.started.filter(|_| info.pid.is_some()).map(ago),
            calls: info.calls,
            memory: info.memory,
            sessions: info.sessions,
            breaker: info.breaker.as_str(),
            device: Some(device).filter(|device| !device.is_empty()).map(Into::into),
            python: record.python.as_ref().map(|python| python.version.clone()),
            waiting: inner.state.load(slot).saturating_sub(running.len()),
            running,
            failure,
        }
    }
}
