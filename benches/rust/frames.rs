//! Frames as calls have them, for the benchmarks that encode and decode them. Values are opaque
//! bytes here; their own codec is measured where it is.

use bytes::Bytes;
use snakepit_proto::v1::host_frame::Frame as ToWorker;
use snakepit_proto::v1::result::Outcome;
use snakepit_proto::v1::worker_frame::Frame as ToHost;
use snakepit_proto::v1::{HostFrame, Result as CallResult, StartCall, WorkerFrame};

const CALL: u64 = 7 << 20 | 3;

pub fn start_call(arguments: Bytes) -> HostFrame {
    let frame = ToWorker::StartCall(StartCall {
        call_id: CALL,
        tool: "generate".into(),
        arguments,
        time_left_us: 300_000_000,
        word: 4,
        ..StartCall::default()
    });
    HostFrame { frame: Some(frame) }
}

pub fn result(value: Bytes) -> WorkerFrame {
    let outcome = Some(Outcome::Value(value));
    WorkerFrame {
        frame: Some(ToHost::Result(CallResult { call_id: CALL, outcome, buffers: Vec::new() })),
    }
}
