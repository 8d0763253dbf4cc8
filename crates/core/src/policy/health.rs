//! How often workers died lately, and whether that is still well.
//!
//! A crash counts for `window`. Fewer than `max_crashes` of all workers in that time is healthy for
//! the pool, fewer than `max_worker_crashes` of one for that worker.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;

/// Crashes that are remembered one by one, so that a storm of them cannot fill memory.
const REMEMBERED: usize = 10_000;

/// Reasons that are counted one by one; later ones count as [`OTHER`].
const REASONS: usize = 64;
const OTHER: &str = "other";

/// Limits of a health monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthConfig {
    /// With so many crashes in the window the pool is not healthy. Default: 5; at most 10000.
    pub max_crashes: u32,
    /// How long a crash counts. Default: 60 s.
    pub crash_window: Duration,
    /// With so many crashes of its own in the window a worker is not healthy. Default: 3.
    pub max_worker_crashes: u32,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self { max_crashes: 5, crash_window: Duration::from_secs(60), max_worker_crashes: 3 }
    }
}

impl HealthConfig {
    /// # Errors
    /// [`Error::Config`] naming the first field that makes no sense.
    pub fn validate(&self) -> Result<(), Error> {
        let wrong = |field, message: String| Err(Error::Config { field, message });
        let limits = 1..=REMEMBERED as u32;
        for (field, limit) in
            [("max_crashes", self.max_crashes), ("max_worker_crashes", self.max_worker_crashes)]
        {
            if !limits.contains(&limit) {
                return wrong(field, format!("must be from 1 to {REMEMBERED}, not {limit}"));
            }
        }
        if self.crash_window.is_zero() {
            return wrong("crash_window", "must be above zero".into());
        }
        Ok(())
    }
}

/// One worker's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerHealth {
    /// Fewer crashes than `max_worker_crashes` in the window.
    pub healthy: bool,
    /// Its crashes in the window.
    pub crashes: u32,
    /// How long ago the last one was, if it is in the window.
    pub last_crash: Option<Duration>,
}

/// The crashes of a pool's workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthStats {
    /// Fewer crashes than `max_crashes` in the window.
    pub healthy: bool,
    /// Crashes ever.
    pub total_crashes: u64,
    /// Crashes in the window; 10,000 at most are remembered.
    pub recent_crashes: u32,
    /// Workers with a crash in the window.
    pub workers_with_crashes: u32,
    /// Crashes ever, by reason.
    pub reasons: BTreeMap<Arc<str>, u64>,
    /// Crashes in the window, by reason.
    pub recent_reasons: BTreeMap<Arc<str>, u32>,
}

#[derive(Clone, Debug)]
struct Crash {
    at: Instant,
    worker: Arc<str>,
    reason: Arc<str>,
}

/// The crashes of one pool.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    config: HealthConfig,
    /// Oldest first.
    recent: VecDeque<Crash>,
    total: u64,
    reasons: BTreeMap<Arc<str>, u64>,
}

impl Health {
    /// No crash yet. `config` has been validated.
    pub(crate) fn new(config: HealthConfig) -> Self {
        Self { config, recent: VecDeque::new(), total: 0, reasons: BTreeMap::new() }
    }

    /// A worker died for that reason, a word like `signal_9`.
    pub(crate) fn record_crash(&mut self, worker: &str, reason: &str, now: Instant) {
        while self.recent.front().is_some_and(|crash| !self.counts(crash, now)) {
            self.recent.pop_front();
        }
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        let reason = self.count_reason(reason);
        self.total += 1;
        self.recent.push_back(Crash { at: now, worker: worker.into(), reason });
    }

    pub(crate) fn is_healthy(&self, now: Instant) -> bool {
        self.recent(now).count() < self.config.max_crashes as usize
    }

    pub(crate) fn worker(&self, worker: &str, now: Instant) -> WorkerHealth {
        let mut own = self.recent(now).filter(|crash| &*crash.worker == worker).peekable();
        let last_crash = own.peek().map(|crash| now.saturating_duration_since(crash.at));
        let crashes = own.count() as u32;
        WorkerHealth { healthy: crashes < self.config.max_worker_crashes, crashes, last_crash }
    }

    pub(crate) fn stats(&self, now: Instant) -> HealthStats {
        let mut recent_reasons = BTreeMap::new();
        let mut workers = BTreeSet::new();
        for crash in self.recent(now) {
            *recent_reasons.entry(crash.reason.clone()).or_default() += 1;
            workers.insert(&crash.worker);
        }
        let recent_crashes = recent_reasons.values().sum();
        HealthStats {
            healthy: recent_crashes < self.config.max_crashes,
            total_crashes: self.total,
            recent_crashes,
            workers_with_crashes: workers.len() as u32,
            reasons: self.reasons.clone(),
            recent_reasons,
        }
    }

    /// Crashes in the window, the last one first.
    fn recent(&self, now: Instant) -> impl Iterator<Item = &Crash> {
        self.recent.iter().rev().take_while(move |crash| self.counts(crash, now))
    }

