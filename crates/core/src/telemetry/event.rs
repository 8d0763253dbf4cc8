//! One event.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Spec;
use crate::id::WorkerRef;

/// A measured number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A count, or a moment in nanoseconds.
    Count(u64),
    /// A whole number that may be below 0.
    Int(i64),
    /// Whatever has fractions.
    Real(f64),
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Int(int) => int.fmt(f),
            Self::Real(real) => real.fmt(f),
        }
    }
}

/// A part of what describes an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// All that a pool tells by itself.
    Text(Arc<str>),
    /// Of adapters.
    Int(i64),
    /// Of adapters.
    Real(f64),
    /// Of adapters.
    Flag(bool),
}

impl<T: Into<Arc<str>>> From<T> for Fact {
    fn from(text: T) -> Self {
        Self::Text(text.into())
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => text.fmt(f),
            Self::Int(int) => int.fmt(f),
            Self::Real(real) => real.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
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
    pub metadata: Vec<(Cow<'static, str>, Fact)>,
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

    /// With a count.
    pub(crate) fn counted(mut self, name: &'static str, count: u64) -> Self {
        self.measurements.push((Cow::Borrowed(name), Number::Count(count)));
        self
    }

    pub(crate) fn with(mut self, name: &'static str, text: impl Into<Arc<str>>) -> Self {
        self.metadata.push((Cow::Borrowed(name), Fact::Text(text.into())));
        self
    }

    /// With pool and worker.
    pub(crate) fn of_worker(self, worker: &WorkerRef) -> Self {
        self.with("pool", worker.pool.as_str()).with("worker_id", worker.to_string())
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

    /// A part of the metadata that is text, where it has one of this name.
    #[must_use]
    pub fn metadata(&self, name: &str) -> Option<&str> {
        match self.fact(name)? {
            Fact::Text(text) => Some(text),
            Fact::Int(_) | Fact::Real(_) | Fact::Flag(_) => None,
        }
    }

    /// A part of the metadata, where it has one of this name.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&Fact> {
        self.metadata.iter().find(|(known, _)| *known == name).map(|(_, fact)| fact)
    }
}
