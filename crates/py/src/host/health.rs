//! `snakepit.HealthMonitor` on the core's.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use snakepit::HealthConfig;

use super::errors;
use super::leave::Inside;
use super::runtime::duration;

/// Tells whether workers die too often.
#[pyclass(frozen, module = "snakepit._core")]
pub(super) struct HealthMonitor(pub(super) snakepit::HealthMonitor);

#[pymethods]
impl HealthMonitor {
    #[new]
    fn new(
        py: Python<'_>,
        max_crashes: u32,
        crash_window: f64,
        max_worker_crashes: u32,
    ) -> PyResult<Self> {
        let crash_window = duration(Some(crash_window)).unwrap_or(Duration::MAX);
        let config = HealthConfig { max_crashes, crash_window, max_worker_crashes };
        let _inside = Inside::enter(py);
        let monitor = snakepit::HealthMonitor::new(config);
        monitor.map(Self).map_err(|error| errors::exception(py, &error))
    }

    fn record_crash(&self, worker: &str, reason: &str) {
        self.0.record_crash(worker, reason);
    }

    #[getter]
    fn healthy(&self) -> bool {
        self.0.is_healthy()
    }

    fn worker_health(&self, worker: &str) -> (bool, u32, Option<f64>) {
        let health = self.0.worker_health(worker);
        let last_crash = health.last_crash.map(|ago| ago.as_secs_f64());
        (health.healthy, health.crashes, last_crash)
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.0.stats();
        let dict = PyDict::new(py);
        dict.set_item("healthy", stats.healthy)?;
        dict.set_item("total_crashes", stats.total_crashes)?;
        dict.set_item("recent_crashes", stats.recent_crashes)?;
        dict.set_item("workers_with_crashes", stats.workers_with_crashes)?;
        let reasons = PyDict::new(py);
        for (reason, count) in &stats.reasons {
            reasons.set_item(&**reason, count)?;
        }
        dict.set_item("reasons", reasons)?;
        let recent = PyDict::new(py);
        for (reason, count) in &stats.recent_reasons {
            recent.set_item(&**reason, count)?;
        }
        dict.set_item("recent_reasons", recent)?;
        Ok(dict)
    }
}
