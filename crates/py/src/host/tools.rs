//! Which tools there are, and arguments that were held against their schemas.

use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use snakepit::blocking::Driver;
use snakepit::{Error, Payload};

use super::errors;
use super::runtime::{self, Ended};
use crate::codec;
use crate::memory::{self, Place};

/// Name, description, whether it streams, schema of the parameters, whether it may overlap with
/// itself; see `_Tool` in the stub.
pub(super) type Row = (String, String, bool, String, bool);

/// Arguments that have been encoded, and are what the tool's schema says. A call takes them in the
/// place of a mapping.
#[pyclass(frozen, module = "snakepit._core")]
pub(super) struct Arguments(Payload);

/// A call's arguments as they travel.
pub(super) fn encoded(
    args: Option<&Bound<'_, PyAny>>,
    substitute: Option<&Py<PyAny>>,
    place: Place<'_>,
) -> PyResult<Payload> {
    if let Some(args) = args
        && !args.is_exact_instance_of::<PyDict>()
        && let Ok(arguments) = args.cast_exact::<Arguments>()
    {
        return Ok(arguments.get().0.clone());
    }
    let encoded = codec::encode_args(args, substitute, place.threshold())?;
    match args {
        Some(args) => memory::payload(args.py(), encoded, place, "args"),
        None => Ok(encoded.message.into()),
    }
}

pub(super) fn list(
    py: Python<'_>,
    pool: &snakepit::Pool,
    driver: &Driver,
    limit: Option<Duration>,
) -> PyResult<Vec<Row>> {
    let tools = wait(py, driver, || Box::pin(pool.tools(limit)))?;
    let row = |tool: snakepit::ToolInfo| {
        let parameters = tool.parameters.as_str().to_owned();
        (tool.name, tool.description, tool.streaming, parameters, tool.thread_safe)
    };
    Ok(tools.into_iter().map(row).collect())
}

/// Holds arguments against the tool's schema. `wait`: on the time of the call, until
/// that is known; what is left of that time comes back.
pub(super) fn checked(
    py: Python<'_>,
    pool: &snakepit::Pool,
    driver: &Driver,
    tool: &str,
    arguments: Payload,
    waits: Option<Option<Duration>>,
) -> PyResult<(Arguments, Option<f64>)> {
    let tool: Arc<str> = tool.into();
    let mut left = waits.flatten();
    if let Some(limit) = waits.filter(|_| !pool.knows_tools()) {
        left = wait(py, driver, || Box::pin(pool.await_tools(&tool, limit)))?;
    }
    py.detach(|| pool.check_arguments(&tool, &arguments))
        .map_err(|error| errors::exception(py, &error))?;
    Ok((Arguments(arguments), left.map(|left| left.as_secs_f64())))
}

/// What is wrong with encoded arguments, for a pool without workers.
#[pyfunction]
pub(super) fn check_arguments(
    schema: &str,
    arguments: &[u8],
) -> PyResult<Option<(String, String, String, String)>> {
    let schema: snakepit::Schema = schema.parse().map_err(PyValueError::new_err)?;
    let told = |wrong: snakepit::Mismatch| (wrong.parameter, wrong.path, wrong.expected, wrong.got);
    Ok(schema.check(arguments).err().map(told))
}

fn wait<F, T>(py: Python<'_>, driver: &Driver, start: impl FnOnce() -> F + Send) -> PyResult<T>
where
    F: Future<Output = Result<T, Error>> + Unpin + Send,
    T: Send,
{
    match runtime::wait(py, driver, start, None)? {
        Ended::Ready(done) => done.map_err(|error| errors::exception(py, &error)),
        Ended::TimedOut => Err(PyRuntimeError::new_err("a wait without limit ended")),
    }
}
