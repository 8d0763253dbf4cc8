//! Who listens to all pools of the process.
//!
//! ```text
//! pool ──▶ Sink ──(HEARD: one load)──▶ Hub ──▶ Subscription    queues each; the oldest are dropped
//! ```
//!
//! A child of a fork starts with nobody: whoever listened is a thread of its parent.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::watch;
use tokio::time::Instant;

use super::clock::nanoseconds;
use super::interest::Interest;
use super::lanes::Lanes;
use super::sink::Measured;
use super::told::Told;
use super::{Event, Metadata, Spec};
use crate::process::PerProcess;

/// Whatever anybody in this process may want, so that a pool which nobody hears asks no further.
/// In a child of a fork it may say too much, which costs a look at its hub.
static HEARD: AtomicU64 = AtomicU64::new(0);
/// The part of it that is wanted of all pools.
static WANTED: AtomicU64 = AtomicU64::new(0);
static HUB: PerProcess<Hub> = PerProcess::new();

pub(super) struct Hub {
    pub(super) heard: &'static AtomicU64,
    wanted: &'static AtomicU64,
    pub(super) lanes: Lanes,
    /// Listeners of single pools.
    others: AtomicUsize,
    pub(super) changes: watch::Sender<Interest>,
}

#[inline]
pub(super) fn hub() -> &'static Hub {
    HUB.get(|| Hub::new(&HEARD, &WANTED))
}

/// Whether anybody may want such an event. One load of an atomic where nobody wants anything.
#[inline]
pub(super) fn is_heard(kind: Interest) -> bool {
    Interest(HEARD.load(Ordering::Relaxed)).meets(kind)
}

/// What all subscribers of the process want; changes when one comes, goes or changes its mind.
pub fn interest() -> watch::Receiver<Interest> {
    hub().changes.subscribe()
}

/// Whether a subscriber of the process wants such an event.
#[inline]
pub(super) fn is_wanted(kind: Interest) -> bool {
    Interest(WANTED.load(Ordering::Relaxed)).meets(kind)
}

/// Gives an event to those who want it; see [`Lanes::put`].
pub(super) fn tell(event: Event) {
    let (lanes, kind) = (&hub().lanes, event.kind);
    if is_wanted(kind) {
        lanes.put(kind, Told::other(lanes.moment(Instant::now()), event));
    }
}

/// As [`tell`], of an event with one measurement.
#[inline(always)]
pub(super) fn tell_plain(spec: &Spec, at: Instant, measured: Measured, metadata: Metadata) {
    let lanes = &hub().lanes;
    let at = lanes.moment(at);
    let told = match measured {
        Measured::Moment => Told::moment(spec, at, metadata),
        Measured::Took(time) => Told::took(spec, at, nanoseconds(time), metadata),
    };
    lanes.put(spec.interest(), told);
}

/// So many more listen to single pools.
pub(super) fn others(change: isize) {
    let hub = hub();
    hub.others.fetch_add(change.cast_unsigned(), Ordering::Relaxed);
    hub.add_up();
}

impl Hub {
    pub(super) fn new(heard: &'static AtomicU64, wanted: &'static AtomicU64) -> Self {
        let changes = watch::Sender::new(Interest::NONE);
        Self { heard, wanted, lanes: Lanes::new(), others: AtomicUsize::new(0), changes }
    }

    /// Something has changed of who wants what.
    pub(super) fn add_up(&self) {
        self.changes.send_if_modified(|now| {
            // In here, so that of two changes at once the last one looks last.
            let wanted = self.lanes.readers().into_iter().map(|reader| reader.interest());
            let wanted = wanted.fold(Interest::NONE, Interest::and);
            let others = self.others.load(Ordering::Relaxed) != 0;
            let heard = if others { Interest::ALL } else { wanted };
            self.wanted.store(wanted.0, Ordering::Relaxed);
            self.heard.store(heard.0, Ordering::Relaxed);
            std::mem::replace(now, wanted) != wanted
        });
    }
}
