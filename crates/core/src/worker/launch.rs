//! From nothing to a worker that is ready, or to the reason why not.

use std::future::pending;
use std::io;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::keeper::Keeper;
use super::watch::Process;
use super::{Office, Port, command};
use crate::config::PoolConfig;
use crate::error::StartFailure;
use crate::id::WorkerRef;
use crate::process::{FromWorker as Aside, Page, spawn};
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

/// Starts a worker and waits until its adapter is initialized, no longer than `limit`.
pub(super) async fn launch<O: Office>(
    keeper: &mut Keeper<O>,
    worker: &WorkerRef,
    limit: Instant,
) -> Result<Launched, Failed> {
    let config = keeper.config.clone();
    let (mut process, page, attached) =
        begin(keeper, &config).map_err(|failure| (Box::new(failure), None))?;
    let page = Arc::new(page);
    match settle(keeper, &config, worker, limit, &mut process, attached, &page).await {
        Ok((inbox, port, tools)) => Ok(Launched { process, inbox, port, tools }),
        Err(failure) => {
            let mut failure = failure;
            if let Some(exit) = &mut failure.exit {
                exit.stderr = process.output.last_lines().await;
            }
            Err((Box::new(failure), Some(process)))
        }
    }
}

/// Spawns the process and tells it where to dial.
fn begin<O: Office>(
    keeper: &Keeper<O>,
    config: &PoolConfig,
) -> Result<(Process, Page, oneshot::Receiver<Attached>), StartFailure> {
    let failed = |what: &str, error: io::Error| StartFailure {
        reason: format!("{what}: {error}"),
        ..StartFailure::default()
    };
    let mut token: Token = [0; TOKEN_BYTES];
    getrandom::fill(&mut token).map_err(|error| {
        failed("no random numbers for a token", io::Error::other(error.to_string()))
    })?;
    let page = Page::create().map_err(|error| failed("no shared page", error))?;
    let attached = keeper.listener.expect(token);
    let child = spawn(&command::command(&config.worker)).map_err(|error| {
        let missing = matches!(
            error.kind(),
            io::ErrorKind::NotFound
                | io::ErrorKind::PermissionDenied
                | io::ErrorKind::NotADirectory
        );
        let program = config.worker.program.display();
        StartFailure {
            reason: format!(
                "interpreter {program} cannot be started: {error}; \
                 pass python= with the path of a CPython 3.11 or newer"
            ),
            permanent: missing,
            ..StartFailure::default()
        }
    })?;
    let process = Process::new(&keeper.office, keeper.slot, child)
        .map_err(|error| failed("control socket", error))?;
    let start = command::start(&token, keeper.listener.path(), &config.worker, config.max_message);
    process.control.send(&start, &[page.fd()]).map_err(|error| failed("start message", error))?;
    Ok((process, page, attached))
}

/// Waits for the handshake and for `initialize()`.
async fn settle<O: Office>(
    keeper: &mut Keeper<O>,
    config: &PoolConfig,
    worker: &WorkerRef,
    limit: Instant,
    process: &mut Process,
    mut attached: oneshot::Receiver<Attached>,
    page: &Arc<Page>,
) -> Result<(Inbox, Port, Vec<ToolInfo>), StartFailure> {
    let mut line: Option<(Inbox, Port)> = None;
    let mut frames = Vec::new();
    let mut ended = false;
    let because = |reason: String| StartFailure { reason, ..StartFailure::default() };
    loop {
        let dialled = line.is_some();
        let waiting_for_frames = async {
            match &mut line {
                Some((inbox, _)) if !ended => inbox.next_batch(&mut frames).await,
                _ => pending().await,
            }
        };
        tokio::select! {
            aside = process.control.recv() => match aside {
                Ok(Some(received)) => match received.message {
                    Aside::BootError(reason) => {
                        return Err(StartFailure { reason, permanent: true, ..Default::default() });
                    }
                    _ => {
                        process.noted(received);
                        if let Some(pid) = process.pid {
                            keeper.office.spawned(keeper.slot, pid);
                        }
                        if let Some(exit) = process.exit_report(None) {
                            let reason = format!("it ended before it was ready: {exit}");
                            return Err(StartFailure { exit: Some(exit), ..because(reason) });
                        }
                    }
                },
                Ok(None) => return Err(because("its shim is gone".into())),
                Err(error) => return Err(because(format!("control socket: {error}"))),
            },
            arrived = &mut attached, if !dialled => {
                let Ok(arrived) = arrived else {
                    return Err(because("the listener for workers is gone".into()));
                };
                if let Some(reason) = arrived.refused {
                    return Err(StartFailure { permanent: true, ..because(reason) });
                }
                if process.pid.is_some_and(|pid| arrived.pid != 0 && arrived.pid != pid) {
                    let reason = "another process than the worker used its token";
                    return Err(because(reason.into()));
                }
                let control = arrived.control.then(|| process.control.clone());
                let port = Port::new(arrived.outbox, control, arrived.words.then(|| page.clone()));
                port.initialize(worker, &config.worker);
                line = Some((arrived.inbox, port));
            },
            more = waiting_for_frames => {
                ended = !more;
                match frames.drain(..).next() {
                    Some(FromWorker::Ready(tools)) => {
                        if let Some((inbox, port)) = line.take() {
                            return Ok((inbox, port, tools));
                        }
                    }
                    Some(FromWorker::StartFailed(failure)) => return Err(failure),
                    Some(_) => {
                        return Err(because("it spoke out of turn before it was ready".into()));
                    }
                    // The exit status tells more; it is on its way.
                    None => {}
                }
            },
            order = keeper.orders.recv() => {
                let why = match order {
                    Some(super::Order::Kill(why)) => why,
                    _ => "the pool was closed",
                };
                return Err(because(format!("stopped while it was starting: {why}")));
            },
            () = sleep_until(limit) => {
                let stage = match &line {
                    Some(_) => "the adapter's initialize() has not returned",
                    None => "the interpreter has not dialled in",
                };
                let mut failure = because(format!(
                    "not ready within start_timeout ({:?}): {stage}",
                    config.start_timeout
                ));
                failure.exit = Some(Default::default());
                return Err(failure);
            },
        }
    }
}
