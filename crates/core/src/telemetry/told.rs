//! An event as it waits.

use std::borrow::Cow;

use super::event::{Event, Metadata};
use super::plain::Plain;
use super::{CATALOGUE, Interest, Number, Spec};

/// What a thread told, and when. Hundreds of thousands a second go from one processor to another: two
/// of them in a cache line.
#[derive(Clone)]
pub(super) struct Told {
    /// Nanoseconds since the lanes were made.
    pub(super) at: u64,
    metadata: Metadata,
    what: What,
}

const _: () = assert!(size_of::<Told>() == 32);

/// Names of the catalogue stand for their number there.
#[derive(Clone)]
enum What {
    /// It happened then.
    Moment(u8),
    /// It took so many nanoseconds.
    Took(u8, u64),
    Other(Box<Event>),
}

impl Told {
    #[inline]
    pub(super) fn moment(spec: &Spec, at: u64, metadata: Metadata) -> Self {
        Self { at, metadata, what: What::Moment(spec.number) }
    }

    #[inline]
    pub(super) fn took(spec: &Spec, at: u64, nanoseconds: u64, metadata: Metadata) -> Self {
        Self { at, metadata, what: What::Took(spec.number, nanoseconds) }
    }

    pub(super) fn other(at: u64, event: Event) -> Self {
        Self { at, metadata: Metadata::default(), what: What::Other(Box::new(event)) }
    }

    /// What is there; nothing of it stays.
    pub(super) fn take(&mut self) -> Self {
        let nothing = Self { at: 0, metadata: Metadata::default(), what: What::Moment(0) };
        std::mem::replace(self, nothing)
    }

    #[inline]
    pub(super) fn kind(&self) -> Interest {
        match &self.what {
            What::Moment(number) | What::Took(number, _) => Interest::at(*number),
            What::Other(event) => event.kind,
        }
    }

    pub(super) fn name(&self) -> Cow<'static, str> {
        match &self.what {
            What::Moment(number) | What::Took(number, _) => {
                Cow::Borrowed(CATALOGUE[usize::from(*number)].name)
            }
            What::Other(event) => event.name.clone(),
        }
    }

    /// `origin`: nanoseconds from the epoch to when the lanes were made.
    #[inline]
    pub(super) fn plain(&self, origin: u64) -> Option<Plain<'_>> {
        let (number, measured, value) = match self.what {
            What::Moment(number) => {
                let time = i64::try_from(origin.saturating_add(self.at)).unwrap_or(i64::MAX);
                (number, MOMENT, Number::Whole(time))
            }
            #[expect(clippy::cast_precision_loss, reason = "a microsecond in a century")]
            What::Took(number, time) => (number, TOOK, Number::Real(time as f64 / 1e6)),
            What::Other(_) => return None,
        };
        Some(Plain { number, measured, value, metadata: &self.metadata })
    }

    pub(super) fn into_event(self, origin: u64) -> Event {
        if let Some(plain) = self.plain(origin) {
            return plain.to_event();
        }
        let What::Other(event) = self.what else { unreachable!("all others are plain") };
        *event
    }
}

pub(super) const MOMENT: &str = "system_time";
pub(super) const TOOK: &str = "duration_ms";

#[cfg(test)]
mod tests {
    use super::super::{EXECUTE_START, EXECUTE_STOP, QUEUE_FULL};
    use super::*;

    fn metadata() -> Metadata {
        let mut metadata = Metadata::default();
        metadata.push((Cow::Borrowed("command"), "tool".into()));
        metadata
    }

    #[test]
    fn an_event_of_the_catalogue_is_what_was_told() {
        let start = Told::moment(EXECUTE_START, 7, metadata()).into_event(1_000);
        let mut expected = Event::new(EXECUTE_START).with("command", "tool");
        expected.measurements.push((Cow::Borrowed("system_time"), Number::Whole(1_007)));
        assert_eq!(start, expected);
        let stop = Told::took(EXECUTE_STOP, 9, 1_500_000, metadata()).into_event(0);
        let expected = Event::new(EXECUTE_STOP).with("command", "tool");
        assert_eq!(stop, expected.took("duration_ms", std::time::Duration::from_micros(1500)));
    }

    #[test]
    fn any_other_event_is_what_it_was() {
        let of_adapter = || {
            let mut event = Event::of_adapter("model.loaded");
            event.measurements.push((Cow::Owned("size".to_owned()), Number::Whole(3)));
            event
        };
        for event in [Event::new(QUEUE_FULL).count("queue_size", 7).count("bytes", 8), of_adapter()]
        {
            assert_eq!(Told::other(5, event.clone()).into_event(6), event);
        }
    }
}
