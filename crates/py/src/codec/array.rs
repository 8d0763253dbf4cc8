//! numpy: arrays with their dtype, and scalars with theirs.
//!
//! Arrays arrive read-only, over the bytes that were copied out of the message: whether they can
//! be written to must not depend on their size, and larger ones are to be views of memory that
//! others see.

use pyo3::ffi::c_str;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple, PyType};

use snakepit::value::format as extension;

use super::buffer::Buffer;
use super::decode::new_bytes;
use super::dtype::{Dtype, of_format};
use super::encode::Encoder;
use super::failure::{Failure, Step, type_name};
use super::outside::{Bulk, read_only};
use super::read::Reader;
use super::types::{self, Type};
use super::write::Writer;
use super::{interop, refusal};

/// False: neither an array nor a numpy scalar; nothing has been written.
pub(super) fn encode<'py>(encoder: &mut Encoder<'py>, value: &Bound<'py, PyAny>) -> Step<bool> {
    if types::NDARRAY.loaded(value.py()).is_none() {
        return Ok(false);
    }
    // Other subclasses mean more than their items: a mask, a matrix product.
    if types::NDARRAY.is_type_of(value) || types::MEMMAP.is_type_of(value) {
        array(encoder, value)?;
    } else if types::NUMPY_SCALAR.is_base_of(value) {
        scalar(&mut encoder.out, value)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// Numbers in C order need no more than the buffer protocol; `_interop` knows the rest.
fn array<'py>(encoder: &mut Encoder<'py>, array: &Bound<'py, PyAny>) -> Step {
    if let Ok(buffer) = Buffer::contiguous(array)
        && let Some(name) = of_format(buffer.format(), buffer.item_size())
    {
        return write_array(encoder, name, buffer);
    }
    match interop::encode(encoder, array)? {
        true => Ok(()),
        false => Err(refusal::refuse(array)),
    }
}

fn write_array<'py>(encoder: &mut Encoder<'py>, dtype: &str, buffer: Buffer<'py>) -> Step {
    let shape = buffer.shape();
    let mut head = Head::new();
    head.push(dtype.len() as u8);
    head.extend(dtype.as_bytes());
    head.push(shape.len() as u8);
    for length in shape {
        head.extend(&(*length as u64).to_be_bytes());
    }
    encoder.bulk(extension::ARRAY, head.as_slice(), Bulk::Memory(buffer))
}

/// The head of an array's body, on the stack: names that [`of_format`] knows, 64 lengths at most.
struct Head {
    bytes: [u8; 8 + 64 * 8],
    len: usize,
}

impl Head {
    fn new() -> Self {
        Self { bytes: [0; _], len: 0 }
    }

    fn push(&mut self, byte: u8) {
        self.extend(&[byte]);
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.bytes[self.len..][..bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

fn scalar(out: &mut Writer, scalar: &Bound<'_, PyAny>) -> Step {
    if let Ok(bytes) = scalar.cast::<PyBytes>() {
        let body = bytes.as_bytes();
        return write_scalar(out, &format!("|S{}", body.len()), body);
    }
    let py = scalar.py();
    if scalar.is_instance_of::<PyString>() {
        let body = py.get_type::<PyString>().call_method1("encode", (scalar, "utf-32-le"))?;
        let body = body.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes();
        return write_scalar(out, &format!("<U{}", body.len() / 4), body);
    }
    let name = scalar_dtype(scalar)?.unwrap_or_default();
    let body = scalar.call_method0(intern!(py, "tobytes"))?;
    let body = body.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes();
    match Dtype::parse(&name) {
        Some(dtype) if dtype.item_size == body.len() => write_scalar(out, &name, body),
        _ => {
            let what = format!("cannot encode {}; convert it with .item()", type_name(scalar));
            Err(Failure::refusal(what).of(scalar))
        }
    }
}

fn write_scalar(out: &mut Writer, dtype: &str, body: &[u8]) -> Step {
    out.extension(extension::NUMPY_SCALAR, 1 + dtype.len() + body.len())?;
    out.append(&[dtype.len() as u8]);
    out.append(dtype.as_bytes());
    out.append(body);
    Ok(())
}

/// None: it does not travel.
fn scalar_dtype(scalar: &Bound<'_, PyAny>) -> Step<Option<String>> {
    let py = scalar.py();
    let dtype = scalar.getattr(intern!(py, "dtype"))?;
    // Of another package: its text may be that of a type of numpy's.
    if dtype.getattr(intern!(py, "isbuiltin"))?.extract::<u8>()? == 2 {
        return interop::dtype_name(&dtype);
    }
    let name = dtype.getattr(intern!(py, "str"))?.extract::<String>()?;
    match Dtype::parse(&name) {
        Some(parsed) if parsed.kind == b'V' => interop::dtype_name(&dtype),
        parsed => Ok(parsed.is_some().then_some(name)),
    }
}

pub(super) fn decode_array<'py>(py: Python<'py>, body: &[u8]) -> Step<Bound<'py, PyAny>> {
    let mut body = Reader::new(body);
    let layout = Layout::read(&mut body)?;
    let data = body.take(body.left())?;
    layout.check(data.len())?;
    layout.over(py, new_bytes(py, data)?.as_any())
}

/// An array over memory that lies elsewhere; `head` is what is before the items.
pub(super) fn decode_array_over<'py>(
    py: Python<'py>,
    head: &[u8],
    data: &Bound<'py, PyAny>,
) -> Step<Bound<'py, PyAny>> {
    let mut head = Reader::new(head);
    let layout = Layout::read(&mut head)?;
    if head.left() > 0 {
        let what = "the head is followed by bytes, though its bulk lies elsewhere";
        return Err(Failure::new(what));
    }
    layout.check(Buffer::contiguous(data)?.len())?;
    layout.over(py, &read_only(data)?)
}

