//! Events as Python reads them: one after the other, a batch at a time.
//!
//! So only what a handler looks at exists as objects: those of the event before are used again, and
//! the garbage collector, which counts what is there, is never called.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use snakepit::telemetry::{self, Batch, Interest};

use super::leave::{self, Inside};
use super::rows::Rows;
use super::runtime;

/// See the stub.
#[pyclass(frozen, module = "snakepit._core")]
pub(super) struct Subscription {
    events: telemetry::Subscription,
    /// Of what is wanted: whoever reads a batch has to look again who hears what.
    changes: AtomicU64,
}

#[pymethods]
impl Subscription {
    #[new]
    fn new(room: usize) -> Self {
        Self { events: telemetry::Subscription::new(room), changes: AtomicU64::new(0) }
    }

    fn want(&self, names: Vec<String>) {
        self.events.want(Interest::in_names(names.iter().map(String::as_str)));
        // Whoever sees this sees the routes that were replaced before.
        self.changes.fetch_add(1, Ordering::Release);
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
#[pyclass(module = "snakepit._core")]
pub(super) struct EventReader {
    subscription: Py<Subscription>,
    batch: Option<Batch>,
    rows: Rows,
    /// How often what is wanted had changed at the last look ahead.
    seen: u64,
    reads: Reads,
    latest: Option<Cow<'static, str>>,
}

/// What comes next.
enum Reads {
    /// All that is there.
    All,
    /// As long as one handler alone hears it.
    Run(Run),
    /// Nothing, before the next look ahead.
    Nothing,
}

/// Events of one handler that follow each other.
struct Run {
    /// So many of them at most.
    left: usize,
    routes: Py<PyDict>,
    attached: Py<PyAny>,
    /// Events that were looked up.
    known: Interest,
    /// Those of them that it alone hears.
    alone: Interest,
}

impl Run {
    fn has(&mut self, py: Python<'_>, kind: Interest, batch: &Batch) -> PyResult<bool> {
        if self.known.meets(kind) {
            return Ok(self.alone.meets(kind));
        }
        let route = self.routes.bind(py).get_item(batch.next_name().as_deref())?;
        let alone = match route {
            Some(route) => route.cast::<PyTuple>()?.get_item(0)?.is(&self.attached),
            None => false,
        };
        // Adapters may tell any number of names: these are looked up each time.
        if kind != Interest::ADAPTERS {
            self.known = self.known.and(kind);
            self.alone = if alone { self.alone.and(kind) } else { self.alone };
        }
        Ok(alone)
    }
}

#[pymethods]
impl EventReader {
    #[new]
    fn new(subscription: Py<Subscription>) -> Self {
        let rows = Rows::default();
        Self { subscription, batch: None, rows, seen: 0, reads: Reads::All, latest: None }
    }

    fn wait(&mut self, py: Python<'_>, gather: f64) -> bool {
        let _inside = Inside::enter(py);
        let gather = runtime::duration(Some(gather)).unwrap_or(Duration::MAX);
        let last = self.batch.take();
        let events = &self.subscription.get().events;
        self.batch = py.detach(|| {
            drop(last); // its memory is for the next one
            let batch = events.next_batch(gather);
            leave::come_back();
            batch
        });
        self.reads = Reads::All;
        self.batch.is_some()
    }

    fn __len__(&self) -> usize {
        self.batch.as_ref().map_or(0, Batch::len)
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let Some(batch) = &mut self.batch else { return Ok(None) };
        let Some(kind) = batch.next_kind() else { return Ok(None) };
        let goes_on = match &mut self.reads {
            Reads::All => true,
            Reads::Run(run) => {
                let changes = self.subscription.get().changes.load(Ordering::Acquire);
                let goes_on = run.left > 0 && changes == self.seen && run.has(py, kind, batch)?;
                run.left = run.left.saturating_sub(1);
                goes_on
            }
            Reads::Nothing => false,
        };
        if !goes_on {
            self.reads = Reads::Nothing;
            return Ok(None);
        }
        self.latest = batch.next_name();
        let Some(plain) = batch.next_plain() else {
            return batch.next().map(|event| self.rows.make(py, &event)).transpose();
        };
        let row = self.rows.of(py, &plain);
        batch.skip_next();
        row.map(Some)
    }

    fn ahead<'py>(&mut self, py: Python<'py>) -> Option<Bound<'py, PyString>> {
        self.seen = self.subscription.get().changes.load(Ordering::Acquire);
        self.reads = Reads::All;
        Some(self.rows.name(py, &self.batch.as_ref()?.next_name()?))
    }

    fn run<'py>(
        mut slf: PyRefMut<'py, Self>,
        routes: Py<PyDict>,
        attached: Py<PyAny>,
        most: usize,
    ) -> PyRefMut<'py, Self> {
        let (known, alone) = (Interest::NONE, Interest::NONE);
        slf.reads = Reads::Run(Run { left: most, routes, attached, known, alone });
        slf
    }

    #[getter]
    fn latest(&self) -> Option<&str> {
        self.latest.as_deref()
    }
}
