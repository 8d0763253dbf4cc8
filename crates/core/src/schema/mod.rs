//! What the arguments of a tool are, as JSON Schema, and whether some arguments are that.
//!
//! ```text
//! signature ──SDK──▶ text in Ready ──Schema::parse──▶ Schema ─┬─▶ as_str: agents, people
//!                                                           └─▶ check(arguments) ─▶ Mismatch
//! ```
//!
//! What is checked is the encoded arguments, just as the tool will get them: a numpy scalar is the
//! number that it is, and bytes and dates are what their `format` says. Only rules that say
//! something about Python signatures are known here, those in `check`; by any other keyword
//! nothing is refused, since the tool judges in the end. This is no validator of JSON documents.

mod check;
mod kind;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value as Json;

use crate::payload::Payload;
use crate::value::{self, Value};

/// Of a tool that does not tell.
const ANYTHING: &str = r#"{"type":"object"}"#;

/// What the arguments of a tool are: the text of a JSON Schema, 2020-12. Cheap to clone.
#[derive(Clone)]
pub struct Schema(Arc<Inner>);

struct Inner {
    text: Box<str>,
    root: Json,
}

impl Schema {
    /// The schema as JSON: an object, `{"type": "object", "properties": …}`.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Whether the encoded arguments of a call ([`crate::value::encode_arguments`]) are what this
    /// says.
    ///
    /// # Errors
    /// The first place where they are not.
    pub fn check(&self, arguments: &[u8]) -> Result<(), Mismatch> {
        self.check_payload(&Payload::from(Bytes::copy_from_slice(arguments)))
    }

    /// [`Schema::check`], of arguments with buffers beside them.
    ///
    /// # Errors
    /// The first place where they are not.
    pub fn check_payload(&self, arguments: &Payload) -> Result<(), Mismatch> {
        match value::decode_payload::<Value>(arguments) {
            Ok(value) => check::check(&self.0.root, &value, arguments.bytes.len()),
            Err(error) => Err(Mismatch {
                parameter: String::new(),
                path: error.path("args"),
                expected: "a value".to_owned(),
                got: error.message().to_owned(),
            }),
        }
    }
}

impl FromStr for Schema {
    type Err = String;

    /// Reads the text of a schema; an empty one lets everything pass.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = if text.is_empty() { ANYTHING } else { text };
        let root: Json = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if !root.is_object() {
            return Err("it is no JSON object".to_owned());
        }
        Ok(Self(Arc::new(Inner { text: text.into(), root })))
    }
}

impl Default for Schema {
    /// Lets everything pass.
    fn default() -> Self {
        let root = Json::Object([("type".to_owned(), "object".into())].into_iter().collect());
        Self(Arc::new(Inner { text: ANYTHING.into(), root }))
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Schema {}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where arguments are not what a schema says, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mismatch {
    /// The parameter; empty where it is none in particular.
    pub parameter: String,
    /// Where it is inside the arguments: `args["user"]["age"]`.
    pub path: String,
    /// What the schema asks for, in words: `an integer`.
    pub expected: String,
    /// What was given, in words: `a string of 3 characters`, `nothing`.
    pub got: String,
}
