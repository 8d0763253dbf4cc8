//! From a pool to whoever listens, never waiting.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::Instant;

use super::interest::Interest;
use super::told::TOOK;
use super::{Event, Metadata, Spec, hub};
use crate::process::{Owner, owner};

/// Events that wait for the slowest listener.
const ROOM: usize = 4096;

/// What an event measures that says only this.
#[derive(Clone, Copy)]
pub(crate) enum Measured {
    /// When it happened.
    Moment,
    /// How long that took.
    Took(Duration),
}

impl Measured {
    #[cold]
    fn event(self, spec: &Spec, metadata: Metadata) -> Event {
        let mut event = match self {
            Self::Moment => Event::new(spec).now(),
            Self::Took(time) => Event::new(spec).took(TOOK, time),
        };
        event.metadata = metadata;
        event
    }
}

/// Where a pool puts its events. Costs one load of an atomic while nobody listens, and no memory before
/// somebody did.
#[derive(Default)]
pub(crate) struct Sink {
    sender: OnceLock<broadcast::Sender<Arc<Event>>>,
    listeners: Arc<AtomicUsize>,
    /// Rung when a listener of this pool alone comes or goes.
    changed: Arc<Notify>,
}

impl Sink {
    /// Whether it is worth making such an event.
    #[inline]
    pub(crate) fn hears(&self, kind: Interest) -> bool {
        hub::is_heard(kind) && (self.has_listeners() || hub::is_wanted(kind)) || is_traced()
    }

    #[inline]
    fn has_listeners(&self) -> bool {
        self.listeners.load(Ordering::Relaxed) != 0
    }

    /// Tells an event. Wakes listeners, so no lock may be held.
    pub(crate) fn tell(&self, event: Event) {
        if self.has_listeners()
            && let Some(sender) = self.sender.get()
        {
            // The last listener may have left meanwhile.
            let _ = sender.send(Arc::new(event.clone()));
        }
        tell(event);
    }

    /// As [`Sink::tell`], of an event that each call tells: it is described where somebody wants it, and made
    /// where it is read. `at`: when it happened, see [`Lanes::put`](super::lanes::Lanes::put).
    #[inline]
    pub(crate) fn tell_plain(
        &self,
        spec: &'static Spec,
        at: Instant,
        measured: Measured,
        describe: impl FnOnce() -> Metadata,
    ) {
        if !self.hears(spec.interest()) {
            return;
        }
        let metadata = describe();
        if self.has_listeners() || is_traced() {
            self.tell(measured.event(spec, metadata));
        } else {
            hub::tell_plain(spec, at, measured, metadata);
        }
    }

    pub(crate) fn listen(&self) -> Events {
        let receiver = self.sender.get_or_init(|| broadcast::channel(ROOM).0).subscribe();
        self.listeners.fetch_add(1, Ordering::Relaxed);
        hub::others(1);
        self.changed.notify_one();
        let (listeners, changed) = (self.listeners.clone(), self.changed.clone());
        Events { receiver, listeners, changed, dropped: 0, owner: owner() }
    }

    /// Waits until somebody may have begun or ceased to listen; `process`: what tells of those who
    /// listen to all pools. For one task.
    pub(crate) async fn changed(&self, process: &mut watch::Receiver<Interest>) {
        tokio::select! {
            () = self.changed.notified() => {}
            change = process.changed() => if change.is_err() {
                std::future::pending().await // a hub lives as long as its process
            }
        }
    }
}

/// Whether somebody in this process wants such an event, of no pool of this crate's: the one that runs
/// its adapter in the host's process tells by itself.
pub fn hears(kind: Interest) -> bool {
    hub::is_heard(kind) && hub::is_wanted(kind) || is_traced()
}

/// Tells whoever listens to the whole process.
pub fn tell(event: Event) {
    tracing::debug!(
        target: "snakepit::telemetry",
        name = &*event.name,
        measurements = ?event.measurements,
        metadata = ?event.metadata,
    );
    hub::tell(event);
}

#[inline]
fn is_traced() -> bool {
    tracing::enabled!(target: "snakepit::telemetry", tracing::Level::DEBUG)
}

/// The events of a pool from the moment at which it was asked for them.
///
/// It holds up nobody: of more than 4096 that wait the oldest are dropped and counted.
pub struct Events {
    receiver: broadcast::Receiver<Arc<Event>>,
    listeners: Arc<AtomicUsize>,
    changed: Arc<Notify>,
    dropped: u64,
    owner: Owner,
}

impl Events {
    /// The next event; None when the pool is gone and all was taken. Losing the future loses no event.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(missed)) => self.dropped += missed,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// The next event, if it is here already.
    pub fn try_next(&mut self) -> Option<Arc<Event>> {
        loop {
            match self.receiver.try_recv() {
                Ok(event) => return Some(event),
                Err(TryRecvError::Lagged(missed)) => self.dropped += missed,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }

    /// Events that were not taken in time, as far as the last look found.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("dropped", &self.dropped).finish_non_exhaustive()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.listeners.fetch_sub(1, Ordering::Relaxed);
        // In a child of a fork nobody has counted it.
        if self.owner.is_here() {
            hub::others(-1);
            self.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{EXECUTE_START, SPAWN_FAILED};
    use super::*;

    #[test]
    fn nobody_is_heard_before_and_after_somebody_listens() {
        let sink = Sink::default();
        assert!(!sink.hears(SPAWN_FAILED.interest()));
        let events = sink.listen();
        assert!(sink.hears(SPAWN_FAILED.interest()));
        drop(events);
        assert!(!sink.hears(SPAWN_FAILED.interest()));
    }

    #[test]
    fn a_slow_listener_loses_the_oldest_and_is_told_how_many() {
        let sink = Sink::default();
        let mut events = sink.listen();
        for number in 0..ROOM + 3 {
            sink.tell(Event::new(EXECUTE_START).with("command", number.to_string()));
        }
        let first = events.try_next().expect("an event");
        assert_eq!(first.text("command"), Some("3"));
        assert_eq!(events.dropped(), 3);
        assert_eq!(std::iter::from_fn(|| events.try_next()).count(), ROOM - 1);
    }

    #[test]
    fn the_end_of_the_pool_is_the_end_of_its_events() {
        let sink = Sink::default();
        let mut events = sink.listen();
        sink.tell(Event::new(EXECUTE_START));
        drop(sink);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        assert!(runtime.block_on(events.next()).is_some());
        assert!(runtime.block_on(events.next()).is_none());
    }
}
