//! How fast a pool works off what waits: calls a second of late, and how long to stay away then.
//!
//! Measured only while calls wait. A pool that has nothing to do is not slow, and its pauses say
//! nothing about how fast a full queue gets shorter.

use std::time::Duration;

use tokio::time::Instant;

/// So long a sample is; shorter ones would measure how answers bunch.
const SAMPLE: Duration = Duration::from_millis(100);

/// A new sample replaces this much of the estimate: some ten samples are remembered.
const WEIGHT: f64 = 0.2;

/// What is told where nothing is known yet.
const UNKNOWN: Duration = Duration::from_secs(1);

/// No one is told to stay away for less, or for longer.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Answers a second, as an exponentially weighted moving average.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    per_second: Option<f64>,
    /// A sample is being taken.
    running: bool,
    since: Instant,
    /// The sample is long enough then; kept, so that an answer costs one comparison.
    until: Instant,
    calls: usize,
}

impl Rate {
    pub(crate) fn new(now: Instant) -> Self {
        Self { per_second: None, running: false, since: now, until: now, calls: 0 }
    }

    /// So many calls were answered. `busy`: others wait.
    #[inline]
    pub(crate) fn observe(&mut self, calls: usize, busy: bool, now: Instant) {
        if !busy {
            self.running = false;
        } else if !self.running {
            self.begin(now);
        } else {
            self.calls += calls;
            if now >= self.until {
                self.sample(now);
            }
        }
    }

    fn begin(&mut self, now: Instant) {
        *self = Self { running: true, since: now, until: now + SAMPLE, calls: 0, ..*self };
    }

    #[cold]
    fn sample(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since);
        let fresh = self.calls as f64 / passed.as_secs_f64();
        let mean = self.per_second.unwrap_or(fresh);
        self.per_second = Some(mean + WEIGHT * (fresh - mean));
        self.begin(now);
    }

    /// When half of what waits now will have been worked off: others who are told the same find
    /// room then, too.
    pub(crate) fn retry_after(&self, waiting: usize, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.since).as_secs_f64();
        let sampled = self.running && self.calls > 0 && passed > 0.0;
        let first = || sampled.then(|| self.calls as f64 / passed);
        let Some(rate) = self.per_second.or_else(first) else { return UNKNOWN };
        let seconds = waiting as f64 / 2.0 / rate;
        Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST).clamp(SHORTEST, LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(10);

    /// Answers of a busy pool, one each tick.
    fn work(rate: &mut Rate, mut now: Instant, ticks: u32, each: Duration) -> Instant {
        for _ in 0..ticks {
            now += each;
            rate.observe(1, true, now);
        }
        now
    }

    #[test]
    fn half_of_the_queue_at_the_rate_of_late() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        let now = work(&mut rate, start, 100, TICK);
        let told = rate.retry_after(1000, now).as_secs_f64();
        assert!((told - 5.0).abs() < 0.01, "500 calls at 100 a second, not {told}");

        let now = work(&mut rate, now, 300, 10 * TICK);
        let told = rate.retry_after(1000, now).as_secs_f64();
        assert!((told - 50.0).abs() < 1.0, "it has become slower: {told}");
    }

    #[test]
    fn idle_time_does_not_count() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        let now = work(&mut rate, start, 100, TICK);
        let before = rate.retry_after(100, now);
        let later = now + Duration::from_secs(3600);
        rate.observe(1, false, later);
        let now = work(&mut rate, later, 20, TICK);
        assert_eq!(rate.retry_after(100, now).as_millis(), before.as_millis());
    }

    #[test]
    fn what_is_told_is_bounded() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        assert_eq!(rate.retry_after(10, start), UNKNOWN);
        rate.observe(0, true, start);
        rate.observe(0, true, start + SAMPLE);
        assert_eq!(rate.retry_after(10, start + SAMPLE), LONGEST, "nothing moves");
        rate.observe(1_000_000, true, start + 2 * SAMPLE);
        assert_eq!(rate.retry_after(1, start + 2 * SAMPLE), SHORTEST);
    }
}
