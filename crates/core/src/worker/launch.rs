//! From nothing to a worker that is ready, or to the reason why not.
//!
//! ```text
//! begin: token, page, spawn, start message
//! settle: ─ shim tells the worker ─ worker dials in ─▶ Initialize ─▶ Ready
//!         any of: boot error, exit, StartFailed, out of time, a broken protocol ─▶ StartFailure
//! ```

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::keeper::{Keeper, Order};
use super::loans::Loans;
use super::watch::{LINE_AFTER_STATUS, Process, STATUS_AFTER_LINE, malformed};
use super::{Office, Port, command};
use crate::config::{PoolConfig, SourceKind, TelemetryFilter};
use crate::error::{Shortage, StartFailure, Violation};
use crate::id::WorkerRef;
use crate::process::arena::Arena;
use crate::process::shim::REFUSED_BY_SYSTEM;
use crate::process::{FromWorker as Aside, Page, Received, shortage_of, shortage_told, spawn};
use crate::transport::{
    Attached, FromWorker, Inbox, News, PythonInfo, TOKEN_BYTES, Token, ToolInfo,
};

/// A timer that is late by so much tells of this process, and not of the worker.
const OVERSLEPT: Duration = Duration::from_secs(1);

/// A worker that is ready.
pub(super) struct Launched {
    pub(super) process: Process,
    pub(super) inbox: Inbox,
    pub(super) port: Port,
    pub(super) tools: Vec<ToolInfo>,
    pub(super) python: Option<PythonInfo>,
    /// What it said since; the keeper is to judge that.
    pub(super) frames: Vec<FromWorker>,
}

/// A start that failed, with the process to reap where there is one.
pub(super) type Failed = (Box<StartFailure>, Option<Process>);

type Outcome<T> = Result<T, Box<StartFailure>>;

/// Starts a worker and waits until its adapter is initialized, no longer than `limit`.
pub(super) async fn launch<O: Office>(
    keeper: &mut Keeper<O>,
    worker: &WorkerRef,
    limit: Instant,
) -> Result<Launched, Failed> {
    let config = keeper.config.clone();
    let (process, page) = begin(keeper, &config, worker.slot).map_err(|failure| (failure, None))?;
    let page = Arc::new(page);
    let (office, slot) = (keeper.office.clone(), keeper.slot);
    let telemetry = || office.telemetry(slot);
    let mut handshake = Handshake {
        config: &config,
        worker,
        arena: office.arena(),
        telemetry: &telemetry,
        process,
        page,
        line: None,
        dialled_by: None,
        python_version: String::new(),
        ended: false,
    };
    match handshake.settle(keeper, limit).await {
        Ok(Ready { inbox, port, tools, python, frames }) => {
            Ok(Launched { process: handshake.process, inbox, port, tools, python, frames })
        }
        Err(mut failure) => {
            let mut process = handshake.process;
            // What it printed last often says more than how it ended.
            let exit =
                failure.exit.get_or_insert_with(|| process.exit_report().unwrap_or_default());
            exit.stderr = process.output.last_lines().await;
            Err((failure, Some(process)))
        }
    }
}

fn because(reason: String) -> Box<StartFailure> {
    Box::new(StartFailure { reason, ..StartFailure::default() })
}

fn for_good(reason: String) -> Box<StartFailure> {
    Box::new(StartFailure { reason, permanent: true, ..StartFailure::default() })
}

/// Something that this process, or the shim, was refused by the system.
fn refused(reason: String, shortage: Option<(Shortage, String)>) -> Box<StartFailure> {
    match shortage {
        Some((shortage, remedy)) => Box::new(StartFailure {
            reason: format!("{reason}; {remedy}"),
            shortage: Some(shortage),
            ..StartFailure::default()
        }),
        None => because(reason),
    }
}

fn broke(violation: Violation) -> Box<StartFailure> {
    Box::new(StartFailure {
        reason: format!("it broke the protocol: {violation}"),
        permanent: violation.is_permanent(),
        violation: Some(violation),
        ..StartFailure::default()
    })
}

