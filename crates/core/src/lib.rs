//! Pools of warm, supervised Python worker processes, called from Rust.
//!
//! Call Python libraries in processes of their own: in parallel, with deadlines that kill, streams
//! with back-pressure and sessions with state. A worker that crashes, hangs or leaks fails its own
//! call and is replaced; nothing of it outlives this program.
//!
//! ```no_run
//! use serde::{Deserialize, Serialize};
//! use snakepit::Pool;
//!
//! #[derive(Serialize)]
//! struct Prompt<'a> {
//!     text: &'a str,
//! }
//!
//! #[derive(Deserialize)]
//! struct Answer {
//!     text: String,
//!     tokens: u64,
//! }
//!
//! # async fn example() -> Result<(), snakepit::Error> {
//! let pool = Pool::builder("my_app.adapters:Model").size(4).start().await?;
//!
//! let answer: Answer = pool.execute("generate", Prompt { text: "hi" }).await?;
//! println!("{} ({} tokens)", answer.text, answer.tokens);
//!
//! let session = pool.session("user_42"); // its calls share one worker
//! let (): () = session.execute("load", ()).await?;
//!
//! let mut losses = pool.execute_stream::<f64>("train", ())?; // a `Stream`
//! while let Some(loss) = losses.next().await {
//!     println!("{}", loss?);
//! }
//! pool.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # The Python side
//!
//! The adapter is a class whose tools are called by name; it lives as long as its worker. The
//! workers' interpreter (`VIRTUAL_ENV`, or [`Builder::python`]) needs `pip install snakepit-pool`.
//!
//! ```python
//! from snakepit_bridge import BaseAdapter, tool
//!
//! class Model(BaseAdapter):
//!     def initialize(self):           # once, before the worker is ready
//!         self.model = load_model()
//!
//!     @tool
//!     def generate(self, text: str):
//!         return {"text": self.model(text), "tokens": 7}
//! ```
//!
//! # What to know
//!
//! - *Values*: anything of serde; [`value`] says what becomes what, and has types for the rest.
//! - *Deadlines*: a call may take 300 s unless [`Call::timeout`] or [`PoolOptions::timeout`] says
//!   otherwise. When it passes, the caller is freed at once and the worker must end the call.
//! - *Cancellation*: dropping the future or the stream of a call cancels it.
//! - *Errors*: [`Error`] has fields, and [`Error::may_have_run`] tells whether a retry is safe.
//! - *Configuration*: [`PoolOptions`] is read from TOML, JSON or whatever serde reads.
//! - *Runtime*: the pool lives on the tokio runtime that started it, of either flavor; on a
//!   current-thread runtime it costs the least. Processes are Linux's: other systems are not
//!   supported yet.
//! - *Tracing*: each typed call is a span `snakepit.call` with `pool`, `tool`, `session`, `worker`
//!   and `outcome`; lives of workers are events of the target `snakepit`.
//! - *Telemetry*: [`Pool::events`] is the stream of what happens, by the names of
//!   [`telemetry::CATALOGUE`]; `tracing` hears the same under the target `snakepit::telemetry`.
//!
//! # Features
//!
//! `arrow`: record batches of arrow-rs as arguments and results, by `value::Batch` and `value::Table`.
//! `ndarray`: arrays of the crate ndarray, by `value::Nd`. What is large of either is copied once, to
//! memory that the worker reads in place. Off by default.
//!
//! `testkit`: pools that are answered inside the process, for tests and benchmarks of programs that
//! embed this crate. `failpoints`: places where tests of such programs let starts, lines and workers
//! fail, by `SNAKEPIT_FAIL`. Off by default, too; exempt from version promises.
//!
//! # Inside
//!
//! ```text
//! 4 promise    pool::{builder, request, handle, …}              what embedders see
//!              breaker  budget  health  executor                values for whatever may fail
//! 3 owners     worker                                           one keeper task a slot
//! 2 effects    process  transport  blocking  interpreter        the operating system, the line
//!              hardware  telemetry  operator                    what there is to compute with, to tell
//! 1 decisions  policy  pool::state                              pure state machines
//! 0 words      id  error  call  config  payload  value  schema                  no I/O
//! ```
//!
//! A ring knows lower rings only; the repository's `cargo xtask layers` checks it.
#![deny(missing_docs)]

