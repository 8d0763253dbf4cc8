//! What is logged, on its way to Python's `logging`: records of adapters, and the core's own events.
//!
//! The core tells `tracing`, from any thread and with locks held; here its events become lines for the
//! thread that calls into Python. Only events, no spans: those are for programs in Rust. Where none is
//! wanted, an event costs a comparison of levels and is not made.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use pyo3::prelude::*;
use snakepit::LogRecord;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, Subscriber, set_global_default};
use tracing::{Event, Level, Metadata};

use super::callbacks;
use super::leave::Inside;

/// As `_LogRecord` in the stub.
pub(super) type Told = (
    u32,
    String,
    f64,
    String,
    String,
    u32,
    String,
    Option<u64>,
    Option<String>,
    Option<String>,
    Option<String>,
);

pub(super) fn told(record: &LogRecord) -> Told {
    let LogRecord { level, logger, time, thread, path, line, function, .. } = record.clone();
    let LogRecord { call, session, correlation_id, trace_id, .. } = record.clone();
    (level, logger, time, thread, path, line, function, call, session, correlation_id, trace_id)
}

/// How loud an event must be, 0: none is loud enough; and who takes it.
static WANTED: AtomicU8 = AtomicU8::new(0);
static HANDLER: OnceLock<Arc<Py<PyAny>>> = OnceLock::new();

/// From now on `handler` gets the core's events of `level` and above: a list of category, level and
/// text. The handler of the first call stays, and needs no lock that a fork could leave behind.
#[pyfunction]
pub(super) fn log_to(py: Python<'_>, handler: Py<PyAny>, level: &str) {
    let _inside = Inside::enter(py);
    let wanted = match level {
        "debug" => 4,
        "info" => 3,
        "warning" => 2,
        "error" => 1,
        _ => 0,
    };
    let _first = HANDLER.set(Arc::new(handler));
    if WANTED.swap(wanted, Ordering::Relaxed) != wanted {
        py.detach(|| {
            // The first one stays; nobody else in this library sets one.
            let _ = set_global_default(Bridge);
            tracing::callsite::rebuild_interest_cache();
        });
    }
}

struct Bridge;

fn wanted() -> LevelFilter {
    match WANTED.load(Ordering::Relaxed) {
        0 => LevelFilter::OFF,
        1 => LevelFilter::ERROR,
        2 => LevelFilter::WARN,
        3 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    }
}

fn is_wanted(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    // Events, and the questions whether one would be heard.
    !metadata.is_span()
        && metadata.level() <= &wanted()
        && target.starts_with("snakepit")
        // Those have a way of their own to Python.
        && target != "snakepit::telemetry"
}

impl Subscriber for Bridge {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_wanted(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(wanted())
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_wanted(metadata)
    }

    fn event(&self, event: &Event<'_>) {
        let Some(handler) = HANDLER.get() else { return };
        let metadata = event.metadata();
        let mut text = Text::default();
        event.record(&mut text);
        let level = match *metadata.level() {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "info",
            _ => "debug",
        };
        callbacks::log(handler, (category(metadata).into(), level, text.whole(), None));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1) // None is enabled.
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The original's word for the part of the core that an event is from.
fn category(metadata: &Metadata<'_>) -> &'static str {
    let mut parts = metadata.target().split("::").skip(1);
    match (parts.next(), parts.next()) {
        (Some("startup"), _) | (Some("worker"), Some("launch" | "keeper")) => "startup",
        (Some("shutdown"), _) | (Some("worker"), Some("watch")) => "shutdown",
        (Some("worker"), _) => "worker",
        (Some("transport"), _) => "grpc",
        (Some("pool"), _) => "pool",
        (Some("process"), Some("rundir" | "ledger" | "cleanup")) => "lifecycle",
        (Some("process"), _) => "worker",
        (Some("telemetry"), _) => "telemetry",
        _ => "general",
    }
}

/// The message, and behind it what else an event tells.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn whole(mut self) -> String {
        self.message.push_str(&self.fields);
        self.message
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}
