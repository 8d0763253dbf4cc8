//! The system's time, as events and spans tell it.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Now, in nanoseconds since the epoch; 0 where the clock is before it.
#[inline]
pub fn now_ns() -> u64 {
    nanoseconds(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default())
}

/// As [`now_ns`], at a moment that has been.
pub(super) fn system_time(moment: Instant) -> u64 {
    // The thread may be interrupted between the two clocks, but hardly each time.
    let readings = (0..3).map(|_| {
        let before = Instant::now();
        let time = now_ns();
        (before.elapsed(), time.saturating_sub(nanoseconds(before - moment)))
    });
    readings.min().map_or_else(now_ns, |(_, time)| time)
}

#[inline]
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_the_time_that_was_then() {
        let (now, hour) = (Instant::now(), Duration::from_secs(3600));
        let before = now.checked_sub(hour).expect("this clock goes below zero");
        let (time, earlier) = (system_time(now), system_time(before));
        // Nothing here takes a minute, unless the clock is set.
        assert!(now_ns() - time < 60_000_000_000, "{time}");
        let apart = (time - earlier).abs_diff(nanoseconds(hour));
        assert!(apart < 250_000_000, "{time} {earlier}");
    }
}
