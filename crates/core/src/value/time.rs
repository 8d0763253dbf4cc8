//! Dates and times of Python's standard library.
//!
//! They carry what Python's carry and compute nothing: for calendars, give their text (`Display`
//! is ISO 8601, as Python's `isoformat`) to the time library of your choice, or read a result
//! straight into its types.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::extension::{Body, DATE, DATETIME, Extension, TIME, serde_by_text};
use super::span::{MICROS_PER_SECOND, TimeDelta};

const DAY: i64 = 86_400;

/// A `datetime.date`, of the years 1 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// None: there is no such day.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            4 | 6 | 9 | 11 => 30,
            2 => 28 + u8::from(leap),
            1..=12 => 31,
            _ => return None,
        };
        let is_day = (1..=9999).contains(&year) && (1..=days).contains(&day);
        is_day.then_some(Self { year, month, day })
    }

    /// From 1 to 9999.
    pub fn year(self) -> u16 {
        self.year
    }

    /// From 1 to 12.
    pub fn month(self) -> u8 {
        self.month
    }

    /// From 1 to 31.
    pub fn day(self) -> u8 {
        self.day
    }

    /// Days since 1970-01-01, in the calendar that Python extends to both sides.
    fn unix_day(self) -> i64 {
        // Years from March on, so that the leap day is the last one.
        let (year, month) = (i64::from(self.year), i64::from(self.month));
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let before_year = year * 365 + year / 4 - year / 100 + year / 400;
        before_year + (153 * month + 2) / 5 + i64::from(self.day) - 1 - 719_468
    }

    fn of_unix_day(day: i64) -> Option<Self> {
        let day = day + 719_468;
        let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
        let year = u16::try_from(year + era * 400).ok()?;
        Self::new(year, u8::try_from(month).ok()?, u8::try_from(day).ok()?)
    }
}

/// A `datetime.time`, with an offset from UTC and the name of a time zone where it has them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Time {
    hour: u8,
    minute: u8,
    second: u8,
    microsecond: u32,
    fold: bool,
    offset: Option<TimeDelta>,
    zone: Option<Box<str>>,
}

impl Time {
    /// Without an offset. None: no clock shows that.
    pub fn new(hour: u8, minute: u8, second: u8, microsecond: u32) -> Option<Self> {
        let fits = hour < 24 && minute < 60 && second < 60 && microsecond < 1_000_000;
        let (fold, offset, zone) = (false, None, None);
        fits.then_some(Self { hour, minute, second, microsecond, fold, offset, zone })
    }

    /// With an offset from UTC. None: it is a day or more.
    pub fn with_offset(self, offset: TimeDelta) -> Option<Self> {
        let fits = offset.microseconds().unsigned_abs() < u128::from(DAY as u64 * 1_000_000);
        fits.then_some(Self { offset: Some(offset), ..self })
    }

    /// In UTC.
    pub fn utc(self) -> Self {
        Self { offset: Some(TimeDelta::ZERO), ..self }
    }

    /// Hours, from 0 to 23.
    pub fn hour(&self) -> u8 {
        self.hour
    }

    /// Minutes, from 0 to 59.
    pub fn minute(&self) -> u8 {
        self.minute
    }

    /// Seconds, from 0 to 59.
    pub fn second(&self) -> u8 {
        self.second
    }

    /// Microseconds, from 0 to 999,999.
    pub fn microsecond(&self) -> u32 {
        self.microsecond
    }

    /// Python's `fold`: the second of two equal times when clocks go back.
    pub fn fold(&self) -> bool {
        self.fold
    }

    /// What the clock is ahead of UTC, where that is known.
    pub fn offset(&self) -> Option<TimeDelta> {
        self.offset
    }

    /// Key of its `ZoneInfo`, such as `Europe/Paris`.
    pub fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }

    fn second_of_day(&self) -> i64 {
        i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second)
    }
}

/// A `datetime.datetime`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DateTime {
    date: Date,
    time: Time,
}

impl DateTime {
    /// A day and a time of it.
    pub fn new(date: Date, time: Time) -> Self {
        Self { date, time }
    }

    /// The day, where the clock is.
    pub fn date(&self) -> Date {
        self.date
    }

    /// The clock.
    pub fn time(&self) -> &Time {
        &self.time
    }

