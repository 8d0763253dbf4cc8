//! An event as it waits.

use std::borrow::Cow;

use tokio::time::Instant;

use super::event::{Event, Measurements, Metadata, Number};
use super::{CATALOGUE, Spec};

/// What a thread told, and when. Hundreds of thousands a second go from one processor to another: one
/// cache line each.
#[repr(align(64))]
pub(super) struct Told {
    pub(super) at: Instant,
    what: What,
}

const _: () = assert!(size_of::<Told>() == 64);

enum What {
    /// Of the catalogue, with one number: nearly all.
    Plain {
        spec: &'static Spec,
        measured: &'static str,
        number: Number,
        metadata: Metadata,
    },
    Other(Box<Event>),
}

impl Told {
    /// What is left of the event is of no use.
    #[inline]
    pub(super) fn new(at: Instant, event: &mut Event) -> Self {
        let spec = CATALOGUE.get(event.kind.0.trailing_zeros() as usize).copied();
        let what = match (spec, &event.measurements[..]) {
            (Some(spec), &[(Cow::Borrowed(measured), number)]) => What::Plain {
                spec,
                measured,
                number,
                metadata: std::mem::take(&mut event.metadata),
            },
            _ => What::Other(Box::new(event.take())),
        };
        Self { at, what }
    }

    #[inline]
    pub(super) fn into_event(self) -> Event {
        match self.what {
            What::Plain { spec, measured, number, metadata } => {
                let mut event = Event::new(spec);
                event.measurements = Measurements::from_buf([(Cow::Borrowed(measured), number)]);
                event.metadata = metadata;
                event
            }
            What::Other(event) => *event,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{EXECUTE_START, EXECUTE_STOP, QUEUE_FULL};
    use super::*;

    #[test]
    fn an_event_is_what_it_was() {
        let of_adapter = || {
            let mut event = Event::of_adapter("model.loaded");
            event.measurements.push((Cow::Owned("size".to_owned()), Number::Whole(3)));
            event
        };
        for event in [
            Event::new(EXECUTE_START),
            Event::new(EXECUTE_STOP).count("duration", 7).with("command", "tool"),
            Event::new(QUEUE_FULL).count("queue_size", 7).count("bytes", 8),
            of_adapter(),
        ] {
            let told = Told::new(Instant::now(), &mut event.clone());
            assert_eq!(told.into_event(), event);
        }
    }
}
