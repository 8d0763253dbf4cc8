//! What an adapter tells, as its worker sends it.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Event, Number, Value};
use crate::id::{CallId, WorkerRef};

/// An event of an adapter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AdapterEvent {
    pub(crate) name: String,
    /// Nanoseconds since the epoch.
    pub(crate) time: i64,
    pub(crate) measurements: Vec<(String, Number)>,
    pub(crate) metadata: Vec<(String, Value)>,
    pub(crate) correlation_id: Option<String>,
    /// In whose course it was emitted; may be one that is over.
    pub(crate) call: Option<CallId>,
}

/// The part of a span that is known by now: it is told when it begins and, whole, when it has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanRecord {
    /// Not all zero.
    pub trace_id: [u8; 16],
    /// Not all zero.
    pub span_id: [u8; 8],
    /// None: it has none in its worker or in its call.
    pub parent_span_id: Option<[u8; 8]>,
    /// What its work is called.
    pub name: String,
    /// Nanoseconds since the epoch.
    pub start: u64,
    /// The same; None: it has begun.
    pub end: Option<u64>,
    /// What describes it.
    pub attributes: Vec<(String, Value)>,
    /// How it went.
    pub status: SpanStatus,
    /// The call in whose course it began; may be one that is over.
    pub call: Option<CallId>,
}

/// How the work of a span went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SpanStatus {
    /// Nothing is said of it.
    #[default]
    Unset,
    /// Well.
    Ok,
    /// Not; with what is said of why.
    Error(String),
}

/// What one frame of a worker tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct AdapterTelemetry {
    pub(crate) events: Vec<AdapterEvent>,
    pub(crate) spans: Vec<SpanRecord>,
    /// What was not sent for lack of room, since the worker began.
    pub(crate) dropped: u64,
}

impl AdapterEvent {
    /// As an event of the pool. What the host knows stands before what the adapter says.
    pub(crate) fn into_event(self, worker: &WorkerRef, session: Option<Arc<str>>) -> Event {
        let mut event = Event::of_adapter(&self.name).of_worker(worker);
        event = event.with_any("correlation_id", self.correlation_id);
        event = event.with_any("session_id", session);
        for (key, value) in self.metadata {
            if event.metadata(&key).is_none() {
                event.metadata.push((Cow::Owned(key), value));
            }
        }
        for (key, number) in self.measurements {
            if event.measurement(&key).is_none() {
                event.measurements.push((Cow::Owned(key), number));
            }
        }
        if event.measurement("system_time").is_none() {
            event.measurements.push((Cow::Borrowed("system_time"), Number::Whole(self.time)));
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_knows_better_who_an_event_is_of() {
        let text = |key: &str, text: &str| (key.to_owned(), Value::from(text));
        let event = AdapterEvent {
            name: "model.inference".into(),
            time: 7,
            measurements: vec![("tokens".into(), Number::Whole(-1))],
            metadata: vec![text("pool", "forged"), text("model", "m"), text("model", "again")],
            correlation_id: Some("id".into()),
            call: None,
        };
        let worker = WorkerRef { pool: "p".into(), slot: 3, generation: 1 };
        let event = event.into_event(&worker, Some("s".into()));
        assert_eq!(event.name, "snakepit.python.model.inference");
        assert_eq!(event.text("pool"), Some("p"));
        assert_eq!(event.text("worker_id"), Some("p/3"));
        assert_eq!(event.text("model"), Some("m"));
        assert_eq!(event.text("correlation_id"), Some("id"));
        assert_eq!(event.text("session_id"), Some("s"));
        assert_eq!(event.measurement("system_time"), Some(Number::Whole(7)));
        assert_eq!(event.measurement("tokens"), Some(Number::Whole(-1)));
    }
}
