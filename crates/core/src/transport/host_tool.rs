//! Frames of host tools: what a worker asks, and what it is told.

use std::sync::Arc;

use bytes::Bytes;
use snakepit_proto::v1;
use snakepit_proto::v1::host_frame::Frame as ToWorker;
use snakepit_proto::v1::host_tool_result::Outcome;

use super::buffers::{self, ReadBuffers, write_buffer};
use super::failure::told;
use super::outbox::Outbox;
use super::wire::{FromWorker, WorkerFailure};
use crate::error::Violation;
use crate::id::CallId;
use crate::payload::{Payload, Told};

/// What a tool asks of the host.
#[derive(Debug)]
pub(crate) struct HostAsk {
    /// The worker's number for it.
    pub(crate) id: u64,
    pub(crate) call: CallId,
    pub(crate) name: Arc<str>,
    pub(crate) arguments: Payload,
    /// Bytes of them in the frame, which count in what may be under way.
    pub(crate) in_frame: u64,
    pub(crate) streaming: bool,
    /// Items and bytes that may be under way.
    pub(crate) window: (u32, u64),
    /// The span inside of which it asks; None: that of the call.
    pub(crate) span: Option<[u8; 8]>,
}

pub(super) fn read(ask: v1::CallHostTool, found: Option<&dyn ReadBuffers>) -> FromWorker {
    let call = CallId::from_raw(ask.call_id);
    let inline = ask.buffers.iter().map(|buffer| buffer.inline.len());
    let in_frame = inline.fold(ask.arguments.len(), usize::saturating_add) as u64;
    match buffers::named(ask.buffers, found) {
        Ok(buffers) => FromWorker::AskHostTool(Box::new(HostAsk {
            id: ask.id,
            call,
            name: ask.name.into(),
            arguments: Payload { bytes: ask.arguments, buffers },
            in_frame,
            streaming: ask.streaming,
            window: (ask.window_items, ask.window_bytes),
            span: (*ask.span_id).try_into().ok(),
        })),
        Err(detail) => FromWorker::Violation(Violation::BadBuffer { call, detail }),
    }
}

impl Outbox {
    pub(crate) fn host_tool_value(&self, id: u64, value: Bytes, told: Vec<Told>) {
        self.host_tool_result(id, Outcome::Value(value), told);
    }

    pub(crate) fn host_tool_failed(&self, id: u64, failure: WorkerFailure) {
        self.host_tool_result(id, Outcome::Failure(Box::new(refused(failure))), Vec::new());
    }

    pub(crate) fn host_tool_end(&self, id: u64) {
        self.host_tool_result(id, Outcome::End(v1::StreamEnd {}), Vec::new());
    }

    pub(crate) fn host_tool_item(&self, id: u64, item: Bytes, told: Vec<Told>) {
        let (items, buffers) = (vec![item], told.into_iter().map(write_buffer).collect());
        self.send(ToWorker::HostToolChunks(v1::HostToolChunks { id, items, buffers }));
    }

    fn host_tool_result(&self, id: u64, outcome: Outcome, told: Vec<Told>) {
        let buffers = told.into_iter().map(write_buffer).collect();
        let outcome = Some(outcome);
        self.send(ToWorker::HostToolResult(v1::HostToolResult { id, outcome, buffers }));
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
