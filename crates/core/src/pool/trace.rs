//! What `tracing` hears of a pool: a span for each typed call (who asked for what, which worker had
//! it, how it ended), events for the lives of workers. Where nobody listens this costs next to
//! nothing.

use tracing::field::{Empty, display};

use super::Pool;
use super::shared::Shared;
use crate::error::{Cause, Error};
use crate::id::PoolName;
use crate::policy::meter::{Fate, Rejection};
use crate::worker::Ending;

/// Closed when the call has ended, or whoever waited for it is gone.
pub(super) struct CallSpan {
    span: tracing::Span,
    pool: PoolName,
    open: bool,
}

impl CallSpan {
    pub(super) fn open(pool: &Pool, tool: &str, session: Option<&str>) -> Self {
        let pool = pool.config().name.clone();
        let span = tracing::info_span!(
            "snakepit.call",
            pool = pool.as_str(),
            tool,
            session,
            worker = Empty,
            outcome = Empty,
        );
        let open = !span.is_disabled();
        Self { span, pool, open }
    }

    /// The call ended; `slot` is the number of the worker that had it last.
    pub(super) fn end(
        &mut self,
        outcome: Result<(), &Error>,
        slot: impl FnOnce() -> Option<usize>,
    ) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        if let Some(slot) = slot() {
            self.span.record("worker", display(format_args!("{}/{slot}", self.pool)));
        }
        self.span.record("outcome", outcome.err().map_or("ok", word));
        // What subscribers know as the end of a span is its last handle's.
        self.span = tracing::Span::none();
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        if self.open {
            self.span.record("outcome", "dropped");
        }
    }
}

impl Shared {
    pub(super) fn tell_ready(&self, slot: usize) {
        if tracing::enabled!(target: "snakepit::startup", tracing::Level::INFO) {
            let worker = self.present(slot);
            let (generation, pid) = (worker.generation, self.pid(slot));
            tracing::info!(target: "snakepit::startup", %worker, generation, pid, "worker is ready");
        }
    }

    pub(super) fn tell_end(&self, slot: usize, end: &Ending) {
        self.tell_stack(slot, end);
        if !tracing::enabled!(target: "snakepit::startup", tracing::Level::WARN) {
            return;
        }
        let worker = self.present(slot);
        let generation = worker.generation;
        match end {
            Ending::Died(exit) => {
                tracing::info!(
                    target: "snakepit::shutdown", %worker, generation, %exit, "worker is gone"
                );
            }
            Ending::NeverReady(failure) => {
                let reason = &*failure.reason;
                tracing::warn!(
                    target: "snakepit::startup", %worker, generation, reason, "worker could not start"
                );
            }
        }
    }
}

impl Shared {
    /// Where the threads of a worker were that was killed for not stopping. (What a crash told was
    /// on its standard error, and has been seen there.)
    fn tell_stack(&self, slot: usize, end: &Ending) {
        let Ending::Died(exit) = end else { return };
        if !exit.cause.asks_for_stack() {
            return;
        }
        let told = match &exit.stack {
            Some(stack) => format!("it was at:\n{stack}"),
            None => "it did not tell where it was".into(),
        };
        let worker = self.present(slot);
        let cause = exit.cause;
        // A cancel is somebody's wish, a deadline is trouble.
        self.say(&worker, cause != Cause::Cancel, &format!("killed ({cause}); {told}"));
    }
}

/// One word for each way a call can end.
pub(super) fn word(error: &Error) -> &'static str {
    match error {
        Error::Config { .. } => "config",
        Error::Start { .. } => Fate::Start.as_str(),
        Error::NotReady { .. } => "not_ready",
        Error::PoolClosed { .. } => Fate::PoolClosed.as_str(),
        Error::ForkedPool { .. } => "forked_pool",
        Error::QueueFull { .. } => Rejection::QueueFull.as_str(),
        Error::CircuitOpen { .. } => Rejection::CircuitOpen.as_str(),
        Error::SessionBusy { .. } => Rejection::SessionBusy.as_str(),
        Error::ReentrantCall { .. } => Rejection::ReentrantCall.as_str(),
        Error::Timeout { .. } => Fate::Timeout.as_str(),
        Error::Cancelled { .. } => Fate::Cancelled.as_str(),
        Error::SessionLost { .. } => Fate::SessionLost.as_str(),
        Error::SessionExpired { .. } => Rejection::SessionExpired.as_str(),
        Error::SessionClosed { .. } => Rejection::SessionClosed.as_str(),
        Error::SessionQuotaExceeded { .. } => Rejection::SessionQuotaExceeded.as_str(),
        Error::WorkerDied { .. } => Fate::WorkerDied.as_str(),
        Error::PoisonCall { .. } => Fate::PoisonCall.as_str(),
        Error::ToolNotFound { .. } => Fate::ToolNotFound.as_str(),
        Error::EncodeResult { .. } => Fate::EncodeResult.as_str(),
        Error::Encode { .. } => "encode",
        Error::Argument { .. } => "argument",
        Error::Decode { .. } => "decode",
        Error::TooLarge { .. } => Fate::TooLarge.as_str(),
        Error::Remote { .. } => Fate::Remote.as_str(),
    }
}
