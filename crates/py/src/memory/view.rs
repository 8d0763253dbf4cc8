//! Memory that was sent to us, as Python reads it.

use std::os::raw::c_int;

use bytes::Bytes;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use snakepit::Private;

/// Memory that cannot be written to. It is given back when nothing refers to it any more; there is no
/// other way to end it, since numpy's arrays hold it without an export.
#[pyclass(frozen, weakref, module = "snakepit._core")]
pub(crate) struct View(Bytes);

impl View {
    pub(super) fn new(buffer: &snakepit::Buffer) -> Self {
        Self(buffer.bytes().clone())
    }
}

#[pymethods]
impl View {
    /// # Safety
    ///
    /// As the buffer protocol says; called by Python.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let Ok(len) = slf.get().0.len().try_into() else {
            return Err(PyBufferError::new_err("longer than memory can be"));
        };
        let start = slf.get().0.as_ptr().cast_mut().cast();
        // SAFETY: `view` is Python's to fill. It gets a reference to us, and so keeps the memory; that
        // is told to be read-only, and a writable view is refused.
        match unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, len, 1, flags) } {
            0 => Ok(()),
            _ => Err(PyErr::fetch(slf.py())),
        }
    }

    /// The same bytes, to be written to: pages that are written to are copied, and nobody else sees it.
    /// None: they do not lie in shared memory, or are so few that a copy is better.
    fn private(&self, py: Python<'_>) -> Option<Own> {
        py.detach(|| Private::of(&self.0)).map(Own)
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

/// Memory that was sent to us, to be written to: a copy of which only what is written to is made.
#[pyclass(frozen, weakref, module = "snakepit._core")]
pub(crate) struct Own(Private);

#[pymethods]
impl Own {
    /// # Safety
    ///
    /// As the buffer protocol says; called by Python.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let Ok(len) = slf.get().0.len().try_into() else {
            return Err(PyBufferError::new_err("longer than memory can be"));
        };
        let start = slf.get().0.start().cast();
        // SAFETY: `view` is Python's to fill. It gets a reference to us, and so keeps the memory, all of
        // which may be written to (`Private::start`); who writes answers for who else does.
        match unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, len, 0, flags) } {
            0 => Ok(()),
            _ => Err(PyErr::fetch(slf.py())),
        }
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}
