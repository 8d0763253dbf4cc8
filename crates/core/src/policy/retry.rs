//! Whether a call that failed is made again, and after which pause.
//!
//! Asked in this order; the first "no" ends the call with the error that it failed with:
//!
//! ```text
//! could another try help? ─▶ may it run twice? ─▶ attempts left? ─▶ in time? ─▶ paid for? ─▶ pause
//! ```
//!
//! A call is run at most once unless it is declared idempotent: an error that leaves open whether
//! the call ran is not answered with a retry. A pause that would end at or after the deadline is
//! not begun.
//!
//! Jitter is as in "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): *full* spreads
//! callers best, *equal* keeps at least half of the pause.

use std::time::Duration;

use tokio::time::Instant;

use super::budget::Budget;
use crate::config::{Backoff, Jitter, RetryPolicy};
use crate::error::Error;

/// No pause is longer, whatever the figures say, so that adding it to a moment cannot overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// What an error means for another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Another try could succeed.
    pub retriable: bool,
    /// The call may have run.
    pub may_have_run: bool,
    /// It tells something about who was called. False for what the caller did: a cancel. What does
    /// not count is no failure for a circuit breaker.
    pub counts: bool,
    /// To try earlier cannot help.
    pub retry_after: Option<Duration>,
}

impl From<&Error> for Fault {
    /// Busy and dead workers and deadlines are worth another try; errors of the adapter's code, of
    /// arguments and of configuration are not.
    fn from(error: &Error) -> Self {
        Self {
            retriable: matches!(
                error,
                Error::QueueFull { .. }
                    | Error::SessionBusy { .. }
                    | Error::Timeout { .. }
                    | Error::WorkerDied { .. }
            ),
            may_have_run: error.may_have_run(),
            counts: !matches!(error, Error::Cancelled { .. }),
            retry_after: error.retry_after(),
        }
    }
}

/// Why there is no other attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUp {
    /// Another try cannot help.
    NotRetriable,
    /// The call may have run, and is not idempotent.
    MayHaveRun,
    /// All attempts are made.
    Attempts,
    /// The next one could not begin before the deadline.
    Deadline,
    /// The retry budget is empty.
    Budget,
}

impl GiveUp {
    /// As a word: `not_retriable`, `may_have_run`, `attempts`, `deadline`, `budget`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotRetriable => "not_retriable",
            Self::MayHaveRun => "may_have_run",
            Self::Attempts => "attempts",
            Self::Deadline => "deadline",
            Self::Budget => "budget",
        }
    }
}

/// What to do about a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextAttempt {
    /// Try again after this pause.
    After(Duration),
    /// Let the caller have the error.
    Stop(GiveUp),
}

/// The attempts of one call.
#[derive(Clone, Debug)]
pub(crate) struct Attempts {
    made: u32,
    deadline: Option<Instant>,
    random: Random,
}

impl Attempts {
    /// `seed` decides the jitter. No attempt begins at or after `deadline`.
    pub(crate) fn new(deadline: Option<Instant>, seed: u64) -> Self {
        Self { made: 0, deadline, random: Random(seed) }
    }

    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    /// Attempts that failed.
    pub(crate) fn made(&self) -> u32 {
        self.made
    }

    /// An attempt failed. A budget is drawn on only when all else says yes.
    pub(crate) fn failed(
        &mut self,
        policy: &RetryPolicy,
        fault: Fault,
        budget: Option<&mut Budget>,
        now: Instant,
    ) -> NextAttempt {
        self.made = self.made.saturating_add(1);
        if !fault.retriable {
            return NextAttempt::Stop(GiveUp::NotRetriable);
        }
        if fault.may_have_run && !policy.idempotent {
            return NextAttempt::Stop(GiveUp::MayHaveRun);
        }
        if self.made >= policy.max_attempts {
            return NextAttempt::Stop(GiveUp::Attempts);
        }
        let pause = self.random.spread(pause(policy, self.made), policy.jitter);
        let pause = pause.max(fault.retry_after.unwrap_or_default().min(LONGEST));
        if self.deadline.is_some_and(|deadline| now + pause >= deadline) {
            return NextAttempt::Stop(GiveUp::Deadline);
        }
        if budget.is_some_and(|budget| !budget.withdraw()) {
            return NextAttempt::Stop(GiveUp::Budget);
        }
        NextAttempt::After(pause)
    }
}

/// The pause after the failed attempt of that number, from 1; no jitter.
fn pause(policy: &RetryPolicy, attempt: u32) -> Duration {
    let before = attempt.saturating_sub(1);
    let pause = match &policy.backoff {
        Backoff::List(pauses) => {
            let last = pauses.len().saturating_sub(1);
            pauses.get(last.min(before as usize)).copied().unwrap_or_default()
        }
        Backoff::Exponential { base, max, multiplier } => {
            let growth = multiplier.powi(before.min(i32::MAX as u32) as i32);
            // Infinite, or not a number where `base` is zero, once the growth is infinite.
            let seconds = base.as_secs_f64() * growth;
            if base.is_zero() {
                Duration::ZERO
            } else {
                Duration::try_from_secs_f64(seconds).unwrap_or(*max).min(*max)
            }
        }
    };
    pause.min(LONGEST)
}

/// SplitMix64 (Steele, Lea and Flood 2014): a few bits of jitter need no library.
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    /// From 0 up to, but without, 1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        (bits >> 11) as f64 / (1u64 << 53) as f64
    }

    fn spread(&mut self, pause: Duration, jitter: Jitter) -> Duration {
        match jitter {
            Jitter::None => pause,
            Jitter::Full => pause.mul_f64(self.unit()),
            Jitter::Equal => pause / 2 + (pause / 2).mul_f64(self.unit()),
        }
    }
}

#[cfg(test)]
mod tests;
