//! What keepers report, put through the pool's state.

use tokio::time::Instant;

use super::answers::{Answer, Answers};
use super::job::{Job, Sink};
use super::ports::Ports;
use super::shared::Shared;
use super::state::{Effect, Said, State};
use crate::config::TelemetryFilter;
use crate::error::Violation;
use crate::id::WorkerRef;
use crate::payload::Payload;
use crate::policy::meter::Fate;
use crate::process::arena::Arena;
use crate::transport::{FromWorker, PythonInfo, ToolInfo, WorkerFailure};
use crate::worker::{self, Ending, Locator, Office, Port};

impl Office for Shared {
    fn starting(&self, slot: usize, generation: u64) -> Option<Instant> {
        let now = Instant::now();
        self.lock().records[slot].started = Some(now);
        self.event(|state, _, effects, _| state.starting(slot, generation, now, effects))
    }

    fn arena(&self) -> Option<&Arena> {
        self.arena.as_ref()
    }

    fn name(&self, slot: usize) -> WorkerRef {
        self.present(slot)
    }

    fn spawned(&self, slot: usize, pid: u32) {
        self.lock().records[slot].pid = Some(pid);
    }

    fn attached(&self, slot: usize, locator: Locator) {
        self.lock().records[slot].locator = Some(locator);
    }

    fn runs_in(&self, slot: usize, python: Option<PythonInfo>) {
        let mut inner = self.lock();
        let record = &mut inner.records[slot];
        record.python = python;
        record.reports.clear();
    }

    fn ready(&self, slot: usize, port: Port, tools: Vec<ToolInfo>) {
        {
            let mut inner = self.lock();
            inner.ports.0[slot] = Some(port);
            inner.state.meter().declare(tools.iter().map(|tool| &*tool.name));
            inner.tools = Some(tools.into());
        }
        self.tell_ready(slot);
        self.tell_spawned(slot);
        let weight = self.first_weight(slot);
        let now = Instant::now();
        let limit = self.event(|state, ports, effects, _| {
            let revocable = ports.0[slot].as_ref().is_some_and(Port::is_revocable);
            state.worker_ready(slot, revocable, now, ports, effects);
            if ports.0[slot].as_ref().is_some_and(Port::has_control) {
                state.can_be_probed(slot, now, effects);
            }
            state.weighed_first(slot, weight?)
        });
        if let (Some(bytes), Some(limit)) = (weight, limit) {
            self.tell_heavy(slot, bytes, limit);
        }
        // Somebody may have begun to listen while it had no port yet.
        self.update_telemetry();
        self.tell_initialized();
        self.changed.notify_waiters();
    }

    fn heard(&self, slot: usize, frames: &mut Vec<FromWorker>) -> Result<(), Violation> {
        // Late, it fails by the state's rules alone.
        #[cfg(feature = "failpoints")]
        let _ = crate::failpoint::check(crate::failpoint::Point::Reply);
        if frames.iter().any(|frame| matches!(frame, FromWorker::Report(..))) {
            self.take_reports(slot, frames);
        }
        let now = Instant::now();
        self.event(|state, ports, effects, answers| {
            let ends = |frame: &&FromWorker| {
                use FromWorker::{End, Failed, Value};
                matches!(frame, Value(..) | Failed(..) | End(_))
            };
            state.progressed(slot, frames.iter().filter(ends).count(), now, effects);
            let mut frames = frames.drain(..);
            let mut listen =
                |frame| self.one_frame((slot, now), frame, (state, ports), effects, answers);
            let heard = frames.try_for_each(&mut listen);
            match heard {
                Ok(()) => {
                    state.fill(slot, now, ports, effects);
                    state.check_use(slot, now, effects);
                }
                Err(_) => state.outlaw(slot, now, ports, effects),
            }
            heard
        })
    }

    fn telemetry(&self, slot: usize) -> (bool, TelemetryFilter) {
        self.first_telemetry(slot)
    }

    fn answered_probe(&self, slot: usize, probe: u64) {
        let now = Instant::now();
        self.event(|state, ports, effects, _| {
            state.probe_answered(slot, probe, now, ports, effects);
        });
    }

    fn located(&self, nonce: u64, text: String) {
        self.inquiries.answered(nonce, text);
    }

