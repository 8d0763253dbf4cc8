//! What the adapter tells the host of its work: events, and spans.
//!
//! ```text
//! SDK ── event, span ──▶ pending ──┬── before whatever else is said next ──▶ outbox
//!                                  └── after 50 ms, by whoever drives ──────▶
//! ```
//!
//! So what was told before an answer, or before a host tool was asked for, is there before it. Whoever
//! tells waits for nothing: of more than there is room for, the oldest events go, and the newest spans.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prost::Message;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use snakepit::process::Owner;
use snakepit_proto::v1::{self, Attribute, Event, Measurement, Span, TelemetryControl};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::lock;
use super::outbox::Outbox;
use super::standby::Standby;

/// Longest wait of what was told, while somebody drives and the host reads.
const PAUSE: Duration = Duration::from_millis(50);

/// Events that wait, spans that wait, and records in a frame, as `worker.proto` says.
const ROOM: usize = 1024;

/// Bytes that wait, of one record, and of a frame: less than the protocol's 64 KiB.
const ROOM_BYTES: usize = 256 << 10;
const RECORD_BYTES: usize = 16 << 10;
const FRAME_BYTES: usize = 48 << 10;

/// What was told and is not in the outbox yet.
#[derive(Default)]
pub(super) struct Pending {
    kept: Mutex<Kept>,
    /// There is something to send. Cleared under the lock of the outbox's queue alone, so that who
    /// finds it so and queues a frame comes behind what was taken.
    waits: AtomicBool,
    arrived: Notify,
}

#[derive(Default)]
struct Kept {
    events: VecDeque<(Event, usize)>,
    spans: VecDeque<(Span, usize)>,
    bytes: usize,
    dropped: u64,
    /// The worker has said Ready: it may not tell before.
    open: bool,
}

impl Kept {
    fn add_event(&mut self, event: Event) {
        let size = event.encoded_len();
        if size > RECORD_BYTES {
            self.dropped += 1;
            return;
        }
        while self.events.len() == ROOM || self.bytes + size > ROOM_BYTES {
            let Some((_, freed)) = self.events.pop_front() else { break };
            self.bytes -= freed;
            self.dropped += 1;
        }
        if self.bytes + size > ROOM_BYTES {
            self.dropped += 1; // spans have all the room
            return;
        }
        self.bytes += size;
        self.events.push_back((event, size));
    }

    fn add_span(&mut self, span: Span) {
        let size = span.encoded_len();
        if size > RECORD_BYTES || self.spans.len() == ROOM || self.bytes + size > ROOM_BYTES {
            self.dropped += 1;
            return;
        }
        self.bytes += size;
        self.spans.push_back((span, size));
    }

    fn is_empty(&self) -> bool {
        self.events.is_empty() && self.spans.is_empty()
    }

    /// As much as goes in a frame.
    fn frame(&mut self) -> v1::Telemetry {
        let mut frame = v1::Telemetry { dropped: self.dropped, ..v1::Telemetry::default() };
        let (mut records, mut bytes) = (0, 0);
        let mut fits = |size: usize| {
            // What a record has around it in a frame.
            bytes += size + 8;
            records += 1;
            records <= ROOM && bytes <= FRAME_BYTES
        };
        while let Some((_, size)) = self.spans.front()
            && fits(*size)
        {
            if let Some((span, size)) = self.spans.pop_front() {
                self.bytes -= size;
                frame.spans.push(span);
            }
        }
        while let Some((_, size)) = self.events.front()
            && fits(*size)
        {
            if let Some((event, size)) = self.events.pop_front() {
                self.bytes -= size;
                frame.events.push(event);
            }
        }
        frame
    }
}

impl Pending {
    fn add(&self, add: impl FnOnce(&mut Kept)) -> bool {
        let mut kept = lock(&self.kept);
        add(&mut kept);
        let arrived = kept.open && !kept.is_empty() && !self.waits.swap(true, SeqCst);
        drop(kept);
        if arrived {
            self.arrived.notify_one();
        }
        arrived
    }

    /// A part of a traced call's time begins or has ended.
    pub(super) fn add_span(&self, span: Span) {
        self.add(|kept| kept.add_span(span));
    }

    /// It may be sent from now on.
    pub(super) fn open(&self) {
        self.add(|kept| kept.open = true);
    }

    pub(super) fn waits(&self) -> bool {
        self.waits.load(SeqCst)
    }

    /// All of it, in frames. Called under the lock of the outbox's queue.
    pub(super) fn take(&self) -> Vec<v1::Telemetry> {
        let mut kept = lock(&self.kept);
        self.waits.store(false, SeqCst);
        let mut frames = Vec::new();
        while kept.open && !kept.is_empty() {
            frames.push(kept.frame());
        }
        frames
    }
}

