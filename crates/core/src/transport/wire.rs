//! Frames as the core's words, and back.

use std::collections::HashSet;
use std::convert::Infallible;
use std::error::Error as _;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use snakepit_proto::v1;
use snakepit_proto::v1::host_frame::Frame as ToWorker;
use snakepit_proto::v1::result::Outcome;
use snakepit_proto::v1::worker_frame::Frame;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tonic::{Code, Status, Streaming};

use super::buffers::{self, ReadBuffers, write_buffer};
use super::failure::exception;
use super::host_tool::HostAsk;
use super::telemetry;
use crate::call::{MAX_TOOL_NAME, TOOL_NAME_RULE, is_tool_name};
use crate::config::{Profile, SourceKind, TelemetryFilter, Unserializable, WorkerConfig};
use crate::error::{Failure, StartFailure, Violation};
use crate::id::{CallId, WorkerRef};
use crate::payload::{Payload, Told};
use crate::process::arena::Arena;
use crate::schema::Schema;
use crate::telemetry::AdapterTelemetry;

/// Frames handled at a time, so that one worker cannot keep the others waiting.
const BATCH: usize = 64;

/// Characters of what a peer can put into an error's text.
const MAX_DETAIL: usize = 200;

/// Characters of a report.
const MAX_REPORT: usize = 500;

/// What a worker says.
#[derive(Debug)]
pub(crate) enum FromWorker {
    Ready(Vec<ToolInfo>, Option<PythonInfo>),
    StartFailed(Box<StartFailure>),
    Value(CallId, Payload),
    Failed(CallId, WorkerFailure),
    /// A stream ended well.
    End(CallId),
    Chunks(CallId, Vec<Payload>),
    /// A call of ours names what cannot be read there.
    Unread(CallId),
    /// Something that people should know.
    Report(String, Option<PythonInfo>),
    /// What its adapter tells.
    Telemetry(Box<AdapterTelemetry>),
    /// A tool asks for one of the host's.
    AskHostTool(Box<HostAsk>),
    /// It does not wait for that one any more.
    CancelHostTool(u64),
    /// It has taken so many items and bytes of that one.
    GrantHostTool(u64, u64, u64),
    /// Something that no honest worker of this protocol says.
    Violation(Violation),
}

impl FromWorker {
    /// The frame's name in the protocol.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Ready(..) => "Ready",
            Self::StartFailed(_) => "StartFailed",
            Self::Value(..) | Self::Failed(..) | Self::End(_) => "Result",
            Self::Chunks(..) => "Chunks",
            Self::Unread(_) => "Unread",
            Self::Report(..) => "Report",
            Self::Telemetry(_) => "Telemetry",
            Self::AskHostTool(_) => "CallHostTool",
            Self::CancelHostTool(_) => "CancelHostTool",
            Self::GrantHostTool(..) => "GrantHostToolChunks",
            Self::Violation(_) => "a broken frame",
        }
    }
}

/// How a call failed in the worker, or a host tool in the host.
#[derive(Debug)]
pub(crate) enum WorkerFailure {
    Exception(Box<Failure>),
    ToolNotFound(Vec<String>),
    Encode { message: String, path: String, type_name: String },
    Cancelled,
    TooLarge { size: u64, limit: u64 },
}

/// The Python that a worker runs in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PythonInfo {
    /// `3.13.5`, say.
    pub version: String,
    /// Whether its global interpreter lock is on: then its threads run one at a time.
    pub gil: bool,
    /// The module for which a free-threaded Python switched its lock on; none: it is off, or always
    /// on.
    pub gil_enabled_by: Option<String>,
}

/// A tool of a worker's adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolInfo {
    /// The name that calls use.
    pub name: String,
    /// What the adapter says about it.
    pub description: String,
    /// Whether it yields chunks.
    pub streaming: bool,
    /// What its arguments are.
    pub parameters: Schema,
    /// Calls of it may overlap with each other, as far as its author says: in Python by
    /// `@thread_safe_method`, or as a coroutine.
    pub thread_safe: bool,
}

/// Frames from one worker.
pub(crate) struct Inbox {
    frames: Streaming<v1::WorkerFrame>,
    /// Largest frame in bytes.
    limit: usize,
    /// Why the connection ended, unless the worker or its process ended it.
    failure: Option<Violation>,
    /// Dropped at the end of the frames, which ends the other direction too.
    reading: Option<oneshot::Sender<Infallible>>,
    /// None: a worker that has no segments.
    buffers: Option<Arc<dyn ReadBuffers>>,
}

impl Inbox {
    pub(super) fn new(
        frames: Streaming<v1::WorkerFrame>,
        limit: usize,
        reading: oneshot::Sender<Infallible>,
    ) -> Self {
        Self { frames, limit, failure: None, reading: Some(reading), buffers: None }
    }

