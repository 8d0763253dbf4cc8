//! Exceptions as the SDK reports them, at either end: see `snakepit_bridge/_report.py`.

use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

/// Type name, message, traceback; what the exception is made of.
pub(crate) type Report<'py> =
    (Bound<'py, PyString>, Bound<'py, PyString>, Bound<'py, PyString>, Option<Detail<'py>>);

/// Notes, cause, context, a group's members; class of the pool's `errors`, arguments. The SDK keeps
/// it in bounds.
pub(crate) type Detail<'py> = (
    Vec<Bound<'py, PyString>>,
    Option<Bound<'py, PyAny>>,
    Option<Bound<'py, PyAny>>,
    Vec<Bound<'py, PyAny>>,
    Option<String>,
    Option<Bound<'py, PyList>>,
);
