//! Runs any async function with a time limit, with retries, behind a circuit breaker, or many of
//! them at once.
//!
//! Nothing here knows pools: what is run may be a call of a pool or of anything else.
//!
//! ```
//! use std::time::Duration;
//! use snakepit::executor::{self, Retrying};
//! use snakepit::{Fault, RetryPolicy};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let policy = RetryPolicy { max_attempts: 3, ..RetryPolicy::default() };
//! let transient = |_: &&str| Fault {
//!     retriable: true, may_have_run: false, counts: true, retry_after: None,
//! };
//! let mut tries = 0;
//! let answer = executor::execute_with_retry(Retrying::new(&policy), transient, async || {
//!     tries += 1;
//!     if tries < 2 { Err("not yet") } else { Ok(tries) }
//! });
//! assert_eq!(answer.await, Ok(2));
//! # }
//! ```

mod batch;
mod retry;

use std::time::Duration;

pub use batch::{BatchOptions, execute_batch};
pub use retry::{Retrying, execute_with_protection, execute_with_retry};

use crate::policy::breaker::CircuitOpen;

/// How a function that was run here did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error<E> {
    /// Its time was over. It was dropped where it waited.
    #[error("no result within {limit:?}{}", if *started { "" } else { ": it was not begun" })]
    Timeout {
        /// The limit that passed.
        limit: Duration,
        /// Whether it had begun.
        started: bool,
    },

    /// The circuit breaker refused it. Nothing ran.
    #[error(transparent)]
    CircuitOpen(#[from] CircuitOpen),

    /// It panicked.
    #[error("panicked: {message}")]
    Panicked {
        /// What it said.
        message: String,
    },

    /// It returned this.
    #[error("{0}")]
    Failed(E),
}

/// Runs `call` for `limit` at most.
///
/// # Errors
/// [`Error::Timeout`] or [`Error::Failed`].
pub async fn execute_with_timeout<T, E>(
    limit: Duration,
    call: impl AsyncFnOnce() -> Result<T, E>,
) -> Result<T, Error<E>> {
    match tokio::time::timeout(limit, call()).await {
        Ok(outcome) => outcome.map_err(Error::Failed),
        Err(_) => Err(Error::Timeout { limit, started: true }),
    }
}

#[cfg(test)]
mod tests;