    /// From now on frames may name what these find.
    pub(crate) fn find_buffers(&mut self, buffers: Arc<dyn ReadBuffers>) {
        self.buffers = Some(buffers);
    }

    /// What the worker did to HTTP/2, where that ended the line. A process that ends ends the line
    /// too: where it did, its exit says more.
    pub(crate) fn failure(&self) -> Option<&Violation> {
        self.failure.as_ref()
    }

    /// Waits for a frame and takes all that are there. False: the line has ended, and `batch` may
    /// still hold its last frames. Nothing is lost when the future is dropped while it waits.
    pub(crate) async fn next_batch(&mut self, batch: &mut Vec<FromWorker>) -> bool {
        let more = poll_fn(|cx| {
            loop {
                match Pin::new(&mut self.frames).poll_next(cx) {
                    Poll::Ready(Some(Ok(frame))) => {
                        batch.push(read(frame, self.buffers.as_deref()))
                    }
                    // Cut off, or bytes that are no frame: its keeper says what is to be done.
                    Poll::Ready(Some(Err(status))) => {
                        match violation(&status, self.limit) {
                            Some(violation) if status.source().is_none() => {
                                batch.push(FromWorker::Violation(violation));
                            }
                            violation => self.failure = violation,
                        }
                        return Poll::Ready(false);
                    }
                    Poll::Ready(None) => {
                        self.reading = None;
                        return Poll::Ready(false);
                    }
                    Poll::Pending if batch.is_empty() => return Poll::Pending,
                    Poll::Pending => return Poll::Ready(true),
                }
                if batch.len() >= BATCH {
                    return Poll::Ready(true);
                }
            }
        })
        .await;
        #[cfg(feature = "failpoints")]
        if crate::failpoint::pass(crate::failpoint::Point::Recv).await.is_err() {
            batch.clear();
            self.reading = None;
            return false;
        }
        more
    }
}

/// What a line's error says about who sent it; None where the connection just ended. An error with
/// a source is the connection's, any other is one of a frame.
pub(super) fn violation(status: &Status, limit: usize) -> Option<Violation> {
    match status.code() {
        Code::OutOfRange => Some(Violation::TooLarge { limit }),
        // ResourceExhausted: HTTP/2 was flooded with frames that carry nothing.
        Code::Internal | Code::ResourceExhausted => {
            let mut cause = status.source();
            while let Some(deeper) = cause.and_then(|cause| cause.source()) {
                cause = Some(deeper);
            }
            let detail = match cause {
                Some(cause) => cause.to_string(),
                None => status.message().to_owned(),
            };
            Some(Violation::MalformedFrame { detail: detail.chars().take(MAX_DETAIL).collect() })
        }
        _ => None,
    }
}

pub(super) fn read(frame: v1::WorkerFrame, found: Option<&dyn ReadBuffers>) -> FromWorker {
    match frame.frame {
        Some(Frame::Result(result)) => {
            let id = CallId::from_raw(result.call_id);
            match result.outcome {
                Some(Outcome::Value(value)) => match buffers::named(result.buffers, found) {
                    Ok(buffers) => FromWorker::Value(id, Payload { bytes: value, buffers }),
                    Err(detail) => FromWorker::Violation(Violation::BadBuffer { call: id, detail }),
                },
                Some(_) if !result.buffers.is_empty() => {
                    let detail = "buffers without a value that names them".into();
                    FromWorker::Violation(Violation::BadBuffer { call: id, detail })
                }
                Some(Outcome::End(_)) => FromWorker::End(id),
                Some(Outcome::Failure(failure)) => FromWorker::Failed(id, failed(*failure)),
                None => FromWorker::Violation(Violation::EmptyOutcome { call: id }),
            }
        }
        Some(Frame::Chunks(chunks)) => {
            let id = CallId::from_raw(chunks.call_id);
            buffers::items(chunks, found).map_or_else(
                |detail| FromWorker::Violation(Violation::BadBuffer { call: id, detail }),
                |items| FromWorker::Chunks(id, items),
            )
        }
        Some(Frame::CallHostTool(ask)) => FromWorker::AskHostTool(Box::new(ask.into())),
        Some(Frame::CancelHostTool(cancel)) => FromWorker::CancelHostTool(cancel.id),
        Some(Frame::GrantHostToolChunks(grant)) => {
            FromWorker::GrantHostTool(grant.id, grant.items, grant.bytes)
        }
        Some(Frame::Ready(ready)) => {
            let interpreter = ready.interpreter.map(python);
            match tools(ready.tools) {
                Ok(tools) => FromWorker::Ready(tools, interpreter),
                Err(violation) => FromWorker::Violation(violation),
            }
        }
        Some(Frame::Report(report)) => {
            let text = report.text.chars().take(MAX_REPORT).collect();
            FromWorker::Report(text, report.interpreter.map(python))
        }
        Some(Frame::Telemetry(told)) => telemetry::read(told)
            .map_or_else(FromWorker::Violation, |told| FromWorker::Telemetry(Box::new(told))),
        Some(Frame::StartFailed(failed)) => {
            let failure = failed.failure.unwrap_or_default();
            let adapter_source = failure.kind() == v1::FailureKind::AdapterSource;
            let failure = exception(failure);
            let reason = match adapter_source {
                true => failure.message.clone(),
                false => format!("{}: {}", failure.type_name, failure.message),
            };
            FromWorker::StartFailed(Box::new(StartFailure {
                reason,
                failure: Some(failure),
                adapter_source,
                permanent: failed.permanent,
                ..StartFailure::default()
            }))
        }
        Some(Frame::Unread(unread)) => FromWorker::Unread(CallId::from_raw(unread.call_id)),
        Some(Frame::Hello(_)) => FromWorker::Violation(Violation::SecondHello),
        None => FromWorker::Violation(Violation::UnknownFrame),
    }
}

