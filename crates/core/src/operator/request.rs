//! What a client wants: one JSON object on one line, and what is wrong with others.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::answer::VERSION;

/// A longer line is refused unread.
pub(super) const MAX_REQUEST: usize = 4096;

/// A request that was understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    Hello,
    Status,
    Worker(Target),
    Stack(Target),
    Recycle(Target),
}

/// A worker that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The pool's name.
    pub(super) pool: String,
    /// Its number, where several have that name.
    pub(super) id: Option<u64>,
    pub(super) slot: usize,
    /// Only this worker, and not the next one in the slot.
    pub(super) generation: Option<u64>,
}

/// Why a line is no request: one word for programs, a sentence for people.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) kind: &'static str,
    pub(super) message: String,
}

/// The version alone: a request of another one may have any other fields.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// All fields, and no other ones: a request that means more than is understood is not carried out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(rename = "version")]
    _version: IgnoredAny,
    verb: String,
    pool: Option<String>,
    id: Option<u64>,
    slot: Option<usize>,
    generation: Option<u64>,
}

impl Request {
    /// Reads a line, with or without its end.
    pub(super) fn read(line: &[u8]) -> Result<Self, Malformed> {
        let malformed = |message: String| Malformed { kind: "malformed", message };
        let versioned: Versioned = serde_json::from_slice(line).map_err(|error| {
            malformed(format!("one line of JSON with version and verb is needed: {error}"))
        })?;
        if versioned.version != VERSION {
            let message = format!(
                "version {} is not spoken here; this host is snakepit {} and speaks version {VERSION}: \
                 use the command of its installation",
                versioned.version,
                env!("CARGO_PKG_VERSION")
            );
            return Err(Malformed { kind: "version", message });
        }
        let written: Written =
            serde_json::from_slice(line).map_err(|error| malformed(error.to_string()))?;
        let Written { verb, pool, id, slot, generation, .. } = written;
        let target = match (pool, slot) {
            (Some(pool), Some(slot)) => Some(Target { pool, id, slot, generation }),
            (None, None) if id.is_none() && generation.is_none() => None,
            _ => return Err(malformed("pool and slot go together".into())),
        };
        match (&*verb, target) {
            ("hello", None) => Ok(Self::Hello),
            ("status", None) => Ok(Self::Status),
            ("worker", Some(target)) => Ok(Self::Worker(target)),
            ("stack", Some(target)) => Ok(Self::Stack(target)),
            ("recycle", Some(target)) => Ok(Self::Recycle(target)),
            ("hello" | "status", Some(_)) => Err(malformed(format!("{verb} is of no worker"))),
            ("worker" | "stack" | "recycle", None) => {
                Err(malformed(format!("{verb} needs pool and slot")))
            }
            _ => Err(Malformed {
                kind: "verb",
                message: format!(
                    "no verb {verb:.40?}; there are hello, status, worker, stack, recycle"
                ),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(line: &str) -> &'static str {
        Request::read(line.as_bytes()).expect_err("no request").kind
    }

    #[test]
    fn a_request_is_one_verb_and_what_it_needs() {
        let read = |line: &str| Request::read(line.as_bytes()).expect("a request");
        assert_eq!(read("{\"version\":1,\"verb\":\"hello\"}\n"), Request::Hello);
        assert_eq!(read(r#" { "verb": "status", "version": 1 } "#), Request::Status);
        let target = Target { pool: "a".into(), id: None, slot: 3, generation: Some(7) };
        let line = r#"{"version":1,"verb":"recycle","pool":"a","slot":3,"generation":7}"#;
        assert_eq!(read(line), Request::Recycle(target));
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for line in
            ["", "{", "[]", "null", "1", "status", r#"{"verb":"status"}"#, "{\"version\":-1}"]
        {
            assert_eq!(kind(line), "malformed", "{line}");
        }
        let line = r#"{"version":2,"verb":"status","fresh":true}"#;
        assert_eq!(kind(line), "version", "before anything else");
        assert_eq!(kind(r#"{"version":1,"verb":"kill"}"#), "verb");
        for rest in [
            r#""verb":"status","pool":"a","slot":0"#,
            r#""verb":"stack""#,
            r#""verb":"worker","slot":0"#,
            r#""verb":"recycle","pool":"a""#,
            r#""verb":"recycle","slot":0"#,
            r#""verb":"recycle","pool":"a","slot":-1"#,
            r#""verb":"recycle","pool":"a","slot":1e99"#,
            r#""verb":"recycle","pool":"a","slot":0,"force":true"#,
            r#""verb":"hello","generation":1"#,
            r#""verb":"hello","verb":"status""#,
            r#""pool":"a""#,
        ] {
            assert_eq!(kind(&format!("{{\"version\":1,{rest}}}")), "malformed", "{rest}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_more_than_a_refusal(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Request::read(&bytes);
        }

        #[test]
        fn deep_and_long_texts_are_no_more(depth in 0usize..4000, name in "\\PC{0,80}") {
            prop_assert!(Request::read("[".repeat(depth).as_bytes()).is_err());
            let line = serde_json::json!({"version": VERSION, "verb": name}).to_string();
            let known = ["hello", "status"].contains(&&*name);
            prop_assert_eq!(Request::read(line.as_bytes()).is_ok(), known);
        }
    }
}
