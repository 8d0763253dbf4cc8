//! A worker's process from spawn to reaping.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::keeper::{Keeper, Order};
use super::output::Output;
use super::{KILL_AFTER, Office, Port, STOP_LIMIT};
use crate::error::ExitReport;
use crate::process::{
    Child, Control, ExitStatus, FromWorker as Aside, Pidfd, Received, Shim, signal_name,
};
use crate::transport::Inbox;

/// A line that ended leaves so long for the exit status that explains it.
const STATUS_AFTER_LINE: Duration = Duration::from_secs(1);

/// A dead worker's line is read to its end for so long: what it sent is here already, but a
/// grandchild may hold the socket open.
pub(super) const LINE_AFTER_STATUS: Duration = Duration::from_millis(250);

/// The shim ends a tree, giving up on what it may not signal after 3 s; then it is ended itself.
const REAP_LIMIT: Duration = Duration::from_secs(10);

const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// Shim, worker and all they made.
pub(super) struct Process {
    pub(super) control: Arc<Control>,
    pub(super) output: Output,
    /// Known once the shim said so.
    pub(super) pid: Option<u32>,
    shim: Shim,
    worker: Option<Pidfd>,
    status: Option<ExitStatus>,
}

/// What happens next to a worker that is being ended.
#[derive(Clone, Copy)]
enum Then {
    Terminate,
    Kill,
}

impl Process {
    pub(super) fn new<O: Office>(office: &Arc<O>, slot: usize, child: Child) -> io::Result<Self> {
        let Child { pid, pidfd, control, stdout, stderr } = child;
        Ok(Self {
            control: Arc::new(Control::new(control)?),
            output: Output::start(office, slot, stdout, stderr),
            pid: None,
            shim: Shim::new(pid, pidfd)?,
            worker: None,
            status: None,
        })
    }

    /// Takes note of what came beside the line.
    pub(super) fn noted(&mut self, mut received: Received) {
        if !self.is_honest(&received) {
            tracing::warn!(sender = received.sender_pid, "a worker spoke as its shim; ignored");
            return;
        }
        match &received.message {
            Aside::WorkerIs { pid, start_time } => {
                self.pid = Some(*pid);
                self.worker = match received.fds.pop() {
                    Some(fd) => Some(Pidfd::from(fd)),
                    // The descriptor was lost: this process had none left.
                    None => Pidfd::open_started(*pid, *start_time).ok(),
                };
            }
            Aside::WorkerExited { code, status } => {
                self.status = ExitStatus::from_wait(*code, *status);
            }
            Aside::BootError(_) | Aside::ProbeAnswer { .. } => {}
        }
    }

    /// How the process ended that was spawned, where no shim tells of a worker.
    pub(super) async fn shim_exit(&self) -> Option<ExitReport> {
        let exited = timeout(KILL_AFTER, self.shim.exited()).await;
        Some(report(exited.ok()?.ok()??, None))
    }

    /// How the worker ended, once the shim told.
    pub(super) fn exit_report(&self, reason: Option<String>) -> Option<ExitReport> {
        Some(report(self.status?, reason))
    }

    /// Serves a worker that is ready, until it is gone.
    pub(super) async fn watch<O: Office>(
        &mut self,
        keeper: &mut Keeper<O>,
        inbox: &mut Inbox,
        port: &Port,
    ) -> ExitReport {
        let mut frames = Vec::new();
        let mut line_open = true;
        let mut why: Option<String> = None;
        let mut next: Option<(Instant, Then)> = None;
        let slot = keeper.slot;
        while self.status.is_none() {
            let due = async {
                match next {
                    Some((at, then)) => {
                        sleep_until(at).await;
                        then
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                more = inbox.next_batch(&mut frames), if line_open => {
                    if let Err(violation) = keeper.office.heard(slot, &mut frames) {
                        why = Some(format!("killed by the host: it sent {violation}"));
                        self.signal(SIGKILL);
                    }
                    if !more {
                        line_open = false;
                        // One that was told to stop has its time already.
                        next.get_or_insert((Instant::now() + STATUS_AFTER_LINE, Then::Kill));
                    }
                },
                aside = self.control.recv() => match aside {
                    Ok(Some(received)) => self.noted(received),
                    Ok(None) => break,
                    Err(error) => tracing::warn!(%error, slot, "control socket of a worker"),
                },
                then = due => match then {
                    Then::Terminate => {
                        self.signal(SIGTERM);
                        next = Some((Instant::now() + KILL_AFTER, Then::Kill));
                    }
                    Then::Kill => {
                        if why.is_none() && !line_open {
                            let how = inbox.failure().unwrap_or("it closed its line");
                            why = Some(format!("killed by the host: {how}"));
                        }
                        self.signal(SIGKILL);
                        next = None;
                    }
                },
                order = keeper.orders.recv() => match order {
                    Some(Order::Stop) => {
                        port.drain();
                        next = Some((Instant::now() + STOP_LIMIT, Then::Terminate));
                    }
                    Some(Order::Kill(reason)) => {
                        why = Some(reason.into());
                        next = Some((Instant::now(), Then::Terminate));
                    }
                    // The next worker of this slot is ordered only when this one is gone.
                    Some(Order::Start { .. }) => {}
                    None => {
                        self.control.hang_up();
                        break;
                    }
                },
            }
        }
        if line_open {
            let rest = async {
                while inbox.next_batch(&mut frames).await {
                    if keeper.office.heard(slot, &mut frames).is_err() {
                        return;
                    }
                }
                let _ = keeper.office.heard(slot, &mut frames);
            };
            let _ = timeout(LINE_AFTER_STATUS, rest).await;
        }
        let mut report = self.exit_report(None).unwrap_or_default();
        if self.status.is_none()
            && let Some(shim) = self.shim_exit().await
        {
            why.get_or_insert_with(|| format!("its shim died: {shim}"));
        }
        report.reason = why;
        report.stderr = self.output.last_lines().await;
        report
    }

    /// The sender's kind is proved by its pid: nothing else keeps a worker from speaking as its
    /// shim.
    fn is_honest(&self, received: &Received) -> bool {
        match received.message {
            Aside::WorkerIs { .. } | Aside::WorkerExited { .. } => {
                received.sender_pid == 0 || received.sender_pid == self.shim.pid()
            }
            Aside::BootError(_) | Aside::ProbeAnswer { .. } => true,
        }
    }

    fn signal(&self, signal: i32) {
        match &self.worker {
            Some(worker) => {
                if let Err(error) = worker.signal(signal) {
                    tracing::warn!(%error, signal, "a worker cannot be signalled");
                    self.control.hang_up();
                }
            }
            None => self.control.hang_up(),
        }
    }

    /// Ends all that is left of the tree and waits until it is gone.
    pub(super) async fn reap(&mut self) {
        self.control.hang_up();
        if timeout(REAP_LIMIT, self.shim.exited()).await.is_err() {
            tracing::error!("a shim did not end in time; killing it");
            if let Err(error) = self.shim.kill() {
                tracing::error!(%error, "a shim cannot be killed");
            }
            let _ = timeout(KILL_AFTER, self.shim.exited()).await;
        }
    }
}

fn report(status: ExitStatus, reason: Option<String>) -> ExitReport {
    let (exit_code, signal) = match status {
        ExitStatus::Exited(code) => (Some(code), None),
        ExitStatus::Signaled { signal, .. } => (None, Some(signal)),
    };
    let signal_name = signal.and_then(signal_name);
    ExitReport { exit_code, signal, signal_name, reason, stderr: String::new() }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Others may hold the control socket too (a port, a stream): say it, don't just let go.
        self.control.hang_up();
    }
}
