//! Pools: what embedders see, and the state behind it.
//!
//! ```text
//! Pool ──▶ Shared { Mutex<State>, ports } ──effects──▶ Port ──▶ worker
//!   │          ▲                              ends ──▶ Reply / ChunkStream
//!   │          └── heard / gone ── Keeper (one task a slot)
//!   └── Reply, ChunkStream: futures; dropping one cancels its call
//! ```
//!
//! Those carry bytes; the bindings use them. For Rust, `Builder` starts a pool, `Call` describes a
//! call, and `Answer` and `Chunks` decode what comes back.

mod admission;
mod answers;
mod arguments;
mod builder;
mod chunks;
mod crashes;
mod devices;
mod exposition;
mod gate;
mod handle;
mod health;
mod host_tool;
mod hosting;
mod info;
mod inquiry;
mod job;
mod lineage;
mod lines;
#[cfg(feature = "testkit")]
pub mod loopback;
mod metrics;
mod office;
mod operated;
mod ports;
mod relay;
mod reply;
mod request;
mod session;
mod sessions;
mod shared;
mod spans;
mod state;
mod stats;
mod stream;
mod telling;
mod tools;
mod trace;
mod verdict;
mod weight;

pub use builder::Builder;
pub use chunks::Chunks;
pub use exposition::{metrics_table, metrics_text};
pub use handle::Pool;
pub use health::{HealthStatus, PoolHealth, WorkerFacts};
pub use host_tool::HostToolBuilder;
pub use hosting::HostToolOptions;
pub use info::{PoolInfo, WorkerDetail};
pub use lines::{LineHandler, WorkerLine};
#[doc(hidden)]
pub use metrics::InlineMeter;
pub use metrics::{PoolMetrics, ToolMetrics};
pub use relay::SpanHandler;
pub use reply::{Canceller, Outcome, Reply};
pub use request::{Answer, Call};
pub use session::Session;
pub use sessions::{SessionHandle, SessionInfo};
pub use state::Counters;
#[cfg(feature = "testkit")]
pub use state::rehearsal;
pub use stats::{PoolStats, WorkerInfo};
pub use stream::ChunkStream;