/// Spawns the process and tells it where to dial.
fn begin<O: Office>(
    keeper: &Keeper<O>,
    config: &PoolConfig,
    place: usize,
) -> Outcome<(Process, Page)> {
    let mut token: Token = [0; TOKEN_BYTES];
    getrandom::fill(&mut token)
        .map_err(|error| because(format!("no random numbers for a token: {error}")))?;
    let page = Page::create()
        .map_err(|error| refused(format!("no shared page: {error}"), shortage_of(&error)))?;
    let admission = keeper.listener.expect(token);
    let start = command::start(
        admission.token(),
        keeper.listener.path(),
        &config.worker,
        config.max_message,
    );
    // Told before there is a process that would have to be reaped.
    start.encode().map_err(|error| for_good(error.to_string()))?;
    let mut entry = keeper.listener.dir().entry();
    let child = spawn(&command::command(&config.worker, place, &entry)).map_err(|error| {
        use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied, Unsupported};
        match error.kind() {
            NotFound | NotADirectory | PermissionDenied | Unsupported => {
                for_good(format!("{error}; {}", command::REMEDY))
            }
            _ => refused(format!("no new process: {error}"), shortage_of(&error)),
        }
    })?;
    entry.spawned(child.pid);
    let process =
        Process::new(&keeper.office, keeper.slot, child, admission, entry, config.worker.output)
            .map_err(|error| refused(format!("no control socket: {error}"), shortage_of(&error)))?;
    // Fails only when the process has ended at once, which its exit tells.
    let _ = process.control.send(&start, &[page.fd()]);
    Ok((process, page))
}

/// A worker that is not ready yet.
struct Handshake<'a> {
    config: &'a PoolConfig,
    worker: &'a WorkerRef,
    arena: Option<&'a Arena>,
    /// What is wanted of its adapter's events.
    telemetry: &'a (dyn Fn() -> (bool, TelemetryFilter) + Sync),
    process: Process,
    page: Arc<Page>,
    /// Once it dialled in.
    line: Option<(Inbox, Port)>,
    /// The process that did, where the kernel told.
    dialled_by: Option<u32>,
    /// As it said Hello; empty, unless it is Python.
    python_version: String,
    /// Its line is read to the end.
    ended: bool,
}

/// What is there once a worker said Ready.
struct Ready {
    inbox: Inbox,
    port: Port,
    tools: Vec<ToolInfo>,
    python: Option<PythonInfo>,
    frames: Vec<FromWorker>,
}

