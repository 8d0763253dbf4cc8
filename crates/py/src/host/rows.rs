//! Events as Python's objects: a name, a dict of measurements and one of metadata.
//!
//! What was given to a handler is given to it again with the next event like it, if nobody has kept
//! it: to make a tuple and two dicts, and to let them go, costs as much as all else that is done for
//! an event.

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyString, PyTuple};
use snakepit::telemetry::{Event, Interest, Metadata, Number, Plain, Value};

use crate::codec::{Item, has_items};

/// Names that are remembered, if adapters tell them.
const NAMES: usize = 64;

/// Kinds of events that are remembered: starts of calls, and their ends in each worker.
const ROWS: usize = 32;

/// What was made for events, for those that come.
#[derive(Default)]
pub(super) struct Rows {
    names: Names,
    rows: Vec<Row>,
    /// Which one makes room for another, once there are enough.
    oldest: usize,
}

impl Rows {
    pub(super) fn of<'py>(
        &mut self,
        py: Python<'py>,
        plain: &Plain<'_>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        if let Some(row) = self.rows.iter_mut().find(|row| row.is_of(plain)) {
            return row.give(py, plain.value);
        }
        self.add(py, plain)
    }

    #[cold]
    fn add<'py>(&mut self, py: Python<'py>, plain: &Plain<'_>) -> PyResult<Bound<'py, PyTuple>> {
        let made = self.make(py, &plain.to_event())?;
        if plain.metadata.is_shared() {
            let key = self.names.get(py, &Cow::Borrowed(plain.measured));
            let row = Row::new(plain, key, &made)?;
            if self.rows.len() < ROWS {
                self.rows.push(row);
            } else {
                self.rows[self.oldest] = row;
                self.oldest = (self.oldest + 1) % ROWS;
            }
        }
        Ok(made)
    }

    #[expect(clippy::ptr_arg, reason = "a borrowed one is a literal")]
    pub(super) fn name<'py>(
        &mut self,
        py: Python<'py>,
        name: &Cow<'static, str>,
    ) -> Bound<'py, PyString> {
        self.names.get(py, name)
    }

    pub(super) fn make<'py>(
        &mut self,
        py: Python<'py>,
        event: &Event,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let (measured, described) = (PyDict::new(py), PyDict::new(py));
        for (name, value) in &event.measurements {
            measured.set_item(self.names.get(py, name), number(py, *value)?)?;
        }
        for (name, value) in &*event.metadata {
            let name = self.names.get(py, name);
            match value {
                Value::Text(text) => described.set_item(name, &**text)?,
                Value::Number(value) => described.set_item(name, number(py, *value)?)?,
                Value::Flag(flag) => described.set_item(name, flag)?,
            }
        }
        (self.names.get(py, &event.name), measured, described).into_pyobject(py)
    }
}

/// Events of one name with one measurement and the same metadata.
struct Row {
    kind: Interest,
    measured: &'static str,
    metadata: Metadata,
    key: Py<PyString>,
    /// The metadata, for whoever changes or keeps it; and what is in it.
    origin: Py<PyDict>,
    items: Vec<Item>,
    last: Given,
}

/// What was given away last.
struct Given {
    row: Py<PyTuple>,
    measured: Py<PyDict>,
    described: Py<PyDict>,
}

impl Given {
    fn new(row: &Bound<'_, PyTuple>) -> PyResult<Self> {
        let dict = |place| Ok::<_, PyErr>(row.get_item(place)?.cast_into::<PyDict>()?.unbind());
        Ok(Self { row: row.clone().unbind(), measured: dict(1)?, described: dict(2)? })
    }

    /// Whether nobody else has any of it.
    fn is_back(&self, py: Python<'_>) -> bool {
        self.row.get_refcnt(py) == 1
            && self.measured.get_refcnt(py) == 2
            && self.described.get_refcnt(py) == 2
    }
}

impl Row {
    fn new(
        event: &Plain<'_>,
        key: Bound<'_, PyString>,
        made: &Bound<'_, PyTuple>,
    ) -> PyResult<Self> {
        let py = made.py();
        let last = Given::new(made)?;
        let origin = last.described.bind(py).copy()?;
        let items = origin.iter().map(|(name, value)| (name.unbind(), value.unbind())).collect();
        Ok(Self {
            kind: event.kind(),
            measured: event.measured,
            metadata: event.metadata.clone(),
            key: key.unbind(),
            origin: origin.unbind(),
            items,
            last,
        })
    }

    fn is_of(&self, event: &Plain<'_>) -> bool {
        self.kind == event.kind()
            && self.metadata.is_shared_with(event.metadata)
            && is_same(self.measured, event.measured)
    }

    fn give<'py>(&mut self, py: Python<'py>, value: Number) -> PyResult<Bound<'py, PyTuple>> {
        let value = number(py, value)?;
        // The same objects are in it, unless a handler has changed the metadata.
        if self.last.is_back(py) && has_items(self.last.described.bind(py), &self.items) {
            let measured = self.last.measured.bind(py);
            measured.set_item(&self.key, &value)?;
            // Unless a handler has put something in.
            if measured.len() == 1 {
                return Ok(self.last.row.bind(py).clone());
            }
        }
        let measured = PyDict::new(py);
        measured.set_item(&self.key, value)?;
        let name = self.last.row.bind(py).get_item(0)?;
        let row = (name, measured, self.origin.bind(py).copy()?).into_pyobject(py)?;
        self.last = Given::new(&row)?;
        Ok(row)
    }
}

/// Names of events and of what they carry, as Python's texts.
#[derive(Default)]
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
        // Of literals there are few. Adapters may tell any number of names.
        if matches!(name, Cow::Borrowed(_)) || self.0.len() < NAMES {
            self.0.push((name.clone(), text.clone().unbind()));
        }
        text
    }
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