    fn gone(&self, slot: usize, end: Ending) {
        self.hosting.clear(slot);
        self.tell_end(slot, &end);
        self.tell_terminated(slot, &end);
        self.count_end(slot, &end);
        let permanent = {
            let mut inner = self.lock();
            let generation = inner.state.generation(slot);
            let record = &mut inner.records[slot];
            (record.pid, record.python, record.locator) = (None, None, None);
            match end {
                Ending::NeverReady(failure) => {
                    let permanent = failure.permanent;
                    record.start_failure = Some((generation, failure.into()));
                    permanent
                }
                Ending::Died(report) => {
                    (record.exit, record.exited) = (report.into(), generation);
                    false
                }
            }
        };
        let now = Instant::now();
        self.event(|state, ports, effects, _| {
            state.worker_gone(slot, permanent, now, ports, effects);
        });
        self.lock().ports.0[slot] = None;
        // In an event of its own: what the first one says of this slot is about its last worker.
        self.event(|state, _, effects, _| state.replace_worn(now, effects));
        self.changed.notify_waiters();
    }

    fn printed(&self, slot: usize, said: worker::Said<'_>) {
        self.pass_on(slot, said);
    }
}

impl Shared {
    /// One frame of a worker. Err: what no honest worker says.
    fn one_frame(
        &self,
        (slot, now): (usize, Instant),
        frame: FromWorker,
        (state, ports): (&mut State<Box<Job>>, &Ports),
        effects: &mut Vec<Effect<Box<Job>>>,
        answers: &mut Answers,
    ) -> Result<(), Violation> {
        match frame {
            FromWorker::Value(id, value) => {
                let job = state.answered(slot, id, Said::Value, now, effects)?;
                self.hosting.end_of(slot, id, answers);
                answers.extend(job.map(|job| Answer::Value(job, value)));
            }
            FromWorker::End(id) => {
                let job = state.answered(slot, id, Said::End, now, effects)?;
                self.hosting.end_of(slot, id, answers);
                answers.extend(job.map(|job| Answer::Value(job, Payload::default())));
            }
            FromWorker::Failed(id, mut failure) => {
                let said = match &mut failure {
                    WorkerFailure::Exception(raised) => {
                        raised.keep_classes(&self.config.worker.errors);
                        Said::Raised
                    }
                    WorkerFailure::ToolNotFound(_) => Said::Failure(Fate::ToolNotFound),
                    WorkerFailure::Encode { .. } => Said::Failure(Fate::EncodeResult),
                    WorkerFailure::Cancelled => Said::Failure(Fate::Cancelled),
                    WorkerFailure::TooLarge { .. } => Said::Failure(Fate::TooLarge),
                };
                let job = state.answered(slot, id, said, now, effects)?;
                self.hosting.end_of(slot, id, answers);
                let worker = self.worker(state.number(slot), state.generation(slot));
                answers.extend(job.map(|job| {
                    let error = job.error(worker, failure);
                    Answer::Failure(job, error)
                }));
            }
            FromWorker::Chunks(id, items) => {
                let lengths = items.iter().map(|item| item.size() as usize);
                let job = state.partly_answered(slot, id, lengths)?;
                if let Some(job) = job
                    && let Sink::Stream(channel) = &job.sink
                {
                    let channel = channel.clone();
                    answers.extend(self.tell_items(job, items.len()).map(Answer::tell));
                    answers.push(Answer::Chunks(channel, items));
                }
            }
            FromWorker::Unread(id) => {
                let arguments = state.unread(slot, id)?.map(|job| &job.arguments);
                if let Some(port) = &ports.0[slot] {
                    port.send_bytes(id, arguments);
                }
            }
            FromWorker::Telemetry(told) => {
                if !ports.0[slot].as_ref().is_some_and(Port::tells) {
                    let detail = "it was not asked for any".into();
                    return Err(Violation::BadTelemetry { detail });
                }
                answers.push(Answer::Telemetry(Box::new(self.relayed(slot, *told, state))));
            }
            FromWorker::AskHostTool(ask) => self.asked(slot, *ask, (state, ports), answers)?,
            FromWorker::CancelHostTool(id) => self.hosting.cancel(slot, id, answers),
            FromWorker::GrantHostTool(id, items, bytes) => {
                self.hosting.grant(slot, id, items, bytes);
            }
            FromWorker::Report(..) => {} // taken out before
            FromWorker::Ready(..) | FromWorker::StartFailed(_) => {
                return Err(Violation::OutOfTurn { frame: frame.name(), ready: true });
            }
            FromWorker::Violation(violation) => return Err(violation),
        }
        Ok(())
    }
}
