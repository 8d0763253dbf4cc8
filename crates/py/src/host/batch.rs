//! A batch of events, as Python reads it: one after the other.
//!
//! So only what a handler looks at exists as objects: those of the event before are used again, and
//! the garbage collector, which counts what is there, is never called. A batch tells the same names
//! again and again, and mostly of the same tools and workers, so what was made for one event serves
//! the next ones.

use std::borrow::Cow;
use std::vec::IntoIter;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyString, PyTuple};
use snakepit::telemetry::{Event, Metadata, Number, Value};

/// Names that are remembered.
const NAMES: usize = 32;

/// Metadata that is remembered.
const SEEN: usize = 8;

/// See the stub.
#[pyclass(module = "snakepit._core")]
pub(super) struct Batch {
    events: IntoIter<Event>,
    names: Names,
    seen: Vec<Seen>,
    /// Which one makes room for another, once there are enough.
    oldest: usize,
}

/// What described an event. To copy a dict costs much less than to fill one.
struct Seen {
    metadata: Metadata,
    dict: Py<PyDict>,
}

impl Batch {
    pub(super) fn new(events: Vec<Event>) -> Self {
        let events = events.into_iter();
        Self { events, names: Names(Vec::new()), seen: Vec::new(), oldest: 0 }
    }

    /// Its name, its measurements, its metadata.
    fn row<'py>(&mut self, py: Python<'py>, event: Event) -> PyResult<Bound<'py, PyTuple>> {
        let Event { name, measurements, metadata, .. } = event;
        let measured = PyDict::new(py);
        for (key, value) in &measurements {
            measured.set_item(self.names.get(py, key), number(py, *value)?)?;
        }
        let described = self.described(py, metadata)?;
        (self.names.get(py, &name), measured, described).into_pyobject(py)
    }

    fn described<'py>(
        &mut self,
        py: Python<'py>,
        metadata: Metadata,
    ) -> PyResult<Bound<'py, PyDict>> {
        if let Some(seen) = self.seen.iter().find(|seen| same(&seen.metadata, &metadata)) {
            return seen.dict.bind(py).copy();
        }
        let dict = PyDict::new(py);
        for (key, value) in &metadata {
            let key = self.names.get(py, key);
            match value {
                Value::Text(text) => dict.set_item(key, &**text)?,
                Value::Number(value) => dict.set_item(key, number(py, *value)?)?,
                Value::Flag(flag) => dict.set_item(key, flag)?,
            }
        }
        let seen = Seen { metadata, dict: dict.copy()?.unbind() };
        if self.seen.len() < SEEN {
            self.seen.push(seen);
        } else {
            self.seen[self.oldest] = seen;
            self.oldest = (self.oldest + 1) % SEEN;
        }
        Ok(dict)
    }
}

#[pymethods]
impl Batch {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        self.events.next().map(|event| self.row(py, event)).transpose()
    }
}

/// Names of events and of what they carry, as Python's texts.
struct Names(Vec<(Cow<'static, str>, Py<PyString>)>);

impl Names {
    #[expect(clippy::ptr_arg, reason = "a borrowed one is a literal")]
    fn get<'py>(&mut self, py: Python<'py>, name: &Cow<'static, str>) -> Bound<'py, PyString> {
        if let Some((_, text)) = self.0.iter().find(|(known, _)| is_same(known, name)) {
            return text.bind(py).clone();
        }
        let text = match name {
            // Handlers ask for these by literals, which are the same objects then.
            Cow::Borrowed(name) => PyString::intern(py, name),
            Cow::Owned(name) => PyString::new(py, name),
        };
        if self.0.len() < NAMES {
            self.0.push((name.clone(), text.clone().unbind()));
        }
        text
    }
}

/// What is told last differs first: most of all which worker it was.
fn same(one: &Metadata, other: &Metadata) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).rev().all(|(a, b)| a.1 == b.1 && is_same(&a.0, &b.0))
}

/// Names of the catalogue are mostly found where they were before, without a look at their letters.
fn is_same(one: &str, other: &str) -> bool {
    std::ptr::eq(one, other) || one == other
}

fn number(py: Python<'_>, number: Number) -> PyResult<Bound<'_, PyAny>> {
    Ok(match number {
        Number::Whole(whole) => whole.into_pyobject(py)?.into_any(),
        Number::Real(real) => PyFloat::new(py, real).into_any(),
    })
}
