//! How many lines of a worker are passed on: so many a second, and a burst now and then.

use tokio::time::Instant;

/// A bucket of tokens, one of which each line takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    tokens: f64,
    burst: f64,
    per_second: f64,
    since: Instant,
    dropped: u64,
}

impl Allowance {
    pub(crate) fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        let (burst, per_second) = (f64::from(burst), f64::from(per_second));
        Self { tokens: burst, burst, per_second, since: now, dropped: 0 }
    }

    /// Whether one more may pass; counted if not.
    pub(crate) fn admit(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.since);
        self.since = self.since.max(now);
        self.tokens = (self.tokens + passed.as_secs_f64() * self.per_second).min(self.burst);
        let admitted = self.tokens >= 1.0;
        if admitted {
            self.tokens -= 1.0;
        } else {
            self.dropped += 1;
        }
        admitted
    }

    /// How many did not, since it was asked last.
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
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_so_many_a_second() {
        let start = Instant::now();
        let mut allowance = Allowance::new(10, 100, start);
        let passed = (0..1000).filter(|_| allowance.admit(start)).count();
        assert_eq!((passed, allowance.take_dropped(), allowance.take_dropped()), (100, 900, 0));
        assert!(!allowance.admit(start + Duration::from_millis(50)));
        assert!(allowance.admit(start + Duration::from_millis(101)));
        let later = start + Duration::from_secs(2);
        assert!((0..1000).filter(|_| allowance.admit(later)).count() <= 20);
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_the_rate(steps in proptest::collection::vec(0..200u64, 1..300)) {
            let start = Instant::now();
            let mut allowance = Allowance::new(50, 5, start);
            let (mut now, mut passed) = (start, 0u32);
            for step in &steps {
                now += Duration::from_millis(*step);
                passed += u32::from(allowance.admit(now));
            }
            let most = 5.0 + (now - start).as_secs_f64() * 50.0;
            prop_assert!(f64::from(passed) <= most + 0.001, "{passed} of {most}");
            prop_assert_eq!(u64::from(passed) + allowance.take_dropped(), steps.len() as u64);
        }
    }
}
