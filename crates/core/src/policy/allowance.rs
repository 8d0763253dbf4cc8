//! How much of something cheap one worker may cause at once, and in the long run: a bucket that fills by
//! itself.

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
}

impl Allowance {
    /// A full one.
    pub(crate) fn new(most: u32, fills_in: Duration, now: Instant) -> Self {
        Self { most, fills_in, left: f64::from(most), as_of: now }
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
        granted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_empty_once_all_was_taken_and_fills_again() {
        let now = Instant::now();
        let mut allowance = Allowance::new(10, Duration::from_secs(1), now);
        assert_eq!(allowance.take(7, now), 7);
        assert_eq!(allowance.take(7, now), 3);
        assert_eq!(allowance.take(7, now), 0);
        assert_eq!(allowance.take(7, now + Duration::from_millis(500)), 5);
        assert_eq!(allowance.take(99, now + Duration::from_secs(9)), 10);
    }

    proptest! {
        #[test]
        fn nobody_gets_more_than_the_bucket_and_what_flows_in(
            steps in prop::collection::vec((0_u64..2000, 0_usize..50), 1..50),
        ) {
            let begun = Instant::now();
            let mut allowance = Allowance::new(20, Duration::from_secs(1), begun);
            let (mut now, mut taken) = (begun, 0);
            for (pause, wanted) in steps {
                now += Duration::from_millis(pause);
                let granted = allowance.take(wanted, now);
                prop_assert!(granted <= wanted);
                taken += granted;
                let most = 20.0 + now.duration_since(begun).as_secs_f64() * 20.0;
                prop_assert!(taken as f64 <= most + 1e-6);
            }
        }
    }
}
