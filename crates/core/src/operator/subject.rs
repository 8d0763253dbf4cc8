//! What the operator socket needs of a pool. It knows no other one: pools come to it.

use std::time::Duration;

use super::answer;
use crate::config::Access;

/// Why a pool does not do it: one word for programs, a sentence for people.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) kind: &'static str,
    pub(crate) message: String,
}

/// A pool, as an operator sees it. Everything may take as long as `/proc` and a worker take, and
/// holds no lock meanwhile that a call needs.
pub(crate) trait Subject: Send + Sync {
    /// How it is called.
    fn name(&self) -> &str;

    /// Whether a worker can have this number.
    fn size(&self) -> usize;

    /// What an operator may do.
    fn access(&self) -> Access;

    /// What it is and how it fares.
    fn report(&self, id: u64) -> answer::Pool;

    /// One of its workers.
    ///
    /// # Errors
    /// It is gone.
    fn worker(&self, slot: usize, generation: Option<u64>) -> Result<answer::WorkerRow, Refused>;

    /// Where the threads of a worker are. Waits for it, for `limit` at most.
    ///
    /// # Errors
    /// It is gone, has not dialled in yet, or does not tell.
    fn stack(
        &self,
        slot: usize,
        generation: Option<u64>,
        limit: Duration,
    ) -> Result<answer::Stack, Refused>;

    /// Has a worker replaced when it has done what it has to do.
    ///
    /// # Errors
    /// It is gone, or on its way.
    fn recycle(&self, slot: usize, generation: Option<u64>) -> Result<answer::Worker, Refused>;
}
