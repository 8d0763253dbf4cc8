//! What a call carries through the pool: its payload, and where its answer goes.

use std::sync::Arc;
use std::time::Duration;

use super::gate::Pass;
use super::lineage::Descent;
use super::reply::Cell;
use super::spans::TracedCall;
use super::state::{Visit, Window};
use super::stream::{Channel, WINDOW};
use super::telling::ToldCall;
use crate::error::{Direction, Error};
use crate::id::{CallId, WorkerRef};
use crate::payload::Payload;
use crate::policy::breaker::BreakerState;
use crate::transport::{CallSession, ToolCall, WorkerFailure};
use crate::worker::{Port, TooLong};

/// Payload and reply sink of a call. In a box wherever it goes: it changes hands a dozen times.
pub(super) struct Job {
    pub(super) tool: Arc<str>,
    pub(super) arguments: Payload,
    pub(super) session: Option<Arc<str>>,
    pub(super) sink: Sink,
    /// Of the pool's circuit breaker; dropped with the call, it says nothing about it.
    pub(super) pass: Option<Pass>,
    /// What its end must tell, where somebody heard that it was made.
    pub(super) told: Option<ToldCall>,
    /// How often it was made again.
    pub(super) retries: u32,
    /// From inside which calls it was made, and what host tools get back; mostly nothing.
    pub(super) lineage: Option<Box<Descent>>,
}

/// Where the answer goes.
pub(super) enum Sink {
    Reply(Arc<Cell>),
    Stream(Arc<Channel>),
}

impl Job {
    /// What may be under way of a stream; None: the call does not stream.
    pub(super) fn window(&self) -> Option<Window> {
        match self.sink {
            Sink::Reply(_) => None,
            Sink::Stream(_) => Some(WINDOW),
        }
    }

    /// Where it is a part of a trace.
    pub(super) fn traced(&self) -> Option<&Arc<TracedCall>> {
        self.lineage.as_ref()?.traced.as_ref()
    }

    /// Number of the worker that had it last.
    pub(super) fn last_worker(&self) -> Option<usize> {
        match &self.sink {
            Sink::Reply(cell) => cell.slot(),
            Sink::Stream(channel) => channel.slot(),
        }
    }

    /// Sends the call to a worker.
    ///
    /// # Errors
    /// What does not fit into a frame.
    pub(super) fn send(
        &self,
        (port, number): (&Port, usize),
        id: CallId,
        word: Option<u8>,
        visit: Option<Visit>,
        left: Option<Duration>,
    ) -> Result<(), TooLong> {
        match &self.sink {
            Sink::Reply(cell) => cell.sent_to(number),
            Sink::Stream(channel) => channel.sent_to(number),
        }
        if let Some(traced) = self.traced() {
            traced.sent();
        }
        let window = self.window().map(|window| (window.items, window.bytes));
        let session = self.session.as_deref().zip(visit).map(|(id, visit)| CallSession {
            id,
            generation: visit.binding,
            is_new: visit.is_new,
            metadata: visit.metadata,
        });
        port.start_call(ToolCall {
            id,
            tool: &self.tool,
            arguments: &self.arguments,
            told: Vec::new(),
            session,
            left,
            word,
            window,
            trace: self.traced().map(|traced| &traced.context),
        })
    }

    /// The worker's answer: the value of a plain call, nothing at the end of a stream.
    ///
    /// Some: the pool's breaker does something else from now on.
    pub(super) fn succeed(self, value: Payload) -> Option<BreakerState> {
        // Before the caller knows: what it does next must find the breaker as it will be.
        let change = self.pass.and_then(Pass::succeed);
        match self.sink {
            Sink::Reply(cell) => cell.complete(Ok(value)),
            Sink::Stream(channel) => channel.end(Ok(())),
        }
        change
    }

    /// It has no answer. As [`Job::succeed`].
    pub(super) fn fail(self, error: Error) -> Option<BreakerState> {
        let change = self.pass.and_then(|pass| pass.fail(&error));
        match self.sink {
            Sink::Reply(cell) => cell.complete(Err(error)),
            Sink::Stream(channel) => channel.end(Err(error)),
        }
        change
    }

    /// What the worker said about a failure, as the caller sees it.
    pub(super) fn error(&self, worker: WorkerRef, failure: WorkerFailure) -> Error {
        let tool = self.tool.clone();
        match failure {
            WorkerFailure::Exception(failure) => {
                Error::Remote { tool, worker, failure: Arc::from(failure) }
            }
            WorkerFailure::ToolNotFound(suggestions) => Error::ToolNotFound { tool, suggestions },
            WorkerFailure::Encode { message, path, type_name } => {
                Error::EncodeResult { tool, message, path, type_name }
            }
            WorkerFailure::Cancelled => Error::Cancelled { tool, may_have_run: true },
            WorkerFailure::TooLarge { size, limit } => {
                Error::TooLarge { tool, direction: Direction::Result, size, limit }
            }
        }
    }
}
