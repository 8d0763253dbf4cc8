//! The circuit breaker of a whole pool: a call that is admitted holds a permit, and its end is the
//! verdict. A call that is cancelled, or lost in any other way, gives its place back.

use std::sync::OnceLock;

use super::Pool;
use crate::breaker::{CircuitBreaker, Permit};
use crate::error::Error;
use crate::policy::breaker::{BreakerState, CircuitOpen};

/// A breaker, and what is a failure to it. Without one everything is admitted.
#[derive(Debug, Default)]
pub(super) struct Gate(OnceLock<(CircuitBreaker, bool)>);

/// One call's right to run.
#[derive(Debug)]
pub(super) struct Pass {
    permit: Permit,
    /// With this call the breaker became half open.
    pub(super) began_to_probe: bool,
    count_remote_errors: bool,
}

impl Gate {
    pub(super) fn new(breaker: Option<(CircuitBreaker, bool)>) -> Self {
        Self(breaker.map(OnceLock::from).unwrap_or_default())
    }

    pub(super) fn breaker(&self) -> Option<&CircuitBreaker> {
        self.0.get().map(|(breaker, _)| breaker)
    }

    /// Asks for one call. None: there is no breaker.
    pub(super) fn admit(&self) -> Result<Option<Pass>, CircuitOpen> {
        let Some((breaker, count_remote_errors)) = self.0.get() else { return Ok(None) };
        let (permit, began_to_probe) = breaker.ask()?;
        Ok(Some(Pass { permit, began_to_probe, count_remote_errors: *count_remote_errors }))
    }
}

impl Pass {
    /// Some: that makes the breaker do something else.
    pub(super) fn succeed(self) -> Option<BreakerState> {
        self.permit.verdict(true)
    }

    /// Deaths, deadlines and workers that cannot start are failures. What the caller or the pool's
    /// owner did says nothing; all else a worker answered, so that it is well. As [`Pass::succeed`].
    pub(super) fn fail(self, error: &Error) -> Option<BreakerState> {
        match error {
            Error::WorkerDied { .. }
            | Error::PoisonCall { .. }
            | Error::Timeout { .. }
            | Error::Start { .. } => self.permit.verdict(false),
            Error::Remote { .. } if self.count_remote_errors => self.permit.verdict(false),
            Error::Remote { .. }
            | Error::ToolNotFound { .. }
            | Error::EncodeResult { .. }
            | Error::TooLarge { .. } => self.permit.verdict(true),
            _ => None,
        }
    }
}

impl Pool {
    /// The circuit breaker of the pool, where it has one: to look at, or to reset.
    pub fn circuit_breaker(&self) -> Option<&CircuitBreaker> {
        self.shared.gate.breaker()
    }

    /// Has `breaker`, which others may share, decide about the pool's calls from now on. It is a
    /// part of starting the pool: a second one changes nothing.
    #[doc(hidden)]
    pub fn guard_by(&self, breaker: CircuitBreaker, count_remote_errors: bool) {
        let _ = self.shared.gate.0.set((breaker, count_remote_errors));
    }
}
