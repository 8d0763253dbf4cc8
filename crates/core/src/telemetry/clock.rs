//! The system's time, as events and spans tell it.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Now, in nanoseconds since the epoch; 0 where the clock is before it.
#[inline]
pub fn now_ns() -> u64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
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

pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_one_time_whenever_it_is_asked_for() {
        let (moment, step) = (Instant::now(), Duration::from_millis(500));
        let time = system_time(moment);
        assert!(now_ns() - time < 60_000_000_000, "{time}");
        std::thread::sleep(step);
        let again = system_time(moment);
        assert!(again.abs_diff(time) < nanoseconds(step / 2), "{time} {again}");
    }
}
