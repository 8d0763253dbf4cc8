//! When a worker is worn out.
//!
//! Its limits are drawn when it becomes ready: `calls` and `age` shortened by a part that differs
//! from worker to worker, memory from what it held then. Who is replaced when is the pool's matter.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::Recycle;
use crate::error::Recycled;

/// What one worker may be used for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    calls: u64,
    expires: Option<Instant>,
    memory: Option<u64>,
    growth: Option<f64>,
    /// What it held when it was first weighed.
    baseline: Option<u64>,
}

impl Limits {
    /// Of a worker that became ready now; `nth` tells workers apart.
    pub(crate) fn new(config: Option<Recycle>, nth: u64, now: Instant) -> Self {
        let Some(config) = config else {
            return Self {
                calls: u64::MAX,
                expires: None,
                memory: None,
                growth: None,
                baseline: None,
            };
        };
        let left = 1.0 - config.jitter * spread(nth);
        let shorter = |calls: u64| ((calls as f64 * left).ceil() as u64).max(1);
        let age = |age: Duration| now + age.mul_f64(left);
        Self {
            calls: config.calls.map_or(u64::MAX, shorter),
            expires: config.age.map(age),
            memory: config.memory,
            growth: config.memory_growth,
            baseline: None,
        }
    }

    /// It has answered so many calls.
    pub(crate) fn used(&self, calls: u64) -> Option<Recycled> {
        (calls >= self.calls).then_some(Recycled::Calls)
    }

    /// When it is too old.
    pub(crate) fn expires(&self) -> Option<Instant> {
        self.expires
    }

    /// It holds so many bytes before its first call. Some: more than it may, whatever it is used for;
    /// so nothing is gained by replacing it for that.
    pub(crate) fn weighed_first(&mut self, bytes: u64) -> Option<u64> {
        self.baseline = Some(bytes);
        self.memory.take_if(|most| bytes >= *most)
    }

    /// It holds so many bytes now.
    pub(crate) fn weighed(&mut self, bytes: u64) -> Option<Recycled> {
        let baseline = *self.baseline.get_or_insert(bytes);
        let too_much = self.memory.is_some_and(|most| bytes >= most);
        let grown = self.growth.is_some_and(|factor| bytes as f64 >= baseline as f64 * factor);
        // The first weight is the measure of growth, not growth.
        (too_much || grown && bytes > baseline).then_some(Recycled::Memory)
    }
}

/// From 0 to below 1, far from that of the neighbours: multiples of the golden ratio.
fn spread(nth: u64) -> f64 {
    (nth as f64 * 0.618_033_988_749_894_9).fract()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_a_policy_nothing_wears_out() {
        let mut limits = Limits::new(None, 7, Instant::now());
        assert_eq!(limits.used(u64::MAX - 1), None);
        assert_eq!((limits.weighed(u64::MAX), limits.expires()), (None, None));
    }

    #[test]
    fn memory_is_judged_by_itself_and_by_what_it_was() {
        let now = Instant::now();
        let config = Recycle { memory: Some(1000), memory_growth: Some(2.0), ..Default::default() };
        let weigh = |weights: &[u64]| {
            let mut limits = Limits::new(Some(config), 0, now);
            weights.iter().map(|&bytes| limits.weighed(bytes)).collect::<Vec<_>>()
        };
        assert_eq!(weigh(&[400, 799, 800]), [None, None, Some(Recycled::Memory)]);
        assert_eq!(weigh(&[600, 999, 1000]), [None, None, Some(Recycled::Memory)]);
        assert_eq!(weigh(&[0, 0, 1]), [None, None, Some(Recycled::Memory)]);
    }

    #[test]
    fn what_a_fresh_worker_holds_already_is_no_reason_for_another() {
        let now = Instant::now();
        let config = Recycle { memory: Some(1000), memory_growth: Some(2.0), ..Default::default() };
        let mut limits = Limits::new(Some(config), 0, now);
        assert_eq!(limits.weighed_first(999), None);
        assert_eq!(limits.weighed(1000), Some(Recycled::Memory));
        let mut heavy = Limits::new(Some(config), 0, now);
        assert_eq!(heavy.weighed_first(1000), Some(1000));
        assert_eq!((heavy.weighed(1999), heavy.weighed(2000)), (None, Some(Recycled::Memory)));
    }

    proptest! {
        /// Limits are never passed on, never cut by more than the jitter, and neighbours differ.
        #[test]
        fn jitter_keeps_within_its_bounds(
            calls in 1u64..1_000_000,
            age in 1u64..1_000_000,
            jitter in 0.0f64..0.99,
            nth in 0u64..100_000,
        ) {
            let now = Instant::now();
            let (calls, age) = (calls, Duration::from_secs(age));
            let config =
                Recycle { calls: Some(calls), age: Some(age), jitter, ..Default::default() };
            let limits = Limits::new(Some(config), nth, now);
            prop_assert!(limits.calls >= 1 && limits.calls <= calls);
            prop_assert!(limits.calls as f64 >= calls as f64 * (1.0 - jitter) - 1e-6);
            let left = limits.expires().expect("a limit") - now;
            let least = age.mul_f64(1.0 - jitter).saturating_sub(Duration::from_micros(1));
            prop_assert!(left <= age && left >= least);
            prop_assert!((spread(nth) - spread(nth + 1)).abs() > 0.1);
            prop_assert_eq!(limits.used(calls), Some(Recycled::Calls));
        }
    }
}
