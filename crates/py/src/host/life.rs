//! Reads `snakepit._config.Life`, and tells a pool's health.

use std::time::Duration;

use pyo3::prelude::*;
use snakepit::{Heartbeat, Life, PoolHealth, Recycle, StartFailure};

use super::errors::config_error;
use super::runtime::duration;

/// See `_Facts` in the stub.
type Facts = (usize, u64, &'static str, bool, bool, bool, f64, Option<f64>, u32, Option<String>);

/// See `_Health` there.
pub(super) type Health = (&'static str, Vec<Facts>, u32, u64);

/// As the fields of `snakepit.Heartbeat`.
type Beats = (f64, f64, u32, f64);

/// As the fields of `snakepit.Recycle`.
type Wear = (Option<u64>, Option<f64>, Option<u64>, Option<f64>, f64, f64, f64);

/// How workers live.
pub(super) fn read(life: &Bound<'_, PyAny>) -> PyResult<Life> {
    let py = life.py();
    let span = |name: &'static str, seconds: f64| -> PyResult<Duration> {
        duration(Some(seconds))
            .ok_or_else(|| config_error(py, name, format!("{seconds} seconds are too many")))
    };
    let heartbeat = life.getattr("heartbeat")?.extract::<Option<Beats>>()?;
    let heartbeat = heartbeat.map(|(interval, timeout, missed, initial_delay)| {
        let span = |seconds| span("heartbeat", seconds);
        PyResult::Ok(Heartbeat {
            interval: span(interval)?,
            timeout: span(timeout)?,
            missed,
            initial_delay: span(initial_delay)?,
        })
    });
    let recycle = life.getattr("recycle")?.extract::<Option<Wear>>()?;
    let recycle = recycle.map(|(calls, age, memory, memory_growth, jitter, drain, at_once)| {
        let span = |seconds| span("recycle", seconds);
        PyResult::Ok(Recycle {
            calls,
            age: age.map(span).transpose()?,
            memory,
            memory_growth,
            jitter,
            session_drain: span(drain)?,
            at_once,
        })
    });
    let seconds = |name: &'static str| span(name, life.getattr(name)?.extract()?);
    let stall_kill = life.getattr("stall_kill")?.extract::<Option<f64>>()?;
    Ok(Life {
        heartbeat: heartbeat.transpose()?,
        stall_kill: stall_kill.map(|seconds| span("stall_kill", seconds)).transpose()?,
        recycle: recycle.transpose()?,
        startup_batch_size: life.getattr("startup_batch_size")?.extract()?,
        startup_batch_delay: seconds("startup_batch_delay")?,
        max_failed_starts: life.getattr("max_failed_starts")?.extract()?,
        degraded_retry: seconds("degraded_retry")?,
        condemn_drain: seconds("condemn_drain")?,
    })
}

/// As Python takes it.
pub(super) fn told(health: PoolHealth) -> Health {
    let worker = |facts: snakepit::WorkerFacts| {
        (
            facts.worker.slot,
            facts.worker.generation,
            facts.state,
            facts.alive,
            facts.progressing,
            facts.ready,
            facts.since.as_secs_f64(),
            facts.last_progress.map(|ago| ago.as_secs_f64()),
            facts.crashes,
            facts.start_failure.map(|failure| explain(&failure)),
        )
    };
    let workers = health.workers.into_iter().map(worker).collect();
    let crashes = health.crashes;
    (health.status.as_str(), workers, crashes.recent_crashes, crashes.total_crashes)
}

/// The reason, and the traceback where there is one.
fn explain(failure: &StartFailure) -> String {
    match &failure.failure {
        Some(remote) if !remote.traceback.is_empty() => {
            format!("{}\n{}", failure.reason, remote.traceback)
        }
        _ => failure.reason.clone(),
    }
}
