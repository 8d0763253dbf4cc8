//! A pool as the operator socket sees it. Threads of that socket come here, never a runtime's.

use std::time::Duration;

use tokio::time::Instant;

use super::health::WorkerFacts;
use super::inquiry::Located;
use super::shared::{Record, Shared};
use crate::breaker::CircuitBreaker;
use crate::config::{Access, AdapterSource, SourceKind};
use crate::operator::answer::{
    Calls, Config, Pool, Queue, Replacement, Running, SharedMemory, Stack, Worker, WorkerRow,
};
use crate::operator::{Refused, Subject};
use crate::process::Way;
use crate::worker::Locator;

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
        let rows = health.workers.iter().map(|facts| self.row(facts, now));
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

    fn worker(&self, number: usize, generation: Option<u64>) -> Result<WorkerRow, Refused> {
        let now = Instant::now();
        let row = self.row(&self.facts(number, now), now);
        self.checked(number, generation, row.generation).map(|_| row)
    }

    fn stack(
        &self,
        number: usize,
        generation: Option<u64>,
        limit: Duration,
    ) -> Result<Stack, Refused> {
        let (record, present, found, state) = {
            let inner = self.lock();
            let main = inner.state.slot_of(number);
            // Also one that is about to take the place, or has left it.
            let slot = generation.and_then(|wanted| inner.state.slot_with(number, wanted));
            let slot = slot.unwrap_or(main);
            let (state, ..) = inner.state.describe(slot);
            let generation_at = |slot| inner.state.generation(slot);
            (inner.records[slot].clone(), generation_at(main), generation_at(slot), state)
        };
        let worker = match generation == Some(found) {
            true => format!("{}/{number}", self.name()),
            false => self.checked(number, generation, present)?,
        };
        let locator = self.locator_of(&record, &worker, state)?;
        let until = Instant::now() + limit;
        let mut inquiry = self.inquiries.open();
        for (way, at_most) in [(Way::Interpreter, INTERPRETER_LIMIT), (Way::Signal, limit)] {
            locator.locate(inquiry.number(way), way);
            let left = until.saturating_duration_since(Instant::now()).min(at_most);
            if let Some(Located { way, text }) = inquiry.answer(left)
                && !text.is_empty()
            {
                let by = match way {
                    Way::Interpreter => "interpreter",
                    Way::Signal => "signal",
                };
                let worker = Worker { pool: self.name().into(), slot: number, generation: found };
                return Ok(Stack { worker, pid: record.pid, state, by, text });
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

    /// What to ask a worker with.
    ///
    /// # Errors
    /// It cannot be asked, or not yet.
    fn locator_of<'a>(
        &self,
        record: &'a Record,
        worker: &str,
        state: &str,
    ) -> Result<&'a Locator, Refused> {
        let Some(pid) = record.pid else {
            let last = record.start_failure.as_ref().filter(|_| state == "degraded");
            let why = last.map(|(_, failure)| format!(": {}", failure.reason));
            let message =
                format!("{worker} is {state} and has no process now{}", why.unwrap_or_default());
            return refused("not_ready", message);
        };
        match &record.locator {
            Some(locator) if locator.hears() => Ok(locator),
            Some(_) => refused(
                "no_answer",
                format!("the program of {worker} does not read its control socket"),
            ),
            None => {
                let stage = match self.config.worker.adapter.kind {
                    SourceKind::Program => "its program has not dialled in",
                    _ => "its interpreter starts: it has not come to the adapter",
                };
                let message = format!(
                    "{worker} is {state} and cannot tell yet: {stage}; ask again, or look at \
                     process {pid} from outside, as with py-spy dump --pid {pid}"
                );
                refused("not_ready", message)
            }
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

    fn row(&self, facts: &WorkerFacts, now: Instant) -> WorkerRow {
        let number = facts.worker.slot;
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
            state_for: facts.since.as_secs_f64(),
            age: record.started.filter(|_| info.pid.is_some()).map(ago),
            calls: info.calls,
            memory: info.memory,
            sessions: info.sessions,
            breaker: info.breaker.as_str(),
            device: Some(device).filter(|device| !device.is_empty()).map(Into::into),
            python: record.python.as_ref().map(|python| python.version.clone()),
            waiting: inner.state.load(slot).saturating_sub(running.len()),
            running,
            failure: facts.start_failure.as_ref().map(|failure| failure.reason.clone()),
            replacement: inner.state.replacement_of(slot).map(|heir| {
                let (record, generation) = (&inner.records[heir], inner.state.generation(heir));
                let last = record.start_failure.as_ref();
                // One of an earlier life of that slot says nothing of this try.
                let last = last.filter(|(failed, _)| failed + 1 == generation);
                Replacement {
                    generation,
                    pid: record.pid,
                    state_for: ago(inner.state.facts(heir).changed),
                    failure: last.map(|(_, failure)| failure.reason.clone()),
                }
            }),
        }
    }
}
