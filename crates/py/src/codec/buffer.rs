//! A view of another object's memory, by the buffer protocol.
//!
//! pyo3's own buffer refuses what has no dimensions, which numpy's 0-d arrays do not have.

use std::ffi::CStr;
use std::marker::PhantomData;
use std::slice;

use pyo3::ffi;
use pyo3::prelude::*;

use super::write::Writer;

/// Memory in C order that stays where it is as long as this lives.
pub(crate) struct Buffer<'py> {
    /// Boxed: exporters may point into the view itself.
    view: Box<ffi::Py_buffer>,
    /// Released attached, since it cannot outlive the attachment.
    attached: PhantomData<Python<'py>>,
}

impl<'py> Buffer<'py> {
    /// Fails where the memory is not C-contiguous or its items have no `struct` format.
    pub(super) fn contiguous(value: &Bound<'py, PyAny>) -> PyResult<Self> {
        let mut view = Box::new(ffi::Py_buffer::new());
        let flags = ffi::PyBUF_C_CONTIGUOUS | ffi::PyBUF_FORMAT;
        // SAFETY: the value is alive, the view is ours and does not move.
        if unsafe { ffi::PyObject_GetBuffer(value.as_ptr(), &mut *view, flags) } != 0 {
            return Err(PyErr::fetch(value.py()));
        }
        Ok(Self { view, attached: PhantomData })
    }

    pub(crate) fn len(&self) -> usize {
        self.view.len.cast_unsigned()
    }

    pub(super) fn item_size(&self) -> usize {
        self.view.itemsize.cast_unsigned()
    }

    /// The `struct` format of an item.
    pub(super) fn format(&self) -> &[u8] {
        if self.view.format.is_null() {
            return b"B"; // what the protocol says that no format means
        }
        // SAFETY: a C string that lives as long as the view.
        unsafe { CStr::from_ptr(self.view.format) }.to_bytes()
    }

    pub(super) fn shape(&self) -> &[ffi::Py_ssize_t] {
        if self.view.shape.is_null() {
            return &[];
        }
        // SAFETY: `ndim` lengths that live as long as the view.
        unsafe { slice::from_raw_parts(self.view.shape, self.view.ndim as usize) }
    }

    /// Copies the memory; no Python code runs, so with a GIL nobody writes to it meanwhile.
    pub(super) fn append_to(&self, out: &mut Writer) {
        // SAFETY: the exporter keeps `len` bytes there until the view is released. Without a GIL
        // a thread that writes to them now gets torn data, as with every copy of such memory.
        unsafe { out.append_raw(self.view.buf.cast(), self.len()) }
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        // SAFETY: filled by PyObject_GetBuffer, released once, attached (see the field).
        unsafe { ffi::PyBuffer_Release(&mut *self.view) }
    }
}
