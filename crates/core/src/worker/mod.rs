//! Owners of workers: one keeper task a slot, the only source of truth about its worker.
//!
//! ```text
//! keeper ── Start ──▶ launch: spawn, control socket, attach, initialize ──▶ watch ──▶ reap
//!    ▲                                                                              │
//!    └──────────────────────────────── next order ◀─────────────────────────────────┘
//! ```
//!
//! The keeper decides nothing about calls: it tells its [`Office`] what the worker said and how it
//! ended, and carries out [`Order`]s.

mod command;
mod keeper;
mod launch;
mod loans;
mod locator;
mod output;
mod port;
mod watch;

use std::time::Duration;

use tokio::time::Instant;

pub(crate) use keeper::{Keeper, Order};
pub(crate) use locator::Locator;
pub(crate) use port::{Port, TooLong};

use crate::config::TelemetryFilter;
use crate::error::{ExitReport, StartFailure, Violation};
use crate::id::WorkerRef;
use crate::process::arena::Arena;
use crate::process::{LogRecord, Stream};
use crate::transport::{FromWorker, PythonInfo, ToolInfo};

/// SIGKILL comes so long after SIGTERM, and after the order to kill. A little less than a second:
/// within one, the worker is to be gone.
const KILL_AFTER: Duration = Duration::from_millis(950);

/// A worker that was told to finish has so long for its `cleanup()`.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// What a keeper reports to: the pool.
pub(crate) trait Office: Send + Sync + 'static {
    /// A worker can be started. None: it is not wanted, or not before it is ordered again. Else
    /// when it must be ready.
    fn starting(&self, slot: usize, generation: u64) -> Option<Instant>;

    /// Where buffers for workers are; none: in frames alone.
    fn arena(&self) -> Option<&Arena>;

    /// The worker that is in a slot.
    fn name(&self, slot: usize) -> WorkerRef;

    /// Its process is there.
    fn spawned(&self, slot: usize, pid: u32);

    /// It dialled in, and its adapter loads.
    fn attached(&self, slot: usize, locator: Locator);

    /// It is about to be ready, and runs in that Python.
    fn runs_in(&self, slot: usize, python: Option<PythonInfo>);

    /// It is ready for calls.
    fn ready(&self, slot: usize, port: Port, tools: Vec<ToolInfo>);

    /// What it said; drained.
    ///
    /// # Errors
    /// How it broke the protocol; nothing that it said afterwards counts, and it gets nothing more.
    fn heard(&self, slot: usize, frames: &mut Vec<FromWorker>) -> Result<(), Violation>;

    /// Whether events of its adapter are wanted, and which: told before it is ready, when there is
    /// no port yet.
    fn telemetry(&self, slot: usize) -> (bool, TelemetryFilter);

    /// Its interpreter answered a probe.
    fn answered_probe(&self, slot: usize, probe: u64);

    /// It told where its threads are, as it was asked to under that number.
    fn located(&self, nonce: u64, text: String);

    /// It is gone, and its line is read to the end.
    fn gone(&self, slot: usize, end: Ending);

    /// It printed a line, or its adapter logged something.
    fn printed(&self, slot: usize, said: Said<'_>);
}

/// What came through a worker's output.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Said<'a> {
    Line(Stream, &'a str),
    Record(&'a LogRecord),
    /// So many of either were too many to be passed on.
    Dropped(u64),
}

/// How the life of a worker ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// Before it was ready.
    NeverReady(Box<StartFailure>),
    /// After.
    Died(ExitReport),
}
