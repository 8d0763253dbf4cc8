//! The time of events and spans.

use std::time::SystemTime;

/// Now, in nanoseconds since the epoch; 0 where the clock is before it.
#[inline]
pub fn now_ns() -> u64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
