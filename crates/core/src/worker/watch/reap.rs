//! The end of a worker's process: how it ended, why, and that nothing of it is left.

use std::time::Duration;

use tokio::time::timeout;

use super::{KILL_AFTER, Process, SIGKILL};
use crate::error::{Cause, ExitReport};
use crate::process::{ExitStatus, signal_name, sweep_worker};

/// The shim ends a tree, giving up on what it may not signal after 3 s; then it is ended itself.
const REAP_LIMIT: Duration = Duration::from_secs(10);

impl Process {
    /// How the process ended that was spawned, where no shim tells of a worker.
    pub(in crate::worker) async fn shim_exit(&mut self) -> Option<ExitReport> {
        self.shim_gone_within(KILL_AFTER).await;
        self.shim_end.map(report)
    }

    async fn shim_gone_within(&mut self, limit: Duration) -> bool {
        let exited = timeout(limit, self.shim.exited()).await;
        if let Ok(Ok(Some(end))) = exited {
            self.shim_end = Some(end);
        }
        exited.is_ok()
    }

    /// How the worker ended, once the shim told.
    pub(in crate::worker) fn exit_report(&self) -> Option<ExitReport> {
        Some(report(self.status?))
    }

    /// Why it ended, where nobody here ended it.
    pub(in crate::worker) fn own_cause(&self) -> Cause {
        let Some(status) = self.status else {
            return if self.shim_left_work() { Cause::Shim } else { Cause::Unknown };
        };
        let cause = cause_of(status);
        let is_kill = matches!(cause, Cause::Signal { number: SIGKILL, .. });
        match &self.memory {
            Some(memory) if is_kill && !self.killed && memory.claim() => Cause::Oom,
            _ => cause,
        }
    }

    /// Where its threads were, if it is known: told when it was asked, or when it crashed.
    pub(super) fn stack(&mut self) -> Option<String> {
        let crashed = self.status.is_some_and(ExitStatus::is_crash);
        // The text alone proves nothing: what a tool starts has the same standard error.
        self.stack.take().or_else(|| self.output.crash().filter(|_| crashed))
    }

    /// Ends all that is left of the tree and waits until it is gone.
    pub(in crate::worker) async fn reap(&mut self) {
        self.control.hang_up();
        if !self.shim_gone_within(REAP_LIMIT).await {
            tracing::error!("a shim did not end in time; killing it");
            if let Err(error) = self.shim.kill() {
                tracing::error!(%error, "a shim cannot be killed");
            }
            self.shim_gone_within(KILL_AFTER).await;
        }
        if self.shim_left_work() {
            self.sweep().await;
        }
        // Only now: nobody of the tree reads any more what it was lent.
        if let Some(loans) = &self.loans {
            loans.reaped();
        }
    }

    /// Whether the shim ended before its work was done: it was killed.
    fn shim_left_work(&self) -> bool {
        match self.shim_end {
            Some(ExitStatus::Signaled { .. }) => true,
            Some(ExitStatus::Exited(_)) => false,
            // Somebody else reaped it. One that told how the worker ended was at work.
            None => self.status.is_none() && self.pid.is_some(),
        }
    }

    /// A shim that was killed has left what its worker started.
    async fn sweep(&self) {
        if let Some(worker) = &self.worker {
            // One that changed its user does not die with its shim.
            let _ = worker.signal(SIGKILL);
        }
        let (token, group) = (self.entry.token().clone(), self.entry.group().cloned());
        // It reads all of /proc: not on the thread that serves the calls.
        match tokio::task::spawn_blocking(move || sweep_worker(&token, group.as_ref())).await {
            Ok(swept) if !swept.killed.is_empty() || !swept.refused.is_empty() => {
                tracing::warn!(?swept, "a shim was killed; what its worker started is ended");
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "a sweep broke off"),
        }
    }
}

fn cause_of(status: ExitStatus) -> Cause {
    match status {
        ExitStatus::Exited(code) => Cause::Exit(code),
        ExitStatus::Signaled { signal: number, .. } => {
            Cause::Signal { number, name: signal_name(number) }
        }
    }
}

fn report(status: ExitStatus) -> ExitReport {
    let (exit_code, signal) = match status {
        ExitStatus::Exited(code) => (Some(code), None),
        ExitStatus::Signaled { signal, .. } => (None, Some(signal)),
    };
    let signal_name = signal.and_then(signal_name);
    ExitReport { exit_code, signal, signal_name, cause: cause_of(status), ..ExitReport::default() }
}
