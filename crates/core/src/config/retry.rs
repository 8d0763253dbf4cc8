//! When calls are made again, and how often in all; `policy::{retry, budget}` decide by it.

use std::time::Duration;

use crate::error::Error;

/// The pauses between attempts, before jitter.
#[derive(Clone, Debug, PartialEq)]
pub enum Backoff {
    /// `base`, then each `multiplier` times the one before, none above `max`.
    Exponential {
        /// The first pause.
        base: Duration,
        /// The longest pause.
        max: Duration,
        /// At least 1.
        multiplier: f64,
    },
    /// These pauses in turn; the last one repeats. Not empty.
    List(Vec<Duration>),
}

/// How a pause is spread, so that callers that failed together do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// Not at all.
    None,
    /// Evenly from zero to the pause.
    Full,
    /// Evenly from half of the pause to the pause.
    Equal,
}

/// When a call that failed is made again.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in all, the first one included. Default: 3.
    pub max_attempts: u32,
    /// The pauses between them. Default: 100 ms, doubled each time, at most 30 s.
    pub backoff: Backoff,
    /// How pauses are spread. Default: full.
    pub jitter: Jitter,
    /// The call may run twice without harm. Default: false.
    pub idempotent: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            backoff: Backoff::Exponential {
                base: Duration::from_millis(100),
                max: Duration::from_secs(30),
                multiplier: 2.0,
            },
            jitter: Jitter::Full,
            idempotent: false,
        }
    }
}

impl RetryPolicy {
    /// # Errors
    /// [`Error::Config`] naming the first field that makes no sense.
    pub fn validate(&self) -> Result<(), Error> {
        let wrong = |field, message: String| Err(Error::Config { field, message });
        if self.max_attempts == 0 {
            return wrong("max_attempts", "must be at least 1: the first attempt counts".into());
        }
        match &self.backoff {
            Backoff::List(pauses) if pauses.is_empty() => {
                wrong("backoff", "needs at least one pause; 0 means none".into())
            }
            Backoff::Exponential { multiplier, .. }
                if !(multiplier.is_finite() && *multiplier >= 1.0) =>
            {
                wrong("multiplier", format!("must be at least 1, not {multiplier}"))
            }
            Backoff::Exponential { base, max, .. } if base > max => {
                wrong("base", format!("must be at most max, which is {max:?}, not {base:?}"))
            }
            _ => Ok(()),
        }
    }
}

/// Figures of a retry budget, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetConfig {
    /// What the bucket holds, and begins with. Default: 500.
    pub capacity: u32,
    /// What a retry takes. Default: 14.
    pub retry_cost: u32,
    /// What a success puts in. Default: 1.
    pub deposit: u32,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self { capacity: 500, retry_cost: 14, deposit: 1 }
    }
}

impl BudgetConfig {
    /// # Errors
    /// [`Error::Config`]: a retry is free, or costs more than the bucket can hold.
    pub fn validate(&self) -> Result<(), Error> {
        if (1..=self.capacity).contains(&self.retry_cost) {
            return Ok(());
        }
        let Self { capacity, retry_cost, .. } = self;
        let message = format!("must be from 1 to capacity, which is {capacity}, not {retry_cost}");
        Err(Error::Config { field: "retry_cost", message })
    }
}
