//! Memory for values that are born where others read them.

use std::os::raw::c_int;

use pyo3::exceptions::{PyBufferError, PyMemoryError};
use pyo3::ffi;
use pyo3::prelude::*;
use snakepit::{Arena, Buffer, NoRoom};

/// Memory that can be written to, of an arena. What lies in it is sent without a copy.
#[pyclass(frozen, weakref, module = "snakepit._core")]
pub(crate) struct Room {
    start: *mut u8,
    buffer: Buffer,
}

// SAFETY: the memory is kept by `buffer`, which is both; whoever writes to it holds an export and
// answers for who else does, as with every writable buffer of Python.
unsafe impl Send for Room {}
// SAFETY: as above; `start` itself is never changed.
unsafe impl Sync for Room {}

impl Room {
    pub(super) fn new(region: snakepit::Region) -> Self {
        let start = region.start();
        Self { start, buffer: region.seal() }
    }

    pub(super) fn buffer(&self) -> &Buffer {
        &self.buffer
    }
}

#[pymethods]
impl Room {
    /// # Safety
    ///
    /// As the buffer protocol says; called by Python.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let Ok(len) = slf.get().buffer.len().try_into() else {
            return Err(PyBufferError::new_err("longer than memory can be"));
        };
        let start = slf.get().start.cast();
        // SAFETY: `view` is Python's to fill. It gets a reference to us, and so keeps the memory, all
        // of which may be written to as long as its buffer is there (`Region::start`).
        match unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, len, 0, flags) } {
            0 => Ok(()),
            _ => Err(PyErr::fetch(slf.py())),
        }
    }

    fn __len__(&self) -> usize {
        self.buffer.len()
    }
}

/// Room for so many bytes, one at least. `come_back`: of a detached thread, before it attaches again.
///
/// # Errors
///
/// `MemoryError` where there is none.
pub(crate) fn room(py: Python<'_>, arena: &Arena, len: usize, come_back: fn()) -> PyResult<Room> {
    let allocated = py.detach(|| {
        let allocated = arena.allocate(len.max(1), arena.settings().wait);
        come_back();
        allocated
    });
    let refused = |error: NoRoom| PyMemoryError::new_err(error.to_string());
    allocated.map(Room::new).map_err(refused)
}
