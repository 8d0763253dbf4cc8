//! What pools tell of their calls and workers: named events with measurements and metadata.
//!
//! ```text
//! pool ──(somebody wants it?)──▶ Sink ─┬─▶ Events          of one pool, for tasks
//!                                      ├─▶ Subscription    of all pools of the process, for a thread
//!                                      └─▶ tracing         target `snakepit::telemetry`, at DEBUG
//! ```
//!
//! An event that nobody wants is not even made. Whoever listens holds up nobody: of what waits for it
//! for too long the oldest is dropped, and counted. The names are in [`CATALOGUE`].

mod adapter;
mod batch;
mod catalogue;
mod clock;
mod event;
mod exposition;
mod hub;
mod interest;
mod lanes;
mod plain;
mod reader;
mod sink;
mod subscription;
mod told;

pub use crate::call::{NoTraceContext, TraceContext};
pub(crate) use adapter::{AdapterEvent, AdapterTelemetry};
pub use adapter::{SpanRecord, SpanStatus};
pub use batch::Batch;
pub(crate) use catalogue::*;
pub use catalogue::{CATALOGUE, Field, PYTHON, Spec, table};
pub(crate) use clock::nanoseconds;
/// For the worker's end of the line; not for embedders.
#[doc(hidden)]
pub use clock::now_ns;
pub use event::{Event, Measurements, Metadata, Number, Value};
pub use exposition::TextFormat;
pub(crate) use exposition::{Exposition, Kind, Metric};
pub use hub::interest;
pub use interest::Interest;
pub use plain::Plain;
pub use sink::Events;
pub(crate) use sink::{Measured, Sink};
/// For pools that are none of this crate's; not for embedders.
#[doc(hidden)]
pub use sink::{hears, tell};
pub use subscription::Subscription;
