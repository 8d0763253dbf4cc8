//! Pools of warm, supervised Python worker processes, called from Rust (and, through the
//! bindings, from Python).
//!
//! ```text
//! 4 promise    pool::{handle, reply, stream}       what embedders see
//! 3 owners     worker                              one keeper task a slot
//! 2 effects    process  transport  blocking        the operating system, the line, the driver
//! 1 decisions  policy  pool::state                 pure state machines
//! 0 words      id  error  call  config             no I/O
//! ```
//!
//! A ring knows lower rings only; `cargo xtask layers` checks it.
#![warn(missing_docs)]

#[doc(hidden)]
#[allow(missing_docs)]
pub mod blocking;
mod call;
mod config;
mod error;
mod id;
mod policy;
mod pool;
#[doc(hidden)]
#[allow(missing_docs)]
pub mod process;
mod transport;
mod worker;

pub use call::{Affinity, Binding, CallSpec, SessionKey, Step};
pub use config::{AdapterSource, OutputMode, PoolConfig, SourceKind, WorkerConfig};
pub use error::{Direction, Error, ExitReport, Failure, StartFailure};
pub use id::{CallId, PoolName, WorkerRef};
/// For whoever is the worker at the other end of a line; not for embedders.
#[cfg(feature = "worker-end")]
#[doc(hidden)]
#[allow(missing_docs)]
pub mod line {
    pub use crate::transport::PROTOCOL;
    pub use crate::transport::http2::{channel, frame_limit, server};
}
pub use pool::{
    Canceller, ChunkStream, Counters, LineHandler, Outcome, Pool, PoolStats, Reply, Session,
    WorkerInfo,
};
#[cfg(feature = "testkit")]
#[doc(hidden)]
pub use pool::{loopback, rehearsal};
pub use transport::ToolInfo;
