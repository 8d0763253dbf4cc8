//! What workers print and their adapters log: to whoever wants it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::shared::Shared;
use crate::config::OutputMode;
use crate::id::WorkerRef;
use crate::process::{LogRecord, Printer, Stream, plain};
use crate::worker::Said;

/// A line that a worker printed, or what its adapter logged. Without control sequences, and cut where
/// it is too long.
#[derive(Clone, Copy, Debug)]
pub struct WorkerLine<'a> {
    /// Which worker.
    pub worker: &'a WorkerRef,
    /// Whether it came through standard error, or tells of trouble.
    pub is_error: bool,
    /// Of a record its message.
    pub text: &'a str,
    /// What else there is to tell of what an adapter logged; none: it is a line.
    pub record: Option<&'a LogRecord>,
}

/// Receives what workers print and log, where [`crate::OutputMode::Log`] asks for it. In any case also
/// where a worker was that had to be killed for a call that did not stop, and that a limit of memory is
/// too low for it. False: it was dropped, which is counted. Called on the runtime's thread; must not
/// block.
pub type LineHandler = Arc<dyn Fn(&WorkerLine<'_>) -> bool + Send + Sync>;

impl Shared {
    pub(super) fn pass_on(&self, slot: usize, said: Said<'_>) {
        let worker = || self.present(slot);
        let passed = match (self.config.worker.output, said) {
            (OutputMode::Drop, _) => return,
            (OutputMode::Show, Said::Line(_, line)) => {
                Printer::global().print(&worker().to_string(), line)
            }
            (OutputMode::Show, Said::Record(record)) => {
                Printer::global().print(&worker().to_string(), &record.text())
            }
            (_, Said::Dropped(count)) => {
                self.lines_dropped.fetch_add(count, Ordering::Relaxed);
                self.say(&worker(), true, &format!("… {count} lines dropped: too many at once"))
            }
            (OutputMode::Log, Said::Line(stream, line)) => {
                self.say(&worker(), stream == Stream::Stderr, line)
            }
            (OutputMode::Log, Said::Record(record)) => self.hand_on(&worker(), record),
        };
        self.lines_dropped.fetch_add(u64::from(!passed), Ordering::Relaxed);
    }

    /// Has a line logged that is about a worker.
    pub(super) fn say(&self, worker: &WorkerRef, is_error: bool, line: &str) -> bool {
        let text = &*plain(line);
        match &self.lines {
            Some(lines) => lines(&WorkerLine { worker, is_error, text, record: None }),
            None => {
                tracing::warn!(target: "snakepit::worker", %worker, "{text}");
                true
            }
        }
    }

    fn hand_on(&self, worker: &WorkerRef, record: &LogRecord) -> bool {
        let Some(lines) = &self.lines else { return true };
        let text = &*plain(&record.message);
        lines(&WorkerLine { worker, is_error: record.level >= 30, text, record: Some(record) })
    }
}

/// Lines as events of `tracing`, with the level that they have.
pub(super) fn traced() -> LineHandler {
    Arc::new(|line| {
        let WorkerLine { worker, is_error, text, record } = line;
        let stream = if *is_error { "stderr" } else { "stdout" };
        macro_rules! say {
            ($level:ident) => {
                match record {
                    None => tracing::$level!(target: "snakepit::worker", %worker, stream, "{text}"),
                    Some(record) => tracing::$level!(
                        target: "snakepit::worker",
                        %worker,
                        logger = record.logger,
                        session = record.session,
                        call = record.call,
                        correlation_id = record.correlation_id,
                        trace_id = record.trace_id,
                        "{text}"
                    ),
                }
            };
        }
        match (record.map(|record| record.level), is_error) {
            (Some(40..), _) => say!(error),
            (Some(30..), _) | (None, true) => say!(warn),
            (Some(20..), _) | (None, false) => say!(info),
            (Some(_), _) => say!(debug),
        }
        true
    })
}

/// The least level of records that somebody hears, by Python's numbers.
pub(super) fn wanted_level() -> u32 {
    match () {
        () if tracing::enabled!(target: "snakepit::worker", tracing::Level::DEBUG) => 10,
        () if tracing::enabled!(target: "snakepit::worker", tracing::Level::INFO) => 20,
        () if tracing::enabled!(target: "snakepit::worker", tracing::Level::WARN) => 30,
        () => 40,
    }
}
