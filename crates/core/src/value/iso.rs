//! Dates and times as text: ISO 8601 as Python's `isoformat` writes it.

use std::fmt;
use std::str::FromStr;

use super::span::{MICROS_PER_SECOND, TimeDelta};
use super::time::{Date, DateTime, Time};

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year(), self.month(), self.day())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}:{:02}", self.hour(), self.minute(), self.second())?;
        if self.microsecond() > 0 {
            write!(f, ".{:06}", self.microsecond())?;
        }
        let Some(offset) = self.offset().map(TimeDelta::microseconds) else { return Ok(()) };
        let size = offset.unsigned_abs();
        let (seconds, micros) = (size / 1_000_000, size % 1_000_000);
        let sign = if offset < 0 { '-' } else { '+' };
        write!(f, "{sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60)?;
        if seconds % 60 > 0 || micros > 0 {
            write!(f, ":{:02}", seconds % 60)?;
        }
        if micros > 0 { write!(f, ".{micros:06}") } else { Ok(()) }
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T{}", self.date(), self.time())
    }
}

impl FromStr for Date {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (year, rest) = text.split_once('-')?;
            let (month, day) = rest.split_once('-')?;
            let year = (year.len() == 4).then(|| number(year))??;
            Self::new(year, two(month)?, two(day)?)
        };
        parse().ok_or_else(|| format!("{text:?} is no date like 2024-02-29"))
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (clock, offset) = match text.find(['+', '-', 'Z', 'z']) {
                Some(at) => (&text[..at], Some(&text[at..])),
                None => (text, None),
            };
            let (hour, minute, second, microsecond) = clock_parts(clock)?;
            let time = Self::new(hour, minute, second, microsecond)?;
            match offset {
                None => Some(time),
                Some("Z" | "z") => Some(time.utc()),
                Some(offset) => {
                    let (hour, minute, second, micros) = clock_parts(&offset[1..])?;
                    let seconds =
                        i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
                    let size = seconds * MICROS_PER_SECOND + i64::from(micros);
                    let size = if offset.starts_with('-') { -size } else { size };
                    time.with_offset(TimeDelta::from_microseconds(size.into())?)
                }
            }
        };
        parse().ok_or_else(|| format!("{text:?} is no time like 12:30:05.250000+01:00"))
    }
}

impl FromStr for DateTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (date, time) = text
            .split_once(['T', 't', ' '])
            .ok_or_else(|| format!("{text:?} is no datetime like 2024-02-29T12:30:05"))?;
        Ok(Self::new(date.parse()?, time.parse()?))
    }
}

/// `HH:MM`, `HH:MM:SS`, `HH:MM:SS.f…`.
fn clock_parts(text: &str) -> Option<(u8, u8, u8, u32)> {
    let (text, micros) = match text.split_once('.') {
        None => (text, 0),
        Some((text, digits)) if (1..=6).contains(&digits.len()) => {
            (text, number::<u32>(digits)? * 10_u32.pow(6 - digits.len() as u32))
        }
        Some(_) => return None,
    };
    let mut parts = text.split(':');
    let (hour, minute) = (two(parts.next()?)?, two(parts.next()?)?);
    let second = parts.next().map_or(Some(0), two)?;
    parts.next().is_none().then_some((hour, minute, second, micros))
}

fn two(text: &str) -> Option<u8> {
    (text.len() == 2).then(|| number(text))?
}

/// Digits alone: the standard library would take a sign, too.
fn number<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}
