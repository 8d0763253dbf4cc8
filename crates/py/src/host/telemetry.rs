//! Events of all pools of the process, for one thread of Python's.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyList, PyTuple};
use snakepit::telemetry::{self, CATALOGUE, Event, Interest, Number, Value};

use super::leave::{self, Inside};
use super::runtime;

/// See the stub.
#[pyclass(frozen, module = "snakepit._core")]
pub(super) struct Subscription(telemetry::Subscription);

/// The names of all events that pools tell by themselves.
pub(super) fn names(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
    PyTuple::new(py, CATALOGUE.iter().map(|spec| spec.name))
}

#[pymethods]
impl Subscription {
    #[new]
    fn new(room: usize) -> Self {
        Self(telemetry::Subscription::new(room))
    }

    fn want(&self, names: Vec<String>) {
        self.0.want(Interest::in_names(names.iter().map(String::as_str)));
    }

    fn next<'py>(&self, py: Python<'py>, gather: f64) -> PyResult<Option<Bound<'py, PyList>>> {
        let _inside = Inside::enter(py);
        let gather = runtime::duration(Some(gather)).unwrap_or(Duration::MAX);
        let batch = py.detach(|| {
            let batch = self.0.next_batch(gather);
            leave::come_back();
            batch
        });
        batch.map(|batch| list(py, &batch)).transpose()
    }

    fn hurry(&self) {
        self.0.hurry();
    }

    fn close(&self) {
        self.0.close();
    }

    #[getter]
    fn dropped(&self) -> u64 {
        self.0.dropped()
    }
}

fn list<'py>(py: Python<'py>, batch: &[Arc<Event>]) -> PyResult<Bound<'py, PyList>> {
    let rows: PyResult<Vec<_>> = batch.iter().map(|event| row(py, event)).collect();
    PyList::new(py, rows?)
}

/// Its name, its measurements, its metadata.
fn row<'py>(py: Python<'py>, event: &Event) -> PyResult<Bound<'py, PyTuple>> {
    let (measurements, metadata) = (PyDict::new(py), PyDict::new(py));
    for (name, value) in &event.measurements {
        measurements.set_item(&**name, number(py, *value)?)?;
    }
    for (name, value) in &event.metadata {
        match value {
            Value::Text(text) => metadata.set_item(&**name, &**text)?,
            Value::Number(value) => metadata.set_item(&**name, number(py, *value)?)?,
            Value::Flag(flag) => metadata.set_item(&**name, flag)?,
        }
    }
    (&*event.name, measurements, metadata).into_pyobject(py)
}

fn number(py: Python<'_>, number: Number) -> PyResult<Bound<'_, PyAny>> {
    Ok(match number {
        Number::Whole(whole) => whole.into_pyobject(py)?.into_any(),
        Number::Real(real) => PyFloat::new(py, real).into_any(),
    })
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
