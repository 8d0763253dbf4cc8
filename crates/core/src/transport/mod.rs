//! The line: a worker's bidirectional gRPC stream over a Unix socket.
//!
//! The only module that knows tonic, prost and the generated messages. [`listener`] lets workers
//! in: [`door`] before it is known who they are, [`opening`] what they may say until then,
//! [`admission`] by their tokens. [`wire`] turns frames into words of the core, [`outbox`] these into
//! frames, [`failure`] what a worker raised; [`http2`] is what both ends agree on below the frames,
//! `delivery`, where there is a worker's end, what a worker knows of its own.

mod admission;
pub(crate) mod buffers;
#[cfg(feature = "worker-end")]
pub(crate) mod delivery;
mod door;
mod failure;
#[cfg(feature = "testkit")]
pub(crate) mod fuzzing;
mod host_tool;
pub(crate) mod http2;
pub(crate) mod listener;
#[cfg(feature = "testkit")]
pub(crate) mod loopback;
mod opening;
mod outbox;
mod telemetry;
pub(crate) mod wire;

pub(crate) use admission::{Admission, Attached, News, TOKEN_BYTES, Token};
pub(crate) use buffers::{ReadBuffers, inline_bytes};
pub(crate) use host_tool::HostAsk;
pub(crate) use listener::Listener;
pub(crate) use outbox::{CallSession, Outbox, ToolCall, start_message};
pub(crate) use wire::{FromWorker, Inbox, WorkerFailure};
pub use wire::{PythonInfo, ToolInfo};

/// Version of the protocol that both ends must speak.
pub const PROTOCOL: u32 = 1;
