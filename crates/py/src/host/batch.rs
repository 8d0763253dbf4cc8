//! A batch of events, as Python reads it: one after the other.
//!
//! So only what a handler looks at exists as objects: those of the event before are used again, and
//! the garbage collector, which counts what is there, is never called.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::vec::IntoIter;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use snakepit::telemetry::Event;

use super::rows::{Rows, is_same};

/// See the stub.
#[pyclass(module = "snakepit._core")]
pub(super) struct Batch {
    events: IntoIter<Event>,
    rows: Rows,
    /// Counts the changes of who hears what, and what it was at the last look ahead.
    changes: Arc<AtomicU64>,
    seen: u64,
    run: Option<Run>,
    /// A run has ended, and nobody has looked ahead since.
    ended: bool,
    latest: Option<Cow<'static, str>>,
}

/// Events of one handler that follow each other.
struct Run {
    routes: Py<PyDict>,
    attached: Py<PyAny>,
    /// Names of events, and whether it is the only one that hears them.
    known: Vec<(Cow<'static, str>, bool)>,
}

impl Run {
    #[expect(clippy::ptr_arg, reason = "a borrowed one is a literal")]
    fn has(&mut self, py: Python<'_>, name: &Cow<'static, str>) -> PyResult<bool> {
        if let Some((_, alone)) = self.known.iter().find(|(known, _)| is_same(known, name)) {
            return Ok(*alone);
        }
        let route = self.routes.bind(py).get_item(&**name)?;
        let alone = match route {
            Some(route) => route.cast::<PyTuple>()?.get_item(0)?.is(&self.attached),
            None => false,
        };
        // Adapters may tell any number of names: these are looked up each time.
        if let Cow::Borrowed(_) = name {
            self.known.push((name.clone(), alone));
        }
        Ok(alone)
    }
}

impl Batch {
    pub(super) fn new(events: Vec<Event>, changes: Arc<AtomicU64>) -> Self {
        let seen = changes.load(Ordering::Relaxed);
        Self {
            events: events.into_iter(),
            rows: Rows::default(),
            changes,
            seen,
            run: None,
            ended: false,
            latest: None,
        }
    }

    /// Whether the next event is one of the run, if there is one.
    fn goes_on(&mut self, py: Python<'_>) -> PyResult<bool> {
        let (Some(run), Some(next)) = (&mut self.run, self.events.as_slice().first()) else {
            return Ok(true);
        };
        Ok(self.changes.load(Ordering::Relaxed) == self.seen && run.has(py, &next.name)?)
    }
}

#[pymethods]
impl Batch {
    fn __len__(&self) -> usize {
        self.events.len()
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        if self.ended || !self.goes_on(py)? {
            (self.ended, self.run) = (true, None);
            return Ok(None);
        }
        let Some(event) = self.events.next() else { return Ok(None) };
        let row = self.rows.of(py, &event)?;
        self.latest = Some(event.name);
        Ok(Some(row))
    }

    fn ahead<'py>(&mut self, py: Python<'py>) -> Option<Bound<'py, PyString>> {
        self.seen = self.changes.load(Ordering::Relaxed);
        (self.ended, self.run) = (false, None);
        let next = self.events.as_slice().first()?;
        Some(self.rows.name(py, next))
    }

    fn run<'py>(
        mut slf: PyRefMut<'py, Self>,
        routes: Py<PyDict>,
        attached: Py<PyAny>,
    ) -> PyRefMut<'py, Self> {
        slf.run = Some(Run { routes, attached, known: Vec::new() });
        slf
    }

    #[getter]
    fn latest(&self) -> Option<&str> {
        self.latest.as_deref()
    }
}
