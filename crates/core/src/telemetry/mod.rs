//! What a pool tells of its calls and workers: named events with measurements and metadata.
//!
//! ```text
//! pool ──(somebody listens?)──▶ Sink ──▶ Events      each of its own pace; the oldest are dropped
//!                                  └───▶ tracing     target `snakepit::telemetry`, at DEBUG
//! ```
//!
//! Where nobody listens an event is not even made. The names are in [`CATALOGUE`].

mod adapter;
mod catalogue;
mod event;
mod interest;
mod sink;

pub(crate) use adapter::{AdapterEvent, AdapterTelemetry};
pub use adapter::{SpanRecord, SpanStatus};
pub(crate) use catalogue::{
    ADAPTER_DROPPED, EXECUTE_EXCEPTION, EXECUTE_START, EXECUTE_STOP, SPAWN_FAILED,
    WORKER_RESTARTED, WORKER_SPAWNED, WORKER_TERMINATED,
};
pub use catalogue::{CATALOGUE, Field, Spec, table};
pub use event::{Event, Fact, Number};
pub(crate) use interest::{Interest, changed as interest_changed};
pub use sink::Events;
pub(crate) use sink::Sink;
