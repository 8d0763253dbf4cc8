//! What a pool has measured so far, as numbers.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Pool;
use super::stats::PoolStats;
use crate::id::PoolName;
use crate::policy::meter::{Fate, Histogram, Meter, Rejection, Tally};

/// The numbers of one pool at one moment; what is counted or measured is so since the pool was made.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolMetrics {
    /// Whose they are.
    pub pool: PoolName,
    /// As [`Pool::stats`] tells them.
    pub stats: PoolStats,
    /// Of each tool whose calls have ended. The tools that workers have declared bound them; calls
    /// of all other names are together under `(other)`.
    pub tools: Vec<ToolMetrics>,
    /// Calls refused at the door, by the word of their error.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Ends of workers, by reason; see [`Pool::restart_reasons`].
    pub restarts: BTreeMap<Arc<str>, u64>,
    /// Workers now, by the words of [`super::WorkerInfo::state`].
    pub workers: BTreeMap<&'static str, usize>,
    /// Streams admitted.
    pub streams: u64,
    /// Streams under way now.
    pub streaming: usize,
    /// Lines of workers that were not passed on because there were too many.
    pub lines_dropped: u64,
}

/// The calls of one tool that have ended.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolMetrics {
    /// Its name.
    pub tool: Arc<str>,
    /// How many ended how: `ok`, or the word of their error. Only what there was.
    pub ended: Vec<(&'static str, u64)>,
    /// How long they were not run: in the queue, in a busy worker, in tries that failed.
    pub queue_wait: Histogram,
    /// How long a worker had them, of those that one had begun.
    pub execution: Histogram,
    /// From the call to its end.
    pub duration: Histogram,
}

/// Every state that a worker can be in.
pub(super) const STATES: [&str; 8] =
    ["starting", "ready", "busy", "stalled", "draining", "stopping", "condemned", "degraded"];

impl Pool {
    /// What the pool has measured so far; nothing in a fork. [`super::metrics_text`] writes it down.
    pub fn metrics(&self) -> PoolMetrics {
        let pool = self.config().name.clone();
        if self.is_forked() {
            return PoolMetrics::of(pool, &Meter::default());
        }
        let inner = self.shared().lock();
        let state = &inner.state;
        let mut workers: BTreeMap<_, _> = STATES.iter().map(|&state| (state, 0)).collect();
        for number in 0..self.config().size {
            let (name, ..) = state.describe(state.slot_of(number));
            *workers.entry(name).or_default() += 1;
        }
        PoolMetrics {
            stats: self.shared().stats_of(state),
            restarts: inner.restarts.clone(),
            workers,
            streaming: state.streaming(),
            lines_dropped: self.shared().lines_dropped.load(Ordering::Relaxed),
            ..PoolMetrics::of(pool, state.measured())
        }
    }
}

impl PoolMetrics {
    /// What is measured of calls.
    fn of(pool: PoolName, meter: &Meter) -> Self {
        Self {
            pool,
            stats: PoolStats::default(),
            tools: meter.tallies().into_iter().map(ToolMetrics::from).collect(),
            rejected: meter.rejections().collect(),
            restarts: BTreeMap::new(),
            workers: BTreeMap::new(),
            streams: meter.streams(),
            streaming: 0,
            lines_dropped: 0,
        }
    }
}

/// Measures the calls of a pool whose adapter runs in the host's own process, as bindings have it.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct InlineMeter(Mutex<Meter>);

impl InlineMeter {
    /// The adapter has these tools.
    pub fn declare(&self, tools: &[String]) {
        self.lock().declare(tools.iter().map(String::as_str));
    }

    /// A call ended that was made so long ago, and ran for so long of it. False: there is no such
    /// outcome.
    pub fn ended(&self, tool: &str, outcome: &str, took: Duration, ran: Option<Duration>) -> bool {
        let fate = Fate::ALL.into_iter().find(|fate| fate.as_str() == outcome);
        let mut meter = self.lock();
        fate.map(|fate| {
            let place = meter.place(tool);
            meter.ended(place, fate, took, ran);
        })
        .is_some()
    }

    /// A call came to a closed pool.
    pub fn refused(&self) {
        self.lock().rejected(Rejection::PoolClosed);
    }

    /// A stream was begun.
    pub fn streamed(&self) {
        self.lock().streamed();
    }

    /// What was measured, and what else there is to tell.
    pub fn metrics(&self, pool: &str, stats: PoolStats, streaming: usize) -> PoolMetrics {
        let state = if stats.ready > 0 { "ready" } else { "starting" };
        PoolMetrics {
            stats,
            workers: [(state, 1)].into(),
            streaming,
            ..PoolMetrics::of(pool.into(), &self.lock())
        }
    }

    fn lock(&self) -> MutexGuard<'_, Meter> {
        // Numbers are whole after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Tally> for ToolMetrics {
    fn from(tally: Tally) -> Self {
        let ended = Fate::ALL.iter().map(|fate| fate.as_str()).zip(tally.fates);
        Self {
            tool: tally.tool,
            ended: ended.filter(|(_, count)| *count > 0).collect(),
            queue_wait: tally.waited,
            execution: tally.ran,
            duration: tally.took,
        }
    }
}
