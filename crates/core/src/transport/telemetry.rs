//! Frames of telemetry: what a worker's adapter tells, and what the host wants to be told.

use prost::Message;
use snakepit_proto::v1;
use snakepit_proto::v1::host_frame::Frame as ToWorker;

use super::outbox::Outbox;
use crate::config::TelemetryFilter;
use crate::error::Violation;
use crate::id::CallId;
use crate::telemetry::{AdapterEvent, AdapterTelemetry, Number, SpanRecord, SpanStatus, Value};

/// Events and spans of one frame, and its bytes.
const MAX_RECORDS: usize = 1024;
const MAX_BYTES: usize = 64 << 10;

/// Characters of a name.
const MAX_NAME: usize = 256;

/// What a worker's frame tells.
pub(super) fn read(told: v1::Telemetry) -> Result<AdapterTelemetry, Violation> {
    let (records, bytes) = (told.events.len() + told.spans.len(), told.encoded_len());
    if records > MAX_RECORDS || bytes > MAX_BYTES {
        return Err(bad(format!(
            "{records} events and spans in {bytes} bytes; \
             a frame has at most {MAX_RECORDS} in {MAX_BYTES}"
        )));
    }
    Ok(AdapterTelemetry {
        events: told.events.into_iter().map(event).collect::<Result<_, _>>()?,
        spans: told.spans.into_iter().map(span).collect::<Result<_, _>>()?,
        dropped: told.dropped,
    })
}

fn bad(detail: impl Into<String>) -> Violation {
    Violation::BadTelemetry { detail: detail.into() }
}

fn event(told: v1::Event) -> Result<AdapterEvent, Violation> {
    let v1::Event { name, time_ns, measurements, metadata, correlation_id, call_id } = told;
    if !is_name(&name) || name.contains(char::is_whitespace) {
        return Err(bad("an event's name is 1 to 256 characters without white space or control"));
    }
    let number = |measurement: v1::Measurement| {
        use v1::measurement::Number::{Count, Real};
        let number = match measurement.number {
            Some(Count(count)) => Number::Whole(count),
            Some(Real(real)) => Number::Real(real),
            None => return Err(bad("a measurement without a number")),
        };
        Ok((key(measurement.key)?, number))
    };
    Ok(AdapterEvent {
        name,
        time: i64::try_from(time_ns).unwrap_or(i64::MAX),
        measurements: measurements.into_iter().map(number).collect::<Result<_, _>>()?,
        metadata: facts(metadata)?,
        correlation_id: Some(correlation_id).filter(|id| !id.is_empty()),
        call: call(call_id),
    })
}

fn span(told: v1::Span) -> Result<SpanRecord, Violation> {
    let status = match told.status() {
        v1::SpanStatus::Unspecified => SpanStatus::Unset,
        v1::SpanStatus::Ok => SpanStatus::Ok,
        v1::SpanStatus::Error => SpanStatus::Error(told.message),
    };
    if !is_name(&told.name) {
        return Err(bad("a span's name is 1 to 256 characters without control"));
    }
    let parent_span_id = match told.parent_span_id.is_empty() {
        true => None,
        false => Some(id(&told.parent_span_id)?),
    };
    Ok(SpanRecord {
        trace_id: id(&told.trace_id)?,
        span_id: id(&told.span_id)?,
        parent_span_id,
        name: told.name,
        start: told.start_ns,
        end: Some(told.end_ns).filter(|&end| end != 0),
        attributes: facts(told.attributes)?,
        status,
        call: call(told.call_id),
    })
}

fn id<const LEN: usize>(bytes: &[u8]) -> Result<[u8; LEN], Violation> {
    let id = <[u8; LEN]>::try_from(bytes).ok().filter(|id| *id != [0; LEN]);
    id.ok_or_else(|| bad(format!("an id of a span that is not {LEN} bytes, or zero")))
}

fn call(id: u64) -> Option<CallId> {
    (id != 0).then(|| CallId::from_raw(id))
}

fn facts(told: Vec<v1::Attribute>) -> Result<Vec<(String, Value)>, Violation> {
    let fact = |attribute: v1::Attribute| {
        use v1::attribute::Value::{Count, Flag, Real, Text};
        let value = match attribute.value {
            Some(Text(text)) => Value::from(text),
            Some(Count(count)) => Value::Number(Number::Whole(count)),
            Some(Real(real)) => Value::Number(Number::Real(real)),
            Some(Flag(flag)) => Value::Flag(flag),
            None => return Err(bad("metadata without a value")),
        };
        Ok((key(attribute.key)?, value))
    };
    told.into_iter().map(fact).collect()
}

