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

use super::failure::exception;
use crate::config::{SourceKind, Unserializable, WhenFull, WorkerConfig};
use crate::error::{Failure, StartFailure, Violation};
use crate::id::{CallId, WorkerRef};
use crate::payload::{Buffer, Buffers, Payload, Told};
use crate::process::arena::Arena;
use crate::schema::Schema;

/// Frames handled at a time, so that one worker cannot keep the others waiting.
const BATCH: usize = 64;

/// Characters of what a peer can put into an error's text.
const MAX_DETAIL: usize = 200;

/// Buffers of one frame.
const MAX_BUFFERS: usize = 4096;
/// Bounds of a failure's texts in bytes: together less than what a frame may carry beside a value.
const MAX_NAME: usize = 1024;
const MAX_MESSAGE: usize = 14 * 1024;
const MAX_TRACEBACK: usize = 44 * 1024;

/// Longest name of a tool.
const MAX_TOOL_NAME: usize = 64;

/// What a worker says.
#[derive(Debug)]
pub(crate) enum FromWorker {
    Ready(Vec<ToolInfo>),
    StartFailed(Box<StartFailure>),
    Value(CallId, Payload),
    Failed(CallId, WorkerFailure),
    /// A stream ended well.
    End(CallId),
    Chunks(CallId, Vec<Payload>),
    /// A call of ours names what cannot be read there.
    Unread(CallId),
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
            Self::Ready(_) => "Ready",
            Self::StartFailed(_) => "StartFailed",
            Self::Value(..) | Self::Failed(..) | Self::End(_) => "Result",
            Self::Chunks(..) => "Chunks",
            Self::Unread(_) => "Unread",
            Self::AskHostTool(_) => "CallHostTool",
            Self::CancelHostTool(_) => "CancelHostTool",
            Self::GrantHostTool(..) => "GrantHostToolChunks",
            Self::Violation(_) => "a broken frame",
        }
    }
}

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

/// How a call failed in the worker, or a host tool in the host.
#[derive(Debug)]
pub(crate) enum WorkerFailure {
    Exception(Box<Failure>),
    ToolNotFound(Vec<String>),
    Encode { message: String, path: String, type_name: String },
    Cancelled,
    TooLarge { size: u64, limit: u64 },
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
}

