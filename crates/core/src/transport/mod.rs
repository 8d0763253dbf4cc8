//! The line: a worker's bidirectional gRPC stream over a Unix socket.
//!
//! The only module that knows tonic, prost and the generated messages. [`listener`] lets workers
//! in: [`door`] before it is known who they are, [`admission`] by their tokens. [`wire`] turns frames
//! into words of the core and back, [`rundir`] owns the socket's folder.

mod admission;
mod door;
pub(crate) mod listener;
#[cfg(feature = "testkit")]
pub(crate) mod loopback;
mod rundir;
pub(crate) mod wire;

pub(crate) use admission::{Admission, Attached, News, TOKEN_BYTES, Token};
pub(crate) use listener::Listener;
pub use wire::ToolInfo;
pub(crate) use wire::{FromWorker, Inbox, Outbox, ToolCall, WorkerFailure, start_message};

/// Version of the protocol that both ends must speak.
pub(crate) const PROTOCOL: u32 = 1;

/// h2 ends a connection whose unread small DATA frames cost more than half its window; a window
/// of 16 MiB leaves room for any burst that our own windows allow (and saves round trips).
const CONNECTION_WINDOW: u32 = 16 << 20;

const STREAM_WINDOW: u32 = 8 << 20;

/// Fewer, larger DATA frames: a third less time for a 60 kB message.
const MAX_FRAME: u32 = 128 << 10;

/// Streams on one connection. A worker has one; a second is let in to be told that it may not.
const MAX_STREAMS: u32 = 4;

/// What a frame may add to the value inside it.
const FRAME_OVERHEAD: usize = 64 << 10;
