//! What a worker prints: told to the office line by line, the end of its standard error kept. Among
//! the lines of standard error are the records of the adapter's logging.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::{Office, Said};
use crate::config::OutputMode;
use crate::policy::allowance::Allowance;
use crate::process::{CrashText, Stream, Tail, pump, record};

/// After a death the last lines are waited for so long: a grandchild may hold the pipe open.
const SETTLE: Duration = Duration::from_millis(30);

/// Where lines are logged, a worker may have so many a second logged, and so many in a burst; and
/// of warnings and errors as many again, so that nothing that is chatty costs them.
const BURST: u32 = 5000;
const BURST_FILLS_IN: Duration = Duration::from_secs(5);

/// What was not passed on is told so long after the first of it.
const TELL_AFTER: Duration = Duration::from_secs(1);

/// The level from which on a record is a warning.
const WARNING: u32 = 30;

/// How a worker's output is read.
pub(super) struct Reading {
    /// In front of a record.
    pub(super) mark: String,
    pub(super) mode: OutputMode,
}

/// Of standard error.
#[derive(Default)]
struct Kept {
    tail: Tail,
    crash: CrashText,
}

/// Two pumps and what is kept.
pub(super) struct Output {
    kept: Arc<Mutex<Kept>>,
    pumps: Vec<JoinHandle<()>>,
}

impl Output {
    /// Starts to read both pipes, standard output and standard error.
    pub(super) fn start<O: Office>(
        office: &Arc<O>,
        slot: usize,
        (stdout, stderr): (OwnedFd, OwnedFd),
        reading: Reading,
    ) -> Self {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let gate = (reading.mode == OutputMode::Log).then(Gate::new);
        let reader =
            Arc::new(Reader { office: office.clone(), slot, kept: kept.clone(), gate, reading });
        let pumps = [(Stream::Stdout, stdout), (Stream::Stderr, stderr)].map(|(stream, fd)| {
            let reader = reader.clone();
            tokio::spawn(async move {
                let read = pump(fd, stream, |stream, line| reader.line(stream, line)).await;
                reader.tell_dropped();
                if let Err(error) = read {
                    tracing::warn!(%error, slot, "a worker's output cannot be read");
                }
            })
        });
        Self { kept, pumps: pumps.into() }
    }

    /// The last lines of standard error of a worker that is dead.
    pub(super) async fn last_lines(&mut self) -> String {
        let pumps = &mut self.pumps;
        let settle = async {
            for pump in pumps.iter_mut() {
                // A pump that panicked has nothing more to tell.
                let _ = pump.await;
            }
            pumps.clear();
        };
        let _ = tokio::time::timeout(SETTLE, settle).await;
        lock(&self.kept).tail.text()
    }

    /// What Python's fault handler wrote, if it did.
    pub(super) fn crash(&self) -> Option<String> {
        lock(&self.kept).crash.text().map(Into::into)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        for pump in &self.pumps {
            pump.abort();
        }
    }
}

/// Tells records from lines, and what is too much from what is not.
struct Reader<O> {
    office: Arc<O>,
    slot: usize,
    kept: Arc<Mutex<Kept>>,
    /// None: all may pass.
    gate: Option<Gate>,
    reading: Reading,
}

impl<O: Office> Reader<O> {
    fn line(self: &Arc<Self>, stream: Stream, line: &str) {
        let found = match (stream, self.reading.mode) {
            (Stream::Stderr, OutputMode::Log) => record::find(line, &self.reading.mark),
            _ => None,
        };
        let Some((before, record)) = found else { return self.plain_line(stream, line) };
        if !before.is_empty() {
            self.plain_line(stream, before);
        }
        lock(&self.kept).tail.push(&record.text());
        if self.passes(record.level >= WARNING) {
            self.office.printed(self.slot, Said::Record(&record));
        }
    }

    fn plain_line(self: &Arc<Self>, stream: Stream, line: &str) {
        if stream == Stream::Stderr {
            let mut kept = lock(&self.kept);
            kept.tail.push(line);
            kept.crash.push(line);
        }
        if self.passes(false) {
            self.office.printed(self.slot, Said::Line(stream, line));
        }
    }

    fn passes(self: &Arc<Self>, is_warning: bool) -> bool {
        let Some(gate) = &self.gate else { return true };
        let mut allowance = lock(if is_warning { &gate.warnings } else { &gate.others });
        let admitted = allowance.admit(Instant::now());
        if !admitted && allowance.dropped() == 1 {
            // The first of a flood; all that follow it within a moment are told together.
            let reader = self.clone();
            tokio::spawn(async move {
                sleep(TELL_AFTER).await;
                reader.tell_dropped();
            });
        }
        admitted
    }

    fn tell_dropped(&self) {
        let Some(gate) = &self.gate else { return };
        let dropped = [&gate.others, &gate.warnings].map(|of| lock(of).take_dropped());
        let dropped = dropped.iter().sum();
        if dropped > 0 {
            self.office.printed(self.slot, Said::Dropped(dropped));
        }
    }
}

struct Gate {
    others: Mutex<Allowance>,
    warnings: Mutex<Allowance>,
}

impl Gate {
    fn new() -> Self {
        let allowance = || Mutex::new(Allowance::new(BURST, BURST_FILLS_IN, Instant::now()));
        Self { others: allowance(), warnings: allowance() }
    }
}

fn lock<T>(kept: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Text and numbers are fit to be read after any panic.
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
