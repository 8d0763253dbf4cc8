//! The core's words as frames to one worker.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use snakepit_proto::v1;
use snakepit_proto::v1::host_frame::Frame as ToWorker;
use tokio::sync::mpsc;
use tonic::Status;

use super::buffers::{self, write_buffer};
use super::telemetry;
use crate::config::{Profile, SourceKind, TelemetryFilter, Unserializable, WorkerConfig};
use crate::id::{CallId, WorkerRef};
use crate::payload::{Payload, Told};
use crate::process::arena::Arena;
use crate::telemetry::TraceContext;

/// The session of a call as it is sent.
pub(crate) struct CallSession<'a> {
    pub(crate) id: &'a str,
    pub(crate) generation: u64,
    pub(crate) is_new: bool,
    pub(crate) metadata: Bytes,
}

/// A call as it is sent.
pub(crate) struct ToolCall<'a> {
    pub(crate) id: CallId,
    pub(crate) tool: &'a str,
    pub(crate) arguments: &'a Payload,
    /// Its buffers, as this worker can read them.
    pub(crate) told: Vec<Told>,
    pub(crate) session: Option<CallSession<'a>>,
    pub(crate) left: Option<Duration>,
    pub(crate) word: Option<u8>,
    /// Items and bytes that may be under way; None: a unary call.
    pub(crate) window: Option<(u32, u64)>,
    /// Where it is traced.
    pub(crate) trace: Option<&'a TraceContext>,
}

/// Frames to one worker. Sending never waits and never fails: a line that is gone is noticed by
/// its supervisor.
#[derive(Clone, Debug)]
pub(crate) struct Outbox(mpsc::UnboundedSender<Result<v1::HostFrame, Status>>);

impl Outbox {
    pub(super) fn new(frames: mpsc::UnboundedSender<Result<v1::HostFrame, Status>>) -> Self {
        Self(frames)
    }

    pub(super) fn send(&self, frame: ToWorker) {
        let _ = self.0.send(Ok(v1::HostFrame { frame: Some(frame) }));
    }

    pub(crate) fn start_call(&self, call: ToolCall<'_>) {
        let (window_items, window_bytes) = call.window.unwrap_or_default();
        let none = CallSession { id: "", generation: 0, is_new: false, metadata: Bytes::new() };
        let session = call.session.unwrap_or(none);
        self.send(ToWorker::StartCall(v1::StartCall {
            call_id: call.id.raw(),
            tool: call.tool.to_owned(),
            arguments: call.arguments.bytes.clone(),
            session_id: session.id.to_owned(),
            session_new: session.is_new,
            time_left_us: call.left.map_or(0, |left| (left.as_micros() as u64).max(1)),
            word: call.word.map_or(0, |word| u32::from(word) + 1),
            streaming: call.window.is_some(),
            window_items,
            window_bytes,
            session_generation: session.generation,
            session_metadata: session.metadata,
            traceparent: call.trace.map(ToString::to_string).unwrap_or_default(),
            tracestate: call.trace.map_or_else(String::new, |trace| trace.state.to_string()),
            buffers: call.told.into_iter().map(write_buffer).collect(),
        }));
    }

    /// Bytes of a buffer that could not be read; None: nobody waits for the call any more.
    pub(crate) fn buffer_bytes(&self, id: CallId, part: Option<(u32, Bytes)>) {
        let (call_id, gone) = (id.raw(), part.is_none());
        let (index, bytes) = part.unwrap_or_default();
        self.send(ToWorker::BufferBytes(v1::BufferBytes { call_id, index, bytes, gone }));
    }

    pub(crate) fn end_session(&self, id: &str, generation: u64) {
        let (session_id, session_generation) = (id.to_owned(), generation);
        self.send(ToWorker::EndSession(v1::EndSession { session_id, session_generation }));
    }

    pub(crate) fn cancel(&self, id: CallId) {
        self.send(ToWorker::CancelCall(v1::CancelCall { call_id: id.raw() }));
    }

    pub(crate) fn grant(&self, id: CallId, items: u64, bytes: u64) {
        self.send(ToWorker::GrantChunks(v1::GrantChunks { call_id: id.raw(), items, bytes }));
    }

    pub(crate) fn drain(&self) {
        self.send(ToWorker::Drain(v1::Drain {}));
    }

    pub(crate) fn initialize(
        &self,
        worker: &WorkerRef,
        config: &WorkerConfig,
        shared_memory: Option<&Arena>,
        telemetry: Option<(bool, &TelemetryFilter)>,
    ) {
        use v1::adapter_source::Source;
        let location = config.adapter.location.clone();
        let source = match config.adapter.kind {
            SourceKind::Module => Some(Source::Module(location)),
            SourceKind::Script => Some(Source::Script(location)),
            SourceKind::MainModule => Some(Source::MainModule(location)),
            SourceKind::Program => None,
        };
        let qualname = config.adapter.qualname.clone();
        let adapter = source.map(|source| v1::AdapterSource { qualname, source: Some(source) });
        self.send(ToWorker::Initialize(Box::new(v1::Initialize {
            adapter,
            arguments: config.adapter_args.clone(),
            pool: worker.pool.to_string(),
            slot: worker.slot as u32,
            generation: worker.generation,
            device: config.device_at(worker.slot).to_owned(),
            profile: match config.profile {
                Profile::Process => v1::Profile::Process,
                Profile::Thread => v1::Profile::Thread,
                Profile::Async => v1::Profile::Async,
            }
            .into(),
            capacity: config.capacity as u32,
            thread_safety_checks: config.thread_safety_checks,
            unserializable: config.results.as_ref().map(unserializable),
            errors: config.errors.clone(),
            shared_memory: shared_memory.map(buffers::told_of_arenas),
            telemetry: telemetry.map(|(enabled, filter)| telemetry::control(enabled, filter)),
        })));
    }
}

fn unserializable(told: &Unserializable) -> v1::Unserializable {
    v1::Unserializable {
        detail: told.detail.as_str().to_owned(),
        max_repr: told.max_repr,
        max_elements: told.max_elements,
    }
}

/// The message that a spawned worker reads from its control socket.
pub(crate) fn start_message(
    token: &[u8],
    socket: &std::path::Path,
    config: &WorkerConfig,
    max_message: usize,
) -> Vec<u8> {
    v1::Start {
        token: Bytes::copy_from_slice(token),
        socket_path: socket.to_string_lossy().into_owned(),
        sys_path: config.sys_path.clone(),
        bridge_path: config.bridge_path.clone(),
        max_message: max_message as u64,
    }
    .encode_to_vec()
}
