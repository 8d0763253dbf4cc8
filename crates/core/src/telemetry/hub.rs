//! Who listens to all pools of the process.
//!
//! ```text
//! pool ──▶ Sink ──(HEARD: one load)──▶ Hub ──▶ Subscription    a queue each; the oldest are dropped
//! ```
//!
//! A child of a fork starts with nobody: whoever listened is a thread of its parent.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::interest::Interest;
use super::{DROPPED, Event};
use crate::process::{Owner, PerProcess, owner};

/// Whatever anybody in this process may want, so that a pool which nobody hears asks no further.
/// In a child of a fork it may say too much, which costs a look at its hub.
static HEARD: AtomicU64 = AtomicU64::new(0);
/// The part of it that is wanted of all pools.
static WANTED: AtomicU64 = AtomicU64::new(0);
static HUB: PerProcess<Hub> = PerProcess::new();

struct Hub {
    heard: &'static AtomicU64,
    wanted: &'static AtomicU64,
    subscribers: RwLock<Vec<Arc<Shared>>>,
    /// Listeners of single pools.
    others: AtomicUsize,
    changes: watch::Sender<Interest>,
}

fn hub() -> &'static Hub {
    HUB.get(|| Hub::new(&HEARD, &WANTED))
}

/// Whether anybody may want such an event. One load of an atomic where nobody wants anything.
pub(super) fn is_heard(kind: Interest) -> bool {
    Interest(HEARD.load(Ordering::Relaxed)).meets(kind)
}

/// What all subscribers of the process want; changes when one comes, goes or changes its mind.
pub fn interest() -> watch::Receiver<Interest> {
    hub().changes.subscribe()
}

/// Whether a subscriber of the process wants such an event.
pub(super) fn is_wanted(kind: Interest) -> bool {
    Interest(WANTED.load(Ordering::Relaxed)).meets(kind)
}

/// Gives an event to those who want it, and leaves nothing of it.
#[inline]
pub(super) fn tell(event: &mut Event) {
    hub().tell(event);
}

/// So many more listen to single pools.
pub(super) fn others(change: isize) {
    let hub = hub();
    hub.others.fetch_add(change.cast_unsigned(), Ordering::Relaxed);
    hub.add_up();
}

impl Hub {
    fn new(heard: &'static AtomicU64, wanted: &'static AtomicU64) -> Self {
        let changes = watch::Sender::new(Interest::NONE);
        let (subscribers, others) = (RwLock::default(), AtomicUsize::new(0));
        Self { heard, wanted, subscribers, others, changes }
    }

    #[inline]
    fn tell(&self, event: &mut Event) {
        let kind = event.kind;
        let subscribers = self.subscribers.read().unwrap_or_else(PoisonError::into_inner);
        let mut wanting = subscribers.iter().filter(|it| it.interest().meets(kind));
        // Mostly there is one, and nothing has to be copied.
        let Some(first) = wanting.next() else { return };
        wanting.for_each(|subscriber| subscriber.put(&mut event.clone()));
        first.put(event);
    }

    fn subscribers(&self) -> RwLockWriteGuard<'_, Vec<Arc<Shared>>> {
        // A list is whole after any panic.
        self.subscribers.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something has changed of who wants what.
    fn add_up(&self) {
        self.changes.send_if_modified(|now| {
            // In here, so that of two changes at once the last one looks last.
            let all = self.subscribers();
            let wanted = all.iter().map(|subscriber| subscriber.interest());
            let wanted = wanted.fold(Interest::NONE, Interest::and);
            let others = self.others.load(Ordering::Relaxed) != 0;
            let heard = if others { Interest::ALL } else { wanted };
            self.wanted.store(wanted.0, Ordering::Relaxed);
            self.heard.store(heard.0, Ordering::Relaxed);
            std::mem::replace(now, wanted) != wanted
        });
    }
}

/// The events of all pools of this process, from the moment at which it was made.
///
/// Its queue is bounded: while it is full, the oldest event makes room, and is counted.
///
/// ```
/// use std::time::Duration;
/// use snakepit::telemetry::{Interest, Subscription};
///
/// let heard = Subscription::new(1024);
/// heard.want(Interest::in_names(["snakepit.pool.worker.spawned"]));
/// // … and on a thread of its own:
/// # heard.close();
/// while let Some(events) = heard.next_batch(Duration::from_millis(10)) {
///     for event in events {
///         println!("{} {:?}", event.name, event.measurements);
///     }
/// }
/// ```
pub struct Subscription {
    shared: Arc<Shared>,
    hub: &'static Hub,
    owner: Owner,
}

