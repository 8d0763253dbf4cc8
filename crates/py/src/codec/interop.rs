//! Values of other libraries: `snakepit_bridge._interop` knows them, for both codecs.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyTuple, PyType};

use super::decode::new_bytes;
use super::encode::Encoder;
use super::failure::{Failure, Step};
use super::outside::Bulk;

static UNFIT: PyOnceLock<Py<PyType>> = PyOnceLock::new();

fn module(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import(intern!(py, "snakepit_bridge._interop"))
}

/// False: of no library that is known there; nothing has been written.
#[cold]
pub(super) fn encode<'py>(encoder: &mut Encoder<'py>, value: &Bound<'py, PyAny>) -> Step<bool> {
    let py = value.py();
    let part = module(py)?
        .call_method1(intern!(py, "encode"), (value,))
        .map_err(|error| refused(value, error))?;
    if part.is_none() {
        return Ok(false);
    }
    let (tag, head, bulk): (i8, Bound<'_, PyBytes>, Bound<'_, PyAny>) = part.extract()?;
    encoder.bulk(tag, head.as_bytes(), Bulk::of(bulk)?)?;
    Ok(true)
}

/// What `value` is refused for, and where inside it.
fn refused(value: &Bound<'_, PyAny>, error: PyErr) -> Box<Failure> {
    let py = value.py();
    match unfit(py, &error) {
        Some((what, path)) => {
            let failure = Failure::refusal(what).of(value);
            path.iter().rev().fold(failure, |failure, key| failure.at_key(&key))
        }
        None => error.into(),
    }
}

/// A value of one of the extensions of that module. `data`: its bulk, where it is not in `body`.
#[cold]
pub(super) fn decode<'py>(
    py: Python<'py>,
    tag: i8,
    body: &[u8],
    data: Option<&Bound<'py, PyAny>>,
) -> Step<Bound<'py, PyAny>> {
    let body = new_bytes(py, body)?;
    let decoded = module(py)?.call_method1(intern!(py, "decode"), (tag, body, data));
    decoded.map_err(|error| match unfit(py, &error) {
        Some((what, _)) => Failure::new(what),
        None => error.into(),
    })
}

/// The name that a type of numpy travels under; None: it does not.
pub(super) fn dtype_name(dtype: &Bound<'_, PyAny>) -> Step<Option<String>> {
    let py = dtype.py();
    let module = py.import(intern!(py, "snakepit_bridge._interop._dtype"))?;
    Ok(module.call_method1(intern!(py, "text_of"), (dtype,))?.extract()?)
}

/// The type of a name that may travel, and that is none of numpy's own.
pub(super) fn dtype<'py>(py: Python<'py>, name: &str) -> Step<Bound<'py, PyAny>> {
    let module = py.import(intern!(py, "snakepit_bridge._interop._dtype"))?;
    module.call_method1(intern!(py, "build"), (name,)).map_err(|error| match unfit(py, &error) {
        Some((what, _)) => Failure::new(what),
        None => error.into(),
    })
}

/// What an `UnfitError` says, and its path.
fn unfit<'py>(py: Python<'py>, error: &PyErr) -> Option<(String, Bound<'py, PyTuple>)> {
    let class = UNFIT.import(py, "snakepit_bridge._interop", "UnfitError").ok()?;
    if !error.is_instance(py, class) {
        return None;
    }
    let error = error.value(py);
    Some((error.getattr("what").ok()?.extract().ok()?, error.getattr("path").ok()?.extract().ok()?))
}
