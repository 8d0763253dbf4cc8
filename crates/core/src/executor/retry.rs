//! Attempts in a row, each behind a circuit breaker where there is one.

use tokio::time::Instant;

use super::Error;
use crate::breaker::CircuitBreaker;
use crate::budget::RetryBudget;
use crate::config::RetryPolicy;
use crate::policy::retry::{Attempts, Fault, NextAttempt};

/// The attempts of one call: its policy, and what bounds them besides.
#[derive(Clone, Debug)]
pub struct Retrying {
    policy: RetryPolicy,
    budget: Option<RetryBudget>,
    attempts: Attempts,
}

impl Retrying {
    /// By this policy alone.
    pub fn new(policy: &RetryPolicy) -> Self {
        // Without a source of randomness pauses are not spread, which harms no call.
        let seed = getrandom::u64().unwrap_or_default();
        Self { policy: policy.clone(), budget: None, attempts: Attempts::new(None, seed) }
    }

    /// No attempt begins at or after `deadline`.
    #[must_use]
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.attempts.set_deadline(deadline);
        self
    }

    /// Every retry is paid for from `budget`, and a success pays into it.
    #[must_use]
    pub fn budget(mut self, budget: &RetryBudget) -> Self {
        self.budget = Some(budget.clone());
        self
    }

    /// An attempt failed.
    pub fn failed(&mut self, fault: Fault) -> NextAttempt {
        let mut budget = self.budget.as_ref().map(RetryBudget::lock);
        self.attempts.failed(&self.policy, fault, budget.as_deref_mut(), Instant::now())
    }

    /// An attempt succeeded.
    pub fn succeeded(&self) {
        if let Some(budget) = &self.budget {
            budget.deposit();
        }
    }

    /// Attempts that failed so far.
    pub fn made(&self) -> u32 {
        self.attempts.made()
    }
}

/// Runs `call` until it succeeds or `retrying` says no. For errors of pools, `judge` is
/// `|error| error.into()`.
///
/// # Errors
/// What the last attempt failed with.
pub async fn execute_with_retry<T, E>(
    mut retrying: Retrying,
    judge: impl Fn(&E) -> Fault,
    mut call: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, E> {
    loop {
        let error = match call().await {
            Ok(value) => {
                retrying.succeeded();
                return Ok(value);
            }
            Err(error) => error,
        };
        match retrying.failed(judge(&error)) {
            NextAttempt::After(pause) => tokio::time::sleep(pause).await,
            NextAttempt::Stop(_) => return Err(error),
        }
    }
}

/// As [`execute_with_retry`], each attempt behind `breaker`. An error whose fault does not count
/// is no failure for it.
///
/// # Errors
/// [`Error::CircuitOpen`] where no attempt was admitted. Once one was, [`Error::Failed`] with what
/// the last one failed with, also where the breaker refused the next.
pub async fn execute_with_protection<T, E>(
    breaker: &CircuitBreaker,
    mut retrying: Retrying,
    judge: impl Fn(&E) -> Fault,
    mut call: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, Error<E>> {
    let mut last = None;
    loop {
        let permit = match (breaker.acquire(), last) {
            (Ok(permit), _) => permit,
            (Err(_), Some(error)) => return Err(Error::Failed(error)),
            (Err(refusal), None) => return Err(refusal.into()),
        };
        let error = match call().await {
            Ok(value) => {
                permit.success();
                retrying.succeeded();
                return Ok(value);
            }
            Err(error) => error,
        };
        let fault = judge(&error);
        if fault.counts {
            permit.failure();
        } else {
            drop(permit);
        }
        match retrying.failed(fault) {
            NextAttempt::After(pause) => tokio::time::sleep(pause).await,
            NextAttempt::Stop(_) => return Err(Error::Failed(error)),
        }
        last = Some(error);
    }
}
