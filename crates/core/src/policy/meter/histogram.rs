//! Durations in fixed buckets.

use std::time::Duration;

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

/// Upper bounds of the buckets in nanoseconds, from what a call of an empty tool takes to what its
/// deadline is where nobody says otherwise. What is longer is in one more.
const BOUNDS: [u64; 21] = [
    25 * MICROSECOND,
    50 * MICROSECOND,
    100 * MICROSECOND,
    250 * MICROSECOND,
    500 * MICROSECOND,
    MILLISECOND,
    5 * MILLISECOND / 2,
    5 * MILLISECOND,
    10 * MILLISECOND,
    25 * MILLISECOND,
    50 * MILLISECOND,
    100 * MILLISECOND,
    250 * MILLISECOND,
    500 * MILLISECOND,
    SECOND,
    5 * SECOND / 2,
    5 * SECOND,
    10 * SECOND,
    30 * SECOND,
    60 * SECOND,
    300 * SECOND,
];

/// How many durations were how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    buckets: [u64; BOUNDS.len() + 1],
    /// In nanoseconds: five hundred years.
    sum: u64,
}

impl Histogram {
    #[inline]
    pub(crate) fn record(&mut self, time: Duration) {
        let nanoseconds =
            time.as_secs().saturating_mul(SECOND).saturating_add(u64::from(time.subsec_nanos()));
        // From the front: what is short is found at once, and what is long has the time.
        let bucket = BOUNDS.iter().position(|&bound| nanoseconds <= bound);
        self.buckets[bucket.unwrap_or(BOUNDS.len())] += 1;
        self.sum = self.sum.saturating_add(nanoseconds);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let counts = self.buckets.iter_mut().zip(other.buckets);
        counts.for_each(|(count, more)| *count += more);
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// Of each bucket its upper bound in seconds and how many were no longer than that; the last one
    /// has no bound and all of them.
    pub fn cumulative(&self) -> impl Iterator<Item = (Option<f64>, u64)> {
        let mut so_far = 0;
        self.buckets.iter().enumerate().map(move |(bucket, count)| {
            so_far += count;
            let bound = BOUNDS.get(bucket).map(|&bound| Duration::from_nanos(bound).as_secs_f64());
            (bound, so_far)
        })
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// All of them together.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum)
    }
}
