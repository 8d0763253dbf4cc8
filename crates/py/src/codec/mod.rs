//! Values as they travel: Python objects to msgpack and back.
//!
//! `docs/values.md` is the promise: what arrives as what, the extension types, the limits. Plain
//! values have the very bytes that the `msgpack` package packs; the pure-Python end of the line
//! relies on it.
//!
//! ```text
//! encode ─▶ Encoder (walk) ─┬─▶ plain, time, number, array ─▶ Writer (markers, lengths)
//!                          ├─▶ interop: values of other libraries
//!                          ├─▶ outside: what is large travels beside the message
//!                          ├─▶ registry: types of the program
//!                          └─▶ refusal: what to send instead, unless the pool has a substitute
//! decode ─▶ Decoder (walk, plain types) ─┬─▶ Reader (bounds)
//!                                        ├─▶ time, number, array, interop
//!                                        ├─▶ outside: what came beside the message
//!                                        └─▶ KeyCache (dict keys met before)
//! ```
//!
//! No policy lives here: no pickle, no size limit of a message, no memory for what is beside it.
//!
//! # Invariants behind the `unsafe` of this module
//!
//! 1. Everything runs attached, from the first byte to the last: `Python<'py>` is carried along.
//! 2. A reference borrowed from a container is used only until the next thing that could run
//!    Python code. `Encoder::leaf` and `Encoder::short_str` run none and allocate no Python object
//!    unless they fail; all else gets a counted reference. After a leaf has failed, what was
//!    borrowed is not touched again.
//! 3. A container may change whenever Python code runs. Its announced length is compared with what
//!    was seen, so a message is never torn: it is well-formed, or an error is raised.
//! 4. An object under construction is known to the decoder alone (and to the collector).
//! 5. No lock is waited for: the key cache is tried, and done without. It may be held by a thread
//!    that waits for the interpreter, by this very stack, or by nobody after a fork.

mod array;
mod buffer;
mod decode;
mod dtype;
mod encode;
mod failure;
mod identity;
mod interop;
mod keys;
mod number;
mod outside;
mod plain;
mod read;
mod refusal;
mod registry;
mod time;
mod types;
mod write;

use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyMapping, PyString};

use decode::Decoder;
use encode::Encoder;
use failure::{Failure, type_name};
pub(crate) use identity::{Item, has_items};
use keys::KeyCache;
pub(crate) use outside::{Arrived, Bulk, Encoded};
pub(crate) use registry::{adopt, use_registry};

/// Containers inside each other, both ways.
const MAX_DEPTH: u32 = 128;

static KEYS: Mutex<Option<KeyCache>> = Mutex::new(None);

/// Encodes any value; `root` is how error paths start.
///
/// # Errors
///
/// `EncodeError` with the path of what cannot travel.
pub(crate) fn encode(value: &Bound<'_, PyAny>, root: &str) -> PyResult<Vec<u8>> {
    Ok(encode_or(value, root, None, None)?.message)
}

/// The same, with what `substitute` makes of a value that cannot travel in its place, and without
/// the bodies of `threshold` bytes and more.
///
/// # Errors
///
/// As [`encode()`], and what `substitute` raises.
pub(crate) fn encode_or<'py>(
    value: &Bound<'py, PyAny>,
    root: &str,
    substitute: Option<&Py<PyAny>>,
    threshold: Option<usize>,
) -> PyResult<Encoded<'py>> {
    let mut encoder = Encoder::new(value.py(), substitute, threshold);
    match encoder.value(value) {
        Ok(()) => Ok(encoder.finish()),
        Err(failure) => Err(failure.of(value).raise_encode(value.py(), root)),
    }
}

/// Encodes a call's arguments: a mapping from names to values; `None` is the empty one. For a value
/// that cannot travel goes what `substitute` makes of it; bodies of `threshold` bytes and more are
/// left outside.
///
/// # Errors
///
/// `EncodeError` with the path of what cannot travel, starting at `args`.
pub(crate) fn encode_args<'py>(
    args: Option<&Bound<'py, PyAny>>,
    substitute: Option<&Py<PyAny>>,
    threshold: Option<usize>,
) -> PyResult<Encoded<'py>> {
    let Some(args) = args.filter(|args| !args.is_none()) else {
        return Ok(Encoded { message: vec![0x80], outside: Vec::new() });
    };
    let py = args.py();
    let mut encoder = Encoder::new(py, substitute, threshold);
    let encoded = if let Ok(dict) = args.cast_exact::<PyDict>() {
        encoder.arguments(dict)
    } else if args.is_instance_of::<PyMapping>() {
        encode::plain_dict(args).map_err(Into::into).and_then(|dict| encoder.arguments(&dict))
    } else {
        let what = format!("arguments are a mapping of names to values, not {}", type_name(args));
        Err(Failure::new(what + "; pass a dict"))
    };
    match encoded {
        Ok(()) => Ok(encoder.finish()),
        Err(failure) => Err(failure.of(args).raise_encode(py, "args")),
    }
}

