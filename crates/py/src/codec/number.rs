//! Numbers that msgpack has no type for, and UUIDs: wide ints, Decimal, UUID.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt, PyString};

use snakepit::value::format as extension;

use super::decode::new_bytes;
use super::failure::{Failure, Step};
use super::types;
use super::write::Writer;

const UUID_LEN: usize = 16;

/// An int beyond `i64`: `uint 64` where it fits, else two's complement in an extension. Never
/// decimal text, which Python limits to 4300 digits and converts in quadratic time.
#[cold]
pub(super) fn encode_wide(out: &mut Writer, int: &Bound<'_, PyInt>) -> Step {
    if let Ok(value) = int.extract::<u64>() {
        out.uint(value);
        return Ok(());
    }
    let py = int.py();
    // By the type: a subclass may override its methods.
    let class = py.get_type::<PyInt>();
    let bits: usize = class.call_method1(intern!(py, "bit_length"), (int,))?.extract()?;
    let signed = PyDict::new(py);
    signed.set_item(intern!(py, "signed"), true)?;
    let arguments = (int, bits / 8 + 1, intern!(py, "big"));
    let body = class.call_method(intern!(py, "to_bytes"), arguments, Some(&signed))?;
    extend(out, extension::BIG_INT, body.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes())
}

/// False: of none of the types here; nothing has been written.
pub(super) fn encode(out: &mut Writer, value: &Bound<'_, PyAny>) -> Step<bool> {
    let py = value.py();
    if types::DECIMAL.is_type_of(value) {
        extend(out, extension::DECIMAL, value.str()?.to_str()?.as_bytes())?;
    } else if types::UUID.is_base_of(value) {
        // Drivers bring their own subclasses of UUID; all know `bytes`.
        let body = value.getattr(intern!(py, "bytes"))?;
        let body = body.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes();
        if body.len() != UUID_LEN {
            return Err(Failure::new(
                "cannot encode a UUID whose .bytes are not 16; use uuid.UUID",
            ));
        }
        extend(out, extension::UUID, body)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

pub(super) fn decode_wide<'py>(py: Python<'py>, body: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let signed = PyDict::new(py);
    signed.set_item(intern!(py, "signed"), true)?;
    let arguments = (new_bytes(py, body)?, intern!(py, "big"));
    py.get_type::<PyInt>().call_method(intern!(py, "from_bytes"), arguments, Some(&signed))
}

pub(super) fn decode_decimal<'py>(py: Python<'py>, body: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    types::DECIMAL.import(py)?.call1((PyString::from_bytes(py, body)?,))
}

pub(super) fn decode_uuid<'py>(py: Python<'py>, body: &[u8]) -> Step<Bound<'py, PyAny>> {
    if body.len() != UUID_LEN {
        return Err(Failure::new(format!("a UUID has 16 bytes, not {}", body.len())));
    }
    let fields = PyDict::new(py);
    fields.set_item(intern!(py, "bytes"), new_bytes(py, body)?)?;
    Ok(types::UUID.import(py)?.call((), Some(&fields))?)
}

fn extend(out: &mut Writer, tag: i8, body: &[u8]) -> Step {
    out.extension(tag, body.len())?;
    out.append(body);
    Ok(())
}
