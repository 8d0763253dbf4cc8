//! The worker's end of the line. Frames leave as bytes, so that some can be what no frame is.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use snakepit_proto::v1::host_frame::Frame as FromHost;
use snakepit_proto::v1::result::Outcome;
use snakepit_proto::v1::worker_frame::Frame as ToHost;
use snakepit_proto::v1::{
    Buffer, Hello, HostFrame, Ready, Result as CallResult, Start, WorkerFrame,
};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status, Streaming};

use super::script::{Beginning, Script};

/// No frame: a field of wire type 7, which there is not.
pub const NO_FRAME: Bytes = Bytes::from_static(&[0xff; 16]);

/// After the last frame was handed over, the runtime gets so many turns to send it.
const TURNS: usize = 64;

/// Frames to the host.
pub struct Line {
    frames: mpsc::UnboundedSender<Bytes>,
    queued: AtomicU64,
    encoded: Arc<AtomicU64>,
    socket: OwnedFd,
}

/// Frames from the host.
pub struct Incoming(Streaming<HostFrame>);

impl Incoming {
    /// Waits for the next; None: the line has ended.
    pub async fn next(&mut self) -> Option<FromHost> {
        self.0.message().await.ok()??.frame
    }
}

impl Line {
    pub fn say(&self, frame: ToHost) {
        self.say_bytes(WorkerFrame { frame: Some(frame) }.encode_to_vec().into());
    }

    pub fn answer(&self, call_id: u64, outcome: Outcome) {
        self.answer_with(call_id, outcome, Vec::new());
    }

    pub fn answer_with(&self, call_id: u64, outcome: Outcome, buffers: Vec<Buffer>) {
        self.say(ToHost::Result(CallResult { call_id, outcome: Some(outcome), buffers }));
    }

    /// Something in the place of a frame.
    pub fn say_bytes(&self, bytes: Bytes) {
        self.queued.fetch_add(1, SeqCst);
        // A line that has ended is noticed by who reads it.
        let _ = self.frames.send(bytes);
    }

    /// Waits until what was said has left this process. Nothing tells so; but on one thread, with
    /// room in the socket, a few turns of the runtime after the last frame was encoded are enough.
    pub async fn flush(&self) {
        while self.encoded.load(SeqCst) < self.queued.load(SeqCst) && !self.frames.is_closed() {
            tokio::task::yield_now().await;
        }
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
    }

    /// The line's socket.
    pub fn socket(&self) -> &OwnedFd {
        &self.socket
    }
}

/// Dials the host and says hello.
pub async fn dial(script: &Script, start: &Start) -> Result<(Line, Incoming), Status> {
    let (frames, outgoing) = mpsc::unbounded_channel();
    let encoded = Arc::new(AtomicU64::new(0));
    let stream = UnixStream::connect(&start.socket_path).await?;
    let socket = stream.as_fd().try_clone_to_owned()?;
    let line = Line { frames, queued: AtomicU64::new(0), encoded: encoded.clone(), socket };
    // Before the call is opened: the host answers nobody whom it does not know.
    match script.beginning {
        Beginning::NoHello => line.say(ToHost::Ready(Ready::default())),
        Beginning::BadHello => line.say_bytes(NO_FRAME),
        _ => line.say(ToHost::Hello(hello(script, start))),
    }
    let channel = snakepit::line::channel(stream).await?;
    let mut grpc = Grpc::new(channel).max_decoding_message_size(usize::MAX);
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let request = Request::new(UnboundedReceiverStream::new(outgoing));
    let path = PathAndQuery::from_static("/snakepit.v1.Host/Attach");
    let response = grpc.streaming(request, path, Frames { encoded }).await?;
    Ok((line, Incoming(response.into_inner())))
}

/// What the worker says of itself.
pub fn hello(script: &Script, start: &Start) -> Hello {
    let mut token = start.token.to_vec();
    if script.beginning == Beginning::WrongToken {
        token[0] ^= 1;
    }
    let protocol = match script.beginning {
        Beginning::Protocol(number) => number,
        _ => snakepit::line::PROTOCOL,
    };
    Hello {
        token: token.into(),
        protocol,
        pid: std::process::id(),
        bridge_version: "scripted".into(),
        python_version: String::new(),
        control: script.control,
        words: script.words,
        arenas: script.arenas,
        telemetry: script.telemetry,
    }
}

/// Bytes out, frames in.
struct Frames {
    encoded: Arc<AtomicU64>,
}

impl Codec for Frames {
    type Encode = Bytes;
    type Decode = HostFrame;
    type Encoder = Out;
    type Decoder = In;

    fn encoder(&mut self) -> Out {
        Out(self.encoded.clone())
    }

    fn decoder(&mut self) -> In {
        In
    }
}

struct Out(Arc<AtomicU64>);

impl Encoder for Out {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        self.0.fetch_add(1, SeqCst);
        Ok(())
    }
}

struct In;

impl Decoder for In {
    type Item = HostFrame;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<HostFrame>, Status> {
        let whole = from.copy_to_bytes(from.remaining());
        HostFrame::decode(whole).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
