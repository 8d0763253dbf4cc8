//! One event.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Spec;

/// A measured number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A count, or a moment in nanoseconds.
    Count(u64),
    /// Whatever has fractions.
    Real(f64),
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Real(real) => real.fmt(f),
        }
    }
}

/// Something that happened, as [`super::CATALOGUE`] describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its dotted name.
    pub name: Cow<'static, str>,
    /// What was measured, by name.
    pub measurements: Vec<(Cow<'static, str>, Number)>,
    /// What describes it, by name.
    pub metadata: Vec<(Cow<'static, str>, Arc<str>)>,
}

impl Event {
    pub(crate) fn new(spec: &Spec) -> Self {
        Self { name: Cow::Borrowed(spec.name), measurements: Vec::new(), metadata: Vec::new() }
    }

    /// With the present moment.
    pub(crate) fn now(mut self) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let nanoseconds = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        self.measurements.push((Cow::Borrowed("system_time"), Number::Count(nanoseconds)));
        self
    }

    /// With a time, in milliseconds.
    pub(crate) fn took(mut self, name: &'static str, time: Duration) -> Self {
        self.measurements.push((Cow::Borrowed(name), Number::Real(time.as_secs_f64() * 1e3)));
        self
    }

    pub(crate) fn with(mut self, name: &'static str, text: impl Into<Arc<str>>) -> Self {
        self.metadata.push((Cow::Borrowed(name), text.into()));
        self
    }

    pub(crate) fn with_any(self, name: &'static str, text: Option<impl Into<Arc<str>>>) -> Self {
        match text {
            Some(text) => self.with(name, text),
            None => self,
        }
    }

    /// A measurement, where it has one of this name.
    #[must_use]
    pub fn measurement(&self, name: &str) -> Option<Number> {
        self.measurements.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
    }

    /// A part of the metadata, where it has one of this name.
    #[must_use]
    pub fn metadata(&self, name: &str) -> Option<&str> {
        self.metadata.iter().find(|(known, _)| *known == name).map(|(_, text)| &**text)
    }
}
