//! From nothing to a worker that is ready, or to the reason why not.
//!
//! ```text
//! begin: token, page, spawn, start message
//! settle: ─ shim tells the worker ─ worker dials in ─▶ Initialize ─▶ Ready
//!         any of: boot error, exit, StartFailed, out of time, out of turn ─▶ StartFailure
//! ```

use std::future::pending;
use std::io;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use super::keeper::{Keeper, Order};
use super::watch::{LINE_AFTER_STATUS, Process};
use super::{Office, Port, command};
use crate::config::PoolConfig;
use crate::error::{ExitReport, StartFailure};
use crate::id::WorkerRef;
use crate::process::{FromWorker as Aside, Page, Received, spawn};
use crate::transport::{Attached, FromWorker, Inbox, TOKEN_BYTES, Token, ToolInfo};

/// A worker that is ready.
pub(super) struct Launched {
    pub(super) process: Process,
    pub(super) inbox: Inbox,
    pub(super) port: Port,
    pub(super) tools: Vec<ToolInfo>,
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
    let (process, page, attached) = begin(keeper, &config).map_err(|failure| (failure, None))?;
    let line = None;
    let mut handshake =
        Handshake { config: &config, worker, process, page: Arc::new(page), line, ended: false };
    match handshake.settle(keeper, attached, limit).await {
        Ok((inbox, port, tools)) => Ok(Launched { process: handshake.process, inbox, port, tools }),
        Err(mut failure) => {
            let mut process = handshake.process;
            // What it printed last often says more than how it ended.
            let exit = failure.exit.get_or_insert_with(ExitReport::default);
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

/// Spawns the process and tells it where to dial.
fn begin<O: Office>(
    keeper: &Keeper<O>,
    config: &PoolConfig,
) -> Outcome<(Process, Page, oneshot::Receiver<Attached>)> {
    let mut token: Token = [0; TOKEN_BYTES];
    getrandom::fill(&mut token)
        .map_err(|error| because(format!("no random numbers for a token: {error}")))?;
    let page = Page::create().map_err(|error| because(format!("no shared page: {error}")))?;
    let attached = keeper.listener.expect(token);
    let start = command::start(&token, keeper.listener.path(), &config.worker, config.max_message);
    // Told before there is a process that would have to be reaped.
    start.encode().map_err(|error| for_good(error.to_string()))?;
    let child = spawn(&command::command(&config.worker)).map_err(|error| {
        use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied, Unsupported};
        let told = format!("{error}; {}", command::REMEDY);
        match error.kind() {
            NotFound | NotADirectory | PermissionDenied | Unsupported => for_good(told),
            _ => because(told),
        }
    })?;
    let process = Process::new(&keeper.office, keeper.slot, child)
        .map_err(|error| because(format!("no control socket: {error}")))?;
    // Fails only when the process has ended at once, which its exit tells.
    let _ = process.control.send(&start, &[page.fd()]);
    Ok((process, page, attached))
}

/// A worker that is not ready yet.
struct Handshake<'a> {
    config: &'a PoolConfig,
    worker: &'a WorkerRef,
    process: Process,
    page: Arc<Page>,
    /// Once it dialled in.
    line: Option<(Inbox, Port)>,
    /// Its line is read to the end.
    ended: bool,
}

impl Handshake<'_> {
    async fn settle<O: Office>(
        &mut self,
        keeper: &mut Keeper<O>,
        mut attached: oneshot::Receiver<Attached>,
        limit: Instant,
    ) -> Outcome<(Inbox, Port, Vec<ToolInfo>)> {
        let mut frames = Vec::new();
        loop {
            let dialled = self.line.is_some();
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
                    Err(error) => return Err(because(format!("control socket: {error}"))),
                },
                arrived = &mut attached, if !dialled => self.arrived(arrived.ok())?,
                more = more => {
                    self.ended = !more;
                    if let Some(frame) = frames.drain(..).next() {
                        return self.spoke(frame);
                    }
                    // The exit status tells more than the end of the line; it is on its way.
                },
                order = keeper.orders.recv() => {
                    let why = match order {
                        Some(Order::Kill(why)) => why,
                        _ => "the pool was closed",
                    };
                    return Err(because(format!("stopped while it was starting: {why}")));
                },
                () = sleep_until(limit) => return Err(self.late()),
            }
        }
    }

    fn heard_aside<O: Office>(&mut self, received: Received, keeper: &Keeper<O>) -> Outcome<()> {
        if let Aside::BootError(reason) = received.message {
            return Err(for_good(reason));
        }
        self.process.noted(received);
        if let Some(pid) = self.process.pid {
            keeper.office.spawned(keeper.slot, pid);
        }
        let Some(exit) = self.process.exit_report(None) else { return Ok(()) };
        let reason = format!("it ended before it was ready: {exit}");
        Err(Box::new(StartFailure { reason, exit: Some(exit), ..StartFailure::default() }))
    }

    /// Why a worker that ended could not start, if it said so: the news of its end is quicker.
    async fn last_words(&mut self, mut frames: Vec<FromWorker>) -> Option<Box<StartFailure>> {
        let (inbox, _) = self.line.as_mut().filter(|_| !self.ended)?;
        let rest = async { while inbox.next_batch(&mut frames).await {} };
        // A process that it left behind may hold the line open.
        let _ = timeout(LINE_AFTER_STATUS, rest).await;
        frames.into_iter().find_map(|frame| match frame {
            FromWorker::StartFailed(failure) => Some(Box::new(failure)),
            _ => None,
        })
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

    fn arrived(&mut self, attached: Option<Attached>) -> Outcome<()> {
        let attached =
            attached.ok_or_else(|| because("the listener for workers is gone".into()))?;
        if let Some(reason) = attached.refused {
            return Err(for_good(reason));
        }
        if self.process.pid.is_some_and(|pid| attached.pid != 0 && attached.pid != pid) {
            return Err(because("another process than the worker used its token".into()));
        }
        let control = attached.control.then(|| self.process.control.clone());
        let page = attached.words.then(|| self.page.clone());
        let port = Port::new(attached.outbox, control, page);
        port.initialize(self.worker, &self.config.worker);
        self.line = Some((attached.inbox, port));
        Ok(())
    }

    fn spoke(&mut self, frame: FromWorker) -> Outcome<(Inbox, Port, Vec<ToolInfo>)> {
        match (frame, self.line.take()) {
            (FromWorker::Ready(tools), Some((inbox, port))) => Ok((inbox, port, tools)),
            (FromWorker::StartFailed(failure), _) => Err(Box::new(failure)),
            _ => Err(because("it spoke out of turn before it was ready".into())),
        }
    }

    fn late(&self) -> Box<StartFailure> {
        let stage = match &self.line {
            Some(_) => "the adapter's initialize() has not returned",
            None => "the interpreter has not dialled in",
        };
        let limit = self.config.start_timeout;
        because(format!("not ready within start_timeout ({limit:?}): {stage}"))
    }
}
