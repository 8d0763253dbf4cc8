//! Why a value could not be encoded or decoded, and where inside it.
//!
//! Nothing here costs anything on the good path: a failure is boxed where it happens, and each
//! container adds its own segment of the path while the stack unwinds. Python classes and texts
//! are looked up only when the failure is raised.

use pyo3::exceptions::{PyAttributeError, PyException, PyImportError, PyMemoryError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// Longest text of one key in a path, in characters.
const KEY_TEXT: usize = 60;
/// Segments that a path shows at either end; a cycle makes long ones.
const PATH_ENDS: usize = 8;

pub(super) type Step<T = ()> = Result<T, Box<Failure>>;

pub(super) struct Failure {
    what: String,
    type_name: Option<String>,
    cause: Option<PyErr>,
    /// Innermost segment first.
    path: Vec<Segment>,
    /// The value is of a type that does not travel; nothing else is wrong.
    refused: bool,
}

enum Segment {
    Key(Py<PyAny>),
    Index(usize),
}

impl Failure {
    #[cold]
    pub(super) fn new(what: impl Into<String>) -> Box<Self> {
        let what = what.into();
        Box::new(Self { what, type_name: None, cause: None, path: Vec::new(), refused: false })
    }

    /// A value of a type that does not travel: something else may be sent instead of it.
    #[cold]
    pub(super) fn refusal(what: impl Into<String>) -> Box<Self> {
        Box::new(Self { refused: true, ..*Self::new(what) })
    }

    pub(super) fn is_refusal(&self) -> bool {
        self.refused
    }

    /// Python raised; `what` says what was being done, or is left to [`Self::during`].
    #[cold]
    pub(super) fn raised(what: impl Into<String>, cause: PyErr) -> Box<Self> {
        Box::new(Self { cause: Some(cause), ..*Self::new(what) })
    }

    /// Blames a value that was being encoded, unless something inside it has been blamed already.
    #[cold]
    pub(super) fn of(self: Box<Self>, value: &Bound<'_, PyAny>) -> Box<Self> {
        if self.type_name.is_some() {
            return self;
        }
        let name = type_name(value);
        self.during(format!("cannot encode {name}")).of_type(&name)
    }

    /// Says what was being done when Python raised, where nothing has said so yet.
    #[cold]
    pub(super) fn during(mut self: Box<Self>, what: impl Into<String>) -> Box<Self> {
        if self.what.is_empty() {
            self.what = what.into();
        }
        self
    }

    #[cold]
    pub(super) fn of_type(mut self: Box<Self>, name: &str) -> Box<Self> {
        self.type_name = Some(name.to_owned());
        self
    }

    #[cold]
    pub(super) fn at_key(mut self: Box<Self>, key: &Bound<'_, PyAny>) -> Box<Self> {
        self.path.push(Segment::Key(key.clone().unbind()));
        self
    }

    #[cold]
    pub(super) fn at_index(mut self: Box<Self>, index: usize) -> Box<Self> {
        self.path.push(Segment::Index(index));
        self
    }

    /// As `EncodeError`, or as it is where Python itself wants out (Ctrl-C, no memory).
    #[cold]
    pub(super) fn raise_encode(self, py: Python<'_>, root: &str) -> PyErr {
        self.raise(py, root, "EncodeError", true)
    }

    /// As `DecodeError`, or as it is where Python itself wants out (Ctrl-C, no memory).
    #[cold]
    pub(super) fn raise_decode(self, py: Python<'_>, root: &str) -> PyErr {
        self.raise(py, root, "DecodeError", false)
    }

    fn raise(self, py: Python<'_>, root: &str, class: &str, typed: bool) -> PyErr {
        let Self { what, type_name, cause, path, refused: _ } = self;
        let path = path_text(py, root, &path);
        let message = match &cause {
            Some(cause) if wants_out(py, cause) => return cause.clone_ref(py),
            // `PyErr` displays as "ValueError: text" and survives a `__str__` that raises.
            Some(cause) => format!("{path}: {what}: {cause}"),
            None => format!("{path}: {what}"),
        };
        let build = || {
            let fields = PyDict::new(py);
            fields.set_item(intern!(py, "path"), path)?;
            if typed {
                fields.set_item(intern!(py, "type_name"), type_name.unwrap_or_default())?;
            }
            error_class(py, class)?.call((message,), Some(&fields))
        };
        match build() {
            Ok(error) => {
                let error = PyErr::from_value(error);
                error.set_cause(py, cause);
                error
            }
            Err(error) => error,
        }
    }
}

impl From<PyErr> for Box<Failure> {
    fn from(error: PyErr) -> Self {
        Failure::raised("", error)
    }
}

/// Exceptions that are no statement about the value.
fn wants_out(py: Python<'_>, error: &PyErr) -> bool {
    !error.is_instance_of::<PyException>(py) || error.is_instance_of::<PyMemoryError>(py)
}

/// In a worker only the adapter SDK may be importable; its errors have the same constructors.
fn error_class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let find = |module| py.import(module)?.getattr(name);
    find(intern!(py, "snakepit.errors")).or_else(|error| {
        let absent = error.is_instance_of::<PyImportError>(py)
            || error.is_instance_of::<PyAttributeError>(py);
        if absent { find(intern!(py, "snakepit_bridge.errors")) } else { Err(error) }
    })
}

/// `datetime.date` or `list`: as a reader would write it in code.
#[cold]
pub(super) fn type_name(value: &Bound<'_, PyAny>) -> String {
    match value.get_type().fully_qualified_name() {
        Ok(name) => name.to_string_lossy().into_owned(),
        Err(_) => "object of an unnamed type".into(),
    }
}

fn path_text(py: Python<'_>, root: &str, path: &[Segment]) -> String {
    let mut text = root.to_owned();
    let skipped = PATH_ENDS..path.len().saturating_sub(PATH_ENDS);
    for (place, segment) in path.iter().rev().enumerate() {
        if skipped.contains(&place) {
            if place == skipped.start {
                text.push('…');
            }
            continue;
        }
        match segment {
            Segment::Index(index) => text.push_str(&format!("[{index}]")),
            Segment::Key(key) => text.push_str(&format!("[{}]", key_text(key.bind(py)))),
        }
    }
    text
}

/// Double quotes for text, as in the JSON that people compare it with; Python's repr otherwise.
fn key_text(key: &Bound<'_, PyAny>) -> String {
    let text = match key.cast::<PyString>() {
        Ok(text) => quoted(&text.to_string_lossy()),
        // An int of more than 4300 digits has no repr.
        Err(_) => key.repr().map_or_else(
            |_| format!("<{}>", type_name(key)),
            |repr| repr.to_string_lossy().into_owned(),
        ),
    };
    match text.char_indices().nth(KEY_TEXT) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
