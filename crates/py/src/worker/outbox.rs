//! What this end says: results one by one, the items of a stream coalesced into chunks.
//!
//! The channel is unbounded because the protocol bounds it: the host prefetches a few calls, a
//! stream stays within its window. It must be: on a full channel the main thread would wait for
//! itself, since it also does the I/O.
//!
//! What is queued from outside the runtime waits in `queued` and is handed to the line by whoever
//! drives next, from inside: there waking the line's task is a push to a local queue, from outside
//! it is a system call and one more turn of the I/O loop, for every reply.
//!
//! It knows what of all that the kernel has: nothing else survives the end of this process, which
//! any tool may bring about.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use bytes::Bytes;
use snakepit::line::Delivered;
use snakepit_proto::v1::worker_frame::Frame;
use snakepit_proto::v1::{Chunks, WorkerFrame};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_stream::{Stream, StreamExt};

use super::lock;
use super::telemetry::Pending;

/// A chunk frame is complete with so many items, or before it would exceed so many bytes. Less
/// than the 64 KiB that both ends allow above the message limit, so it fits whatever that is.
pub(super) const CHUNK_ITEMS: usize = 256;
pub(super) const CHUNK_BYTES: usize = 60 * 1024;

pub(super) struct Outbox {
    /// `None` ends this end's half of the line.
    frames: mpsc::UnboundedSender<Option<WorkerFrame>>,
    queued: Mutex<Vec<Option<WorkerFrame>>>,
    /// Behind a lock since the standby may send what a slow generator has left here.
    open: Mutex<OpenChunk>,
    /// Frames that were queued since the line began.
    said: AtomicU64,
    delivered: Delivered,
    /// What goes before whatever is said next.
    pub(super) telemetry: Pending,
}

/// The chunk that is being filled.
#[derive(Default)]
struct OpenChunk {
    chunk: Chunks,
    bytes: usize,
}

impl Outbox {
    /// The outbox, and what it holds as the line takes it. `delivered`: of the line's socket.
    pub(super) fn new(
        delivered: Delivered,
    ) -> (Self, impl Stream<Item = WorkerFrame> + Send + 'static) {
        let (frames, line) = mpsc::unbounded_channel();
        let line = UnboundedReceiverStream::new(line).map_while(|frame| frame);
        let (queued, open, said) = (Mutex::default(), Mutex::default(), AtomicU64::new(0));
        let telemetry = Pending::default();
        (Self { frames, queued, open, said, delivered, telemetry }, line)
    }

    /// Queues a frame for whoever drives next.
    pub(super) fn push(&self, frame: Frame) {
        if self.telemetry.waits() {
            self.push_telemetry();
        }
        lock(&self.queued).push(Some(WorkerFrame { frame: Some(frame) }));
        self.said.fetch_add(1, SeqCst);
    }

    /// Queues what the adapter has told, where that is anything.
    pub(super) fn push_telemetry(&self) {
        let mut queued = lock(&self.queued);
        for told in self.telemetry.take() {
            queued.push(Some(WorkerFrame { frame: Some(Frame::Telemetry(told)) }));
            self.said.fetch_add(1, SeqCst);
        }
    }

    /// Whether the kernel has all that was queued; an open chunk is not.
    pub(super) fn is_delivered(&self) -> bool {
        self.delivered.messages() >= self.said.load(SeqCst)
    }

    /// Waits for that, or until the host takes nothing more. Called from inside the runtime, by one
    /// at a time.
    pub(super) async fn delivered(&self) {
        self.hand_over();
        tokio::select! {
            () = self.delivered.reach(self.said.load(SeqCst)) => {}
            () = self.closed() => {}
        }
    }

    /// Nothing more will be said: the host sees the end once it has all that was.
    pub(super) fn finish(&self) {
        self.push_telemetry();
        lock(&self.queued).push(None);
    }

    /// Gives the line what is queued. Called by who drives, from inside the runtime.
    pub(super) fn hand_over(&self) {
        for frame in lock(&self.queued).drain(..) {
            // A line that has ended swallows it: the reader of the line finds that out.
            let _ = self.frames.send(frame);
        }
    }

    /// Adds an item to the chunk that is being filled. True: a chunk was full and is queued.
    pub(super) fn add(&self, call_id: u64, item: Bytes) -> bool {
        let mut open = lock(&self.open);
        let overfull = open.bytes + item.len() > CHUNK_BYTES && self.send_chunk(&mut open);
        open.bytes += item.len();
        open.chunk.call_id = call_id;
        open.chunk.items.push(item);
        let full = open.chunk.items.len() >= CHUNK_ITEMS && self.send_chunk(&mut open);
        overfull || full
    }

    /// Sends what has been coalesced so far.
    pub(super) fn seal(&self) {
        self.send_chunk(&mut lock(&self.open));
    }

    /// The host takes nothing more.
    pub(super) fn is_closed(&self) -> bool {
        self.frames.is_closed()
    }

    pub(super) async fn closed(&self) {
        self.frames.closed().await;
    }

    /// Sends under the caller's lock, so that chunks keep their order whoever sends them.
    fn send_chunk(&self, open: &mut OpenChunk) -> bool {
        let OpenChunk { chunk, .. } = std::mem::take(open);
        let any = !chunk.items.is_empty();
        if any {
            self.push(Frame::Chunks(chunk));
        }
        any
    }
}
