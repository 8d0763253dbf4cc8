//! An event of the catalogue as it is read.

use std::borrow::Cow;

use super::event::{Event, Measurements, Metadata, Number};
use super::{CATALOGUE, Interest};

/// The next event of a [`super::Batch`], where it waits as such: that calls begin and end, which most
/// events tell, mostly does. Whoever reads very many of them finds here what they say without an
/// [`Event`] of its own.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a> {
    /// What it is: a place in the catalogue.
    pub(super) number: u8,
    /// The name of what was measured.
    pub measured: &'static str,
    /// What was measured.
    pub value: Number,
    /// What describes it.
    pub metadata: &'a Metadata,
}

impl Plain<'_> {
    /// Its dotted name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        CATALOGUE[usize::from(self.number)].name
    }

    /// Who wants it, wants this.
    #[must_use]
    #[inline]
    pub fn kind(&self) -> Interest {
        Interest::at(self.number)
    }

    /// The event itself.
    #[must_use]
    pub fn to_event(&self) -> Event {
        let mut event = Event::new(CATALOGUE[usize::from(self.number)]);
        event.measurements = Measurements::from_buf([(Cow::Borrowed(self.measured), self.value)]);
        event.metadata = self.metadata.clone();
        event
    }
}
