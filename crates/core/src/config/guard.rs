//! What keeps a pool from hurting itself, and its callers, while its workers fail.

use std::time::Duration;

use super::{Backoff, BreakerConfig, BudgetConfig, Jitter, RetryPolicy, Trip};
use crate::error::Error;

/// Restarts of a call beyond this one would be refused anyway: a call under which two workers died
/// is quarantined.
const MOST_RESTARTS: u32 = 1;

/// A circuit breaker of a pool, or of each of its workers: its limits, and what is a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BreakerRule {
    /// What opens it, and for how long.
    pub limits: BreakerConfig,
    /// Whether an exception that the adapter's code raised is a failure. Default: false; it shows
    /// that the worker is well.
    pub count_remote_errors: bool,
}

impl BreakerRule {
    /// That of each slot, unless a pool is told otherwise: half of its last 20 calls, and 5 at
    /// least; 30 s; one probe.
    pub fn of_slots() -> Self {
        // Deaths come at the end of a worker, so few of them are in a window; a large one would
        // remember a slot's good days for too long.
        let trip = Trip::Rate { window: 20, minimum_calls: 5, failure_rate: 0.5 };
        let limits = BreakerConfig { trip, ..BreakerConfig::default() };
        Self { limits, count_remote_errors: false }
    }
}

/// What becomes of a slot whose worker crashed, and of the calls in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrashBarrier {
    /// For so long other slots that are idle are preferred to one whose worker crashed, and a call
    /// that died there does not come back to it. Default: 60 s.
    pub taint: Duration,
    /// How often an idempotent call is moved to another worker when its own dies: 0 or 1.
    /// Default: 1.
    pub max_restarts: u32,
}

impl Default for CrashBarrier {
    fn default() -> Self {
        Self { taint: Duration::from_secs(60), max_restarts: MOST_RESTARTS }
    }
}

/// All that guards one pool.
#[derive(Clone, Debug, PartialEq)]
pub struct Guards {
    /// When a call whose worker died is made again. Default: once, at once, and only where it says
    /// that it is idempotent.
    pub retry: RetryPolicy,
    /// How many of those retries there may be in all. Default: 500 tokens, 14 a retry.
    pub retry_budget: BudgetConfig,
    /// Refuses calls while the pool fails. Default: none.
    pub circuit_breaker: Option<BreakerRule>,
    /// Takes slots whose workers keep dying out of the rotation, never more than half of them. A
    /// slot is probed by one call at a time, whatever `half_open_max_calls` says. `None`: never.
    /// Default: [`BreakerRule::of_slots`].
    pub worker_breaker: Option<BreakerRule>,
    /// Default: none.
    pub crash_barrier: Option<CrashBarrier>,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            // A death is no sign of load: another worker may take the call at once.
            retry: RetryPolicy {
                backoff: Backoff::List(vec![Duration::ZERO]),
                jitter: Jitter::None,
                ..RetryPolicy::default()
            },
            retry_budget: BudgetConfig::default(),
            circuit_breaker: None,
            worker_breaker: Some(BreakerRule::of_slots()),
            crash_barrier: None,
        }
    }
}

impl Guards {
    /// # Errors
    /// [`Error::Config`] naming the first parameter that makes no sense.
    pub fn validate(&self) -> Result<(), Error> {
        let breaker = |rule: &Option<BreakerRule>| match rule {
            Some(rule) => rule.limits.validate(),
            None => Ok(()),
        };
        within("retry", self.retry.validate())?;
        within("retry_budget", self.retry_budget.validate())?;
        within("circuit_breaker", breaker(&self.circuit_breaker))?;
        within("worker_breaker", breaker(&self.worker_breaker))?;
        match self.crash_barrier {
            Some(CrashBarrier { max_restarts, .. }) if max_restarts > MOST_RESTARTS => {
                let message = format!(
                    "max_restarts must be 0 or 1, not {max_restarts}: a call under which two \
                     workers died is quarantined"
                );
                Err(Error::Config { field: "crash_barrier", message })
            }
            _ => Ok(()),
        }
    }
}

/// An error about a part of a parameter, told of the parameter.
fn within(parameter: &'static str, checked: Result<(), Error>) -> Result<(), Error> {
    checked.map_err(|error| match error {
        Error::Config { field, message } => {
            Error::Config { field: parameter, message: format!("{field} {message}") }
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_of_its_parameter() {
        let rule = |limits| Some(BreakerRule { limits, ..BreakerRule::default() });
        let none = BreakerConfig { half_open_max_calls: 0, ..BreakerConfig::default() };
        let endless = CrashBarrier { max_restarts: 2, ..CrashBarrier::default() };
        let guards = Guards::default;
        let wrong = [
            (
                Guards { retry: RetryPolicy { max_attempts: 0, ..guards().retry }, ..guards() },
                "retry",
            ),
            (Guards { circuit_breaker: rule(none), ..guards() }, "circuit_breaker"),
            (Guards { worker_breaker: rule(none), ..guards() }, "worker_breaker"),
            (Guards { crash_barrier: Some(endless), ..guards() }, "crash_barrier"),
        ];
        assert!(guards().validate().is_ok());
        for (guards, expected) in wrong {
            let Err(Error::Config { field, .. }) = guards.validate() else { panic!("{guards:?}") };
            assert_eq!(field, expected);
        }
    }
}
