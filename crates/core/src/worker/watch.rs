//! A worker's process from spawn to reaping.

mod reap;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::keeper::{Keeper, Order};
use super::loans::Loans;
use super::output::{Output, Reading};
use super::{KILL_AFTER, Office, Port, STOP_LIMIT};
use crate::config::OutputMode;
use crate::error::{Cause, ExitReport, Violation};
use crate::process::{
    Child, Control, Entry, ExitStatus, FromWorker as Aside, OomCounter, Pidfd, Received, Shim,
    record,
};
use crate::transport::{Admission, FromWorker, Inbox, News};

/// A line that ended leaves so long for the exit status that explains it.
pub(super) const STATUS_AFTER_LINE: Duration = Duration::from_secs(1);

/// A dead worker's line is read to its end for so long: what it sent is here already, but a
/// grandchild may hold the socket open.
pub(super) const LINE_AFTER_STATUS: Duration = Duration::from_millis(250);

/// Before SIGTERM a worker may say for so long where its threads are.
const STACK_LIMIT: Duration = Duration::from_millis(250);

const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// Shim, worker and all they made.
pub(super) struct Process {
    pub(super) control: Arc<Control>,
    pub(super) output: Output,
    /// What it and the pool lend each other, where they do.
    pub(super) loans: Option<Arc<Loans>>,
    /// Its token is known as long as it lives.
    pub(super) admission: Admission,
    /// Known once the shim said so.
    pub(super) pid: Option<u32>,
    shim: Shim,
    worker: Option<Pidfd>,
    status: Option<ExitStatus>,
    /// Its line in the ledger, until nothing of it is left.
    entry: Entry,
    memory: Option<OomCounter>,
    /// Somebody of ours sent it a SIGKILL.
    killed: bool,
    stack: Option<String>,
    /// How the shim ended, where that is known.
    shim_end: Option<ExitStatus>,
}

/// What happens next to a worker that is being ended.
#[derive(Clone, Copy)]
enum Then {
    Terminate,
    Kill,
}

impl Process {
    pub(super) fn new<O: Office>(
        office: &Arc<O>,
        slot: usize,
        child: Child,
        admission: Admission,
        entry: Entry,
        mode: OutputMode,
    ) -> io::Result<Self> {
        let Child { pid, pidfd, control, stdout, stderr } = child;
        let reading = Reading { mark: record::mark(entry.token()), mode };
        Ok(Self {
            control: Arc::new(Control::new(control)?),
            output: Output::start(office, slot, (stdout, stderr), reading),
            loans: None,
            admission,
            pid: None,
            shim: Shim::new(pid, pidfd)?,
            worker: None,
            status: None,
            entry,
            memory: None,
            killed: false,
            stack: None,
            shim_end: None,
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
                self.entry.forked(*pid, *start_time);
                self.memory = OomCounter::of(*pid);
                self.worker = match received.fds.pop() {
                    Some(fd) => Some(Pidfd::from(fd)),
                    // The descriptor was lost: this process had none left.
                    None => Pidfd::open_started(*pid, *start_time).ok(),
                };
            }
            Aside::WorkerExited { code, status } => {
                self.status = ExitStatus::from_wait(*code, *status);
            }
            Aside::Stack(_) => {
                if let Aside::Stack(text) = received.message {
                    self.stack = Some(text).filter(|text| !text.is_empty());
                }
            }
            Aside::Arena(message) => {
                // Whoever was told of no arena has none to speak of.
                if let Some(loans) = &self.loans {
                    loans.heard(*message, received);
                }
            }
            Aside::BootError(_) | Aside::ProbeAnswer { .. } | Aside::Located { .. } => {}
        }
    }

