//! Lengths of time: `datetime.timedelta`.

use std::fmt;
use std::time::Duration;

use super::extension::{Body, Extension, TIMEDELTA};
use super::int::OutOfRange;

pub(super) const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i128 = 86_400 * MICROS_PER_SECOND as i128;
/// As in Python.
const MOST_DAYS: i32 = 999_999_999;

/// A `datetime.timedelta`: microseconds, of either sign, up to 999,999,999 days.
///
/// Convert it from and to [`Duration`]; as a number it is its seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimeDelta {
    days: i32,
    /// Of the day; never negative, as in Python.
    seconds: u32,
    microseconds: u32,
}

impl TimeDelta {
    /// No time at all.
    pub const ZERO: Self = Self { days: 0, seconds: 0, microseconds: 0 };

    /// None: more than Python's 999,999,999 days.
    pub fn from_microseconds(microseconds: i128) -> Option<Self> {
        let days = i32::try_from(microseconds.div_euclid(MICROS_PER_DAY)).ok()?;
        let rest = u64::try_from(microseconds.rem_euclid(MICROS_PER_DAY)).ok()?;
        let second = MICROS_PER_SECOND.unsigned_abs();
        let seconds = u32::try_from(rest / second).ok()?;
        let microseconds = u32::try_from(rest % second).ok()?;
        let fits = (-MOST_DAYS..=MOST_DAYS).contains(&days);
        fits.then_some(Self { days, seconds, microseconds })
    }

    /// From seconds, rounded to microseconds. None: no finite number, or too many.
    pub fn from_seconds(seconds: f64) -> Option<Self> {
        let micros = (seconds * MICROS_PER_SECOND as f64).round();
        // Beyond 2^120 a cast would still be exact, but no timedelta is so long.
        (micros.abs() < 1e30).then(|| Self::from_microseconds(micros as i128))?
    }

    /// All of it in microseconds.
    pub fn microseconds(self) -> i128 {
        i128::from(self.days) * MICROS_PER_DAY
            + i128::from(self.seconds) * i128::from(MICROS_PER_SECOND)
            + i128::from(self.microseconds)
    }

    /// All of it in seconds, to the precision of a float.
    pub fn total_seconds(self) -> f64 {
        self.microseconds() as f64 / MICROS_PER_SECOND as f64
    }
}

impl fmt::Display for TimeDelta {
    /// Seconds, as in `-1.500000 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.microseconds();
        let (sign, size) = (if all < 0 { "-" } else { "" }, all.unsigned_abs());
        let (seconds, micros) = (size / 1_000_000, size % 1_000_000);
        if micros == 0 {
            write!(f, "{sign}{seconds} s")
        } else {
            write!(f, "{sign}{seconds}.{micros:06} s")
        }
    }
}

impl TryFrom<Duration> for TimeDelta {
    type Error = OutOfRange;

    /// Nanoseconds are cut off.
    fn try_from(duration: Duration) -> Result<Self, OutOfRange> {
        let micros = i128::try_from(duration.as_micros()).map_err(|_| OutOfRange)?;
        Self::from_microseconds(micros).ok_or(OutOfRange)
    }
}

impl TryFrom<TimeDelta> for Duration {
    type Error = OutOfRange;

    fn try_from(span: TimeDelta) -> Result<Self, OutOfRange> {
        let days = u64::try_from(span.days).map_err(|_| OutOfRange)?;
        let seconds = days * 86_400 + u64::from(span.seconds);
        Ok(Self::new(seconds, span.microseconds * 1000))
    }
}

impl Extension for TimeDelta {
    const TAG: i8 = TIMEDELTA;
    const NAME: &'static str = "a timedelta";

    fn body(&self) -> Body<'_> {
        let mut body = self.days.to_be_bytes().to_vec();
        body.extend_from_slice(&self.seconds.to_be_bytes());
        body.extend_from_slice(&self.microseconds.to_be_bytes());
        Body::whole(body)
    }

    fn from_body(body: &[u8]) -> Result<Self, String> {
        let [days, seconds, micros] = match body.as_chunks() {
            ([days, seconds, micros], []) => [days, seconds, micros].map(|four| *four),
            _ => return Err(format!("a timedelta has 12 bytes, not {}", body.len())),
        };
        // Python takes any and carries over.
        let all = i128::from(i32::from_be_bytes(days)) * MICROS_PER_DAY
            + i128::from(u32::from_be_bytes(seconds)) * i128::from(MICROS_PER_SECOND)
            + i128::from(u32::from_be_bytes(micros));
        Self::from_microseconds(all).ok_or_else(|| "a timedelta of too many days".into())
    }
}
