//! Results and chunks as they travel, and what is sent instead of what cannot.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use snakepit::Payload;

use crate::codec;

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
    Ok(codec::encode_or(value, root, SUBSTITUTE.get(value.py()), None)?.message.into())
}
