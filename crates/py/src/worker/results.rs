//! What the worker sends, results, chunks and arguments of host tools, and what is sent instead of what
//! cannot travel.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use snakepit::Payload;
use snakepit_proto::v1::{Buffer, Failure};

use super::{arenas, failure};
use crate::codec;
use crate::memory::{self, Place};

/// Makes something that can travel of a value that cannot; there is one worker in a process.
static SUBSTITUTE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// What the pool wants instead of an error. The first one counts.
pub(super) fn substitute_by(py: Python<'_>, substitute: Py<PyAny>) {
    SUBSTITUTE.get_or_init(py, || substitute);
}

/// Encodes a value as the pool wants it.
///
/// # Errors
///
/// `EncodeError` with the path of what cannot travel.
pub(super) fn encode(value: &Bound<'_, PyAny>, root: &str) -> PyResult<Payload> {
    let (py, place) = (value.py(), place());
    let encoded = codec::encode_or(value, root, SUBSTITUTE.get(py), place.threshold())?;
    memory::payload(py, encoded, place, root)
}

/// The same, for the arguments of a host tool.
///
/// # Errors
///
/// As [`encode`], the path starting at `args`.
pub(super) fn encode_args(arguments: &Bound<'_, PyAny>) -> PyResult<Payload> {
    let (py, place) = (arguments.py(), place());
    let encoded = codec::encode_args(Some(arguments), SUBSTITUTE.get(py), place.threshold())?;
    memory::payload(py, encoded, place, "args")
}

/// Where what is large of them goes.
fn place() -> Place<'static> {
    Place { arena: arenas::arena(), limit: None, come_back: || {}, insist: false }
}

/// The buffers of a value as its frame tells them, unless they would have to go in it and the host
/// would not take that. Waits for nothing.
pub(super) fn lend(
    value: &Payload,
    root: &str,
    max_message: usize,
) -> Result<Vec<Buffer>, Box<Failure>> {
    let table = arenas::lend(&value.buffers);
    let size = value.bytes.len().saturating_add(arenas::inline_bytes(&table));
    if size > max_message {
        arenas::take_back(&value.buffers, &table);
        return Err(failure::too_large(root, size, max_message).into());
    }
    Ok(table)
}
