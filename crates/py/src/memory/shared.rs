//! Values that are kept in shared memory, and sent again and again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use snakepit::Payload;

use crate::codec;

/// A value that lies in a pool's memory, from ``pool.put()``.
///
/// It is sent in the value's place, as often as one likes. A ``with`` block closes it.
#[pyclass(frozen, weakref, module = "snakepit")]
pub(crate) struct SharedRef {
    /// None: closed. Never held while Python code runs.
    held: Mutex<Option<Payload>>,
    nbytes: u64,
}

impl SharedRef {
    pub(crate) fn new(payload: Payload) -> Self {
        let nbytes = payload.size();
        Self { held: Mutex::new(Some(payload)), nbytes }
    }

    /// What is sent of it; None: it is closed.
    pub(crate) fn payload(&self) -> Option<Payload> {
        self.held().clone()
    }

    fn held(&self) -> MutexGuard<'_, Option<Payload>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl SharedRef {
    /// Bytes that it takes.
    #[getter]
    fn nbytes(&self) -> u64 {
        self.nbytes
    }

    /// Whether ``close()`` was called.
    #[getter]
    fn closed(&self) -> bool {
        self.held().is_none()
    }

    /// The value, read where it lies.
    ///
    /// Arrays and tables are views that cannot be written to. They stay when the reference is closed.
    fn value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let payload = self.payload().ok_or_else(|| codec::refuse(py, "value", CLOSED))?;
        codec::decode_payload(py, &payload, "value")
    }

    /// Let go of the value. Whoever reads it still keeps it; the reference cannot be sent again.
    ///
    /// Where nobody calls it, that happens when nothing refers to the reference any more.
    fn close(&self) {
        let held = self.held().take();
        drop(held);
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, _error: &Bound<'_, PyAny>) {
        self.close();
    }

    fn __repr__(&self) -> String {
        let state = if self.closed() { ", closed" } else { "" };
        format!("<SharedRef of {} bytes{state}>", self.nbytes)
    }
}

/// A reference to a value in ordinary memory.
#[pyfunction]
#[pyo3(signature = (value, substitute = None))]
pub(super) fn keep(value: &Bound<'_, PyAny>, substitute: Option<Py<PyAny>>) -> PyResult<SharedRef> {
    let encoded = codec::encode_or(value, "value", substitute.as_ref(), None)?;
    Ok(SharedRef::new(encoded.message.into()))
}

/// What is said of one that is closed.
pub(crate) const CLOSED: &str = "the SharedRef is closed; put() the value again";
