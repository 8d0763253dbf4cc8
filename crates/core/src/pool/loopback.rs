//! A pool whose workers are tasks of this process: real state, lock, outboxes and shared words; no
//! spawn, no socket, no bytes on a wire.
//!
//! ```text
//! Pool ──▶ Shared ──effects──▶ Port ──▶ Outbox ──▶ Worker (one task a slot) ──answer()──┐
//!             ▲                                                                         │
//!             └────────────────────────────── heard / gone ◀───────────────────────────┘
//! ```
//!
//! For the dispatch benchmark, and for tests that move time by hand: with nothing outside the
//! runtime, a paused clock decides alone. Not for embedders.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::Pool;
use super::shared::Shared;
use crate::config::PoolConfig;
use crate::error::{Cause, Error, ExitReport, Failure, StartFailure};
use crate::process::{Page, WordState};
use crate::transport::loopback::{Inbound, Incoming, Inlet, line};
use crate::transport::{FromWorker, WorkerFailure};
use crate::worker::{Ending, Office, Order, Port};

/// A call as a worker sees it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Name of the tool.
    pub tool: &'a str,
    /// Encoded arguments.
    pub arguments: &'a Bytes,
    /// The session, where the call has one.
    pub session: Option<&'a str>,
    /// Whether the session is new to this worker.
    pub session_new: bool,
    /// The worker's place in the pool.
    pub slot: usize,
}

/// What a worker does about a call.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Answers at once.
    Value(Bytes),
    /// Answers after so long; a cancel ends the call sooner.
    After(Duration, Bytes),
    /// Says that the adapter's code raised an exception with this message.
    Raise(String),
    /// Answers to a cancel only.
    Never,
    /// Does not even answer to a cancel.
    Deaf,
    /// The worker ends with this exit code.
    Exit(i32),
}

