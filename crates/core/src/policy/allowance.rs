//! How much of something cheap one worker may cause: so much at once, and in the long run. A bucket that
//! fills by itself.

use std::time::Duration;

use tokio::time::Instant;

/// What is left, as of a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    most: u32,
    /// From empty to full.
    fills_in: Duration,
    left: f64,
    as_of: Instant,
    dropped: u64,
}

impl Allowance {
    /// A full one.
    pub(crate) fn new(most: u32, fills_in: Duration, now: Instant) -> Self {
        Self { most, fills_in, left: f64::from(most), as_of: now, dropped: 0 }
    }

    /// Takes as much of `wanted` as is left; how much that is.
    pub(crate) fn take(&mut self, wanted: usize, now: Instant) -> usize {
        let most = f64::from(self.most);
        let passed = now.saturating_duration_since(self.as_of);
        let filled = passed.as_secs_f64() / self.fills_in.as_secs_f64() * most;
        self.left = (self.left + filled).min(most);
        self.as_of = self.as_of.max(now);
        let granted = wanted.min(self.left as usize);
        self.left -= granted as f64;
        self.dropped += (wanted - granted) as u64;
        granted
    }

    /// Whether one more may pass.
    pub(crate) fn admit(&mut self, now: Instant) -> bool {
        self.take(1, now) == 1
    }

    /// How many were not granted, since [`Allowance::take_dropped`] was asked last.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The same, for whoever tells it.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_is_empty_once_all_was_taken_and_fills_again() {
        let now = Instant::now();
        let mut allowance = Allowance::new(10, SECOND, now);
        assert_eq!(allowance.take(7, now), 7);
        assert_eq!(allowance.take(7, now), 3);
        assert_eq!(allowance.take(7, now), 0);
        assert_eq!(
            (allowance.dropped(), allowance.take_dropped(), allowance.dropped()),
            (11, 11, 0)
        );
        assert_eq!(allowance.take(7, now + SECOND / 2), 5);
        assert_eq!(allowance.take(99, now + 9 * SECOND), 10);
    }

    #[test]
    fn a_burst_passes_and_then_so_many_a_second() {
        let start = Instant::now();
        let mut allowance = Allowance::new(100, 10 * SECOND, start);
        assert_eq!((0..1000).filter(|_| allowance.admit(start)).count(), 100);
        assert!(!allowance.admit(start + SECOND / 20));
        assert!(allowance.admit(start + SECOND / 9));
        let later = start + 2 * SECOND;
        assert!((0..1000).filter(|_| allowance.admit(later)).count() <= 20);
    }

    proptest! {
        #[test]
        fn nobody_gets_more_than_the_bucket_and_what_flows_in(
            steps in prop::collection::vec((0_u64..2000, 0_usize..50), 1..50),
        ) {
            let begun = Instant::now();
            let mut allowance = Allowance::new(20, SECOND, begun);
            let (mut now, mut taken, mut asked) = (begun, 0, 0);
            for (pause, wanted) in steps {
                now += Duration::from_millis(pause);
                let granted = allowance.take(wanted, now);
                prop_assert!(granted <= wanted);
                (taken, asked) = (taken + granted, asked + wanted);
                let most = 20.0 + now.duration_since(begun).as_secs_f64() * 20.0;
                prop_assert!(taken as f64 <= most + 1e-6);
            }
            prop_assert_eq!(taken as u64 + allowance.dropped(), asked as u64);
        }
    }
}
