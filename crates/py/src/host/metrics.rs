//! What pools have measured, as Python reads it, and as text.

use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use snakepit::telemetry::TextFormat;
use snakepit::{
    BreakerState, Counters, Histogram, InlineMeter, PoolMetrics, PoolStats, metrics_text as text,
};

/// The metrics of one pool at one moment; see `_core.pyi`.
#[pyclass(frozen, module = "snakepit._core")]
pub(super) struct Metrics(pub(super) PoolMetrics);

/// Upper bound in seconds and how many were no longer, the seconds of all.
type Times = (Vec<(Option<f64>, u64)>, f64);

fn times(histogram: &Histogram) -> Times {
    (histogram.cumulative().collect(), histogram.sum().as_secs_f64())
}

#[pymethods]
impl Metrics {
    fn told<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let it = &self.0;
        let tools = PyList::empty(py);
        for tool in &it.tools {
            let ended = PyDict::new(py);
            tool.ended.iter().try_for_each(|(word, count)| ended.set_item(word, count))?;
            let (waited, ran) = (times(&tool.queue_wait), times(&tool.execution));
            tools.append((&*tool.tool, ended, times(&tool.duration), waited, ran))?;
        }
        let dict = PyDict::new(py);
        dict.set_item("pool", it.pool.as_str())?;
        let restarts = it.restarts.iter().map(|(why, count)| (why.clone(), *count)).collect();
        dict.set_item("stats", stats(py, &it.stats, restarts)?)?;
        dict.set_item("tools", tools)?;
        dict.set_item("rejected", &it.rejected)?;
        dict.set_item("workers", &it.workers)?;
        dict.set_item("streams", it.streams)?;
        dict.set_item("streaming", it.streaming)?;
        dict.set_item("lines_dropped", it.lines_dropped)?;
        Ok(dict)
    }
}

/// The metrics of several pools in one text.
#[pyfunction]
pub(super) fn metrics_text(
    py: Python<'_>,
    pools: Vec<Bound<'_, Metrics>>,
    openmetrics: bool,
) -> String {
    let format = if openmetrics { TextFormat::OpenMetrics } else { TextFormat::Prometheus };
    let pools: Vec<_> = pools.iter().map(|pool| pool.get().0.clone()).collect();
    py.detach(|| text(&pools, format))
}

/// Measures the calls of an inline pool.
#[pyclass(frozen, module = "snakepit._core")]
pub(super) struct Meter(InlineMeter);

#[pymethods]
impl Meter {
    #[new]
    fn new() -> Self {
        Self(InlineMeter::default())
    }

    fn declare(&self, tools: Vec<String>) {
        self.0.declare(&tools);
    }

    fn ended(&self, tool: &str, outcome: &str, took: f64, ran: f64) -> PyResult<()> {
        let seconds = |time: f64| Duration::try_from_secs_f64(time.max(0.0)).unwrap_or_default();
        match self.0.ended(tool, outcome, seconds(took), Some(seconds(ran))) {
            true => Ok(()),
            false => Err(PyValueError::new_err(format!("{outcome:?} is no outcome"))),
        }
    }

    fn refused(&self) {
        self.0.refused();
    }

    fn streamed(&self) {
        self.0.streamed();
    }

    /// `counts`: requests, completed, errors, cancelled, rejected, restarts, sessions; whether it is ready.
    fn metrics(
        &self,
        pool: &str,
        counts: (u64, u64, u64, u64, u64, u64, usize),
        ready: bool,
        streaming: usize,
    ) -> Metrics {
        let (requests, completed, errors, cancelled, rejected, restarts, sessions) = counts;
        let counters = Counters {
            requests,
            completed,
            errors,
            cancelled,
            rejected,
            restarts,
            ..Counters::default()
        };
        let ready = usize::from(ready);
        let stats = PoolStats { counters, workers: 1, ready, sessions, ..PoolStats::default() };
        Metrics(self.0.metrics(pool, stats, streaming))
    }
}

/// As `_Stats` in the stub.
pub(super) fn stats<'py>(
    py: Python<'py>,
    stats: &PoolStats,
    restarts: Vec<(Arc<str>, u64)>,
) -> PyResult<Bound<'py, PyDict>> {
    let counters = stats.counters;
    let dict = PyDict::new(py);
    dict.set_item("requests", counters.requests)?;
    dict.set_item("errors", counters.errors)?;
    dict.set_item("queued", stats.queued)?;
    dict.set_item("running", stats.running)?;
    dict.set_item("completed", counters.completed)?;
    dict.set_item("cancelled", counters.cancelled)?;
    dict.set_item("timeouts", counters.timeouts)?;
    dict.set_item("queue_timeouts", counters.queue_timeouts)?;
    dict.set_item("rejected", counters.rejected)?;
    dict.set_item("shed", counters.shed)?;
    dict.set_item("retries", counters.retries)?;
    dict.set_item("retries_refused", counters.retries_refused)?;
    dict.set_item("quarantined", counters.quarantined)?;
    dict.set_item("worker_deaths", counters.worker_deaths)?;
    dict.set_item("restarts", counters.restarts)?;
    dict.set_item("workers", stats.workers)?;
    dict.set_item("ready", stats.ready)?;
    dict.set_item("sessions", stats.sessions)?;
    let reasons = PyDict::new(py);
    for (reason, count) in restarts {
        reasons.set_item(&*reason, count)?;
    }
    dict.set_item("restart_reasons", reasons)?;
    dict.set_item("queued_bytes", stats.queued_bytes)?;
    dict.set_item("retry_tokens", stats.retry_tokens)?;
    dict.set_item("circuit", stats.circuit.map(BreakerState::as_str))?;
    dict.set_item("barred", stats.barred)?;
    let memory = stats.shared_memory.map(|memory| {
        let snakepit::ArenaStats { segments, bytes, in_use, borrowed, .. } = memory;
        let snakepit::ArenaStats { reused, made, faults, fallbacks, .. } = memory;
        (segments, bytes, in_use, borrowed, reused, made, faults, fallbacks)
    });
    dict.set_item("shared_memory", memory)?;
    Ok(dict)
}
