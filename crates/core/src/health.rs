//! [`HealthMonitor`]: the crash window of `policy::health`, for whoever sees workers die.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::time::Instant;

use crate::error::Error;
use crate::policy::health::{Health, HealthConfig, HealthStats, WorkerHealth};

/// Tells whether workers die too often. Cheap to clone; clones are the same monitor.
#[derive(Clone, Debug)]
pub struct HealthMonitor {
    machine: Arc<Mutex<Health>>,
}

impl HealthMonitor {
    /// One that has seen no crash.
    ///
    /// # Errors
    /// [`Error::Config`] naming the first limit that makes no sense.
    pub fn new(config: HealthConfig) -> Result<Self, Error> {
        config.validate()?;
        Ok(Self { machine: Arc::new(Mutex::new(Health::new(config))) })
    }

    /// A worker died just now; `reason` is a word like `signal_9`, `exit_1` or `oom`.
    pub fn record_crash(&self, worker: &str, reason: &str) {
        self.lock().record_crash(worker, reason, Instant::now());
    }

    /// Whether there were fewer crashes in the window than `max_crashes`.
    pub fn is_healthy(&self) -> bool {
        self.lock().is_healthy(Instant::now())
    }

    /// One worker's own crashes. A worker that it never heard of is healthy.
    pub fn worker_health(&self, worker: &str) -> WorkerHealth {
        self.lock().worker(worker, Instant::now())
    }

    /// All that it counted.
    pub fn stats(&self) -> HealthStats {
        self.lock().stats(Instant::now())
    }

    /// For whoever tells it of crashes and does not keep it.
    pub(crate) fn downgrade(&self) -> Weak<Mutex<Health>> {
        Arc::downgrade(&self.machine)
    }

    pub(crate) fn upgrade(machine: &Weak<Mutex<Health>>) -> Option<Self> {
        machine.upgrade().map(|machine| Self { machine })
    }

    fn lock(&self) -> MutexGuard<'_, Health> {
        // The machine runs no code of others; its counts are whole between statements.
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn crashes_are_forgotten_after_the_window() {
        let monitor = HealthMonitor::new(HealthConfig::default()).unwrap();
        for _ in 0..5 {
            monitor.clone().record_crash("pool/0", "signal_9");
        }
        assert!(!monitor.is_healthy() && !monitor.worker_health("pool/0").healthy);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(monitor.is_healthy() && monitor.worker_health("pool/0").healthy);
        assert_eq!(monitor.stats().total_crashes, 5);
    }
}
