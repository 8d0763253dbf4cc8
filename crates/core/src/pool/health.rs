//! How a pool fares, for whoever decides whether to send it work: three facts of each worker, and
//! what follows for the whole.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Pool;
use super::shared::Shared;
use crate::error::StartFailure;
use crate::health::HealthMonitor;
use crate::id::WorkerRef;
use crate::policy::health::HealthStats;

/// A pool's health in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthStatus {
    /// Every worker is ready and none is stalled; there were fewer than five crashes in the last
    /// minute.
    Healthy,
    /// Some worker can serve, yet not all is well.
    Degraded,
    /// No worker can serve now.
    Unhealthy,
}

impl HealthStatus {
    /// `healthy`, `degraded` or `unhealthy`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// What is known of one worker.
#[derive(Clone, Debug)]
pub struct WorkerFacts {
    /// Which worker.
    pub worker: WorkerRef,
    /// As in [`super::WorkerInfo`].
    pub state: &'static str,
    /// Its process is there.
    pub alive: bool,
    /// Its interpreter answered lately: calls, or probes where it did not. False before it was
    /// ready; true from then on of a worker that cannot be probed.
    pub progressing: bool,
    /// Its adapter is initialized, and it is not leaving.
    pub ready: bool,
    /// For so long it has been what it is: starting, ready, stalled,
    /// draining, stopping, condemned or gone.
    pub since: Duration,
    /// So long ago its interpreter gave a sign of life; none before it was ready.
    pub last_progress: Option<Duration>,
    /// Its crashes in the last minute.
    pub crashes: u32,
    /// Why it cannot start, where the pool gave up trying at once.
    pub start_failure: Option<Arc<StartFailure>>,
}

impl WorkerFacts {
    fn serves(&self) -> bool {
        self.alive && self.progressing && self.ready
    }
}

/// A pool's health.
#[derive(Clone, Debug)]
pub struct PoolHealth {
    /// In one word.
    pub status: HealthStatus,
    /// By slot.
    pub workers: Vec<WorkerFacts>,
    /// Crashes of all workers, as a [`HealthMonitor`] with its defaults counts them.
    pub crashes: HealthStats,
}

impl Pool {
    /// How the pool fares now; without workers, and unhealthy, in a fork. Waits for nothing.
    pub fn health(&self) -> PoolHealth {
        if self.is_forked() {
            let (status, crashes) = (HealthStatus::Unhealthy, HealthStats::default());
            return PoolHealth { status, workers: Vec::new(), crashes };
        }
        self.shared().health()
    }

    /// `monitor` counts the crashes of this pool's workers from now on: ends that came out of the
    /// worker, not those that the pool brought about (a deadline, a recycle, its end), and not
    /// starts that failed. Workers are named as [`WorkerRef`] prints them.
    pub fn monitor(&self, monitor: &HealthMonitor) {
        if !self.is_forked() {
            self.shared().crashes.attach(monitor);
        }
    }

    /// Ends of workers so far, by the words of [`crate::Cause`]: `recycle_calls`, `recycle_age`,
    /// `recycle_memory`, `recycle_request`, `deadline`, `cancel`, `stall`, `protocol`, `oom`,
    /// `signal_N`, `exit_N`, `shim`, `unknown`; and `start` for starts that failed. Ends with the
    /// pool are not counted.
    pub fn restart_reasons(&self) -> Vec<(Arc<str>, u64)> {
        if self.is_forked() {
            return Vec::new();
        }
        let inner = self.shared().lock();
        inner.restarts.iter().map(|(reason, count)| (reason.clone(), *count)).collect()
    }
}

impl Shared {
    pub(super) fn health(&self) -> PoolHealth {
        let (size, now) = (self.config.size, Instant::now());
        let workers: Vec<_> = (0..size).map(|number| self.facts(number, now)).collect();
        let crashes = self.crashes.own().stats();
        let serving = workers.iter().filter(|worker| worker.serves()).count();
        let status = match serving {
            0 => HealthStatus::Unhealthy,
            _ if serving == size && crashes.healthy => HealthStatus::Healthy,
            _ => HealthStatus::Degraded,
        };
        PoolHealth { status, workers, crashes }
    }

    pub(super) fn facts(&self, number: usize, now: Instant) -> WorkerFacts {
        let (facts, state, worker, record) = {
            let inner = self.lock();
            let slot = inner.state.slot_of(number);
            let worker = self.worker(number, inner.state.generation(slot));
            let (state, ..) = inner.state.describe(slot);
            (inner.state.facts(slot), state, worker, inner.records[slot].clone())
        };
        let ago = |at| now.saturating_duration_since(at);
        let crashes = self.crashes.own().worker_health(&worker.to_string()).crashes;
        let alive = record.pid.is_some();
        WorkerFacts {
            worker,
            state,
            alive,
            progressing: alive && facts.heard.is_some() && !facts.stalled,
            ready: facts.ready,
            since: ago(facts.changed),
            last_progress: facts.heard.map(ago),
            crashes,
            start_failure: record
                .start_failure
                .map(|(_, failure)| failure)
                .filter(|_| facts.degraded),
        }
    }
}
