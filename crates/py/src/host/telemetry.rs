//! What Python tells and asks of telemetry.

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyTuple};
use snakepit::telemetry::{self, CATALOGUE, Event, Interest, Number, Value};

/// The names of all events that pools tell by themselves.
pub(super) fn names(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
    PyTuple::new(py, CATALOGUE.iter().map(|spec| spec.name))
}

/// See the stub.
#[pyfunction]
pub(super) fn hears(name: &str) -> bool {
    telemetry::hears(Interest::in_names([name]))
}

/// See the stub.
#[pyfunction]
pub(super) fn tell(
    name: String,
    measurements: &Bound<'_, PyDict>,
    metadata: &Bound<'_, PyDict>,
) -> PyResult<()> {
    if !hears(&name) {
        return Ok(());
    }
    let mut event = Event::named(name);
    for (key, value) in measurements {
        let number = match value.extract::<i64>() {
            Ok(whole) => Number::Whole(whole),
            Err(_) => Number::Real(value.extract()?),
        };
        event.measurements.push((Cow::Owned(key.extract()?), number));
    }
    for (key, value) in metadata {
        event.metadata.push((Cow::Owned(key.extract()?), self::value(&value)?));
    }
    telemetry::tell(event);
    Ok(())
}

fn value(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(Value::Flag(flag.is_true()));
    }
    Ok(if let Ok(whole) = value.extract() {
        Value::Number(Number::Whole(whole))
    } else if value.is_instance_of::<PyFloat>() {
        Value::Number(Number::Real(value.extract()?))
    } else {
        Value::Text(value.extract::<String>()?.into())
    })
}
