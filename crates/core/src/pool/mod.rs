//! Pools: what embedders see, and the state behind it.
//!
//! ```text
//! Pool ──▶ Shared { Mutex<State>, ports } ──effects──▶ Port ──▶ worker
//!   │          ▲                              ends ──▶ Reply / ChunkStream
//!   │          └── heard / gone ── Keeper (one task a slot)
//!   └── Reply, ChunkStream: futures; dropping one cancels its call
//! ```

mod handle;
mod job;
#[cfg(feature = "testkit")]
pub mod loopback;
mod office;
mod reply;
mod shared;
mod state;
mod stats;
mod stream;
mod verdict;

pub use handle::{Pool, Session};
pub use reply::{Canceller, Outcome, Reply};
pub use shared::LineHandler;
pub use state::Counters;
#[cfg(feature = "testkit")]
pub use state::rehearsal;
pub use stats::{PoolStats, WorkerInfo};
pub use stream::ChunkStream;
