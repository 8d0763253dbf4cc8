//! The line itself: reads frames, sends replies, and decides when what is queued must go out.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use pyo3::prelude::*;
use snakepit::process::CloseInChild;
use snakepit_proto::v1::HostFrame;
use snakepit_proto::v1::worker_frame::Frame;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tonic::Status;

use super::host_reply::Link;
use super::inbox::Inbox;
use super::outbox::Outbox;
use super::running::{Running, RunningCall};
use super::standby::Standby;
use super::telemetry;

/// Copying more than this takes so long that the interpreter is handed over meanwhile.
const BULK: usize = 64 * 1024;

/// The bound of the last sending, should the host not read.
const LAST_SENDING: Duration = Duration::from_secs(5);

/// The line, owned by the thread that reads frames: as a rule the main thread, which alone runs tools.
pub(super) struct Engine {
    pub(super) runtime: Arc<Runtime>,
    pub(super) running: Arc<Running>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) link: Arc<Link>,
    /// What a tool forks must not keep the line open after we are gone.
    _closed_in_forks: CloseInChild,
    standby: Arc<Standby>,
    bytes_queued: usize,
}

impl Engine {
    pub(super) fn new(
        runtime: Runtime,
        outbox: Outbox,
        inbox: Inbox,
        max_message: usize,
        closed_in_forks: CloseInChild,
    ) -> Self {
        let (runtime, outbox) = (Arc::new(runtime), Arc::new(outbox));
        let link = Link::new(Arc::clone(&runtime), inbox, Arc::clone(&outbox), max_message);
        runtime.spawn(telemetry::keep_sending(Arc::clone(&outbox)));
        Self {
            running: Arc::default(),
            standby: Standby::new(Arc::clone(&outbox), Arc::clone(&runtime)),
            runtime,
            outbox,
            link,
            _closed_in_forks: closed_in_forks,
            bytes_queued: 0,
        }
    }

    /// Who sends what is told while a tool runs long.
    pub(super) fn standby(&self) -> Arc<Standby> {
        Arc::clone(&self.standby)
    }

    /// A frame that has been read already, without any I/O.
    pub(super) fn ready_frame(&mut self) -> Option<Result<Option<HostFrame>, Status>> {
        self.link.inbox.ready_frame()
    }

    /// Waits for the next frame and drives the line meanwhile. `None`: the host closed it.
    pub(super) fn next_frame(&mut self, py: Python<'_>) -> Result<Option<HostFrame>, Status> {
        let (runtime, link, outbox) = (&self.runtime, &self.link, &self.outbox);
        let next = async {
            outbox.hand_over();
            poll_fn(|context| link.inbox.poll_frame(context)).await
        };
        let frame = py.detach(|| runtime.block_on(next));
        self.mark_sent();
        frame
    }

    /// Waits for the next frame, and drives the line meanwhile; None: `wake` was rung. Must be called
    /// detached.
    pub(super) fn frame_or_wake(
        &mut self,
        wake: &Notify,
    ) -> Option<Result<Option<HostFrame>, Status>> {
        let (runtime, link, outbox) = (&self.runtime, &self.link, &self.outbox);
        runtime.block_on(async {
            outbox.hand_over();
            tokio::select! {
                biased;
                frame = poll_fn(|context| link.inbox.poll_frame(context)) => Some(frame),
                () = wake.notified() => None,
            }
        })
    }

    /// Queues a frame of about so many bytes.
    pub(super) fn push(&mut self, frame: Frame, bytes: usize) {
        self.outbox.push(frame);
        self.queued(bytes);
    }

    /// Adds an item to the stream's open chunk. True: a chunk was full and is queued.
    pub(super) fn add_item(&mut self, call: &RunningCall, item: Bytes) -> bool {
        let bytes = item.len();
        let full = self.outbox.add(call.id(), item);
        self.queued(bytes);
        full
    }

    fn queued(&mut self, bytes: usize) {
        self.bytes_queued += bytes;
        self.standby.mark_unsent();
    }

    /// Puts what is queued on its way, and waits for nothing.
    pub(super) fn flush(&mut self, py: Python<'_>) {
        self.outbox.seal();
        // A few system calls: not worth a hand-over of the interpreter. Copying megabytes is.
        if self.bytes_queued > BULK {
            py.detach(|| self.runtime.block_on(turn(&self.outbox)));
        } else {
            self.runtime.block_on(turn(&self.outbox));
        }
        self.mark_sent();
    }

    /// Sees to it that the kernel has all that was said, so that it reaches the host whatever the
    /// next call does to this process. Returns early where the host takes nothing more.
    pub(super) fn deliver(&mut self, py: Python<'_>) {
        if !self.outbox.is_delivered() {
            self.flush(py);
        }
        // Too little room in the socket, or the standby has the runtime still.
        if !self.outbox.is_delivered() {
            py.detach(|| self.runtime.block_on(self.outbox.delivered()));
        }
        self.mark_sent();
    }

    /// Drives the line, from within a call, until `done` or until the host takes nothing more.
    pub(super) fn drive_until(&mut self, py: Python<'_>, done: impl Fn() -> bool + Send + Sync) {
        self.leave_python();
        let (runtime, outbox, changed) = (&self.runtime, &self.outbox, &self.running.changed);
        let wait = async {
            outbox.hand_over();
            while !done() {
                tokio::select! {
                    () = changed.notified() => {}
                    () = outbox.closed() => return,
                }
            }
        };
        py.detach(|| runtime.block_on(wait));
        self.mark_sent();
        self.enter_python();
    }

    /// The last call is answered, and the adapter cleans up. The line stays open meanwhile, since
    /// its end would tell the host that the worker is gone.
    pub(super) fn drained(&mut self, py: Python<'_>) {
        self.deliver(py);
        self.enter_python();
    }

    /// Python ends, and this process with it: sees to it that the host has everything, and has said
    /// so. A process that just ends resets what its host is about to write to it; one that writes
    /// before it reads would lose the last answers.
    pub(super) fn close(&mut self, py: Python<'_>) {
        self.leave_python();
        self.outbox.seal();
        self.outbox.finish();
        self.await_end(py, Some(LAST_SENDING));
    }

    /// Drives the line until the host has closed it, `limit` at most where there is one.
    pub(super) fn await_end(&mut self, py: Python<'_>, limit: Option<Duration>) {
        let (runtime, link, outbox) = (&self.runtime, &self.link, &self.outbox);
        let end = async {
            outbox.hand_over();
            let next = || poll_fn(|context| link.inbox.poll_frame(context));
            while let Ok(Some(_)) = next().await {}
        };
        py.detach(|| {
            runtime.block_on(async {
                match limit {
                    Some(limit) => _ = tokio::time::timeout(limit, end).await,
                    None => end.await,
                }
            })
        });
    }

    /// Python code runs now, with the standby ready to take over the line.
    pub(super) fn enter_python(&mut self) {
        self.standby.enter_python();
    }

    /// The main thread is back and wants to drive.
    pub(super) fn leave_python(&mut self) {
        self.standby.leave_python();
    }

    fn mark_sent(&mut self) {
        self.bytes_queued = 0;
        if self.outbox.is_delivered() {
            self.standby.mark_sent();
        }
    }
}

/// Runs what is ready, twice over at most (the body's task, then the connection's), and waits for
/// nothing.
async fn turn(outbox: &Outbox) {
    outbox.hand_over();
    let mut rounds = 2;
    std::future::poll_fn(|context| {
        if rounds == 0 || outbox.is_delivered() {
            return Poll::Ready(());
        }
        rounds -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
