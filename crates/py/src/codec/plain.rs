//! Plain types that hold no other value, and those that are bytes.

use std::slice;

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyString};
use snakepit::value::format as extension;

use super::buffer::Buffer;
use super::encode::Encoder;
use super::failure::{Failure, Step};
use super::number;
use super::outside::Bulk;

/// Longest string, in characters, that may keep its UTF-8 for its life, as
/// `PyUnicode_AsUTF8AndSize` makes a non-ASCII one do.
const SHORT_STR: ffi::Py_ssize_t = 16 * 1024;

impl<'py> Encoder<'py> {
    /// False: nothing has been written, the value must be held and given to [`Self::node`].
    ///
    /// Nothing here allocates a Python object unless it fails (on CPython 3.11 an allocation can
    /// run the garbage collector, hence finalizers), so a borrowed reference stays good.
    #[inline]
    pub(super) fn leaf(&mut self, value: Borrowed<'_, 'py, PyAny>) -> Step<bool> {
        if value.is_exact_instance_of::<PyString>() {
            // SAFETY: the line above checked the type.
            return self.short_str(unsafe { value.cast_unchecked() });
        } else if value.is_exact_instance_of::<PyInt>() {
            // SAFETY: the line above checked the type.
            return Ok(self.narrow_int(unsafe { value.cast_unchecked() }));
        } else if value.is_exact_instance_of::<PyFloat>() {
            // SAFETY: the line above checked the type.
            self.out.float(unsafe { value.cast_unchecked::<PyFloat>() }.value());
        } else if value.is_exact_instance_of::<PyBool>() {
            // SAFETY: the line above checked the type.
            self.out.bool(unsafe { value.cast_unchecked::<PyBool>() }.is_true());
        } else if value.is_none() {
            self.out.nil();
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// False: too long to be looked at without holding it; nothing has been written.
    #[inline]
    pub(super) fn short_str(&mut self, text: Borrowed<'_, 'py, PyString>) -> Step<bool> {
        // SAFETY: `text` is a str. Neither call runs Python code; the text that they give stays
        // in the string, and is read before anything else happens.
        unsafe {
            if ffi::PyUnicode_GetLength(text.as_ptr()) > SHORT_STR {
                return Ok(false);
            }
            let mut len = 0;
            let utf8 = ffi::PyUnicode_AsUTF8AndSize(text.as_ptr(), &mut len);
            if utf8.is_null() {
                return Err(no_utf8(PyErr::fetch(self.py)));
            }
            self.out.str(slice::from_raw_parts(utf8.cast(), len.cast_unsigned()))?;
        }
        Ok(true)
    }

    /// Any str, subclasses included.
    pub(super) fn str(&mut self, text: &Bound<'py, PyString>) -> Step {
        if self.short_str(text.as_borrowed())? {
            return Ok(());
        }
        // The limited API cannot ask a string for its kind, but `str.isascii` is one flag read.
        let is_ascii = self.py.get_type::<PyString>().getattr(intern!(self.py, "isascii"));
        if is_ascii.and_then(|ask| ask.call1((text,))?.is_truthy())? {
            self.out.str(text.to_str()?.as_bytes())
        } else {
            self.out.str(text.encode_utf8().map_err(no_utf8)?.as_bytes())
        }
    }

    /// False: wider than 64 bits; nothing has been written.
    #[inline]
    fn narrow_int(&mut self, int: Borrowed<'_, 'py, PyInt>) -> bool {
        let mut overflow = 0;
        // SAFETY: `int` is an int, so no `__index__` is called and no error can be set.
        let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(int.as_ptr(), &mut overflow) };
        if overflow == 0 {
            self.out.int(value);
        }
        overflow == 0
    }

    /// Any int, subclasses included.
    pub(super) fn int(&mut self, int: &Bound<'py, PyInt>) -> Step {
        if self.narrow_int(int.as_borrowed()) {
            Ok(())
        } else {
            number::encode_wide(&mut self.out, int)
        }
    }

    pub(super) fn bytes(&mut self, bytes: &Bound<'py, PyBytes>) -> Step {
        if self.stays_inside(bytes.as_bytes().len()) {
            return self.inline_bytes(bytes);
        }
        let bulk = Bulk::Memory(Buffer::contiguous(bytes)?);
        self.bulk(extension::BYTES, &[], bulk)
    }

    /// In the message itself, whatever their size.
    pub(super) fn inline_bytes(&mut self, bytes: &Bound<'py, PyBytes>) -> Step {
        let body = bytes.as_bytes();
        self.out.bin(body.len())?;
        self.out.append(body);
        Ok(())
    }

    /// What arrives as a memoryview.
    pub(super) fn memory(&mut self, value: &Bound<'py, PyAny>) -> Step {
        let buffer = match Buffer::contiguous(value) {
            Ok(buffer) => buffer,
            Err(_) => Buffer::contiguous(&value.call_method0(intern!(self.py, "tobytes"))?)?,
        };
        self.bulk(extension::MEMORY, &[], Bulk::Memory(buffer))
    }
}

#[cold]
fn no_utf8(error: PyErr) -> Box<Failure> {
    let what = "cannot encode str with lone surrogates; send bytes, as os.fsencode() makes them";
    Failure::raised(what, error).of_type("str")
}
