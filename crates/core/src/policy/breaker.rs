//! When calls are refused because those before them failed, and when a few may try again.
//!
//! ```text
//! Closed ──enough failures──▶ Open ──reset_timeout──▶ HalfOpen ──a probe succeeds──▶ Closed
//!                              ▲                         │
//!                              └─────a probe fails───────┘
//! ```
//!
//! *Enough* is a run of failures, or the failure rate among the last calls: the count-based sliding
//! window of resilience4j, with its minimum of calls and its "equal or above" (resilience4j
//! reference, "CircuitBreaker"; the same rate and minimum are Hystrix's
//! `errorThresholdPercentage` and `requestVolumeThreshold`). Half open is Nygard's ("Release It!"):
//! the first verdict decides.
//!
//! Every admitted call holds a [`Permit`], which ends as exactly one of success, failure and
//! neither. It carries the generation of the state that gave it out: a verdict about an earlier
//! state is too late to count, so calls that were under way when the breaker opened neither keep
//! it open nor close it. A place in half open is free again however its permit ends.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::{BreakerConfig, Trip};

/// A reset timeout beyond this is cut, so that adding it to a moment cannot overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// What a breaker does with calls now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// Admits them.
    Closed,
    /// Refuses them.
    Open,
    /// Admits a few, and what becomes of them decides.
    HalfOpen,
}

impl BreakerState {
    /// `closed`, `open` or `half_open`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// The breaker refuses the call; nothing ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the circuit breaker is open; asking again can help after {retry_after:?}")]
pub struct CircuitOpen {
    /// To ask earlier cannot help. Zero: probes are under way, and any of them may close it.
    pub retry_after: Duration,
}

/// Counts of one breaker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerStats {
    /// What it does with calls now.
    pub state: BreakerState,
    /// Failures that count now: in a row, or in the window. None count unless it is closed.
    pub failures: u32,
    /// Calls in the window; in the other mode the failures in a row.
    pub calls: u32,
    /// Probes under way.
    pub probes: u32,
    /// Calls that succeeded, ever.
    pub total_successes: u64,
    /// Calls that failed, ever.
    pub total_failures: u64,
    /// Calls that were refused, ever.
    pub total_refused: u64,
    /// How often it opened.
    pub total_opened: u64,
}

/// The right to make one call; give it back with exactly one verdict.
#[derive(Debug)]
#[must_use = "a probe's place is taken until its permit comes back"]
pub(crate) struct Permit {
    generation: u64,
}

/// Outcomes that count while the breaker is closed.
#[derive(Clone, Debug)]
enum Tally {
    Row(u32),
    Window { failed: VecDeque<bool>, failures: u32 },
}

#[derive(Clone, Debug)]
enum Phase {
    Closed(Tally),
    Open { until: Instant },
    HalfOpen { probes: u32 },
}

/// One breaker.
#[derive(Clone, Debug)]
pub(crate) struct Breaker {
    config: BreakerConfig,
    phase: Phase,
    /// Counts changes of state.
    generation: u64,
    successes: u64,
    failures: u64,
    refused: u64,
    opened: u64,
}

impl Breaker {
    /// A closed one. `config` has been validated.
    pub(crate) fn new(config: BreakerConfig) -> Self {
        Self {
            phase: Phase::Closed(Tally::new(config.trip)),
            config,
            generation: 0,
            successes: 0,
            failures: 0,
            refused: 0,
            opened: 0,
        }
    }