fn key(key: String) -> Result<String, Violation> {
    match is_name(&key) {
        true => Ok(key),
        false => Err(bad("a key is 1 to 256 characters without control")),
    }
}

fn is_name(text: &str) -> bool {
    // Most are short in bytes already.
    let fits = text.len() <= MAX_NAME || text.chars().count() <= MAX_NAME;
    !text.is_empty() && fits && !text.contains(char::is_control)
}

/// What the host wants to be told, as it travels.
pub(super) fn control(enabled: bool, filter: &TelemetryFilter) -> v1::TelemetryControl {
    let TelemetryFilter { sampling, allow, deny } = filter.clone();
    v1::TelemetryControl { enabled, sampling, allow, deny }
}

impl Outbox {
    /// What is wanted from now on.
    pub(crate) fn telemetry_control(&self, enabled: bool, filter: &TelemetryFilter) {
        self.send(ToWorker::TelemetryControl(control(enabled, filter)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> v1::Event {
        v1::Event { name: name.into(), ..v1::Event::default() }
    }

    fn of(events: Vec<v1::Event>, spans: Vec<v1::Span>) -> v1::Telemetry {
        v1::Telemetry { events, spans, dropped: 0 }
    }

    fn spanned(id: &'static [u8]) -> v1::Span {
        let (trace_id, span_id) = (vec![1; 16].into(), id.into());
        v1::Span { trace_id, span_id, name: "two words".into(), ..v1::Span::default() }
    }

    #[test]
    fn what_is_told_arrives() {
        use v1::measurement::Number as N;
        let count =
            |key: &str, count| v1::Measurement { key: key.into(), number: Some(N::Count(count)) };
        let flag =
            v1::Attribute { key: "hit".into(), value: Some(v1::attribute::Value::Flag(true)) };
        let event = v1::Event {
            measurements: vec![count("up", 3), count("down", -3)],
            metadata: vec![flag],
            call_id: 9,
            ..named("model.inference")
        };
        let told = read(of(vec![event], vec![spanned(&[2; 8])])).expect("an honest frame");
        let [event] = &told.events[..] else { panic!("{told:?}") };
        assert_eq!(event.measurements[0], ("up".into(), Number::Whole(3)));
        assert_eq!(event.measurements[1], ("down".into(), Number::Whole(-3)));
        assert_eq!(event.metadata, [("hit".into(), Value::Flag(true))]);
        assert_eq!((event.correlation_id.clone(), event.call), (None, Some(CallId::from_raw(9))));
        let [span] = &told.spans[..] else { panic!("{told:?}") };
        assert_eq!((span.parent_span_id, span.end, span.span_id), (None, None, [2; 8]));
    }

    #[test]
    fn what_is_garbled_or_too_much_is_a_violation() {
        let long = "x".repeat(257);
        let empty = v1::Measurement { key: "n".into(), number: None };
        let bare = v1::Attribute { key: "n".into(), value: None };
        let keyless = v1::Attribute { key: String::new(), value: None };
        let large = v1::Event { correlation_id: "x".repeat(MAX_BYTES), ..named("a") };
        for frame in [
            of(vec![named("")], vec![]),
            of(vec![named("two words")], vec![]),
            of(vec![named("bell\u{7}")], vec![]),
            of(vec![named(&long)], vec![]),
            of(vec![named("a"); MAX_RECORDS + 1], vec![]),
            of(vec![large], vec![]),
            of(vec![v1::Event { measurements: vec![empty], ..named("a") }], vec![]),
            of(vec![v1::Event { metadata: vec![bare], ..named("a") }], vec![]),
            of(vec![v1::Event { metadata: vec![keyless], ..named("a") }], vec![]),
            of(vec![], vec![spanned(&[0; 8])]),
            of(vec![], vec![spanned(&[1; 7])]),
            of(vec![], vec![v1::Span { parent_span_id: vec![1].into(), ..spanned(&[1; 8]) }]),
        ] {
            let violation = read(frame.clone()).expect_err("no honest worker says that");
            assert_eq!(violation.name(), "bad_telemetry", "{frame:?}");
        }
        let fine = "\u{20ac}".repeat(256);
        assert!(read(of(vec![named(&fine); 8], vec![])).is_ok());
    }
}