/// Starts a pool of which each worker asks `answer` what to do about its calls, one at a time. The
/// configuration's `worker` is not used.
///
/// # Errors
/// [`Error::Config`] for a configuration that makes no sense.
pub fn start_on(
    runtime: &Handle,
    config: PoolConfig,
    answer: impl Fn(Call<'_>) -> Answer + Send + Sync + 'static,
) -> Result<Pool, Error> {
    config.validate()?;
    let answer = Arc::new(answer);
    Ok(Pool::open(runtime, Arc::new(config), None, |office, slot, orders| {
        let (office, answer) = (office.clone(), answer.clone());
        runtime.spawn(Worker { office, slot, orders, answer }.run())
    }))
}

struct Worker<F> {
    office: Arc<Shared>,
    slot: usize,
    orders: mpsc::UnboundedReceiver<Order>,
    answer: Arc<F>,
}

/// One life of a worker.
struct Life {
    inlet: Inlet,
    inbound: Inbound,
    page: Arc<Page>,
    /// Answers that the host has not been told yet.
    said: Vec<FromWorker>,
}

impl<F: Fn(Call<'_>) -> Answer> Worker<F> {
    async fn run(mut self) {
        while let Some(order) = self.orders.recv().await {
            if let Order::Start { generation, after } = order
                && self.pause(after).await
                && self.office.starting(self.slot, generation).is_some()
            {
                let end = match Page::create() {
                    Ok(page) => Ending::Died(self.live(Arc::new(page)).await),
                    Err(error) => Ending::NeverReady(Box::new(StartFailure {
                        reason: format!("no shared page: {error}"),
                        ..StartFailure::default()
                    })),
                };
                self.office.gone(self.slot, end);
            }
        }
    }

    /// Waits before a start. False: the start is off.
    async fn pause(&mut self, after: Duration) -> bool {
        if after.is_zero() {
            return true;
        }
        tokio::select! {
            () = sleep(after) => true,
            _ = self.orders.recv() => false,
        }
    }

    /// From ready to gone.
    async fn live(&mut self, page: Arc<Page>) -> ExitReport {
        let (outbox, inlet) = line();
        let port = Port::new(outbox, None, Some(page.clone()), usize::MAX);
        self.office.ready(self.slot, port, Vec::new());
        let mut life = Life { inlet, inbound: Inbound::default(), page, said: Vec::new() };
        loop {
            while let Some(call) = life.inbound.calls.pop_front() {
                if let Some(report) = self.take_up(call, &mut life).await {
                    return report;
                }
            }
            // Whom they were meant for has been answered.
            life.inbound.cancels.clear();
            if let Some(report) = self.report(&mut life) {
                return report;
            }
            if let Some(report) = self.listen(&mut life, None).await {
                return report;
            }
        }
    }

    /// Runs one call. Some: the worker ends.
    async fn take_up(&mut self, call: Incoming, life: &mut Life) -> Option<ExitReport> {
        let Incoming { id, tool, arguments, session, session_new, word, streaming } = call;
        if word.is_some_and(|word| !life.page.start(word, id.raw())) {
            return None; // taken back
        }
        let number = self.office.read(|state| state.number(self.slot));
        let call = Call {
            tool: &tool,
            arguments: &arguments,
            session: session.as_deref(),
            session_new,
            slot: number,
        };
        let (heeds_cancel, until, value) = match (self.answer)(call) {
            Answer::Value(value) => (false, None, Some(Ok(value))),
            Answer::Raise(message) => {
                let failure = Failure { type_name: "Raised".into(), message, ..Failure::default() };
                (false, None, Some(Err(WorkerFailure::Exception(failure.into()))))
            }
            Answer::After(delay, value) => match Instant::now().checked_add(delay) {
                Some(until) => (true, Some(until), Some(Ok(value))),
                None => (true, None, None),
            },
            Answer::Never => (true, None, None),
            Answer::Deaf => (false, None, None),
            Answer::Exit(code) => {
                let _ = self.report(life);
                return Some(exited(code, Cause::Exit(code)));
            }
        };
        let mut cancelled = false;
        if until.is_some() || value.is_none() {
            if let Some(report) = self.report(life) {
                return Some(report);
            }
            let passed = || until.is_some_and(|until| until <= Instant::now());
            while !passed() && !cancelled {
                if let Some(report) = self.listen(life, until).await {
                    return Some(report);
                }
                cancelled = heeds_cancel && life.inbound.cancels.contains(&id);
            }
        }
        match value.filter(|_| !cancelled) {
            Some(Ok(value)) if streaming => {
                life.said.push(FromWorker::Chunks(id, vec![value.into()]));
                life.said.push(FromWorker::End(id));
            }
            Some(Ok(value)) => life.said.push(FromWorker::Value(id, value.into())),
            Some(Err(failure)) => life.said.push(FromWorker::Failed(id, failure)),
            None => life.said.push(FromWorker::Failed(id, WorkerFailure::Cancelled)),
        }
        if let Some(word) = word
            && !life.page.finish(word, id.raw())
            && life.page.state(word, id.raw()) == WordState::Condemned
        {
            let mut end = self.report(life);
            while end.is_none() {
                end = self.listen(life, None).await;
            }
            return end;
        }
        None
    }

    /// Tells the host what was answered. Some: the host does not believe it.
    fn report(&self, life: &mut Life) -> Option<ExitReport> {
        if life.said.is_empty() {
            return None;
        }
        let violation = self.office.heard(self.slot, &mut life.said).err()?;
        let reason = Some(format!("it broke the protocol: {violation}"));
        let (cause, violation) = (Cause::Protocol, Some(violation));
        Some(ExitReport { cause, reason, violation, ..ExitReport::default() })
    }

    /// Waits for the host, or until that moment. Some: the worker is to end.
    async fn listen(&mut self, life: &mut Life, until: Option<Instant>) -> Option<ExitReport> {
        let due = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            more = life.inlet.next_batch(&mut life.inbound) => (!more).then(ExitReport::default),
            order = self.orders.recv() => match order {
                Some(Order::Start { .. }) => None,
                Some(Order::Stop(why)) => Some(exited(0, why)),
                Some(Order::Kill(why)) => Some(exited(137, why)),
                Some(Order::End) | None => Some(ExitReport::default()),
            },
            () = due => None,
        }
    }
}

fn exited(code: i32, cause: Cause) -> ExitReport {
    let reason = cause.told().map(Into::into);
    ExitReport { exit_code: Some(code), reason, cause, ..ExitReport::default() }
}
