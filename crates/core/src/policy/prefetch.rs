//! How many calls may wait *in* a busy worker, given how long its calls take.
//!
//! A worker that finds its next call at hand saves the round trip to the host, which is most of
//! the time of a short call; for a long one prefetching only ties the call to a place. So: at most
//! a millisecond of work waits in a worker, and never more than [`MAX`] calls.

use std::time::Duration;

use tokio::time::Instant;

/// Most calls in a worker at once, the running one included.
pub(crate) const MAX: usize = 32;

/// Work that may wait in a worker.
const TARGET: Duration = Duration::from_millis(1);

/// Nanoseconds a call from which one outlier is believed.
const LONG: u64 = 200_000;

/// A worker that has not answered for so long is in a long call: nothing more is sent to it while
/// others can take the work, and what waits in it is taken back.
pub(crate) const HELD_UP: Duration = Duration::from_millis(2);

/// Service times of one worker, smoothed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prefetch {
    /// Smoothed nanoseconds a call; None before the first.
    service: Option<u64>,
    enabled: bool,
}

impl Prefetch {
    /// `enabled`: this worker's end can have a prefetched call taken back.
    pub(crate) fn new(enabled: bool) -> Self {
        Self { service: None, enabled }
    }

    /// `calls` answers came together, so long after the worker could begin the first of them.
    pub(crate) fn observe(&mut self, took: Duration, calls: usize) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).min(1 << 40);
        let each = took / calls.max(1) as u64;
        self.service = Some(match self.service {
            // A long call counts at once: the next one of its kind must not be prefetched.
            Some(mean) if each < LONG.max(mean.saturating_mul(8)) => (mean * 7 + each) / 8,
            _ => each,
        });
    }

    /// Calls that may be in the worker at once, the running one included.
    pub(crate) fn capacity(&self) -> usize {
        match self.service {
            Some(service) if self.enabled => {
                let fit = TARGET.as_nanos() as u64 / service.max(1);
                1 + (fit as usize).min(MAX - 1)
            }
            _ => 1,
        }
    }
}

/// Whether a worker that last answered (or was last given work while idle) at `since` is stuck in
/// a long call.
pub(crate) fn held_up(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) >= HELD_UP
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(times: &[u64]) -> usize {
        let mut prefetch = Prefetch::new(true);
        for &micros in times {
            prefetch.observe(Duration::from_micros(micros), 1);
        }
        prefetch.capacity()
    }

    #[test]
    fn nothing_is_prefetched_before_the_first_answer() {
        assert_eq!(after(&[]), 1);
    }

    #[test]
    fn short_calls_fill_a_millisecond_and_no_more_than_the_maximum() {
        assert_eq!(after(&[100; 20]), 11);
        assert_eq!(after(&[3; 20]), MAX);
    }

    #[test]
    fn one_long_call_ends_prefetching_at_once_and_short_ones_bring_it_back() {
        assert_eq!(after(&[10, 10, 50_000]), 1);
        let mut times = vec![50_000];
        times.extend([10; 60]);
        assert!(after(&times) > 16, "short calls again");
    }

    #[test]
    fn an_end_without_revocation_gets_one_call_at_a_time() {
        let mut prefetch = Prefetch::new(false);
        prefetch.observe(Duration::from_micros(5), 1);
        assert_eq!(prefetch.capacity(), 1);
    }

    proptest! {
        /// Whatever the answers: one call always fits, never more than the maximum, and what waits
        /// behind the running call is at most a millisecond of the kind of call that was seen.
        #[test]
        fn what_waits_in_a_worker_is_bounded(
            answers in prop::collection::vec((0u64..100_000_000, 1usize..40), 0..60),
            enabled: bool,
        ) {
            let mut prefetch = Prefetch::new(enabled);
            for (nanos, calls) in answers {
                prefetch.observe(Duration::from_nanos(nanos), calls);
                let capacity = prefetch.capacity();
                prop_assert!((1..=MAX).contains(&capacity));
                prop_assert!(enabled || capacity == 1);
                let service = prefetch.service.expect("just observed");
                let waiting = (capacity as u64 - 1) * service;
                prop_assert!(waiting <= TARGET.as_nanos() as u64);
            }
        }
    }
}
