//! An event as it is read.

use std::borrow::Cow;

use super::event::{Event, Measurements, Metadata, Number};
use super::{Interest, Spec};

/// An event of a [`super::Batch`]. Whoever reads very many of them finds the usual ones here without a
/// copy of what they say; others ask for [`Heard::into_event`].
#[derive(Debug)]
pub enum Heard {
    /// Of the catalogue, with one measurement: that calls begin, and that they end.
    Plain(Plain),
    /// Any other.
    Other(Box<Event>),
}

/// An event of the catalogue with one measurement.
#[derive(Debug)]
pub struct Plain {
    /// What it is.
    pub spec: &'static Spec,
    /// The name of what was measured.
    pub measured: &'static str,
    /// What was measured.
    pub number: Number,
    /// What describes it.
    pub metadata: Metadata,
}

impl Heard {
    /// Its dotted name.
    #[must_use]
    pub fn name(&self) -> Cow<'static, str> {
        match self {
            Self::Plain(plain) => Cow::Borrowed(plain.spec.name),
            Self::Other(event) => event.name.clone(),
        }
    }

    /// Who wants it, wants this.
    #[must_use]
    pub fn kind(&self) -> Interest {
        match self {
            Self::Plain(plain) => plain.spec.interest(),
            Self::Other(event) => event.kind,
        }
    }

    /// The event itself.
    #[must_use]
    pub fn into_event(self) -> Event {
        match self {
            Self::Plain(Plain { spec, measured, number, metadata }) => {
                let mut event = Event::new(spec);
                event.measurements = Measurements::from_buf([(Cow::Borrowed(measured), number)]);
                event.metadata = metadata;
                event
            }
            Self::Other(event) => *event,
        }
    }
}
