//! What a host tool raised, as its worker is told: the inverse of `remote`.

use pyo3::prelude::*;
use snakepit::Failure;

use crate::report::Report;

/// The exception that the SDK reports, with all that it is made of.
pub(super) fn failure(report: Report<'_>) -> PyResult<Failure> {
    let (type_name, message, traceback, detail) = report;
    // Lossy: an exception's text may hold lone surrogates (file names do), which cannot travel.
    let text = |text: &Bound<'_, pyo3::types::PyString>| text.to_string_lossy().into_owned();
    let failure = Failure {
        type_name: text(&type_name),
        message: text(&message),
        traceback: text(&traceback),
        ..Failure::default()
    };
    let Some((notes, cause, context, exceptions, _, _)) = detail else { return Ok(failure) };
    let inner = |report: Bound<'_, PyAny>| self::failure(report.extract::<Report<'_>>()?);
    let boxed = |report: Option<Bound<'_, PyAny>>| {
        report.map(|report| inner(report).map(Box::new)).transpose()
    };
    Ok(Failure {
        notes: notes.iter().map(text).collect(),
        cause: boxed(cause)?,
        context: boxed(context)?,
        exceptions: exceptions.into_iter().map(inner).collect::<PyResult<_>>()?,
        ..failure
    })
}