impl Handshake<'_> {
    async fn settle<O: Office>(
        &mut self,
        keeper: &mut Keeper<O>,
        mut limit: Instant,
    ) -> Outcome<Ready> {
        let mut frames = Vec::new();
        loop {
            let more = async {
                match &mut self.line {
                    Some((inbox, _)) if !self.ended => inbox.next_batch(&mut frames).await,
                    _ => pending().await,
                }
            };
            tokio::select! {
                aside = self.process.control.recv() => match aside {
                    Ok(Some(received)) => {
                        if let Err(failure) = self.heard_aside(received, keeper) {
                            return Err(self.last_words(frames).await.unwrap_or(failure));
                        }
                    }
                    Ok(None) => return Err(self.vanished().await),
                    Err(error) => {
                        let other = || because(format!("control socket: {error}"));
                        return Err(malformed(&error).map_or_else(other, broke));
                    }
                },
                news = self.process.admission.next() => {
                    self.news(news)?;
                    if let Some((_, port)) = &self.line {
                        keeper.office.attached(keeper.slot, port.locator());
                    }
                },
                more = more => {
                    self.ended = !more;
                    if !frames.is_empty() {
                        return self.spoke(frames);
                    }
                    // The exit status tells more than the end of the line, and is on its way, if it
                    // is one that ended.
                    limit = limit.min(Instant::now() + STATUS_AFTER_LINE);
                },
                order = keeper.orders.recv() => {
                    let why = match order {
                        Some(Order::Kill(why)) => why.told(),
                        _ => None,
                    };
                    let why = why.unwrap_or("the pool was closed");
                    return Err(because(format!("stopped while it was starting: {why}")));
                },
                () = sleep_until(limit) => {
                    let now = Instant::now();
                    if now < limit + OVERSLEPT {
                        return Err(self.late(keeper));
                    }
                    // This process was stopped: what the worker said meanwhile is yet to be heard.
                    limit = now + self.config.start_timeout;
                }
            }
        }
    }

    fn heard_aside<O: Office>(&mut self, received: Received, keeper: &Keeper<O>) -> Outcome<()> {
        if let Aside::BootError(reason) = received.message {
            return Err(match reason.starts_with(REFUSED_BY_SYSTEM) {
                true => {
                    let shortage = shortage_told(&reason);
                    refused(reason, shortage)
                }
                false => for_good(reason),
            });
        }
        if let Aside::Located { nonce, text } = received.message {
            keeper.office.located(nonce, text);
            return Ok(());
        }
        self.process.noted(received);
        if let Some(pid) = self.process.pid {
            keeper.office.spawned(keeper.slot, pid);
            self.process.admission.is_process(pid);
            self.check_process()?;
        }
        let Some(mut exit) = self.process.exit_report() else { return Ok(()) };
        exit.cause = self.process.own_cause();
        exit.reason = exit.cause.told().map(Into::into);
        let reason = format!("it ended before it was ready: {exit}");
        Err(Box::new(StartFailure { reason, exit: Some(exit), ..StartFailure::default() }))
    }

    /// Why a worker that ended could not start, if it said so: the news of its end is quicker.
    async fn last_words(&mut self, mut frames: Vec<FromWorker>) -> Option<Box<StartFailure>> {
        while let Some(news) = self.process.admission.try_next() {
            if let Err(failure) = self.news(news) {
                return Some(failure);
            }
        }
        let (inbox, _) = self.line.as_mut()?;
        if !self.ended {
            let rest = async { while inbox.next_batch(&mut frames).await {} };
            // A process that it left behind may hold the line open.
            let _ = timeout(LINE_AFTER_STATUS, rest).await;
        }
        let said = frames.into_iter().find_map(|frame| match frame {
            FromWorker::StartFailed(failure) => Some(failure),
            FromWorker::Violation(violation) => Some(broke(violation)),
            _ => None,
        });
        said.or_else(|| inbox.failure().cloned().map(broke))
    }

    /// The process ended before it even had a shim: most likely it is no Python.
    async fn vanished(&mut self) -> Box<StartFailure> {
        let program = self.config.worker.program.display();
        let exit = self.process.shim_exit().await.unwrap_or_default();
        let reason =
            format!("{program} ended before it became a worker: {exit}; {}", command::REMEDY);
        let permanent = exit.exit_code.is_some() && self.process.pid.is_none();
        Box::new(StartFailure { reason, permanent, exit: Some(exit), ..StartFailure::default() })
    }

    fn news(&mut self, news: News) -> Outcome<()> {
        match news {
            News::Attached(attached) => self.arrived(*attached),
            News::Broke(violation) => Err(broke(violation)),
        }
    }

    fn arrived(&mut self, attached: Attached) -> Outcome<()> {
        self.dialled_by = Some(attached.pid).filter(|&pid| pid != 0);
        self.check_process()?;
        let control = attached.control.then(|| self.process.control.clone());
        let page = attached.words.then(|| self.page.clone());
        let mut inbox = attached.inbox;
        let mut port = Port::new(attached.outbox, control, page, self.config.max_message);
        if let Some(arena) = self.arena.filter(|_| attached.arenas) {
            let loans = Arc::new(Loans::new(arena, &self.process.control));
            self.process.loans = Some(loans.clone());
            inbox.find_buffers(loans.clone());
            port.lend_by(loans);
        }
        if attached.telemetry {
            port.can_tell();
        }
        let (wanted, filter) = (self.telemetry)();
        port.initialize(self.worker, &self.config.worker, (wanted, &filter));
        self.line = Some((inbox, port));
        self.python_version = attached.python_version;
        Ok(())
    }

    /// Whichever of the two comes to be known last: who dialled in, and who should.
    fn check_process(&self) -> Outcome<()> {
        match (self.dialled_by, self.process.pid) {
            (Some(pid), Some(worker)) if pid != worker => {
                Err(broke(Violation::ForeignProcess { pid, worker }))
            }
            _ => Ok(()),
        }
    }

    /// The first thing that it said must be how its start came out; `frames` has at least that.
    fn spoke(&mut self, mut frames: Vec<FromWorker>) -> Outcome<Ready> {
        let first = frames.remove(0);
        let frame = first.name();
        match (first, self.line.take()) {
            (FromWorker::Ready(tools, python), Some((inbox, port))) => {
                let version = std::mem::take(&mut self.python_version);
                let python = python.map(|told| PythonInfo { version, ..told });
                Ok(Ready { inbox, port, tools, python, frames })
            }
            (FromWorker::StartFailed(failure), _) => Err(failure),
            (FromWorker::Violation(violation), _) => Err(broke(violation)),
            _ => Err(broke(Violation::OutOfTurn { frame, ready: false })),
        }
    }

    fn late<O: Office>(&self, keeper: &Keeper<O>) -> Box<StartFailure> {
        let limit = self.config.start_timeout;
        let stage = match &self.line {
            Some((inbox, _)) if self.ended => {
                return match inbox.failure() {
                    Some(violation) => broke(violation.clone()),
                    None => because("it closed its line before it was ready".into()),
                };
            }
            Some(_) => "the adapter's initialize() has not returned",
            None if self.process.pid.is_some_and(|pid| keeper.listener.is_waiting(pid)) => {
                "it has connected and not said Hello"
            }
            None if self.config.worker.adapter.kind == SourceKind::Program => {
                "the program has not dialled in; `python -m snakepit.conformance -- COMMAND` tells \
                 what it lacks"
            }
            None => "the interpreter has not dialled in",
        };
        because(format!("not ready within start_timeout ({limit:?}): {stage}"))
    }
}