/// Finds the buffers that frames name beside themselves.
pub(crate) trait ReadBuffers: Send + Sync {
    /// All of them, or what is wrong with them.
    fn read(&self, told: &[Told]) -> Result<Buffers, String>;
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

pub(super) fn read(frame: v1::WorkerFrame, buffers: Option<&dyn ReadBuffers>) -> FromWorker {
    match frame.frame {
        Some(Frame::Result(result)) => {
            let id = CallId::from_raw(result.call_id);
            match result.outcome {
                Some(Outcome::Value(value)) => match named(result.buffers, buffers) {
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
            items(chunks, buffers).map_or_else(
                |detail| FromWorker::Violation(Violation::BadBuffer { call: id, detail }),
                |items| FromWorker::Chunks(id, items),
            )
        }
        Some(Frame::CallHostTool(ask)) => FromWorker::AskHostTool(Box::new(HostAsk {
            id: ask.id,
            call: CallId::from_raw(ask.call_id),
            name: ask.name.into(),
            arguments: ask.arguments,
            streaming: ask.streaming,
            window: (ask.window_items, ask.window_bytes),
        })),
        Some(Frame::CancelHostTool(cancel)) => FromWorker::CancelHostTool(cancel.id),
        Some(Frame::GrantHostToolChunks(grant)) => {
            FromWorker::GrantHostTool(grant.id, grant.items, grant.bytes)
        }
        Some(Frame::Ready(ready)) => {
            tools(ready.tools).map_or_else(FromWorker::Violation, FromWorker::Ready)
        }
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

fn items(chunks: v1::Chunks, buffers: Option<&dyn ReadBuffers>) -> Result<Vec<Payload>, String> {
    if chunks.buffers.is_empty() {
        return Ok(chunks.items.into_iter().map(Payload::from).collect());
    }
    let Ok([bytes]) = <[Bytes; 1]>::try_from(chunks.items) else {
        return Err("buffers of more or less than one item".into());
    };
    Ok(vec![Payload { bytes, buffers: named(chunks.buffers, buffers)? }])
}

/// The buffers that a frame names; what is wrong with them.
fn named(table: Vec<v1::Buffer>, buffers: Option<&dyn ReadBuffers>) -> Result<Buffers, String> {
    if table.is_empty() {
        return Ok(Buffers::default());
    }
    if table.len() > MAX_BUFFERS {
        return Err(format!("{} buffers; {MAX_BUFFERS} may be in a frame", table.len()));
    }
    let told: Vec<_> = table.into_iter().map(read_buffer).collect();
    match buffers {
        Some(buffers) => buffers.read(&told),
        None => inline(told),
    }
}

/// The buffers of an end that has no segments.
fn inline(told: Vec<Told>) -> Result<Buffers, String> {
    let bytes = |told| match told {
        Told::Inline(bytes) => Ok(Buffer::from(bytes)),
        Told::Shared { segment, .. } => Err(format!("segment {segment}, and it has none")),
    };
    Ok(told.into_iter().map(bytes).collect::<Result<Vec<_>, _>>()?.into())
}

/// What a frame tells of a buffer.
pub fn read_buffer(buffer: v1::Buffer) -> Told {
    let v1::Buffer { segment, offset, length, word, inline } = buffer;
    match segment {
        0 => Told::Inline(inline),
        segment => Told::Shared { segment, offset, length, word },
    }
}

/// The same, to be sent.
pub fn write_buffer(told: Told) -> v1::Buffer {
    match told {
        Told::Inline(inline) => v1::Buffer { inline, ..v1::Buffer::default() },
        Told::Shared { segment, offset, length, word } => {
            v1::Buffer { segment, offset, length, word, inline: Bytes::new() }
        }
    }
}

fn tools(tools: Vec<v1::Tool>) -> Result<Vec<ToolInfo>, Violation> {
    let mut names = HashSet::new();
    let read = |tool: v1::Tool| {
        let v1::Tool { name, description, streaming, parameters } = tool;
        let bad = |detail: String| {
            let detail = detail.chars().take(MAX_DETAIL).collect();
            Violation::BadTool { tool: name.chars().take(MAX_TOOL_NAME).collect(), detail }
        };
        if !is_tool_name(&name) {
            let rule = format!("a name is 1 to {MAX_TOOL_NAME} of A-Z a-z 0-9 _ . -");
            return Err(bad(format!("{rule}, and begins with a letter or digit")));
        }
        if !names.insert(name.clone()) {
            return Err(bad("listed twice".to_owned()));
        }
        let parameters = parameters.parse().map_err(|error| {
            bad(format!("its parameters are no JSON Schema of an object: {error}"))
        })?;
        Ok(ToolInfo { name, description, streaming, parameters })
    };
    tools.into_iter().map(read).collect()
}

fn is_tool_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    let rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    first && rest && name.len() <= MAX_TOOL_NAME
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

/// A failure as it travels to a worker: the inverse of [`failed`].
fn told(failure: WorkerFailure) -> v1::Failure {
    let of = |kind: v1::FailureKind| v1::Failure { kind: kind.into(), ..v1::Failure::default() };
    match failure {
        WorkerFailure::Exception(failure) => v1::Failure {
            type_name: clip(failure.type_name, MAX_NAME),
            message: clip(failure.message, MAX_MESSAGE),
            traceback: clip(failure.traceback, MAX_TRACEBACK),
            ..of(v1::FailureKind::Exception)
        },
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

/// Cuts out the middle: the head says what it is, the tail where it ended.
fn clip(text: String, max: usize) -> String {
    const MARK: &str = "\n[…]\n";
    if text.len() <= max {
        return text;
    }
    let half = (max - MARK.len()) / 2;
    let whole = |at: &usize| text.is_char_boundary(*at);
    let head = (0..=half).rev().find(whole).unwrap_or(0);
    let tail = (text.len() - half..text.len()).find(whole).unwrap_or(text.len());
    [&text[..head], MARK, &text[tail..]].concat()
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

    fn send(&self, frame: ToWorker) {
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

    pub(crate) fn host_tool_value(&self, id: u64, value: Bytes) {
        self.host_tool_result(id, v1::host_tool_result::Outcome::Value(value));
    }

    pub(crate) fn host_tool_failed(&self, id: u64, failure: WorkerFailure) {
        self.host_tool_result(id, v1::host_tool_result::Outcome::Failure(told(failure)));
    }

    pub(crate) fn host_tool_end(&self, id: u64) {
        self.host_tool_result(id, v1::host_tool_result::Outcome::End(v1::StreamEnd {}));
    }

    pub(crate) fn host_tool_item(&self, id: u64, item: Bytes) {
        let items = vec![item];
        self.send(ToWorker::HostToolChunks(v1::HostToolChunks { id, items }));
    }

    fn host_tool_result(&self, id: u64, outcome: v1::host_tool_result::Outcome) {
        let outcome = Some(outcome);
        self.send(ToWorker::HostToolResult(v1::HostToolResult { id, outcome }));
    }

    pub(crate) fn drain(&self) {
        self.send(ToWorker::Drain(v1::Drain {}));
    }

    pub(crate) fn initialize(
        &self,
        worker: &WorkerRef,
        config: &WorkerConfig,
        shared_memory: Option<&Arena>,
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
        self.send(ToWorker::Initialize(v1::Initialize {
            adapter,
            arguments: config.adapter_args.clone(),
            pool: worker.pool.to_string(),
            slot: worker.slot as u32,
            generation: worker.generation,
            device: String::new(),
            unserializable: config.results.as_ref().map(unserializable),
            errors: config.errors.clone(),
            shared_memory: shared_memory.map(told_of_arenas),
        }));
    }
}

fn told_of_arenas(arena: &Arena) -> v1::SharedMemory {
    let settings = arena.settings();
    v1::SharedMemory {
        max_bytes: arena.max_bytes(),
        threshold: settings.threshold as u64,
        wait_us: u64::try_from(settings.wait.as_micros()).unwrap_or(u64::MAX),
        error_when_full: settings.when_full == WhenFull::Error,
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
        let ready = v1::Ready { tools: tools.iter().map(tool).collect() };
        read(v1::WorkerFrame { frame: Some(Frame::Ready(ready)) }, None)
    }

    #[test]
    fn tools_are_told_with_their_schemas() {
        let schema = r#"{"type":"object","properties":{"a":{}}}"#;
        let FromWorker::Ready(tools) = ready(&[("a.b-c_1", schema), ("0", "")]) else {
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
