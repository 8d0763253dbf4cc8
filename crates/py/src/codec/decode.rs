//! From msgpack to Python values.
//!
//! The message comes from another process and may be anything: every length is compared with what
//! is left before memory is asked for, the depth is bounded, and an extension's body is checked
//! before a Python type sees it. One byte can still become an object of some 80 bytes: whoever
//! takes a message in bounds its size.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyMemoryView, PyString};
use snakepit::value::format as extension;

use super::failure::{Failure, Step};
use super::keys::KeyCache;
use super::outside::Arrived;
use super::read::{Reader, truncated};
use super::{MAX_DEPTH, array, interop, number, outside, registry, time};

pub(super) struct Decoder<'a, 'py> {
    input: Reader<'a>,
    py: Python<'py>,
    depth: u32,
    /// Items that open lists and dicts still announce, of a byte each at least.
    owed: usize,
    /// None: another thread, or a decode further up this stack, has it.
    keys: Option<&'a mut KeyCache>,
    arrived: &'a dyn Arrived,
    /// Number of the first buffer that is this message's.
    base: usize,
}

impl<'a, 'py> Decoder<'a, 'py> {
    pub(super) fn new(
        py: Python<'py>,
        data: &'a [u8],
        keys: Option<&'a mut KeyCache>,
        arrived: &'a dyn Arrived,
    ) -> Self {
        Self { input: Reader::new(data), py, depth: 0, owed: 0, keys, arrived, base: 0 }
    }

