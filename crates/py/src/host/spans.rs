//! The spans of traced calls of all pools of the process, on their way to one thread of Python's.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use snakepit::telemetry::{Number, SpanRecord, SpanStatus, Value};

use super::leave::{self, Inside};
use super::runtime;

/// What was told and not taken yet. See the stub.
#[pyclass(frozen, module = "snakepit._core")]
pub(super) struct SpanQueue(Arc<Queue>);

struct Queue {
    inner: Mutex<Inner>,
    bell: Condvar,
    room: usize,
}

#[derive(Default)]
struct Inner {
    spans: VecDeque<SpanRecord>,
    dropped: u64,
    /// The thread waits for the first one.
    waiting: bool,
    closed: bool,
}

/// See `_SpanRow` in the stub.
type Row<'py> = (
    Bound<'py, PyBytes>,
    Option<Bound<'py, PyBytes>>,
    String,
    u64,
    Option<u64>,
    Bound<'py, PyDict>,
    u8,
    Option<String>,
);

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every section here leaves it whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, spans: Vec<SpanRecord>) {
        let mut inner = self.lock();
        let fits = self.room.saturating_sub(inner.spans.len());
        inner.dropped += spans.len().saturating_sub(fits) as u64;
        inner.spans.extend(spans.into_iter().take(fits));
        let rings = std::mem::take(&mut inner.waiting);
        drop(inner);
        if rings {
            self.bell.notify_one();
        }
    }

    /// Waits for some; and then for so long, that the thread wakes once in a while and not each time.
    fn wait(&self, gather: Duration) -> bool {
        let mut inner = self.lock();
        while inner.spans.is_empty() && !inner.closed {
            inner.waiting = true;
            inner = self.bell.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        let until = Instant::now() + gather;
        while !inner.closed {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            (inner, _) = self.bell.wait_timeout(inner, left).unwrap_or_else(|it| it.into_inner());
        }
        !inner.closed
    }
}

#[pymethods]
impl SpanQueue {
    #[new]
    fn new(room: usize) -> Self {
        let (inner, bell) = (Mutex::default(), Condvar::new());
        Self(Arc::new(Queue { inner, bell, room }))
    }

    fn wait(&self, py: Python<'_>, gather: f64) -> bool {
        let _inside = Inside::enter(py);
        let gather = runtime::duration(Some(gather)).unwrap_or(Duration::MAX);
        py.detach(|| {
            let open = self.0.wait(gather);
            leave::come_back();
            open
        })
    }

    fn take<'py>(&self, py: Python<'py>) -> PyResult<Vec<Row<'py>>> {
        let taken = std::mem::take(&mut self.0.lock().spans);
        taken.into_iter().map(|span| row(py, span)).collect()
    }

    fn close(&self) {
        self.0.lock().closed = true;
        self.0.bell.notify_all();
    }

    #[getter]
    fn dropped(&self) -> u64 {
        self.0.lock().dropped
    }
}

impl SpanQueue {
    /// What a pool tells its spans.
    pub(super) fn handler(&self) -> snakepit::SpanHandler {
        let queue = self.0.clone();
        Arc::new(move |spans| queue.put(spans))
    }
}

fn row(py: Python<'_>, span: SpanRecord) -> PyResult<Row<'_>> {
    let attributes = PyDict::new(py);
    for (key, value) in span.attributes {
        match value {
            Value::Text(text) => attributes.set_item(key, &*text)?,
            Value::Number(Number::Whole(whole)) => attributes.set_item(key, whole)?,
            Value::Number(Number::Real(real)) => attributes.set_item(key, real)?,
            Value::Flag(flag) => attributes.set_item(key, flag)?,
        }
    }
    let (status, message) = match span.status {
        SpanStatus::Unset => (0, None),
        SpanStatus::Ok => (1, None),
        SpanStatus::Error(message) => (2, Some(message)),
    };
    let parent = span.parent_span_id.map(|id| PyBytes::new(py, &id));
    let id = PyBytes::new(py, &span.span_id);
    Ok((id, parent, span.name, span.start, span.end, attributes, status, message))
}