    /// Serves a worker that is ready, until it is gone. `frames`: what it has said already.
    pub(super) async fn watch<O: Office>(
        &mut self,
        keeper: &mut Keeper<O>,
        inbox: &mut Inbox,
        port: &Port,
        mut frames: Vec<FromWorker>,
    ) -> ExitReport {
        let mut why: Option<String> = None;
        let mut cause: Option<Cause> = None;
        let mut next: Option<(Instant, Then)> = None;
        let mut kill_at: Option<Instant> = None;
        // Nothing is believed after the first lie.
        let mut violation = self.hear(keeper, &mut frames);
        let mut line_open = violation.is_none();
        let mut look_at = self.memory.as_ref().map(OomCounter::look);
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
                    violation = self.hear(keeper, &mut frames);
                    line_open = more && violation.is_none();
                    if !more {
                        // One that was told to stop has its time already.
                        next.get_or_insert((Instant::now() + STATUS_AFTER_LINE, Then::Kill));
                    }
                },
                news = self.admission.next(), if violation.is_none() => {
                    if let News::Broke(broken) = news {
                        violation = self.hear(keeper, &mut vec![FromWorker::Violation(broken)]);
                        line_open = false;
                    }
                },
                aside = self.control.recv() => match aside {
                    Ok(Some(mut received)) => {
                        match &mut received.message {
                            Aside::ProbeAnswer { nonce } => {
                                keeper.office.answered_probe(keeper.slot, *nonce);
                            }
                            Aside::Located { nonce, text } => {
                                keeper.office.located(*nonce, std::mem::take(text));
                            }
                            _ => {}
                        }
                        let is_stack = matches!(received.message, Aside::Stack(_));
                        let known = self.pid;
                        self.noted(received);
                        // What comes over the line can overtake what its shim says of it.
                        if let Some(pid) = self.pid.filter(|_| known.is_none()) {
                            keeper.office.spawned(keeper.slot, pid);
                        }
                        if let (true, Some((at, Then::Terminate))) = (is_stack, &mut next) {
                            *at = Instant::now();
                        }
                    }
                    Ok(None) => break,
                    Err(error) => match malformed(&error) {
                        Some(broken) if violation.is_none() => {
                            violation = self.hear(keeper, &mut vec![FromWorker::Violation(broken)]);
                            line_open = false;
                        }
                        _ => {
                            let worker = keeper.office.name(keeper.slot);
                            tracing::warn!(%error, %worker, "control of a worker");
                        }
                    },
                },
                () = sleep_until(look_at.unwrap_or_else(Instant::now)), if look_at.is_some() => {
                    look_at = self.memory.as_ref().map(OomCounter::look);
                },
                then = due => match then {
                    Then::Terminate => {
                        self.signal(SIGTERM);
                        let at = kill_at.take().unwrap_or_else(|| Instant::now() + KILL_AFTER);
                        next = Some((at, Then::Kill));
                    }
                    Then::Kill => {
                        if why.is_none() && violation.is_none() && !line_open {
                            violation = inbox.failure().cloned();
                            if violation.is_none() {
                                cause.get_or_insert(Cause::Protocol);
                                why = Some("killed by the host: it closed its line".into());
                            }
                        }
                        self.signal(SIGKILL);
                        next = None;
                    }
                },
                order = keeper.orders.recv() => match order {
                    Some(Order::Stop(asked)) => {
                        cause = Some(asked);
                        port.drain();
                        next = Some((Instant::now() + STOP_LIMIT, Then::Terminate));
                    }
                    Some(Order::Kill(asked)) => {
                        cause = Some(asked);
                        why = asked.told().map(Into::into);
                        let asks = asked.asks_for_stack() && port.ask_for_stack();
                        let wait = if asks { STACK_LIMIT } else { Duration::ZERO };
                        next = Some((Instant::now() + wait, Then::Terminate));
                        // Counted from here: a worker that tells no stack gets no longer for it.
                        kill_at = Some(Instant::now() + KILL_AFTER);
                    }
                    Some(Order::End) => {
                        cause = Some(Cause::Close);
                        why = Cause::Close.told().map(Into::into);
                        next = Some((Instant::now(), Then::Kill));
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
        let killed_for_it = violation.is_some();
        if line_open {
            let rest = async {
                let mut more = true;
                while more && violation.is_none() {
                    more = inbox.next_batch(&mut frames).await;
                    violation = keeper.office.heard(keeper.slot, &mut frames).err();
                }
            };
            let _ = timeout(LINE_AFTER_STATUS, rest).await;
        }
        let violation = violation.or_else(|| inbox.failure().cloned());
        let mut report = self.exit_report().unwrap_or_default();
        if self.status.is_none()
            && let Some(shim) = self.shim_exit().await
        {
            why.get_or_insert_with(|| format!("its shim died: {shim}"));
        }
        if violation.is_some() {
            cause = Some(Cause::Protocol);
        }
        report.cause = cause.unwrap_or_else(|| self.own_cause());
        if report.cause == Cause::Oom {
            why = report.cause.told().map(Into::into);
        }
        if let Some(violation) = &violation {
            let killed = if killed_for_it { "killed by the host: " } else { "" };
            why = Some(format!("{killed}it broke the protocol: {violation}"));
        }
        report.reason = why;
        report.violation = violation;
        report.stderr = self.output.last_lines().await;
        report.stack = self.stack();
        report
    }

    /// Tells the office what the worker said. Some: it broke the protocol, and is killed for it.
    fn hear<O: Office>(
        &mut self,
        keeper: &Keeper<O>,
        frames: &mut Vec<FromWorker>,
    ) -> Option<Violation> {
        if frames.is_empty() {
            return None;
        }
        let violation = keeper.office.heard(keeper.slot, frames).err()?;
        let (worker, pid) = (keeper.office.name(keeper.slot), self.pid);
        tracing::warn!(%worker, pid, %violation, "a worker broke the protocol; killing it");
        self.signal(SIGKILL);
        Some(violation)
    }

    /// The sender's kind is proved by its pid: nothing else keeps a worker from speaking as its
    /// shim.
    fn is_honest(&self, received: &Received) -> bool {
        match received.message {
            Aside::WorkerIs { .. } | Aside::WorkerExited { .. } => {
                received.sender_pid == 0 || received.sender_pid == self.shim.pid()
            }
            Aside::BootError(_)
            | Aside::ProbeAnswer { .. }
            | Aside::Stack(_)
            | Aside::Located { .. }
            | Aside::Arena(_) => true,
        }
    }

    fn signal(&mut self, signal: i32) {
        self.killed |= signal == SIGKILL;
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
}

/// What came over the control socket that neither a worker nor a shim says, where that is the error.
pub(super) fn malformed(error: &io::Error) -> Option<Violation> {
    let detail = || format!("control socket: {error}");
    let malformed = error.kind() == io::ErrorKind::InvalidData;
    malformed.then(|| Violation::MalformedFrame { detail: detail() })
}

impl Drop for Process {
    fn drop(&mut self) {
        // Others may hold the control socket too (a port, a stream): say it, don't just let go.
        self.control.hang_up();
    }
}