struct Shared {
    interest: AtomicU64,
    room: usize,
    queue: Mutex<Queue>,
    bell: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<Event>,
    /// Dropped since the last batch.
    missed: u64,
    /// Somebody waits for the first event.
    waiting: bool,
    /// Whoever gathers a batch shall come at once.
    hurry: bool,
    /// Batches.
    taken: u64,
    closed: bool,
}

impl Shared {
    fn interest(&self) -> Interest {
        Interest(self.interest.load(Ordering::Relaxed))
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Every field is whole between statements.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn put(&self, event: &mut Event) {
        let mut queue = self.queue();
        if queue.closed {
            return;
        }
        let oldest = (queue.events.len() >= self.room).then(|| queue.events.pop_front()).flatten();
        queue.events.push_back(event.take());
        if oldest.is_some() {
            queue.missed += 1;
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        let wake = std::mem::take(&mut queue.waiting);
        drop(queue);
        if wake {
            self.bell.notify_all();
        }
    }
}

impl Subscription {
    /// Wants nothing yet, and has room for so many events.
    #[must_use]
    pub fn new(room: usize) -> Self {
        Self::of(hub(), room)
    }

    fn of(hub: &'static Hub, room: usize) -> Self {
        let interest = AtomicU64::new(Interest::NONE.0);
        let (queue, bell, dropped) = (Mutex::default(), Condvar::new(), AtomicU64::new(0));
        let shared = Arc::new(Shared { interest, room: room.max(1), queue, bell, dropped });
        hub.subscribers().push(shared.clone());
        Self { shared, hub, owner: owner() }
    }

    /// Hears these events from now on, and no others.
    pub fn want(&self, interest: Interest) {
        self.shared.interest.store(interest.0, Ordering::Relaxed);
        self.hub.add_up();
    }

    /// Blocks the thread until there are events, and takes all of them: those, too, that come within
    /// `gather` of the first one, so that a stream of events wakes the thread once in a while and not
    /// each time. Where events were dropped, the last one says how many
    /// (`snakepit.telemetry.dropped`). None: it is closed, and all was taken.
    pub fn next_batch(&self, gather: Duration) -> Option<Vec<Event>> {
        let mut queue = self.shared.queue();
        let poisoned = PoisonError::into_inner;
        while queue.events.is_empty() && !queue.closed {
            queue.waiting = true;
            queue = self.shared.bell.wait(queue).unwrap_or_else(poisoned);
        }
        let until = Instant::now() + gather;
        while !queue.closed && !queue.hurry && queue.events.len() < self.shared.room {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            (queue, _) =
                self.shared.bell.wait_timeout(queue, left).unwrap_or_else(|it| it.into_inner());
        }
        (queue.waiting, queue.hurry) = (false, false);
        // The next one will be much like this one.
        let room = VecDeque::with_capacity(queue.events.len());
        let mut batch: Vec<_> = std::mem::replace(&mut queue.events, room).into();
        let missed = std::mem::take(&mut queue.missed);
        queue.taken += 1;
        drop(queue);
        if missed > 0 {
            batch.push(Event::new(DROPPED).count("count", missed).now());
        }
        (!batch.is_empty()).then_some(batch)
    }

    /// Has whoever gathers a batch take what is there now. Returns in which batch that is, or was, by
    /// number from 1 on.
    pub fn hurry(&self) -> u64 {
        let mut queue = self.shared.queue();
        queue.hurry = !queue.events.is_empty();
        let batch = queue.taken + u64::from(queue.hurry);
        drop(queue);
        self.shared.bell.notify_all();
        batch
    }

    /// Hears nothing more. What waits is still there to be taken.
    pub fn close(&self) {
        self.hub.subscribers().retain(|other| !Arc::ptr_eq(other, &self.shared));
        self.hub.add_up();
        self.shared.queue().closed = true;
        self.shared.bell.notify_all();
    }

    /// Events that made room for later ones, since it was made.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // In a child of a fork a thread that does not exist there may hold the locks.
        if self.owner.is_here() {
            self.close();
        }
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("dropped", &self.dropped()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{EXECUTE_START, WORKER_SPAWNED};
    use super::*;

    const SOON: Duration = Duration::ZERO;

    /// Other tests of this process tell events, too.
    fn apart() -> &'static Hub {
        let never = || &*Box::leak(Box::new(AtomicU64::new(0)));
        Box::leak(Box::new(Hub::new(never(), never())))
    }

    fn one(name: &str) -> Event {
        Event::new(EXECUTE_START).with("command", name)
    }

    fn commands(batch: &[Event]) -> Vec<&str> {
        batch.iter().filter_map(|event| event.text("command")).collect()
    }

    #[test]
    fn a_subscription_hears_what_it_wants_as_long_as_it_does() {
        let hub = apart();
        let heard = Subscription::of(hub, 8);
        hub.tell(&mut one("too early"));
        heard.want(EXECUTE_START.interest());
        assert_eq!(hub.heard.load(Ordering::Relaxed), EXECUTE_START.interest().0);
        hub.tell(&mut one("first"));
        hub.tell(&mut Event::new(WORKER_SPAWNED));
        assert_eq!(commands(&heard.next_batch(SOON).expect("events")), ["first"]);
        heard.want(WORKER_SPAWNED.interest());
        hub.tell(&mut one("not wanted any more"));
        hub.tell(&mut Event::new(WORKER_SPAWNED));
        assert_eq!(heard.next_batch(SOON).expect("events").len(), 1);
        heard.close();
        hub.tell(&mut Event::new(WORKER_SPAWNED));
        assert!(heard.next_batch(SOON).is_none());
    }

    #[test]
    fn the_oldest_make_room_and_their_number_is_the_last_event() {
        let hub = apart();
        let heard = Subscription::of(hub, 2);
        heard.want(EXECUTE_START.interest());
        ["a", "b", "c", "d"].iter().for_each(|name| hub.tell(&mut one(name)));
        let batch = heard.next_batch(SOON).expect("events");
        assert_eq!(commands(&batch), ["c", "d"]);
        let last = batch.last().expect("the number of the others");
        assert_eq!(last.name, "snakepit.telemetry.dropped");
        assert_eq!(last.measurement("count"), Some(crate::telemetry::Number::Whole(2)));
        assert_eq!(heard.dropped(), 2);
        hub.tell(&mut one("e"));
        assert_eq!(heard.next_batch(SOON).expect("events").len(), 1);
    }

    #[test]
    fn what_comes_while_a_batch_is_gathered_is_in_it() {
        let hub = apart();
        let heard = Subscription::of(hub, 8);
        heard.want(EXECUTE_START.interest());
        let batches = std::thread::scope(|scope| {
            let reader = scope.spawn(|| heard.next_batch(Duration::from_secs(3600)));
            ["a", "b"].iter().for_each(|name| hub.tell(&mut one(name)));
            while heard.shared.queue().events.len() < 2 {
                std::thread::yield_now();
            }
            assert_eq!(heard.hurry(), 1);
            reader.join().expect("no panic")
        });
        assert_eq!(commands(&batches.expect("events")), ["a", "b"]);
        assert_eq!(heard.hurry(), 1, "nothing has come since");
        let rest = std::thread::scope(|scope| {
            let reader = scope.spawn(|| heard.next_batch(Duration::from_secs(3600)));
            hub.tell(&mut one("c"));
            heard.close();
            reader.join().expect("no panic")
        });
        assert_eq!(commands(&rest.expect("what was told before the end")), ["c"]);
        assert!(heard.next_batch(SOON).is_none());
    }

    #[test]
    fn whoever_asks_learns_of_every_change() {
        let hub = apart();
        let mut changes = hub.changes.subscribe();
        let heard = Subscription::of(hub, 1);
        heard.want(Interest::ADAPTERS);
        assert!(changes.borrow_and_update().meets(Interest::ADAPTERS));
        drop(heard);
        assert!(changes.has_changed().expect("a hub"));
        assert_eq!(*changes.borrow(), Interest::NONE);
    }
}