/// Sends in time what goes with nothing else. For ever, as a task of the line's runtime: whoever drives
/// that does it. While the host does not read, what is told waits, and makes room for what comes.
pub(super) async fn keep_sending(outbox: Arc<Outbox>) {
    loop {
        outbox.telemetry.arrived.notified().await;
        loop {
            sleep(PAUSE).await;
            outbox.hand_over();
            if !outbox.telemetry.waits() {
                break;
            }
            if outbox.is_delivered() {
                outbox.push_telemetry();
                outbox.hand_over();
                break;
            }
        }
    }
}

/// What the host wants to hear; stored by whoever reads it.
pub(super) struct Wanted {
    control: Mutex<TelemetryControl>,
    version: AtomicU64,
}

impl Wanted {
    pub(super) fn new(first: TelemetryControl) -> Self {
        Self { control: Mutex::new(first), version: AtomicU64::new(1) }
    }

    pub(super) fn replace(&self, control: TelemetryControl) {
        *lock(&self.control) = control;
        self.version.fetch_add(1, SeqCst);
    }
}

/// Where the SDK leaves what is for the host.
#[pyclass(frozen, module = "snakepit._core")]
pub(crate) struct Telemetry {
    pub(super) wanted: Arc<Wanted>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) standby: Arc<Standby>,
    pub(super) owner: Owner,
}

impl Telemetry {
    fn add(&self, add: impl FnOnce(&mut Kept)) {
        // In a copy that a tool forked nobody drives, and any lock may be held for ever.
        if self.owner.is_here() && self.outbox.telemetry.add(add) {
            // The tool that tells may run long.
            self.standby.nudge();
        }
    }
}

#[pymethods]
impl Telemetry {
    /// Another number after each change of what ``wanted`` says.
    #[getter]
    fn version(&self) -> u64 {
        self.wanted.version.load(SeqCst)
    }

    /// Whether somebody listens to events; the part that is wanted; globs of which one must match a
    /// name, where there are any; globs of which none may.
    fn wanted(&self) -> (bool, f64, Vec<String>, Vec<String>) {
        let TelemetryControl { enabled, sampling, allow, deny } =
            lock(&self.wanted.control).clone();
        (enabled, sampling, allow, deny)
    }

    /// Tell an event, from any thread. ``call_id``: in whose course; 0: none.
    fn event(
        &self,
        name: String,
        time_ns: u64,
        measurements: &Bound<'_, PyDict>,
        metadata: &Bound<'_, PyDict>,
        correlation_id: String,
        call_id: u64,
    ) -> PyResult<()> {
        use v1::measurement::Number;
        let number = |(key, number): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
            let number = match number.extract::<i64>() {
                Ok(count) => Number::Count(count),
                Err(_) => Number::Real(number.extract()?),
            };
            PyResult::Ok(Measurement { key: key.extract()?, number: Some(number) })
        };
        let measurements = measurements.iter().map(number).collect::<PyResult<_>>()?;
        let metadata = attributes(metadata)?;
        let event = Event { name, time_ns, measurements, metadata, correlation_id, call_id };
        self.add(|kept| kept.add_event(event));
        Ok(())
    }

    /// Tell that a span has begun (``end_ns`` 0), or all of it once it has ended. ``ids``: of the trace
    /// (16 bytes), of the span and of its parent (8 bytes; none: empty). ``status``: 0: unset, 1: ok,
    /// 2: error, with a message.
    #[expect(clippy::too_many_arguments, reason = "the fields of one message")]
    fn span(
        &self,
        ids: (Vec<u8>, Vec<u8>, Vec<u8>),
        name: String,
        start_ns: u64,
        end_ns: u64,
        attributes: &Bound<'_, PyDict>,
        status: i32,
        message: String,
        call_id: u64,
    ) -> PyResult<()> {
        let (trace_id, span_id, parent_span_id) = ids;
        let span = Span {
            trace_id: trace_id.into(),
            span_id: span_id.into(),
            parent_span_id: parent_span_id.into(),
            name,
            start_ns,
            end_ns,
            attributes: self::attributes(attributes)?,
            status,
            message,
            call_id,
        };
        self.add(|kept| kept.add_span(span));
        Ok(())
    }
}

/// A part of the metadata; the first that fits.
#[derive(FromPyObject)]
enum Fact {
    Flag(bool),
    Count(i64),
    Real(f64),
    Text(String),
}

fn attributes(facts: &Bound<'_, PyDict>) -> PyResult<Vec<Attribute>> {
    use v1::attribute::Value;
    let attribute = |(key, fact): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        let value = match fact.extract::<Fact>()? {
            Fact::Flag(flag) => Value::Flag(flag),
            Fact::Count(count) => Value::Count(count),
            Fact::Real(real) => Value::Real(real),
            Fact::Text(text) => Value::Text(text),
        };
        PyResult::Ok(Attribute { key: key.extract()?, value: Some(value) })
    };
    facts.iter().map(attribute).collect()
}