/// Its version was told in Hello.
fn python(told: v1::Interpreter) -> PythonInfo {
    let by = told.gil_enabled_by.chars().take(MAX_DETAIL).collect::<String>();
    let gil_enabled_by = Some(by).filter(|module| !module.is_empty());
    PythonInfo { version: String::new(), gil: told.gil, gil_enabled_by }
}

fn tools(tools: Vec<v1::Tool>) -> Result<Vec<ToolInfo>, Violation> {
    let mut names = HashSet::new();
    let read = |tool: v1::Tool| {
        let v1::Tool { name, description, streaming, parameters, thread_safe } = tool;
        let bad = |detail: String| {
            let detail = detail.chars().take(MAX_DETAIL).collect();
            Violation::BadTool { tool: name.chars().take(MAX_TOOL_NAME).collect(), detail }
        };
        if !is_tool_name(&name) {
            return Err(bad(format!("a name is {TOOL_NAME_RULE}")));
        }
        if !names.insert(name.clone()) {
            return Err(bad("listed twice".to_owned()));
        }
        let parameters = parameters.parse().map_err(|error| {
            bad(format!("its parameters are no JSON Schema of an object: {error}"))
        })?;
        Ok(ToolInfo { name, description, streaming, parameters, thread_safe })
    };
    tools.into_iter().map(read).collect()
}

fn failed(failure: v1::Failure) -> WorkerFailure {
    match failure.kind() {
        v1::FailureKind::ToolNotFound => WorkerFailure::ToolNotFound(failure.suggestions),
        v1::FailureKind::Encode => WorkerFailure::Encode {
            message: failure.message,
            path: failure.path,
            type_name: failure.type_name,
        },
        v1::FailureKind::Cancelled => WorkerFailure::Cancelled,
        v1::FailureKind::TooLarge => {
            WorkerFailure::TooLarge { size: failure.size, limit: failure.limit }
        }
        _ => WorkerFailure::Exception(exception(failure).into()),
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(tools: &[(&str, &str)]) -> FromWorker {
        let tool = |&(name, parameters): &(&str, &str)| v1::Tool {
            name: name.into(),
            parameters: parameters.into(),
            ..v1::Tool::default()
        };
        let ready = v1::Ready { tools: tools.iter().map(tool).collect(), interpreter: None };
        read(v1::WorkerFrame { frame: Some(Frame::Ready(ready)) }, None)
    }

    #[test]
    fn tools_are_told_with_their_schemas() {
        let schema = r#"{"type":"object","properties":{"a":{}}}"#;
        let FromWorker::Ready(tools, None) = ready(&[("a.b-c_1", schema), ("0", "")]) else {
            panic!("no Ready")
        };
        assert_eq!(tools[0].parameters.as_str(), schema);
        assert_eq!(tools[1].parameters, Schema::default(), "one that does not tell");
    }

    #[test]
    fn a_tool_that_cannot_be_one_is_a_violation_for_good() {
        let long = "x".repeat(MAX_TOOL_NAME + 1);
        for (tools, told) in [
            (&[("", "")][..], "a name is 1 to 64"),
            (&[("_private", "")], "begins with a letter or digit"),
            (&[("two words", "")], "a name is"),
            (&[("h\u{e4}sh", "")], "a name is"),
            (&[(&long, "")], "a name is"),
            (&[("a", ""), ("b", ""), ("a", "")], "listed twice"),
            (&[("a", "{")], "no JSON Schema of an object"),
            (&[("a", "[]")], "no JSON Schema of an object"),
        ] {
            let FromWorker::Violation(violation) = ready(tools) else {
                panic!("{tools:?} is accepted")
            };
            assert_eq!(violation.name(), "bad_tool");
            assert!(violation.is_permanent());
            assert!(violation.to_string().contains(told), "{violation}");
        }
    }
}
