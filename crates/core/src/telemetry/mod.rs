//! What a pool tells of its calls and workers: named events with measurements and metadata.
//!
//! ```text
//! pool ──(somebody listens?)──▶ Sink ──▶ Events      each of its own pace; the oldest are dropped
//!                                  └───▶ tracing     target `snakepit::telemetry`, at DEBUG
//! ```
//!
//! Where nobody listens an event is not even made. The names are in [`CATALOGUE`].

mod catalogue;
mod event;
mod exposition;
mod sink;

pub use catalogue::{CATALOGUE, Field, Spec, table};
pub(crate) use catalogue::{
    EXECUTE_EXCEPTION, EXECUTE_START, EXECUTE_STOP, SPAWN_FAILED, WORKER_RESTARTED, WORKER_SPAWNED,
    WORKER_TERMINATED,
};
pub use event::{Event, Number};
pub use exposition::TextFormat;
pub(crate) use exposition::{Exposition, Kind, Metric};
pub use sink::Events;
pub(crate) use sink::Sink;