    pub(crate) fn state(&self, now: Instant) -> BreakerState {
        match self.phase {
            Phase::Closed(_) => BreakerState::Closed,
            Phase::Open { until } if now < until => BreakerState::Open,
            Phase::Open { .. } | Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Changes of state so far.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether a call would be admitted; takes no place, so routing may ask.
    pub(crate) fn allows(&self, now: Instant) -> bool {
        match self.phase {
            Phase::Closed(_) => true,
            Phase::Open { until } => now >= until,
            Phase::HalfOpen { probes } => probes < self.config.half_open_max_calls,
        }
    }

    /// Until when it refuses all calls, if it does.
    pub(crate) fn open_until(&self) -> Option<Instant> {
        match self.phase {
            Phase::Open { until } => Some(until),
            Phase::Closed(_) | Phase::HalfOpen { .. } => None,
        }
    }

    /// Admits a call, or refuses it.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<Permit, CircuitOpen> {
        if let Phase::Open { until } = self.phase
            && now >= until
        {
            self.enter(Phase::HalfOpen { probes: 0 });
        }
        let retry_after = match &mut self.phase {
            Phase::Closed(_) => return Ok(Permit { generation: self.generation }),
            Phase::HalfOpen { probes } if *probes < self.config.half_open_max_calls => {
                *probes += 1;
                return Ok(Permit { generation: self.generation });
            }
            Phase::HalfOpen { .. } => Duration::ZERO,
            Phase::Open { until } => until.saturating_duration_since(now),
        };
        self.refused += 1;
        Err(CircuitOpen { retry_after })
    }

    /// The call succeeded.
    pub(crate) fn success(&mut self, permit: Permit, now: Instant) {
        self.successes += 1;
        self.end(permit, Some(false), now);
    }

    /// The call failed.
    pub(crate) fn failure(&mut self, permit: Permit, now: Instant) {
        self.failures += 1;
        self.end(permit, Some(true), now);
    }

    /// The call ended in a way that says nothing: cancelled, or never made.
    pub(crate) fn release(&mut self, permit: Permit, now: Instant) {
        self.end(permit, None, now);
    }

    /// Closes it and forgets what was counted, totals apart.
    pub(crate) fn reset(&mut self) {
        self.enter(Phase::Closed(Tally::new(self.config.trip)));
    }

    pub(crate) fn stats(&self, now: Instant) -> BreakerStats {
        let (failures, calls) = match &self.phase {
            Phase::Closed(Tally::Row(failures)) => (*failures, *failures),
            Phase::Closed(Tally::Window { failed, failures }) => (*failures, failed.len() as u32),
            Phase::Open { .. } | Phase::HalfOpen { .. } => (0, 0),
        };
        BreakerStats {
            state: self.state(now),
            failures,
            calls,
            probes: if let Phase::HalfOpen { probes } = self.phase { probes } else { 0 },
            total_successes: self.successes,
            total_failures: self.failures,
            total_refused: self.refused,
            total_opened: self.opened,
        }
    }

    fn end(&mut self, permit: Permit, failed: Option<bool>, now: Instant) {
        if permit.generation != self.generation {
            return;
        }
        match (&mut self.phase, failed) {
            (Phase::Closed(tally), Some(failed)) => {
                if tally.add(failed, self.config.trip) {
                    self.open(now);
                }
            }
            (Phase::HalfOpen { .. }, Some(true)) => self.open(now),
            (Phase::HalfOpen { .. }, Some(false)) => self.reset(),
            (Phase::HalfOpen { probes }, None) => *probes -= 1,
            // Open gives out no permit, so none is of its generation.
            (Phase::Closed(_) | Phase::Open { .. }, _) => {}
        }
    }

    fn open(&mut self, now: Instant) {
        self.opened += 1;
        self.enter(Phase::Open { until: now + self.config.reset_timeout.min(LONGEST) });
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation += 1;
    }
}

impl Tally {
    fn new(trip: Trip) -> Self {
        match trip {
            Trip::Consecutive(_) => Self::Row(0),
            Trip::Rate { .. } => Self::Window { failed: VecDeque::new(), failures: 0 },
        }
    }

    /// True: that is enough.
    fn add(&mut self, outcome: bool, trip: Trip) -> bool {
        match (self, trip) {
            (Self::Row(row), Trip::Consecutive(threshold)) => {
                *row = if outcome { *row + 1 } else { 0 };
                *row >= threshold
            }
            (
                Self::Window { failed, failures },
                Trip::Rate { window, minimum_calls, failure_rate },
            ) => {
                if failed.len() as u32 == window {
                    *failures -= u32::from(failed.pop_front() == Some(true));
                }
                failed.push_back(outcome);
                *failures += u32::from(outcome);
                let calls = failed.len() as u32;
                calls >= minimum_calls && f64::from(*failures) / f64::from(calls) >= failure_rate
            }
            _ => unreachable!("a tally is made for the trip of its breaker"),
        }
    }
}

#[cfg(test)]
mod tests;
