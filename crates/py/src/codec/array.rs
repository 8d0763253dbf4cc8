//! numpy: arrays in C order with their dtype, and scalars with theirs.
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
use super::failure::{Failure, Step, type_name};
use super::read::Reader;
use super::types::{self, Type};
use super::write::Writer;

/// False: neither an array nor a numpy scalar; nothing has been written.
pub(super) fn encode(out: &mut Writer, value: &Bound<'_, PyAny>) -> Step<bool> {
    if types::NDARRAY.loaded(value.py()).is_none() {
        return Ok(false);
    }
    // Other subclasses mean more than their items: a mask, a matrix product.
    if types::NDARRAY.is_type_of(value) || types::MEMMAP.is_type_of(value) {
        array(out, value)?;
    } else if types::NUMPY_SCALAR.is_base_of(value) {
        scalar(out, value)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn array(out: &mut Writer, array: &Bound<'_, PyAny>) -> Step {
    if let Ok(buffer) = Buffer::contiguous(array)
        && let Some(name) = of_format(buffer.format(), buffer.item_size())
    {
        return write_array(out, name, &buffer);
    }
    let py = array.py();
    let name = dtype_name(array)?;
    let dtype = match Dtype::parse(&name) {
        Some(dtype) if dtype.item_size > 0 => dtype,
        _ => return Err(refuse_dtype(array)),
    };
    // The buffer protocol has no format for dates: the same bits as integers have one.
    let source = match dtype.is_time() {
        true => array.call_method1(intern!(py, "view"), (intern!(py, "i8"),))?,
        false => array.clone(),
    };
    // Not `numpy.ascontiguousarray`, which gives every 0-d array a dimension.
    let buffer = match Buffer::contiguous(&source) {
        Ok(buffer) => buffer,
        Err(_) => Buffer::contiguous(&source.call_method1(intern!(py, "copy"), ("C",))?)?,
    };
    write_array(out, dtype.name, &buffer)
}

fn write_array(out: &mut Writer, dtype: &str, buffer: &Buffer<'_>) -> Step {
    let shape = buffer.shape();
    out.extension(extension::ARRAY, 2 + dtype.len() + 8 * shape.len() + buffer.len())?;
    out.append(&[dtype.len() as u8]);
    out.append(dtype.as_bytes());
    out.append(&[shape.len() as u8]);
    for length in shape {
        out.append(&(*length as u64).to_be_bytes());
    }
    buffer.append_to(out);
    Ok(())
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
    let name = dtype_name(scalar)?;
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

/// `value.dtype.str`; numpy makes no name here that is longer than 255 bytes.
fn dtype_name(value: &Bound<'_, PyAny>) -> Step<String> {
    let py = value.py();
    let dtype = value.getattr(intern!(py, "dtype"))?;
    let name = dtype.getattr(intern!(py, "str"))?.extract::<String>()?;
    Ok(name)
}

#[cold]
fn refuse_dtype(array: &Bound<'_, PyAny>) -> Box<Failure> {
    let kind = type_name(array);
    let what = (|| {
        let dtype = array.getattr("dtype")?;
        PyResult::Ok(if !dtype.getattr("names")?.is_none() {
            format!("cannot encode structured {kind}; send its fields as a dict of arrays")
        } else if dtype.getattr("kind")?.eq("O")? {
            format!("cannot encode {kind} of objects; convert it to a list")
        } else {
            format!("cannot encode {kind} of dtype {dtype}; convert it with .astype() or .tolist()")
        })
    })();
    match what {
        Ok(what) => Failure::refusal(what).of(array),
        Err(error) => Failure::raised("", error).of(array),
    }
}

pub(super) fn decode_array<'py>(py: Python<'py>, body: &[u8]) -> Step<Bound<'py, PyAny>> {
    let mut body = Reader::new(body);
    let dtype = read_dtype(&mut body)?;
    let dimensions = body.len8()?;
    let shape =
        (0..dimensions).map(|_| Ok(u64::from_be_bytes(body.chunk()?))).collect::<Step<Vec<_>>>()?;
    let size = shape.iter().try_fold(dtype.item_size as u64, |size, n| size.checked_mul(*n));
    let data = body.take(body.left())?;
    if dtype.item_size == 0 || size != Some(data.len() as u64) {
        let what = "the array's data does not fit its shape and dtype";
        return Err(Failure::new(what));
    }
    let shape = PyTuple::new(py, shape)?;
    let arguments = (shape, numpy_dtype(py, &dtype)?, new_bytes(py, data)?);
    Ok(numpy(py, &types::NDARRAY)?.call1(arguments)?)
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
    Ok(numpy(py, &types::DTYPE)?.call1((dtype.name,))?)
}

fn numpy<'py>(py: Python<'py>, class: &'static Type) -> Step<&'py Bound<'py, PyType>> {
    let what = "cannot build a numpy value; install numpy in this interpreter";
    class.import(py).map_err(|error| Failure::raised(what, error))
}