    /// The one value that the whole message is.
    pub(super) fn message(&mut self) -> Step<Bound<'py, PyAny>> {
        let value = self.value()?;
        match self.input.left() {
            0 => Ok(value),
            left => Err(Failure::new(format!("{left} bytes are left over behind the value"))),
        }
    }

    fn value(&mut self) -> Step<Bound<'py, PyAny>> {
        let marker = self.input.u8()?;
        match marker {
            0x00..=0x7f => Ok(self.int(i64::from(marker))),
            0x80..=0x8f => self.dict(usize::from(marker & 0x0f)),
            0x90..=0x9f => self.list(usize::from(marker & 0x0f)),
            0xa0..=0xbf => Ok(self.str(usize::from(marker & 0x1f))?.into_any()),
            0xc0 => Ok(self.py.None().into_bound(self.py)),
            0xc1 => Err(Failure::new("0xc1 starts no value")),
            0xc2 | 0xc3 => Ok(PyBool::new(self.py, marker == 0xc3).to_owned().into_any()),
            0xc4 => self.input.len8().and_then(|len| self.bytes(len)),
            0xc5 => self.input.len16().and_then(|len| self.bytes(len)),
            0xc6 => self.input.len32().and_then(|len| self.bytes(len)),
            0xc7 => self.input.len8().and_then(|len| self.extension(len)),
            0xc8 => self.input.len16().and_then(|len| self.extension(len)),
            0xc9 => self.input.len32().and_then(|len| self.extension(len)),
            0xca => {
                let value = f32::from_be_bytes(self.input.chunk()?);
                Ok(self.float(f64::from(value)))
            }
            0xcb => {
                let value = f64::from_be_bytes(self.input.chunk()?);
                Ok(self.float(value))
            }
            0xcc..=0xd3 => self.wide_int(marker),
            0xd4..=0xd8 => self.extension(1 << (marker - 0xd4)),
            0xd9 => Ok(self.input.len8().and_then(|len| self.str(len))?.into_any()),
            0xda => Ok(self.input.len16().and_then(|len| self.str(len))?.into_any()),
            0xdb => Ok(self.input.len32().and_then(|len| self.str(len))?.into_any()),
            0xdc => self.input.len16().and_then(|len| self.list(len)),
            0xdd => self.input.len32().and_then(|len| self.list(len)),
            0xde => self.input.len16().and_then(|len| self.dict(len)),
            0xdf => self.input.len32().and_then(|len| self.dict(len)),
            0xe0..=0xff => Ok(self.int(i64::from(marker.cast_signed()))),
        }
    }

    #[inline]
    fn int(&self, value: i64) -> Bound<'py, PyAny> {
        let Ok(int) = value.into_pyobject(self.py);
        int.into_any()
    }

    #[inline]
    fn float(&self, value: f64) -> Bound<'py, PyAny> {
        PyFloat::new(self.py, value).into_any()
    }

    #[inline]
    fn wide_int(&mut self, marker: u8) -> Step<Bound<'py, PyAny>> {
        let value = match marker {
            0xcc => i64::from(self.input.u8()?),
            0xcd => i64::from(u16::from_be_bytes(self.input.chunk()?)),
            0xce => i64::from(u32::from_be_bytes(self.input.chunk()?)),
            0xcf => {
                let Ok(int) = u64::from_be_bytes(self.input.chunk()?).into_pyobject(self.py);
                return Ok(int.into_any());
            }
            0xd0 => i64::from(i8::from_be_bytes(self.input.chunk()?)),
            0xd1 => i64::from(i16::from_be_bytes(self.input.chunk()?)),
            0xd2 => i64::from(i32::from_be_bytes(self.input.chunk()?)),
            _ => i64::from_be_bytes(self.input.chunk()?),
        };
        Ok(self.int(value))
    }

    #[inline]
    fn str(&mut self, len: usize) -> Step<Bound<'py, PyString>> {
        let utf8 = self.input.take(len)?;
        text(self.py, utf8)
    }

    fn bytes(&mut self, len: usize) -> Step<Bound<'py, PyAny>> {
        let body = self.input.take(len)?;
        Ok(new_bytes(self.py, body)?.into_any())
    }

    fn list(&mut self, len: usize) -> Step<Bound<'py, PyAny>> {
        // An item has a byte at least; or 2**32 announced items would allocate 32 GiB.
        if len > self.input.left() {
            return Err(truncated());
        }
        self.deeper()?;
        // Nested lists that each announce all that is left would add up: such a message is broken,
        // and shows it further on. Until then its lists grow by what is really there.
        let is_honest = len <= self.input.left().saturating_sub(self.owed);
        let places = if is_honest { len } else { 0 };
        // SAFETY: `len` fits, as it is below the length of a slice; new reference or null.
        let list = unsafe {
            Bound::from_owned_ptr_or_err(self.py, ffi::PyList_New(places.cast_signed()))
        }?;
        self.owed += len;
        for index in 0..len {
            self.owed -= 1;
            let item = self.value().map_err(|failure| failure.at_index(index))?;
            if !is_honest {
                // SAFETY: two live objects, the first a list; counts its own reference.
                if unsafe { ffi::PyList_Append(list.as_ptr(), item.as_ptr()) } != 0 {
                    return Err(PyErr::fetch(self.py).into());
                }
                continue;
            }
            // SAFETY: ours alone so far, and `index` is within it; takes over the reference. Its
            // open places are null until then, which the collector and dealloc know.
            unsafe { ffi::PyList_SetItem(list.as_ptr(), index.cast_signed(), item.into_ptr()) };
        }
        self.depth -= 1;
        Ok(list)
    }

    fn dict(&mut self, len: usize) -> Step<Bound<'py, PyAny>> {
        if len > self.input.left() / 2 {
            return Err(truncated());
        }
        self.deeper()?;
        // SAFETY: a new reference or null with an error.
        let dict = unsafe { Bound::from_owned_ptr_or_err(self.py, ffi::PyDict_New()) }?;
        self.owed += 2 * len;
        for _ in 0..len {
            self.owed -= 2;
            let key = self.key()?;
            let item = self.value().map_err(|failure| failure.at_key(&key))?;
            // SAFETY: three live objects, the first a dict; counts its own references. Keys are
            // of built-in types, so hashing and comparing them runs no code of others.
            let status = unsafe { ffi::PyDict_SetItem(dict.as_ptr(), key.as_ptr(), item.as_ptr()) };
            if status != 0 {
                return Err(PyErr::fetch(self.py).into());
            }
        }
        self.depth -= 1;
        Ok(dict)
    }

    #[inline]
    fn key(&mut self) -> Step<Bound<'py, PyAny>> {
        match self.input.peek() {
            Some(marker @ 0xa0..=0xbf) => {
                self.input.u8()?;
                let utf8 = self.input.take(usize::from(marker & 0x1f))?;
                let key = match &mut self.keys {
                    Some(keys) => keys.get(self.py, utf8, || text(self.py, utf8)),
                    None => text(self.py, utf8),
                };
                Ok(key?.into_any())
            }
            Some(0x80..=0x9f | 0xdc..=0xdf) => Err(Failure::new("a dict key must be a scalar")),
            Some(0xc7..=0xc9 | 0xd4..=0xd8) => self.wide_key(),
            _ => self.value(),
        }
    }

    /// The one extension that is a key: an int beyond 64 bits.
    #[cold]
    fn wide_key(&mut self) -> Step<Bound<'py, PyAny>> {
        match self.input.peek_extension() {
            Some(extension::BIG_INT) | None => self.value(),
            Some(_) => Err(Failure::new("a dict key must be a scalar")),
        }
    }

    #[cold]
    fn extension(&mut self, len: usize) -> Step<Bound<'py, PyAny>> {
        let tag = self.input.u8()?.cast_signed();
        let (py, body) = (self.py, self.input.take(len)?);
        let value = match tag {
            extension::BIG_INT => number::decode_wide(py, body).map_err(Into::into),
            extension::DATETIME => time::decode_datetime(py, body),
            extension::DATE => time::decode_date(py, body).map_err(Into::into),
            extension::DECIMAL => number::decode_decimal(py, body).map_err(Into::into),
            extension::UUID => number::decode_uuid(py, body),
            extension::ARRAY => array::decode_array(py, body),
            extension::NUMPY_SCALAR => array::decode_scalar(py, body),
            extension::TIME => time::decode_time(py, body),
            extension::TIMEDELTA => time::decode_span(py, body),
            extension::NAMED => self.named(body),
            extension::MEMORY => new_bytes(py, body)
                .map_err(Into::into)
                .and_then(|bytes| Ok(PyMemoryView::from(&bytes)?.into_any())),
            extension::RECORDS | extension::ARROW | extension::TENSOR => {
                interop::decode(py, tag, body, None)
            }
            extension::REFERENCE => outside::resolve(py, body, (self.arrived, self.base)),
            extension::SHARED => self.shared(body),
            _ => Err(Failure::new(format!("unknown extension type {tag}; is the peer newer?"))),
        };
        value.map_err(|failure| failure.during(format!("malformed extension of type {tag}")))
    }

    /// A value of a type that the program has registered, by its name.
    fn named(&mut self, body: &[u8]) -> Step<Bound<'py, PyAny>> {
        let (name, message) = extension::named(body)
            .ok_or_else(|| Failure::new("a named value starts with its name"))?;
        let decode = registry::decoder(self.py, name)?.ok_or_else(|| {
            Failure::new(format!(
                "no decoder for \"{name}\" here; register one by register_decoder()"
            ))
        })?;
        let plain = self.inside_of(message, self.base)?;
        decode
            .call1((plain,))
            .map_err(|error| Failure::raised(format!("the decoder for \"{name}\" failed"), error))
    }

    /// A value that was put once, and has buffers of its own.
    fn shared(&mut self, body: &[u8]) -> Step<Bound<'py, PyAny>> {
        let (first, message) = body.split_first_chunk().ok_or_else(truncated)?;
        let first = u32::from_be_bytes(*first) as usize;
        self.inside_of(message, self.base.saturating_add(first))
    }

    fn inside_of(&mut self, message: &[u8], base: usize) -> Step<Bound<'py, PyAny>> {
        self.deeper()?;
        let mut inner = Decoder {
            input: Reader::new(message),
            py: self.py,
            depth: self.depth,
            owed: 0,
            keys: self.keys.as_deref_mut(),
            arrived: self.arrived,
            base,
        };
        let value = inner.message()?;
        self.depth -= 1;
        Ok(value)
    }

    #[inline]
    fn deeper(&mut self) -> Step {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            Err(Failure::new(format!("nested deeper than {MAX_DEPTH} containers")))
        } else {
            Ok(())
        }
    }
}

#[inline]
fn text<'py>(py: Python<'py>, utf8: &[u8]) -> Step<Bound<'py, PyString>> {
    PyString::from_bytes(py, utf8).map_err(no_utf8)
}

#[cold]
fn no_utf8(error: PyErr) -> Box<Failure> {
    Failure::raised("a str is no UTF-8", error)
}

/// Unlike `PyBytes::new`, an error rather than a panic where memory runs out.
pub(super) fn new_bytes<'py>(py: Python<'py>, body: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    // SAFETY: reads the slice, and gives a new reference to bytes, or null with an error.
    unsafe {
        let len = body.len().cast_signed();
        let made = ffi::PyBytes_FromStringAndSize(body.as_ptr().cast(), len);
        Ok(Bound::from_owned_ptr_or_err(py, made)?.cast_into_unchecked())
    }
}
