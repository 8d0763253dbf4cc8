//! One event.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::clock::now_ns;
use super::interest::Interest;
use super::told::MOMENT;
use super::{PYTHON, Spec};
use crate::id::WorkerRef;

/// A number, as it was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A count, or a moment in nanoseconds.
    Whole(i64),
    /// Whatever has fractions.
    Real(f64),
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(whole) => whole.fmt(f),
            Self::Real(real) => real.fmt(f),
        }
    }
}

/// A part of the metadata.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A name, or a word.
    Text(Arc<str>),
    /// What is counted or measured, and only describes this event.
    Number(Number),
    /// Yes or no.
    Flag(bool),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => text.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
        }
    }
}

impl From<Arc<str>> for Value {
    fn from(text: Arc<str>) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Number(whole(count))
    }
}

impl From<i32> for Value {
    fn from(code: i32) -> Self {
        Self::Number(Number::Whole(code.into()))
    }
}

fn whole(count: u64) -> Number {
    Number::Whole(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Numbers by name; as many as most events have need no memory of their own.
pub type Measurements = SmallVec<[(Cow<'static, str>, Number); 1]>;

/// What describes an event, by name, in the order in which it was said; a slice of such pairs.
///
/// Copies share it until one of them is changed.
#[derive(Clone, Default)]
pub struct Metadata(Option<Arc<Vec<Described>>>);

type Described = (Cow<'static, str>, Value);

impl Metadata {
    /// One more.
    pub fn push(&mut self, described: Described) {
        Arc::make_mut(self.0.get_or_insert_default()).push(described);
    }

    /// Whether there are copies of it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.0.as_ref().is_some_and(|all| Arc::strong_count(all) > 1)
    }

    /// Whether one is a copy of the other, and neither was changed since: found without a look at
    /// what they say. Two that are equal may not be.
    #[must_use]
    pub fn is_shared_with(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Deref for Metadata {
    type Target = [Described];

    fn deref(&self) -> &[Described] {
        self.0.as_ref().map_or(&[], |all| all)
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

/// Something that happened, as [`super::CATALOGUE`] describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its dotted name.
    pub name: Cow<'static, str>,
    /// What was measured, by name.
    pub measurements: Measurements,
    /// What describes it, by name.
    pub metadata: Metadata,
    /// Who wants it, wants this.
    pub(super) kind: Interest,
}

impl Event {
    #[inline]
    pub(crate) fn new(spec: &Spec) -> Self {
        Self {
            name: Cow::Borrowed(spec.name),
            measurements: SmallVec::new(),
            metadata: Metadata::default(),
            kind: spec.interest(),
        }
    }

    /// One of this name, with nothing in it yet: of the catalogue, or an adapter's.
    pub fn named(name: impl Into<Cow<'static, str>>) -> Self {
        let name = name.into();
        let kind = Interest::in_names([&*name]);
        Self { name, measurements: SmallVec::new(), metadata: Metadata::default(), kind }
    }

    /// One that an adapter told by this name, without the prefix that it gets here.
    pub fn of_adapter(name: &str) -> Self {
        Self::named(format!("{PYTHON}{name}"))
    }

    /// With the present moment.
    pub(crate) fn now(self) -> Self {
        self.count(MOMENT, now_ns())
    }

    /// With a time, in milliseconds.
    pub(crate) fn took(mut self, name: &'static str, time: Duration) -> Self {
        self.measurements.push((Cow::Borrowed(name), Number::Real(time.as_secs_f64() * 1e3)));
        self
    }

    /// As [`Event::with`], in place.
    pub(crate) fn add(&mut self, name: &'static str, value: impl Into<Value>) {
        self.metadata.push((Cow::Borrowed(name), value.into()));
    }

    /// With a count.
    pub(crate) fn count(mut self, name: &'static str, count: u64) -> Self {
        self.measurements.push((Cow::Borrowed(name), whole(count)));
        self
    }

    /// With pool and worker.
    pub(crate) fn of_worker(self, worker: &WorkerRef) -> Self {
        self.with("pool", worker.pool.as_str()).with("worker_id", worker.to_string())
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.add(name, value);
        self
    }

    pub(crate) fn with_any(self, name: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
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
    pub fn metadata(&self, name: &str) -> Option<&Value> {
        self.metadata.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// A part of the metadata, where it has one of this name and that is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.metadata(name)? {
            Value::Text(text) => Some(text),
            Value::Number(_) | Value::Flag(_) => None,
        }
    }
}
