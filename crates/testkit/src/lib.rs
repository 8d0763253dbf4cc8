//! Scripted workers and builders for tests and benchmarks.
//!
//! ```text
//! pool(2).start().await ──▶ TestPool ──spawns──▶ scripted-worker (src/bin): real processes, no Python
//! loopback(2).start()   ──▶ Pool     ──tasks──▶ answered inside this process: benches, paused time
//!
//! Gate    where a call in a worker waits until the test lets it pass
//! Ledger  which calls really ran, and how often
//! Random  what a chaos run does, by one seed
//! ```
//!
//! What a scripted worker does is said by the tool's name and its arguments, words of plain text;
//! `src/bin/scripted-worker/tool.rs` lists them. How it starts is said by [`Builder::start_as`].

mod builder;
mod gate;
mod ledger;
mod leftover;
mod loopback;
mod random;

use std::time::Duration;

use snakepit::CallSpec;

pub use builder::{Builder, TestPool, pool, scripted_worker};
pub use gate::{Gate, Visit};
pub use ledger::Ledger;
pub use leftover::Mark;
pub use loopback::{Loopback, loopback};
pub use random::Random;

/// Longer than anything takes that works, on a busy machine; what waits so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A call of a tool without session, limit or retry; `words` are its arguments.
pub fn call(tool: &str, words: &str) -> CallSpec {
    CallSpec::new(tool, words.as_bytes().to_vec())
}

/// Waits for `future` and panics, naming `what`, where that takes longer than anything should.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("not within {PATIENCE:?}: {what}"),
    }
}

/// Polls `condition` until it holds, and panics as [`soon`] does.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    soon(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}
