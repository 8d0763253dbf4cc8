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
        let memory = (slf.get().0.as_ptr().cast_mut(), slf.get().0.len());
        // SAFETY: `slf` keeps the memory; it is told to be read-only, and a writable view is refused.
        unsafe { export(&slf, memory, view, flags, true) }
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
        let memory = (slf.get().0.start(), slf.get().0.len());
        // SAFETY: `slf` keeps the memory, all of which may be written to (`Private::start`); who
        // writes answers for who else does.
        unsafe { export(&slf, memory, view, flags, false) }
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

/// Fills a view of memory that `owner` keeps.
///
/// # Safety
///
/// As the buffer protocol says of `view`. The memory is valid for as long as `owner` lives, and may be
/// written to unless it is `readonly`.
unsafe fn export<T>(
    owner: &Bound<'_, T>,
    (start, len): (*mut u8, usize),
    view: *mut ffi::Py_buffer,
    flags: c_int,
    readonly: bool,
) -> PyResult<()> {
    let Ok(len) = len.try_into() else {
        return Err(PyBufferError::new_err("longer than memory can be"));
    };
    let readonly = c_int::from(readonly);
    // SAFETY: `view` is Python's to fill. It gets a reference to the owner, and so keeps the memory.
    match unsafe {
        ffi::PyBuffer_FillInfo(view, owner.as_ptr(), start.cast(), len, readonly, flags)
    } {
        0 => Ok(()),
        _ => Err(PyErr::fetch(owner.py())),
    }
}
