//! Dates and times of the standard library, by their ISO texts.
//!
//! `isoformat` drops two things: `fold`, which goes in a byte in front, and the name of a
//! `ZoneInfo`, which goes in brackets behind. Other time zones arrive as fixed offsets.
//! Subclasses are refused elsewhere: pandas' Timestamp is a datetime, and would lose its
//! nanoseconds here.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use snakepit::value::format as extension;

use super::failure::{Failure, Step};
use super::read::Reader;
use super::types::{self, Type};
use super::write::Writer;

/// False: of none of the types here; nothing has been written.
pub(super) fn encode(out: &mut Writer, value: &Bound<'_, PyAny>) -> Step<bool> {
    if types::DATETIME.is_type_of(value) {
        clock(out, extension::DATETIME, value)?;
    } else if types::DATE.is_type_of(value) {
        let text = value.call_method0(intern!(value.py(), "isoformat"))?;
        let text = text.cast::<PyString>().map_err(PyErr::from)?.to_str()?;
        out.extension(extension::DATE, text.len())?;
        out.append(text.as_bytes());
    } else if types::TIMEDELTA.is_type_of(value) {
        span(out, value)?;
    } else if types::TIME.is_type_of(value) {
        clock(out, extension::TIME, value)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// A datetime or a time.
fn clock(out: &mut Writer, tag: i8, value: &Bound<'_, PyAny>) -> Step {
    let py = value.py();
    let text = value.call_method0(intern!(py, "isoformat"))?;
    let text = text.cast::<PyString>().map_err(PyErr::from)?.to_str()?;
    let fold: u8 = value.getattr(intern!(py, "fold"))?.extract()?;
    let zone = value.getattr(intern!(py, "tzinfo"))?;
    // By its type: asking any other zone for `key` would raise and drop an AttributeError.
    let key = match types::ZONE_INFO.is_base_of(&zone) {
        true => zone.getattr(intern!(py, "key"))?.extract::<Option<String>>()?,
        false => None,
    };
    let key = key.map(|key| format!("[{key}]")).unwrap_or_default();
    out.extension(tag, 1 + text.len() + key.len())?;
    out.append(&[fold]);
    out.append(text.as_bytes());
    out.append(key.as_bytes());
    Ok(())
}

fn span(out: &mut Writer, value: &Bound<'_, PyAny>) -> Step {
    let py = value.py();
    let days: i32 = value.getattr(intern!(py, "days"))?.extract()?;
    let seconds: u32 = value.getattr(intern!(py, "seconds"))?.extract()?;
    let microseconds: u32 = value.getattr(intern!(py, "microseconds"))?.extract()?;
    out.extension(extension::TIMEDELTA, 12)?;
    out.append(&days.to_be_bytes());
    out.append(&seconds.to_be_bytes());
    out.append(&microseconds.to_be_bytes());
    Ok(())
}

pub(super) fn decode_date<'py>(py: Python<'py>, body: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    from_iso(py, &types::DATE, body)
}

pub(super) fn decode_datetime<'py>(py: Python<'py>, body: &[u8]) -> Step<Bound<'py, PyAny>> {
    decode_clock(py, &types::DATETIME, body)
}

pub(super) fn decode_time<'py>(py: Python<'py>, body: &[u8]) -> Step<Bound<'py, PyAny>> {
    decode_clock(py, &types::TIME, body)
}

pub(super) fn decode_span<'py>(py: Python<'py>, body: &[u8]) -> Step<Bound<'py, PyAny>> {
    if body.len() != 12 {
        return Err(Failure::new(format!("a timedelta has 12 bytes, not {}", body.len())));
    }
    let mut body = Reader::new(body);
    let days = i32::from_be_bytes(body.chunk()?);
    let seconds = u32::from_be_bytes(body.chunk()?);
    let microseconds = u32::from_be_bytes(body.chunk()?);
    Ok(types::TIMEDELTA.import(py)?.call1((days, seconds, microseconds))?)
}

fn decode_clock<'py>(py: Python<'py>, class: &Type, body: &[u8]) -> Step<Bound<'py, PyAny>> {
    let Some((&fold @ 0..=1, text)) = body.split_first() else {
        return Err(Failure::new("a time starts with its fold, 0 or 1"));
    };
    let bracket = text.iter().position(|&byte| byte == b'[');
    let (text, zone) = match bracket {
        Some(bracket) => (&text[..bracket], Some(&text[bracket + 1..])),
        None => (text, None),
    };
    let value = from_iso(py, class, text)?;
    if fold == 0 && zone.is_none() {
        return Ok(value);
    }
    let fields = PyDict::new(py);
    fields.set_item(intern!(py, "fold"), fold)?;
    if let Some(zone) = zone {
        let key = zone.strip_suffix(b"]").ok_or_else(|| Failure::new("a zone ends with ']'"))?;
        let key = PyString::from_bytes(py, key)?;
        let what = "this interpreter does not know the time zone; install tzdata";
        let zone = types::ZONE_INFO.import(py)?.call1((key,));
        let zone = zone.map_err(|error| Failure::raised(what, error))?;
        fields.set_item(intern!(py, "tzinfo"), zone)?;
    }
    Ok(value.call_method(intern!(py, "replace"), (), Some(&fields))?)
}

fn from_iso<'py>(py: Python<'py>, class: &Type, text: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let text = PyString::from_bytes(py, text)?;
    class.import(py)?.call_method1(intern!(py, "fromisoformat"), (text,))
}