#[doc(hidden)]
#[allow(missing_docs)]
pub mod blocking;
mod breaker;
mod budget;
mod call;
mod config;
mod error;
pub mod executor;
#[cfg(feature = "failpoints")]
#[doc(hidden)]
#[allow(missing_docs)]
pub mod failpoint;
#[cfg(feature = "testkit")]
#[doc(hidden)]
#[allow(missing_docs)]
pub mod fuzzing;
pub mod hardware;
mod health;
mod id;
mod interpreter;
mod operator;
mod payload;
mod policy;
mod pool;
#[doc(hidden)]
#[allow(missing_docs)]
pub mod process;
mod schema;
pub mod telemetry;
mod tool;
mod transport;
pub mod value;
mod worker;

pub use breaker::{CircuitBreaker, Permit};
pub use budget::RetryBudget;
pub use call::{
    Affinity, Binding, CallSpec, Ended, HostContext, Lineage, MAX_METADATA, MAX_SESSION_ID,
    Opening, Origin, SessionKey, Step,
};
pub use config::{
    Access, AdapterSource, Backoff, BreakerConfig, BreakerRule, BudgetConfig, ByPlace,
    CrashBarrier, Detail, Env, Guards, Heartbeat, Jitter, Life, Limits, Line, OutputMode,
    PoolConfig, PoolOptions, Profile, Recycle, RetryPolicy, SharedMemory, SourceKind,
    TelemetryFilter, TimeoutProfile, Trip, Unserializable, WhenFull, WorkerConfig,
};
pub use error::{
    Cause, Diagnosis, Direction, Error, ExitReport, Failure, Recycled, Shortage, StartFailure,
    Violation,
};
pub use health::HealthMonitor;
pub use id::{CallId, PoolName, WorkerRef};
pub use payload::{Buffer, Buffers, Payload};
pub use policy::breaker::{BreakerState, BreakerStats, CircuitOpen};
pub use policy::health::{HealthConfig, HealthStats, WorkerHealth};
pub use policy::meter::Histogram;
pub use policy::retry::{Fault, GiveUp, NextAttempt};
/// Names that the face in Python keeps to as well; not for embedders.
#[doc(hidden)]
pub mod environment {
    pub use crate::config::environ::{OF_ONE_INTERPRETER, STRICT, STRICT_PREFIXES, THREAD_COUNTS};
}
pub use process::arena::{Arena, ArenaStats, NoRoom, Private, Region};
pub use process::{Cleanup, LogRecord, cleanup, cleanup_in};
/// For whoever is the worker at the other end of a line; not for embedders.
#[cfg(feature = "worker-end")]
#[doc(hidden)]
#[allow(missing_docs)]
pub mod line {
    pub use crate::payload::Told;
    pub use crate::transport::PROTOCOL;
    pub use crate::transport::buffers::{read_buffer as told, write_buffer as tell};
    pub use crate::transport::delivery::{Counted, Delivered};
    pub use crate::transport::http2::{channel, frame_limit, server};
}
#[doc(hidden)]
pub use pool::InlineMeter;
pub use pool::{
    Answer, Builder, Call, Canceller, ChunkStream, Chunks, Counters, HealthStatus, HostToolBuilder,
    HostToolOptions, LineHandler, Outcome, Pool, PoolHealth, PoolInfo, PoolMetrics, PoolStats,
    Reply, Session, SessionHandle, SessionInfo, SpanHandler, ToolMetrics, WorkerDetail,
    WorkerFacts, WorkerInfo, WorkerLine, metrics_table, metrics_text,
};
#[cfg(feature = "testkit")]
#[doc(hidden)]
pub use pool::{loopback, rehearsal};
pub use schema::{Mismatch, Schema};
pub use tool::{HostCall, HostTool, HostToolInfo};
pub use transport::{PythonInfo, ToolInfo};
#[doc(inline)]
pub use value::Value;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
