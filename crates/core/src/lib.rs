//! Pools of warm, supervised Python worker processes, called from Rust (and, through the
//! bindings, from Python).
//!
//! ```text
//! 4 promise    pool::{handle, reply, stream}       what embedders see
//!              breaker  budget  health  executor
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
mod breaker;
mod budget;
mod call;
mod config;
mod error;
pub mod executor;
mod health;
mod id;
mod policy;
mod pool;
#[doc(hidden)]
#[allow(missing_docs)]
pub mod process;
mod transport;
mod worker;

pub use breaker::{CircuitBreaker, Permit};
pub use budget::RetryBudget;
pub use call::{Affinity, Binding, CallSpec, SessionKey, Step};
pub use config::{AdapterSource, OutputMode, PoolConfig, SourceKind, WorkerConfig};
pub use error::{Direction, Error, ExitReport, Failure, StartFailure};
pub use health::HealthMonitor;
pub use id::{CallId, PoolName, WorkerRef};
pub use policy::breaker::{BreakerConfig, BreakerState, BreakerStats, CircuitOpen, Trip};
pub use policy::budget::BudgetConfig;
pub use policy::health::{HealthConfig, HealthStats, WorkerHealth};
pub use policy::retry::{Backoff, Fault, GiveUp, Jitter, NextAttempt, RetryPolicy};
#[cfg(feature = "testkit")]
#[doc(hidden)]
pub use pool::loopback;
pub use pool::{
    Canceller, ChunkStream, Counters, LineHandler, Outcome, Pool, PoolStats, Reply, Session,
    WorkerInfo,
};
pub use transport::ToolInfo;
