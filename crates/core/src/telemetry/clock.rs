//! The system's time, as events and spans tell it.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Now, in nanoseconds since the epoch; 0 where the clock is before it.
#[inline]
pub fn now_ns() -> u64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// How long a reading of the system's clock serves. If that is set, events tell it so much later.
const READING: Duration = Duration::from_secs(1);

/// As [`now_ns`], at a moment that is about now. Each call tells one, and has read the other clock
/// for it already.
pub(super) fn system_time(moment: Instant) -> u64 {
    thread_local! {
        static READ: Cell<Option<(Instant, u64)>> = const { Cell::new(None) };
    }
    let last = READ.get().and_then(|(read, time)| {
        let since = moment.checked_duration_since(read).filter(|since| *since < READING)?;
        Some(time.saturating_add(u64::try_from(since.as_nanos()).ok()?))
    });
    last.unwrap_or_else(|| {
        let time = now_ns();
        READ.set(Some((moment, time)));
        time
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_as_far_apart_as_they_were_measured() {
        let (first, step) = (Instant::now(), Duration::from_micros(1234));
        let time = system_time(first);
        assert!(time.abs_diff(now_ns()) < 60_000_000_000, "{time}");
        assert_eq!(system_time(first + step) - time, 1_234_000);
        assert_eq!(system_time(first), time);
    }

    #[test]
    fn the_system_is_asked_again_after_a_second_and_for_a_moment_before() {
        let first = Instant::now();
        let time = system_time(first);
        // Read from the system, it is now; counted on from the first moment, it would be in an hour.
        let later = system_time(first + Duration::from_secs(3600));
        assert!(later - time < 60_000_000_000, "{time} {later}");
        let before = system_time(first);
        assert!(before.abs_diff(time) < 60_000_000_000, "{time} {before}");
    }
}
