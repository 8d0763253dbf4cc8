//! `snakepit.RetryPolicy` and `snakepit.RetryBudget` on the core's. What an error is, the face says;
//! whether and when there is another attempt, the core.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::IntoPyObject;
use pyo3::prelude::*;
use snakepit::executor::Retrying;
use snakepit::{Backoff, BudgetConfig, Fault, Jitter, NextAttempt};
use tokio::time::Instant;

use super::errors;
use super::leave::Inside;
use super::runtime::duration;

/// When a call that failed is made again.
#[pyclass(frozen, module = "snakepit._core")]
pub(super) struct RetryPolicy(pub(super) Arc<snakepit::RetryPolicy>);

/// Bounds the retries of all callers that share it.
#[pyclass(frozen, module = "snakepit._core")]
pub(super) struct RetryBudget(snakepit::RetryBudget);

/// The attempts of one call.
#[pyclass(frozen, module = "snakepit._core")]
pub(super) struct Attempts(Mutex<Retrying>);

/// What a failed attempt is answered with: seconds to pause, or why there is no other.
#[derive(IntoPyObject)]
pub(super) enum Answer {
    After(f64),
    Stop(&'static str),
}

fn long(seconds: f64) -> Duration {
    duration(Some(seconds)).unwrap_or(Duration::MAX)
}

#[pymethods]
impl RetryPolicy {
    /// `pauses`, or where there are none, the exponential ones.
    #[new]
    fn new(
        py: Python<'_>,
        max_attempts: u32,
        pauses: Option<Vec<f64>>,
        exponential: (f64, f64, f64),
        jitter: &str,
        idempotent: bool,
    ) -> PyResult<Self> {
        let (base, max, multiplier) = exponential;
        let backoff = match pauses {
            Some(pauses) => Backoff::List(pauses.into_iter().map(long).collect()),
            None => Backoff::Exponential { base: long(base), max: long(max), multiplier },
        };
        let jitter = match jitter {
            "full" => Jitter::Full,
            "equal" => Jitter::Equal,
            _ => Jitter::None,
        };
        let policy = snakepit::RetryPolicy { max_attempts, backoff, jitter, idempotent };
        let _inside = Inside::enter(py);
        policy.validate().map_err(|error| errors::exception(py, &error))?;
        Ok(Self(Arc::new(policy)))
    }

    /// No attempt begins once `timeout` seconds have passed.
    fn begin(&self, timeout: Option<f64>, budget: Option<&RetryBudget>) -> Attempts {
        let mut retrying = Retrying::new(&self.0);
        if let Some(deadline) = duration(timeout).and_then(|left| Instant::now().checked_add(left))
        {
            retrying = retrying.deadline(deadline);
        }
        if let Some(budget) = budget {
            retrying = retrying.budget(&budget.0);
        }
        Attempts(Mutex::new(retrying))
    }
}

#[pymethods]
impl RetryBudget {
    #[new]
    fn new(py: Python<'_>, capacity: u32, retry_cost: u32, deposit: u32) -> PyResult<Self> {
        let _inside = Inside::enter(py);
        let budget = snakepit::RetryBudget::new(BudgetConfig { capacity, retry_cost, deposit });
        budget.map(Self).map_err(|error| errors::exception(py, &error))
    }

    #[getter]
    fn tokens(&self) -> u32 {
        self.0.tokens()
    }
}

impl Attempts {
    fn lock(&self) -> MutexGuard<'_, Retrying> {
        // Its counts are whole between statements.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Attempts {
    fn failed(&self, retriable: bool, may_have_run: bool, retry_after: Option<f64>) -> Answer {
        let retry_after = duration(retry_after);
        let fault = Fault { retriable, may_have_run, counts: true, retry_after };
        match self.lock().failed(fault) {
            NextAttempt::After(pause) => Answer::After(pause.as_secs_f64()),
            NextAttempt::Stop(why) => Answer::Stop(why.as_str()),
        }
    }

    fn succeeded(&self) {
        self.lock().succeeded();
    }

    #[getter]
    fn made(&self) -> u32 {
        self.lock().made()
    }
}