/// What an array's items are, and how they lie.
struct Layout<'a> {
    dtype: Dtype<'a>,
    shape: Vec<u64>,
    is_fortran: bool,
}

impl<'a> Layout<'a> {
    fn read(body: &mut Reader<'a>) -> Step<Self> {
        let dtype = read_dtype(body)?;
        let dimensions = body.u8()?;
        let is_fortran = dimensions & extension::FORTRAN != 0;
        let shape = (0..dimensions & !extension::FORTRAN)
            .map(|_| Ok(u64::from_be_bytes(body.chunk()?)))
            .collect::<Step<_>>()?;
        Ok(Self { dtype, shape, is_fortran })
    }

    fn check(&self, len: usize) -> Step {
        let item_size = self.dtype.item_size as u64;
        let size = self.shape.iter().try_fold(item_size, |size, n| size.checked_mul(*n));
        if item_size == 0 || size != Some(len as u64) {
            let what = "the array's data does not fit its shape and dtype";
            return Err(Failure::new(what));
        }
        Ok(())
    }

    fn over<'py>(self, py: Python<'py>, data: &Bound<'py, PyAny>) -> Step<Bound<'py, PyAny>> {
        let array = numpy(py, &types::NDARRAY)?;
        let (shape, dtype) = (PyTuple::new(py, self.shape)?, numpy_dtype(py, &self.dtype)?);
        Ok(match self.is_fortran {
            false => array.call1((shape, dtype, data))?,
            true => array.call1((shape, dtype, data, 0, py.None(), intern!(py, "F")))?,
        })
    }
}

pub(super) fn decode_scalar<'py>(py: Python<'py>, body: &[u8]) -> Step<Bound<'py, PyAny>> {
    let mut body = Reader::new(body);
    let dtype = read_dtype(&mut body)?;
    let data = new_bytes(py, body.take(body.left())?)?;
    if data.as_bytes().len() != dtype.item_size {
        return Err(Failure::new("the numpy scalar's data does not fit its dtype"));
    }
    let numpy_dtype = numpy_dtype(py, &dtype)?;
    if dtype.is_text() {
        let class = numpy_dtype.getattr(intern!(py, "type"))?;
        let encoding =
            if dtype.name.starts_with('>') { c_str!("utf-32-be") } else { c_str!("utf-32-le") };
        return Ok(match dtype.kind {
            b'U' => {
                let text = PyString::from_encoded_object(&data, Some(encoding), None)?;
                class.call1((text,))?
            }
            _ => class.call1((data,))?,
        });
    }
    let whole = PyTuple::empty(py);
    let array = numpy(py, &types::NDARRAY)?.call1((&whole, numpy_dtype, data))?;
    Ok(array.get_item(&whole)?)
}

fn read_dtype<'a>(body: &mut Reader<'a>) -> Step<Dtype<'a>> {
    let len = body.len8()?;
    let name = str::from_utf8(body.take(len)?).ok();
    name.and_then(Dtype::parse).ok_or_else(|| Failure::new("no dtype that may travel"))
}

fn numpy_dtype<'py>(py: Python<'py>, dtype: &Dtype<'_>) -> Step<Bound<'py, PyAny>> {
    match dtype.name.as_bytes() {
        [b'<' | b'>' | b'|', ..] => Ok(numpy(py, &types::DTYPE)?.call1((dtype.name,))?),
        _ => interop::dtype(py, dtype.name),
    }
}

fn numpy<'py>(py: Python<'py>, class: &'static Type) -> Step<&'py Bound<'py, PyType>> {
    let what = "cannot build a numpy value; install numpy in this interpreter";
    class.import(py).map_err(|error| Failure::raised(what, error))
}
