//! The worker's end of a line that never leaves the process: frames come out as they went in.
//!
//! For tests and benchmarks of what lies above the wire. No gRPC and no bytes: those have tests and
//! a benchmark of their own.

use std::collections::VecDeque;

use bytes::Bytes;
use snakepit_proto::v1::HostFrame;
use snakepit_proto::v1::host_frame::Frame;
use tokio::sync::mpsc;
use tonic::Status;

use super::outbox::Outbox;
use crate::id::CallId;

/// Frames taken at a time.
const BATCH: usize = 64;

/// A call as the worker gets it.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) id: CallId,
    pub(crate) tool: String,
    pub(crate) arguments: Bytes,
    pub(crate) session: Option<String>,
    pub(crate) session_new: bool,
    pub(crate) word: Option<u32>,
    pub(crate) streaming: bool,
}

/// What has come out of a line and is not dealt with yet.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    pub(crate) calls: VecDeque<Incoming>,
    pub(crate) cancels: Vec<CallId>,
}

/// Where the frames of an [`Outbox`] come out.
pub(crate) struct Inlet {
    frames: mpsc::UnboundedReceiver<Result<HostFrame, Status>>,
    batch: Vec<Result<HostFrame, Status>>,
}

/// Both ends of a line.
pub(crate) fn line() -> (Outbox, Inlet) {
    let (sender, frames) = mpsc::unbounded_channel();
    (Outbox::new(sender), Inlet { frames, batch: Vec::new() })
}

impl Inlet {
    /// Waits for a frame and takes those that are there. False: the host let go of the line.
    /// Nothing is lost when the future is dropped while it waits.
    pub(crate) async fn next_batch(&mut self, inbound: &mut Inbound) -> bool {
        let got = self.frames.recv_many(&mut self.batch, BATCH).await;
        for frame in self.batch.drain(..) {
            match frame.map(|frame| frame.frame) {
                Ok(Some(Frame::StartCall(call))) => inbound.calls.push_back(Incoming {
                    id: CallId::from_raw(call.call_id),
                    tool: call.tool,
                    arguments: call.arguments,
                    session: Some(call.session_id).filter(|id| !id.is_empty()),
                    session_new: call.session_new,
                    word: call.word.checked_sub(1),
                    streaming: call.streaming,
                }),
                Ok(Some(Frame::CancelCall(cancel))) => {
                    inbound.cancels.push(CallId::from_raw(cancel.call_id));
                }
                // How to initialize and when to finish means nothing to a worker without a process,
                // and it is never ahead of a stream's reader.
                _ => {}
            }
        }
        got > 0
    }
}
