//! Why a value could not be encoded or decoded, and where inside it.
//!
//! Nothing here costs anything on the good path: each container adds its own segment of the path
//! while the stack unwinds.

use std::fmt;

/// Segments that a path shows at either end; deep values make long ones.
const PATH_ENDS: usize = 8;
/// Longest text of one key in a path, in characters.
const KEY_TEXT: usize = 60;

/// A value that cannot travel, or a message that is not the value that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodecError(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    message: String,
    /// Innermost segment first.
    path: Vec<String>,
}

impl CodecError {
    #[cold]
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Inner { message: message.into(), path: Vec::new() }))
    }

    #[cold]
    pub(super) fn at_index(mut self, index: usize) -> Self {
        self.0.path.push(format!("[{index}]"));
        self
    }

    #[cold]
    pub(super) fn at_key(mut self, key: &str) -> Self {
        self.0.path.push(format!("[{}]", quoted(key)));
        self
    }

    /// What is wrong, and what would be right.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where it is, below `root`: `args["model"]["layers"][2]`.
    pub fn path(&self, root: &str) -> String {
        let path = &self.0.path;
        let skipped = PATH_ENDS..path.len().saturating_sub(PATH_ENDS);
        let mut text = root.to_owned();
        for (place, segment) in path.iter().rev().enumerate() {
            if !skipped.contains(&place) {
                text.push_str(segment);
            } else if place == skipped.start {
                text.push('…');
            }
        }
        text
    }
}

fn quoted(key: &str) -> String {
    match key.char_indices().nth(KEY_TEXT) {
        Some((cut, _)) => format!("{:?}…", &key[..cut]),
        None => format!("{key:?}"),
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.path.is_empty() {
            true => f.write_str(&self.0.message),
            false => write!(f, "{}: {}", self.path("value"), self.0.message),
        }
    }
}

impl std::error::Error for CodecError {}

impl serde::ser::Error for CodecError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}

impl serde::de::Error for CodecError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}