/// Decodes one value; `root` is how error paths start.
///
/// # Errors
///
/// `DecodeError` for whatever is not exactly one value of ours.
pub(crate) fn decode<'py>(py: Python<'py>, data: &[u8], root: &str) -> PyResult<Bound<'py, PyAny>> {
    decode_with(py, data, root, &())
}

/// The same, of a message beside which something has arrived.
///
/// # Errors
///
/// As [`decode()`].
pub(crate) fn decode_with<'py>(
    py: Python<'py>,
    data: &[u8],
    root: &str,
    arrived: &dyn Arrived,
) -> PyResult<Bound<'py, PyAny>> {
    let mut cache = KEYS.try_lock().ok();
    let keys = cache.as_deref_mut().map(|keys| keys.get_or_insert_with(KeyCache::new));
    let decoded = Decoder::new(py, data, keys, arrived).message();
    drop(cache);
    decoded.map_err(|failure| failure.raise_decode(py, root))
}

/// Decodes a value with what came beside its message.
///
/// # Errors
///
/// As [`decode()`].
pub(crate) fn decode_payload<'py>(
    py: Python<'py>,
    payload: &snakepit::Payload,
    root: &str,
) -> PyResult<Bound<'py, PyAny>> {
    match payload.buffers.is_empty() {
        true => decode(py, &payload.bytes, root),
        false => decode_with(py, &payload.bytes, root, &&payload.buffers[..]),
    }
}

/// A `DecodeError` about a whole value.
pub(crate) fn garbled(py: Python<'_>, root: &str, what: impl Into<String>) -> PyErr {
    Failure::new(what).raise_decode(py, root)
}

/// An `EncodeError` about a whole value.
pub(crate) fn refuse(py: Python<'_>, root: &str, what: impl Into<String>) -> PyErr {
    Failure::new(what).raise_encode(py, root)
}

/// Makes decoded keys that equal one of `names` that very object, so that Python matches keyword
/// arguments by comparing pointers. Skipped when a decode is under way: it is but faster.
pub(crate) fn seed_keys(names: &[Bound<'_, PyString>]) {
    if let Ok(mut cache) = KEYS.try_lock() {
        let cache = cache.get_or_insert_with(KeyCache::new);
        names.iter().for_each(|name| cache.seed(name));
    }
}

/// Encode a value as it travels; ``EncodeError`` names the path below ``root``. Bodies of
/// ``threshold`` bytes and more are appended to the list ``outside``, where there is one.
#[pyfunction(
    name = "encode",
    signature = (value, root = "value", substitute = None, outside = None, threshold = 65536)
)]
pub(crate) fn encode_py<'py>(
    value: &Bound<'py, PyAny>,
    root: &str,
    substitute: Option<&Bound<'py, PyAny>>,
    outside: Option<&Bound<'py, PyList>>,
    threshold: usize,
) -> PyResult<Bound<'py, PyBytes>> {
    let substitute = substitute.map(|substitute| substitute.clone().unbind());
    let threshold = outside.map(|_| threshold);
    let encoded = encode_or(value, root, substitute.as_ref(), threshold)?;
    if let Some(list) = outside {
        outside::list(value.py(), encoded.outside, list)?;
    }
    decode::new_bytes(value.py(), &encoded.message)
}

/// Decode what ``encode`` made; raises ``DecodeError`` on anything malformed. ``arrived``: what came
/// beside it, by number.
#[pyfunction(name = "decode", signature = (data, root = "value", arrived = None))]
pub(crate) fn decode_py<'py>(
    py: Python<'py>,
    data: &[u8],
    root: &str,
    arrived: Option<&Bound<'py, PyList>>,
) -> PyResult<Bound<'py, PyAny>> {
    match arrived {
        Some(arrived) => decode_with(py, data, root, arrived),
        None => decode(py, data, root),
    }
}
