//! Frames of host tools: what a worker asks, and what it is told.

use std::sync::Arc;

use bytes::Bytes;
use snakepit_proto::v1;
use snakepit_proto::v1::host_frame::Frame as ToWorker;
use snakepit_proto::v1::host_tool_result::Outcome;

use super::failure::told;
use super::wire::{Outbox, WorkerFailure};
use crate::id::CallId;

/// What a tool asks of the host.
#[derive(Debug)]
pub(crate) struct HostAsk {
    /// The worker's number for it.
    pub(crate) id: u64,
    pub(crate) call: CallId,
    pub(crate) name: Arc<str>,
    pub(crate) arguments: Bytes,
    pub(crate) streaming: bool,
    /// Items and bytes that may be under way.
    pub(crate) window: (u32, u64),
}

impl From<v1::CallHostTool> for HostAsk {
    fn from(ask: v1::CallHostTool) -> Self {
        Self {
            id: ask.id,
            call: CallId::from_raw(ask.call_id),
            name: ask.name.into(),
            arguments: ask.arguments,
            streaming: ask.streaming,
            window: (ask.window_items, ask.window_bytes),
        }
    }
}

impl Outbox {
    pub(crate) fn host_tool_value(&self, id: u64, value: Bytes) {
        self.host_tool_result(id, Outcome::Value(value));
    }

    pub(crate) fn host_tool_failed(&self, id: u64, failure: WorkerFailure) {
        self.host_tool_result(id, Outcome::Failure(Box::new(refused(failure))));
    }

    pub(crate) fn host_tool_end(&self, id: u64) {
        self.host_tool_result(id, Outcome::End(v1::StreamEnd {}));
    }

    pub(crate) fn host_tool_item(&self, id: u64, item: Bytes) {
        let items = vec![item];
        self.send(ToWorker::HostToolChunks(v1::HostToolChunks { id, items }));
    }

    fn host_tool_result(&self, id: u64, outcome: Outcome) {
        let outcome = Some(outcome);
        self.send(ToWorker::HostToolResult(v1::HostToolResult { id, outcome }));
    }
}

/// Why there is no value: the inverse of how a worker's is read.
fn refused(failure: WorkerFailure) -> v1::Failure {
    let of = |kind: v1::FailureKind| v1::Failure { kind: kind.into(), ..v1::Failure::default() };
    match failure {
        WorkerFailure::Exception(failure) => told(*failure),
        WorkerFailure::ToolNotFound(suggestions) => {
            v1::Failure { suggestions, ..of(v1::FailureKind::ToolNotFound) }
        }
        WorkerFailure::Encode { message, path, type_name } => {
            v1::Failure { message, path, type_name, ..of(v1::FailureKind::Encode) }
        }
        WorkerFailure::Cancelled => of(v1::FailureKind::Cancelled),
        WorkerFailure::TooLarge { size, limit } => {
            v1::Failure { size, limit, ..of(v1::FailureKind::TooLarge) }
        }
    }
}
