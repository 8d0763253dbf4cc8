//! Events of all pools of the process, for one thread of Python's.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyTuple};
use snakepit::telemetry::{self, CATALOGUE, Event, Interest, Number, Value};

use super::batch::Batch;
use super::leave::{self, Inside};
use super::runtime;

/// See the stub.
#[pyclass(frozen, module = "snakepit._core")]
pub(super) struct Subscription {
    events: telemetry::Subscription,
    /// Of what is wanted: whoever reads a batch has to look again who hears what.
    changes: Arc<AtomicU64>,
}

/// The names of all events that pools tell by themselves.
pub(super) fn names(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
    PyTuple::new(py, CATALOGUE.iter().map(|spec| spec.name))
}

#[pymethods]
impl Subscription {
    #[new]
    fn new(room: usize) -> Self {
        Self { events: telemetry::Subscription::new(room), changes: Arc::default() }
    }

    fn want(&self, names: Vec<String>) {
        self.events.want(Interest::in_names(names.iter().map(String::as_str)));
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    fn next(&self, py: Python<'_>, gather: f64) -> Option<Batch> {
        let _inside = Inside::enter(py);
        let gather = runtime::duration(Some(gather)).unwrap_or(Duration::MAX);
        let batch = py.detach(|| {
            let batch = self.events.next_batch(gather);
            leave::come_back();
            batch
        });
        batch.map(|events| Batch::new(events, self.changes.clone()))
    }

    fn hurry(&self) -> u64 {
        self.events.hurry()
    }

    fn close(&self) {
        self.events.close();
    }

    #[getter]
    fn dropped(&self) -> u64 {
        self.events.dropped()
    }
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
