//! `snakepit.CircuitBreaker` on the core's: admits, and takes verdicts. What a failure is, the face
//! says; what follows from it, the core.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pyo3::IntoPyObject;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use snakepit::{BreakerConfig, Trip};

use super::errors;
use super::leave::Inside;
use super::runtime::duration;

/// Refuses calls for a while after calls have failed.
#[pyclass(frozen, module = "snakepit._core")]
pub(super) struct CircuitBreaker(pub(super) snakepit::CircuitBreaker);

/// The right to make one call; dropped without a verdict it says nothing about the call.
#[pyclass(frozen, module = "snakepit._core")]
pub(super) struct Permit(Mutex<Option<snakepit::Permit>>);

/// What `acquire` answers: a permit, or seconds to wait.
#[derive(IntoPyObject)]
pub(super) enum Admission {
    Granted(Permit),
    RetryAfter(f64),
}

#[pymethods]
impl CircuitBreaker {
    #[new]
    fn new(
        py: Python<'_>,
        failure_threshold: u32,
        reset_timeout: f64,
        half_open_max_calls: u32,
        window: Option<u32>,
        minimum_calls: u32,
        failure_rate: f64,
    ) -> PyResult<Self> {
        let trip = match window {
            None => Trip::Consecutive(failure_threshold),
            Some(window) => Trip::Rate { window, minimum_calls, failure_rate },
        };
        let reset_timeout = duration(Some(reset_timeout)).unwrap_or(Duration::MAX);
        let config = BreakerConfig { trip, reset_timeout, half_open_max_calls };
        let _inside = Inside::enter(py);
        let breaker = snakepit::CircuitBreaker::new(config);
        breaker.map(Self).map_err(|error| errors::exception(py, &error))
    }

    fn acquire(&self) -> Admission {
        match self.0.acquire() {
            Ok(permit) => Admission::Granted(Permit(Mutex::new(Some(permit)))),
            Err(refusal) => Admission::RetryAfter(refusal.retry_after.as_secs_f64()),
        }
    }

    fn allows(&self) -> bool {
        self.0.allows()
    }

    #[getter]
    fn state(&self) -> &'static str {
        self.0.state().as_str()
    }

    fn reset(&self) {
        self.0.reset();
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.0.stats();
        let dict = PyDict::new(py);
        dict.set_item("state", stats.state.as_str())?;
        dict.set_item("failures", stats.failures)?;
        dict.set_item("calls", stats.calls)?;
        dict.set_item("probes", stats.probes)?;
        dict.set_item("total_successes", stats.total_successes)?;
        dict.set_item("total_failures", stats.total_failures)?;
        dict.set_item("total_refused", stats.total_refused)?;
        dict.set_item("total_opened", stats.total_opened)?;
        Ok(dict)
    }
}

impl Permit {
    fn take(&self) -> Option<snakepit::Permit> {
        // An Option is whole after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[pymethods]
impl Permit {
    fn success(&self) {
        if let Some(permit) = self.take() {
            permit.success();
        }
    }

    fn failure(&self) {
        if let Some(permit) = self.take() {
            permit.failure();
        }
    }

    fn release(&self) {
        drop(self.take());
    }
}
