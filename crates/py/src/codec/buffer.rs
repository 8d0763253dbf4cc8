//! A view of another object's memory, by the buffer protocol.
//!
//! pyo3's own buffer refuses what has no dimensions, which numpy's 0-d arrays do not have.

use std::ffi::CStr;
use std::marker::PhantomData;
use std::{ptr, slice};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::write::Writer;

/// A copy that takes no longer than to detach and attach again where another thread wants to run.
const SHORT_COPY: usize = 1 << 20;

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

    /// Where it begins.
    pub(crate) fn address(&self) -> usize {
        self.view.buf as usize
    }

    /// A copy; a long one without the interpreter.
    pub(super) fn to_bytes(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        // SAFETY: new bytes that nobody else knows, or null with an error.
        let bytes: Bound<'_, PyBytes> = unsafe {
            let made = ffi::PyBytes_FromStringAndSize(ptr::null(), self.view.len);
            Bound::from_owned_ptr_or_err(py, made)?.cast_into_unchecked()
        };
        // SAFETY: bytes that are alive; what they hold may be written to until others know them.
        let to = unsafe { ffi::PyBytes_AsString(bytes.as_ptr()) } as usize;
        let (from, len) = (self.address(), self.len());
        // SAFETY: `len` bytes at both ends, which do not overlap: these are kept by the view, those
        // by `bytes`.
        let copy = move || unsafe {
            ptr::copy_nonoverlapping(from as *const u8, to as *mut u8, len);
        };
        match len {
            ..SHORT_COPY => copy(),
            _ => py.detach(copy),
        }
        Ok(bytes)
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