    fn counts(&self, crash: &Crash, now: Instant) -> bool {
        now.saturating_duration_since(crash.at) < self.config.crash_window
    }

    fn count_reason(&mut self, reason: &str) -> Arc<str> {
        let known = self.reasons.contains_key(reason) || self.reasons.len() < REASONS - 1;
        let reason: Arc<str> = if known { reason.into() } else { OTHER.into() };
        *self.reasons.entry(reason.clone()).or_default() += 1;
        reason
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    fn health() -> Health {
        Health::new(HealthConfig::default())
    }

    #[test]
    fn five_crashes_in_the_window_are_too_many_until_one_is_old_enough() {
        let start = Instant::now();
        let mut health = health();
        let second = Duration::from_secs(1);
        for n in 0..5 {
            assert!(health.is_healthy(start + second * n));
            health.record_crash(&format!("pool/{n}"), "signal_9", start + second * n);
        }
        assert!(!health.is_healthy(start + second * 4));
        assert!(!health.is_healthy(start + WINDOW - Duration::from_nanos(1)));
        assert!(health.is_healthy(start + WINDOW));
        assert_eq!(health.stats(start + WINDOW).total_crashes, 5, "the total forgets nothing");
    }

    #[test]
    fn a_worker_is_judged_by_its_own_crashes() {
        let now = Instant::now();
        let mut health = health();
        for _ in 0..3 {
            health.record_crash("pool/0", "exit_1", now);
        }
        let bad = health.worker("pool/0", now + WINDOW / 2);
        let expected = WorkerHealth { healthy: false, crashes: 3, last_crash: Some(WINDOW / 2) };
        assert_eq!(bad, expected);
        let good = WorkerHealth { healthy: true, crashes: 0, last_crash: None };
        assert_eq!(health.worker("pool/1", now), good);
        assert_eq!(health.worker("pool/0", now + WINDOW), good);
    }

    #[test]
    fn crashes_are_counted_by_reason() {
        let now = Instant::now();
        let mut health = health();
        health.record_crash("pool/0", "oom", now);
        health.record_crash("pool/1", "signal_11", now + WINDOW);
        health.record_crash("pool/0", "signal_11", now + WINDOW);
        let stats = health.stats(now + WINDOW);
        assert_eq!(stats.reasons, BTreeMap::from([("oom".into(), 1), ("signal_11".into(), 2)]));
        assert_eq!(stats.recent_reasons, BTreeMap::from([("signal_11".into(), 2)]));
        assert_eq!((stats.recent_crashes, stats.workers_with_crashes), (2, 2));
    }

    #[test]
    fn a_storm_of_crashes_for_ever_new_reasons_stays_small() {
        let now = Instant::now();
        let mut health = health();
        for n in 0..2 * REMEMBERED {
            health.record_crash("pool/0", &format!("reason {n}"), now);
        }
        let stats = health.stats(now);
        assert_eq!(stats.total_crashes, 2 * REMEMBERED as u64);
        assert_eq!(stats.recent_crashes, REMEMBERED as u32);
        assert_eq!(stats.reasons.len(), REASONS);
        assert_eq!(stats.reasons.values().sum::<u64>(), stats.total_crashes);
    }

    #[test]
    fn limits_that_make_no_sense_are_named() {
        let wrong = [
            (HealthConfig { max_crashes: 0, ..Default::default() }, "max_crashes"),
            (HealthConfig { max_worker_crashes: 0, ..Default::default() }, "max_worker_crashes"),
            (HealthConfig { crash_window: Duration::ZERO, ..Default::default() }, "crash_window"),
        ];
        for (config, expected) in wrong {
            let Err(Error::Config { field, .. }) = config.validate() else {
                panic!("{config:?} passed")
            };
            assert_eq!(field, expected);
        }
    }

    proptest! {
        /// Whatever crashes when: what is counted is what a look at the whole history would count.
        #[test]
        fn the_window_is_exact(
            crashes in prop::collection::vec((0u64..30_000, 0u8..4, 0u8..3), 0..60),
            later in 0u64..90_000,
        ) {
            let mut now = Instant::now();
            let mut health = health();
            let mut history = Vec::new();
            for (passed, worker, reason) in crashes {
                now += Duration::from_millis(passed);
                health.record_crash(&format!("pool/{worker}"), &format!("exit_{reason}"), now);
                history.push((now, worker));
            }
            now += Duration::from_millis(later);
            let recent: Vec<_> = history.iter().filter(|(at, _)| now - *at < WINDOW).collect();
            let stats = health.stats(now);
            prop_assert_eq!(stats.recent_crashes as usize, recent.len());
            prop_assert_eq!(stats.total_crashes as usize, history.len());
            prop_assert_eq!(stats.healthy, recent.len() < 5);
            prop_assert_eq!(health.is_healthy(now), stats.healthy);
            for worker in 0u8..4 {
                let own = recent.iter().filter(|(_, other)| *other == worker).count();
                let found = health.worker(&format!("pool/{worker}"), now);
                prop_assert_eq!(found.crashes as usize, own);
                prop_assert_eq!(found.healthy, own < 3);
            }
        }
    }
}
