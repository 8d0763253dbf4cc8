//! Failures as the line carries them: what the adapter's code raised, and what we refuse.

use prost::Message;
use pyo3::prelude::*;
use pyo3::types::PyString;
use snakepit_proto::v1::{Failure, FailureKind};

use crate::codec;
use crate::report::{Detail, Report};

/// Bounds of the texts, in bytes: together less than what a frame may carry beside a value.
const MAX_NAME: usize = 1024;
const MAX_MESSAGE: usize = 14 * 1024;
const MAX_TRACEBACK: usize = 44 * 1024;
/// Of what an exception is made of, for which its traceback makes room.
const MAX_DETAIL: usize = 24 * 1024;
const MAX_ARGUMENTS: usize = 4 * 1024;

/// A failure without a traceback: our own words.
pub(super) fn plain(kind: FailureKind, type_name: &str, message: String) -> Failure {
    Failure {
        kind: kind.into(),
        type_name: type_name.to_owned(),
        message: clip(message, MAX_MESSAGE),
        ..Failure::default()
    }
}

/// A failure of the three texts that the SDK made of an exception.
pub(super) fn told(kind: FailureKind, (type_name, message, traceback): Told<'_>) -> Failure {
    // Lossy: an exception's text may hold lone surrogates (file names do), which cannot travel.
    let text = |text: Bound<'_, PyString>, max| clip(text.to_string_lossy().into_owned(), max);
    Failure {
        kind: kind.into(),
        type_name: text(type_name, MAX_NAME),
        message: text(message, MAX_MESSAGE),
        traceback: text(traceback, MAX_TRACEBACK),
        ..Failure::default()
    }
}

/// Type name, message, traceback.
pub(super) type Told<'py> = (Bound<'py, PyString>, Bound<'py, PyString>, Bound<'py, PyString>);

/// A failure of what the SDK made of an exception, with all that this is made of.
pub(super) fn reported(kind: FailureKind, report: Report<'_>) -> PyResult<Failure> {
    let (type_name, message, traceback, detail) = report;
    let mut failure = Failure::default();
    if let Some(detail) = detail {
        add_detail(&mut failure, detail, &mut { MAX_ARGUMENTS })?;
        if failure.encoded_len() > MAX_DETAIL {
            failure = Failure::default();
        }
    }
    let room = MAX_TRACEBACK - failure.encoded_len();
    let texts = told(kind, (type_name, message, traceback));
    let (type_name, message) = (texts.type_name, texts.message);
    let traceback = clip(texts.traceback, room);
    Ok(Failure { kind: kind.into(), type_name, message, traceback, ..failure })
}

fn add_detail(failure: &mut Failure, detail: Detail<'_>, room: &mut usize) -> PyResult<()> {
    let (notes, cause, context, exceptions, class, arguments) = detail;
    failure.notes = notes.iter().map(|note| note.to_string_lossy().into_owned()).collect();
    failure.cause = cause.map(|cause| inner(&cause, room).map(Box::new)).transpose()?;
    failure.context = context.map(|context| inner(&context, room).map(Box::new)).transpose()?;
    let members = exceptions.iter().map(|member| inner(member, room));
    failure.exceptions = members.collect::<PyResult<_>>()?;
    failure.class = class.unwrap_or_default();
    if let Some(arguments) = arguments
        // It is what it is without them.
        && let Ok(encoded) = codec::encode(&arguments, "args")
        && encoded.len() <= *room
    {
        *room -= encoded.len();
        failure.arguments = encoded.into();
    }
    Ok(())
}

fn inner(report: &Bound<'_, PyAny>, room: &mut usize) -> PyResult<Failure> {
    let (type_name, message, traceback, detail) = report.extract::<Report<'_>>()?;
    let mut failure = told(FailureKind::Exception, (type_name, message, traceback));
    if let Some(detail) = detail {
        add_detail(&mut failure, detail, room)?;
    }
    Ok(failure)
}

/// What an exception is, without the SDK's help.
pub(super) fn bare(py: Python<'_>, kind: FailureKind, error: &PyErr) -> Failure {
    let name = error.get_type(py).name().map_or_else(
        |_| "BaseException".to_owned(),
        |name| clip(name.to_string_lossy().into_owned(), MAX_NAME),
    );
    let message = error.value(py).str().map_or_else(
        |_| "(its message cannot be shown)".to_owned(),
        |text| text.to_string_lossy().into_owned(),
    );
    plain(kind, &name, message)
}

/// Tells in `failure` what went wrong when it was dealt with, within the same bounds.
pub(super) fn add_second(failure: &mut Failure, second: Failure) {
    let first = std::mem::take(&mut failure.message);
    let both = format!("{first}; closing it raised {}: {}", second.type_name, second.message);
    failure.message = clip(both, MAX_MESSAGE);
    failure.traceback = second.traceback;
}

/// A value cannot travel: what and where, as the codec's error says it. An error without these
/// fields (memory ran out) is what it is.
pub(super) fn unfit(py: Python<'_>, error: &PyErr) -> Failure {
    let field = |name| error.value(py).getattr(name)?.extract::<String>();
    let mut failure = bare(py, FailureKind::Encode, error);
    if let (Ok(type_name), Ok(path)) = (field("type_name"), field("path")) {
        (failure.type_name, failure.path) = (clip(type_name, MAX_NAME), clip(path, MAX_NAME));
    }
    failure
}

/// The value is larger than what the host takes.
pub(super) fn too_large(what: &str, size: usize, limit: usize) -> Failure {
    let message = format!(
        "{what} takes {size} bytes, {limit} are allowed: raise max_message, or return less"
    );
    Failure { size: size as u64, limit: limit as u64, ..plain(FailureKind::TooLarge, "", message) }
}

/// Cuts out the middle: the head says what it is, the tail where it ended.
fn clip(text: String, max: usize) -> String {
    const MARK: &str = "\n[…]\n";
    if text.len() <= max {
        return text;
    }
    let half = (max - MARK.len()) / 2;
    let (head, tail) = (text.floor_char_boundary(half), text.ceil_char_boundary(text.len() - half));
    [&text[..head], MARK, &text[tail..]].concat()
}