    /// In UTC; nanoseconds are cut off. None: outside of the years 1 to 9999.
    pub fn from_system_time(time: SystemTime) -> Option<Self> {
        let (seconds, nanos) = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => (i64::try_from(after.as_secs()).ok()?, after.subsec_nanos()),
            Err(before) => {
                let before = before.duration();
                let seconds = -i64::try_from(before.as_secs()).ok()?;
                match before.subsec_nanos() {
                    0 => (seconds, 0),
                    nanos => (seconds - 1, 1_000_000_000 - nanos),
                }
            }
        };
        let date = Date::of_unix_day(seconds.div_euclid(DAY))?;
        let second = seconds.rem_euclid(DAY);
        let part = |value: i64| u8::try_from(value).ok();
        let (hour, minute) = (part(second / 3600)?, part(second / 60 % 60)?);
        let time = Time::new(hour, minute, part(second % 60)?, nanos / 1000)?;
        Some(Self { date, time: time.utc() })
    }

    /// The moment. None: its offset from UTC is not known.
    pub fn to_system_time(&self) -> Option<SystemTime> {
        let offset = self.time.offset?.microseconds();
        let seconds = self.date.unix_day() * DAY + self.time.second_of_day();
        let micros = i128::from(seconds) * i128::from(MICROS_PER_SECOND)
            + i128::from(self.time.microsecond)
            - offset;
        let distance = u64::try_from(micros.unsigned_abs()).ok().map(Duration::from_micros)?;
        match micros >= 0 {
            true => SystemTime::UNIX_EPOCH.checked_add(distance),
            false => SystemTime::UNIX_EPOCH.checked_sub(distance),
        }
    }
}

impl Extension for Date {
    const TAG: i8 = DATE;
    const NAME: &'static str = "a date";

    fn body(&self) -> Body<'_> {
        Body::whole(self.to_string().into_bytes())
    }

    fn from_body(body: &[u8]) -> Result<Self, String> {
        str::from_utf8(body).map_err(|error| error.to_string())?.parse()
    }
}

impl Extension for Time {
    const TAG: i8 = TIME;
    const NAME: &'static str = "a time";

    fn body(&self) -> Body<'_> {
        clock_body(self, self)
    }

    fn from_body(body: &[u8]) -> Result<Self, String> {
        let (fold, text, zone) = clock_of(body)?;
        Ok(Self { fold, zone, ..text.parse()? })
    }
}

impl Extension for DateTime {
    const TAG: i8 = DATETIME;
    const NAME: &'static str = "a datetime";

    fn body(&self) -> Body<'_> {
        clock_body(&self.time, self)
    }

    fn from_body(body: &[u8]) -> Result<Self, String> {
        let (fold, text, zone) = clock_of(body)?;
        let Self { date, time } = text.parse()?;
        Ok(Self { date, time: Time { fold, zone, ..time } })
    }
}

/// The fold in a byte, the text, the zone in brackets.
fn clock_body<'a>(time: &Time, text: &dyn fmt::Display) -> Body<'a> {
    let zone = time.zone().map(|zone| format!("[{zone}]")).unwrap_or_default();
    let mut body = vec![u8::from(time.fold)];
    body.extend_from_slice(format!("{text}{zone}").as_bytes());
    Body::whole(body)
}

fn clock_of(body: &[u8]) -> Result<(bool, &str, Option<Box<str>>), String> {
    let Some((&fold @ 0..=1, text)) = body.split_first() else {
        return Err("a time starts with its fold, 0 or 1".into());
    };
    let text = str::from_utf8(text).map_err(|error| error.to_string())?;
    let Some((text, zone)) = text.split_once('[') else { return Ok((fold == 1, text, None)) };
    let zone = zone.strip_suffix(']').ok_or("a zone ends with ']'")?;
    Ok((fold == 1, text, Some(zone.into())))
}

serde_by_text!(Date Time DateTime);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_survives_the_way_through_a_datetime() {
        for micros in [0, 1, 951_782_400_000_000, 253_402_300_799_999_999] {
            let moment = SystemTime::UNIX_EPOCH + Duration::from_micros(micros);
            let there = DateTime::from_system_time(moment).expect("a year below 10000");
            assert_eq!(there.to_system_time(), Some(moment), "{there}");
        }
        let before = SystemTime::UNIX_EPOCH - Duration::from_micros(1);
        let there = DateTime::from_system_time(before).expect("1969");
        assert_eq!(there.to_string(), "1969-12-31T23:59:59.999999+00:00");
        assert_eq!(there.to_system_time(), Some(before));
    }

    #[test]
    fn an_offset_counts() {
        let there: DateTime = "2000-02-29T00:00:00-03:30:01".parse().expect("ISO 8601");
        let utc: DateTime = "2000-02-29T03:30:01Z".parse().expect("ISO 8601");
        assert_eq!(there.to_system_time(), utc.to_system_time());
        assert_eq!(there.to_string(), "2000-02-29T00:00:00-03:30:01");
    }

    #[test]
    fn what_no_calendar_has_is_refused() {
        for text in ["2023-02-29", "2024-13-01", "0000-01-01", "2024-1-1", "+024-01-01"] {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
        for text in ["24:00:00", "1:00", "12:00:00+24:00", "12:00:00.", "12:00:60"] {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
    }
}
