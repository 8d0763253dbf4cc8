//! The only place that makes exceptions of core errors: classes of `snakepit.errors`, by name.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use snakepit::hardware::DeviceError;
use snakepit::{Direction, Error, ExitReport, Shortage, Violation, WorkerRef};

use super::remote;

/// The exception for `error`. What cannot be built is raised instead: a bug of ours, not hidden.
pub(super) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    build(py, error).map_or_else(|bug| bug, PyErr::from_value)
}

fn build<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    let fields = PyDict::new(py);
    fields.set_item("may_have_run", error.may_have_run())?;
    let class = describe(error, &fields)?;
    let errors = py.import("snakepit.errors")?;
    errors.getattr(class)?.call((error.to_string(),), Some(&fields))
}

/// Sets the exception's fields and names its class.
fn describe(error: &Error, fields: &Bound<'_, PyDict>) -> PyResult<&'static str> {
    match error {
        Error::Config { field, .. } => {
            fields.set_item("field", field)?;
            Ok("ConfigError")
        }
        Error::Start { pool, worker, failure } => {
            fields.set_item("pool", pool.as_str())?;
            fields.set_item("worker", worker.as_ref().map(parts))?;
            fields.set_item("reason", &failure.reason)?;
            let traceback = failure.failure.as_ref().map(|failure| &failure.traceback);
            fields.set_item("remote_traceback", traceback.filter(|text| !text.is_empty()))?;
            let violation = failure.violation.as_ref().map(Violation::name);
            fields.set_item("violation", violation)?;
            fields.set_item("shortage", failure.shortage.map(Shortage::as_str))?;
            let stderr = failure.exit.as_ref().map(|exit| &exit.stderr);
            fields.set_item("stderr", stderr.filter(|text| !text.is_empty()))?;
            Ok(if failure.adapter_source { "AdapterSourceError" } else { "StartError" })
        }
        Error::NotReady { pool, .. } => {
            fields.set_item("pool", pool.as_str())?;
            fields.set_item("reason", error.to_string())?;
            Ok("StartError")
        }
        Error::PoolClosed { pool, .. } => {
            fields.set_item("pool", pool.as_str())?;
            Ok("PoolClosed")
        }
        Error::ForkedPool { pool } => {
            fields.set_item("pool", pool.as_str())?;
            Ok("ForkedPool")
        }
        Error::QueueFull { pool, capacity, retry_after, .. } => {
            fields.set_item("pool", pool.as_str())?;
            fields.set_item("capacity", capacity)?;
            fields.set_item("retry_after", retry_after.as_secs_f64())?;
            Ok("QueueFull")
        }
        Error::CircuitOpen { pool, retry_after } => {
            fields.set_item("pool", pool.as_str())?;
            fields.set_item("retry_after", retry_after.as_secs_f64())?;
            Ok("CircuitOpen")
        }
        Error::SessionBusy { pool, session } => {
            fields.set_item("pool", pool.as_str())?;
            fields.set_item("session", &**session)?;
            Ok("SessionBusy")
        }
        Error::Timeout { tool, limit, step } => {
            fields.set_item("tool", &**tool)?;
            fields.set_item("timeout", limit.as_secs_f64())?;
            fields.set_item("step", step.as_str())?;
            Ok("CallTimeout")
        }
        Error::Cancelled { tool, .. } => {
            fields.set_item("tool", &**tool)?;
            Ok("Cancelled")
        }
        Error::SessionLost { session, worker, cause, exit, .. } => {
            fields.set_item("session", &**session)?;
            fields.set_item("worker", parts(worker))?;
            fields.set_item("cause", cause)?;
            let stack = exit.as_ref().and_then(|exit| exit.stack.as_deref());
            fields.set_item("stack", stack)?;
            Ok("SessionLost")
        }
        Error::ReentrantCall { tool, session } => {
            fields.set_item("tool", &**tool)?;
            fields.set_item("session", session.as_deref())?;
            Ok("ReentrantCall")
        }
        Error::SessionExpired { session } => {
            fields.set_item("session", &**session)?;
            fields.set_item("cause", "it was not used for its ttl")?;
            Ok("SessionExpired")
        }
        Error::SessionClosed { session } => {
            fields.set_item("session", &**session)?;
            fields.set_item("cause", "it was closed")?;
            Ok("SessionClosed")
        }
        Error::SessionQuotaExceeded { pool, session, limit } => {
            fields.set_item("pool", pool.as_str())?;
            fields.set_item("session", &**session)?;
            fields.set_item("limit", limit)?;
            Ok("SessionQuotaExceeded")
        }
        Error::WorkerDied { tool, worker, exit, .. } => {
            died(fields, tool, worker, exit)?;
            Ok("WorkerDied")
        }
        Error::PoisonCall { tool, worker, exit, .. } => {
            died(fields, tool, worker, exit)?;
            Ok("PoisonCall")
        }
        Error::ToolNotFound { tool, suggestions } => {
            fields.set_item("tool", &**tool)?;
            fields.set_item("suggestions", suggestions)?;
            Ok("ToolNotFound")
        }
        Error::EncodeResult { tool, path, type_name, .. } => {
            fields.set_item("tool", &**tool)?;
            fields.set_item("path", path)?;
            fields.set_item("type_name", type_name)?;
            Ok("EncodeError")
        }
        Error::Argument { tool, parameter, path, expected, got } => {
            fields.set_item("tool", &**tool)?;
            fields.set_item("parameter", Some(parameter).filter(|name| !name.is_empty()))?;
            fields.set_item("path", path)?;
            fields.set_item("expected", expected)?;
            fields.set_item("got", got)?;
            Ok("ArgumentError")
        }
        Error::TooLarge { tool, direction, size, limit } => {
            fields.set_item("tool", &**tool)?;
            let direction = match direction {
                Direction::Arguments => "request",
                Direction::Result => "reply",
            };
            fields.set_item("direction", direction)?;
            fields.set_item("size", size)?;
            fields.set_item("limit", limit)?;
            Ok("MessageTooLarge")
        }
        Error::Remote { tool, worker, failure } => {
            fields.set_item("tool", &**tool)?;
            fields.set_item("worker", parts(worker))?;
            remote::describe(failure, fields)?;
            Ok("remote_error")
        }
        // The enum may grow; whoever adds a variant gives it a class above.
        _ => Ok("SnakepitError"),
    }
}

fn died(
    fields: &Bound<'_, PyDict>,
    tool: &Arc<str>,
    worker: &WorkerRef,
    exit: &ExitReport,
) -> PyResult<()> {
    fields.set_item("tool", &**tool)?;
    fields.set_item("worker", parts(worker))?;
    fields.set_item("exit_code", exit.exit_code)?;
    let number = || exit.signal.map(|number| number.to_string());
    fields.set_item("signal", exit.signal_name.map(str::to_owned).or_else(number))?;
    fields.set_item("violation", exit.violation.as_ref().map(Violation::name))?;
    fields.set_item("cause", exit.cause.to_string())?;
    fields.set_item("stack", exit.stack.as_deref())?;
    fields.set_item("stderr", Some(&exit.stderr).filter(|text| !text.is_empty()))
}

fn parts(worker: &WorkerRef) -> (&str, usize, u64) {
    (worker.pool.as_str(), worker.slot, worker.generation)
}

/// `ConfigError` for a value that the face let through.
pub(super) fn config_error(py: Python<'_>, field: &'static str, message: String) -> PyErr {
    exception(py, &Error::Config { field, message })
}

/// Of the question which device to use.
pub(super) fn device_error(py: Python<'_>, error: &DeviceError) -> PyErr {
    let built = || {
        let fields = PyDict::new(py);
        let class = match error {
            DeviceError::NotAvailable { wanted, available } => {
                fields.set_item("device", wanted)?;
                fields.set_item("available", PyTuple::new(py, available)?)?;
                "DeviceNotAvailable"
            }
            _ => {
                fields.set_item("field", "device")?;
                "ConfigError"
            }
        };
        let errors = py.import("snakepit.errors")?;
        errors.getattr(class)?.call((error.to_string(),), Some(&fields))
    };
    built().map_or_else(|bug| bug, PyErr::from_value)
}
