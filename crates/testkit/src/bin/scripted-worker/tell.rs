//! What the worker tells as its adapter's telemetry.

use std::sync::{Mutex, PoisonError};

use snakepit_proto::v1::attribute::Value;
use snakepit_proto::v1::measurement::Number;
use snakepit_proto::v1::worker_frame::Frame;
use snakepit_proto::v1::{Attribute, Event, Measurement, Span, Telemetry, TelemetryControl};

use super::line::Line;

/// Events of one frame.
const FRAME: u64 = 1024;

/// What the host wants to hear.
static WANTED: Mutex<Option<TelemetryControl>> = Mutex::new(None);

/// From now on.
pub fn want(control: Option<TelemetryControl>) {
    *WANTED.lock().unwrap_or_else(PoisonError::into_inner) = control;
}

/// `true 0.5 a.* -b.*`, or `nothing`.
pub fn wanted() -> String {
    let wanted = WANTED.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(TelemetryControl { enabled, sampling, allow, deny }) = &*wanted else {
        return "nothing".into();
    };
    let deny = deny.iter().map(|pattern| format!("-{pattern}"));
    let words = [enabled.to_string(), sampling.to_string()].into_iter();
    words.chain(allow.iter().cloned()).chain(deny).collect::<Vec<_>>().join(" ")
}

/// So many events of that name, numbered.
pub fn events(name: &str, count: u64, call_id: u64, line: &Line) {
    for first in (0..count).step_by(FRAME as usize) {
        let event = |number: u64| {
            let key = "number".into();
            let number = Measurement { key, number: Some(Number::Count(number as i64)) };
            let key = "scripted".into();
            let flag = Attribute { key, value: Some(Value::Flag(true)) };
            let (measurements, metadata) = (vec![number], vec![flag]);
            Event {
                name: name.into(),
                time_ns: 1,
                measurements,
                metadata,
                call_id,
                ..Event::default()
            }
        };
        let events = (first..count.min(first + FRAME)).map(event).collect();
        line.say(Frame::Telemetry(Telemetry { events, ..Telemetry::default() }));
    }
}

/// That it dropped so many in all.
pub fn dropped(dropped: u64, line: &Line) {
    line.say(Frame::Telemetry(Telemetry { dropped, ..Telemetry::default() }));
}

/// A span's beginning, or its end.
pub fn span(name: &str, ended: bool, call_id: u64, line: &Line) {
    let span = Span {
        trace_id: vec![1; 16].into(),
        span_id: vec![2; 8].into(),
        name: name.into(),
        start_ns: 1,
        end_ns: u64::from(ended) * 2,
        call_id,
        ..Span::default()
    };
    line.say(Frame::Telemetry(Telemetry { spans: vec![span], ..Telemetry::default() }));
}
