//! What a worker raised, as fields of `snakepit.errors.remote_error`, which picks the class.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use snakepit::{Diagnosis, Failure};

use crate::codec;

/// Sets the fields of one exception and of all that it is made of; the core bounds their number.
pub(super) fn describe(failure: &Failure, fields: &Bound<'_, PyDict>) -> PyResult<()> {
    let py = fields.py();
    fields.set_item("type_name", &failure.type_name)?;
    fields.set_item("remote_message", &failure.message)?;
    fields.set_item("remote_traceback", &failure.traceback)?;
    if let Some(diagnosis) = failure.diagnosis() {
        fields.set_item("diagnosis", diagnosed(py, diagnosis)?)?;
    }
    if !failure.notes.is_empty() {
        fields.set_item("notes", &failure.notes)?;
    }
    if let Some(cause) = &failure.cause {
        fields.set_item("cause", inner(cause, fields)?)?;
    }
    if let Some(context) = &failure.context {
        fields.set_item("context", inner(context, fields)?)?;
    }
    if !failure.exceptions.is_empty() {
        let members = failure.exceptions.iter().map(|member| inner(member, fields));
        let members = members.collect::<PyResult<Vec<_>>>()?;
        fields.set_item("exceptions", PyList::new(py, members)?)?;
    }
    if let Some(class) = &failure.class {
        fields.set_item("listed", class)?;
        // Of a worker that sends no list, the class is known all the same.
        let arguments = codec::decode(py, &failure.encoded_arguments, "args");
        if let Some(arguments) = arguments.ok().and_then(|args| args.cast_into::<PyList>().ok()) {
            fields.set_item("remote_args", arguments.to_tuple())?;
        }
    }
    Ok(())
}

/// The exception that is inside of the one with `outer` fields: of the same call and worker.
fn inner<'py>(failure: &Failure, outer: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyAny>> {
    let py = outer.py();
    let fields = PyDict::new(py);
    for name in ["may_have_run", "tool", "worker"] {
        if let Some(value) = outer.get_item(name)? {
            fields.set_item(name, value)?;
        }
    }
    fields.set_item("is_inner", true)?;
    describe(failure, &fields)?;
    let errors = py.import("snakepit.errors")?;
    errors.getattr("remote_error")?.call((failure.to_string(),), Some(&fields))
}

/// The name of the class that a diagnosis stands for, and its fields.
fn diagnosed(py: Python<'_>, diagnosis: Diagnosis) -> PyResult<(&'static str, Bound<'_, PyDict>)> {
    let fields = PyDict::new(py);
    let shape = |shape: Option<Vec<u64>>| {
        shape.map(|lengths| pyo3::types::PyTuple::new(py, lengths)).transpose()
    };
    let class = match diagnosis {
        Diagnosis::ShapeMismatch { expected, got, dimension, expected_dim, got_dim, operation } => {
            fields.set_item("expected", shape(expected)?)?;
            fields.set_item("got", shape(got)?)?;
            fields.set_item("dimension", dimension)?;
            fields.set_item("expected_dim", expected_dim)?;
            fields.set_item("got_dim", got_dim)?;
            fields.set_item("operation", operation)?;
            "ShapeMismatch"
        }
        Diagnosis::DeviceMismatch { expected, got, operation } => {
            fields.set_item("expected", expected)?;
            fields.set_item("got", got)?;
            fields.set_item("operation", operation)?;
            "DeviceMismatch"
        }
        Diagnosis::OutOfMemory {
            device,
            requested_bytes,
            free_bytes,
            total_bytes,
            suggestions,
        } => {
            fields.set_item("device", device)?;
            fields.set_item("requested_bytes", requested_bytes)?;
            fields.set_item("free_bytes", free_bytes)?;
            fields.set_item("total_bytes", total_bytes)?;
            fields.set_item("suggestions", pyo3::types::PyTuple::new(py, suggestions)?)?;
            "OutOfMemory"
        }
        // The enum may grow; whoever adds a variant gives it a class above.
        _ => "RemoteError",
    };
    Ok((class, fields))
}

/// What an exception's class name and text say about shapes, devices or memory: the name of a class
/// of ``snakepit.errors`` and its fields.
#[pyfunction]
pub(super) fn diagnose<'py>(
    py: Python<'py>,
    type_name: &str,
    message: &str,
) -> PyResult<Option<(&'static str, Bound<'py, PyDict>)>> {
    Diagnosis::of(type_name, message).map(|diagnosis| diagnosed(py, diagnosis)).transpose()
}
