//! What a thread hears of all pools.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::batch::Batch;
use super::hub::{Hub, hub};
use super::interest::Interest;
use super::reader::{ANYTHING, ENOUGH, MANY, NOTHING, Reader, State};
use super::{DROPPED, Event};
use crate::process::{Owner, owner};

/// The events of all pools of this process, from the moment at which it was made.
///
/// It has room for so many events: when there are more, the oldest ones make room, and are counted.
/// Each of a few queues has room for as many, one for each thread that tells events or nearly so; what is
/// too much in all of them together is dropped and counted when a batch is taken.
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
    reader: Arc<Reader>,
    hub: &'static Hub,
    owner: Owner,
}

impl Subscription {
    /// Wants nothing yet, and has room for so many events.
    #[must_use]
    pub fn new(room: usize) -> Self {
        Self::of(hub(), room)
    }

    fn of(hub: &'static Hub, room: usize) -> Self {
        let reader = Arc::new(Reader::new(room));
        hub.lanes.add(&reader);
        Self { reader, hub, owner: owner() }
    }

    /// Hears these events from now on, and no others. Nothing, once it is closed.
    pub fn want(&self, interest: Interest) {
        let state = self.reader.state();
        if !state.closed {
            self.reader.interest.store(interest.0, Ordering::Relaxed);
        }
        drop(state);
        self.hub.add_up();
    }

    /// Blocks the thread until there are events, and takes all of them: those, too, that come within
    /// `gather` of the first one, until there are hundreds, so that a stream of events wakes the
    /// thread once in a while and not each time. Where events were dropped, the last one says how
    /// many (`snakepit.telemetry.dropped`). None: it is closed, and all was taken.
    pub fn next_batch(&self, gather: Duration) -> Option<Batch> {
        let reader = &*self.reader;
        let mut state = reader.state();
        state = self.wait(state, ANYTHING, 1, None);
        if !gather.is_zero() {
            // What no clock can hold is without end.
            let until = Instant::now().checked_add(gather);
            state = self.wait(state, MANY, ENOUGH.min(reader.room), until);
        }
        let mut spare = std::mem::take(&mut state.spare);
        let missed = self.hub.lanes.take(&self.reader, &mut spare.lanes);
        state.hurry = false;
        state.taken += 1;
        drop(state); // those who tell may wait for it
        let (mut batch, more) = Batch::new(self.reader.clone(), spare, self.hub.lanes.origin());
        if missed + more > 0 {
            batch.add(Event::new(DROPPED).count("count", missed + more).now());
        }
        (batch.len() > 0).then_some(batch)
    }

    /// Waits until a queue has so many events, or the reader may not wait any longer.
    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        for_what: u8,
        enough: usize,
        until: Option<Instant>,
    ) -> MutexGuard<'a, State> {
        let reader = &*self.reader;
        let poisoned = PoisonError::into_inner;
        loop {
            reader.waits_for.store(for_what, Ordering::Relaxed);
            if state.closed || state.hurry || self.hub.lanes.longest(&self.reader) >= enough {
                break;
            }
            let Some(until) = until else {
                state = reader.bell.wait(state).unwrap_or_else(poisoned);
                continue;
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            (state, _) = reader.bell.wait_timeout(state, left).unwrap_or_else(|it| it.into_inner());
        }
        reader.waits_for.store(NOTHING, Ordering::Relaxed);
        state
    }

    /// Has whoever gathers a batch take what is there now. Returns in which batch that is, or was, by
    /// number from 1 on.
    pub fn hurry(&self) -> u64 {
        let mut state = self.reader.state();
        state.hurry = self.hub.lanes.longest(&self.reader) > 0;
        let batch = state.taken + u64::from(state.hurry);
        drop(state);
        self.reader.bell.notify_all();
        batch
    }

    /// Hears nothing more. What waits is still there to be taken.
    pub fn close(&self) {
        let mut state = self.reader.state();
        state.closed = true;
        self.reader.interest.store(Interest::NONE.0, Ordering::Relaxed);
        drop(state);
        self.hub.add_up();
        self.reader.bell.notify_all();
    }

    /// Events that made room for later ones, since it was made.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.reader.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // In a child of a fork a thread that does not exist there may hold the locks.
        if self.owner.is_here() {
            self.close();
            self.hub.lanes.remove(&self.reader);
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
    use std::sync::atomic::AtomicU64;

    use super::super::told::Told;
    use super::super::{EXECUTE_START, EXECUTE_STOP, Number, WORKER_SPAWNED};
    use super::*;

    const SOON: Duration = Duration::ZERO;
    const LONG: Duration = Duration::from_secs(60);

    /// Other tests of this process tell events, too.
    fn apart() -> &'static Hub {
        let never = || &*Box::leak(Box::new(AtomicU64::new(0)));
        Box::leak(Box::new(Hub::new(never(), never())))
    }

    fn tell(hub: &Hub, event: &Event) {
        let at = hub.lanes.moment(tokio::time::Instant::now());
        hub.lanes.put(event.kind, Told::other(at, event.clone()));
    }

    fn one(name: &str) -> Event {
        Event::new(EXECUTE_START).with("command", name)
    }

    fn read(heard: &Subscription) -> Vec<Event> {
        heard.next_batch(SOON).expect("events").collect()
    }

    fn gathered(heard: &Subscription) -> Option<Vec<Event>> {
        heard.next_batch(Duration::from_secs(3600)).map(Iterator::collect)
    }

    fn commands(batch: &[Event]) -> Vec<&str> {
        batch.iter().filter_map(|event| event.text("command")).collect()
    }

    #[test]
    fn a_subscription_hears_what_it_wants_as_long_as_it_does() {
        let hub = apart();
        let heard = Subscription::of(hub, 8);
        tell(hub, &one("too early"));
        heard.want(EXECUTE_START.interest());
        assert_eq!(hub.heard.load(Ordering::Relaxed), EXECUTE_START.interest().0);
        tell(hub, &one("first"));
        tell(hub, &Event::new(WORKER_SPAWNED));
        assert_eq!(commands(&read(&heard)), ["first"]);
        heard.want(WORKER_SPAWNED.interest());
        tell(hub, &one("not wanted any more"));
        tell(hub, &Event::new(WORKER_SPAWNED));
        assert_eq!(read(&heard).len(), 1);
        heard.close();
        tell(hub, &Event::new(WORKER_SPAWNED));
        assert!(heard.next_batch(SOON).is_none());
    }

    #[test]
    fn the_oldest_make_room_and_their_number_is_the_last_event() {
        let hub = apart();
        let heard = Subscription::of(hub, 2);
        heard.want(EXECUTE_START.interest());
        ["a", "b", "c", "d"].iter().for_each(|name| tell(hub, &one(name)));
        let batch = read(&heard);
        assert_eq!(commands(&batch), ["c", "d"]);
        let last = batch.last().expect("the number of the others");
        assert_eq!(last.name, "snakepit.telemetry.dropped");
        assert_eq!(last.measurement("count"), Some(Number::Whole(2)));
        assert_eq!(heard.dropped(), 2);
        tell(hub, &one("e"));
        assert_eq!(read(&heard).len(), 1);
    }

    #[test]
    fn of_all_threads_together_the_newest_stay() {
        let hub = apart();
        let heard = Subscription::of(hub, 3);
        heard.want(EXECUTE_START.interest());
        for names in [["a", "b"], ["c", "d"]] {
            let told = || names.iter().for_each(|name| tell(hub, &one(name)));
            std::thread::scope(|scope| scope.spawn(told).join().expect("no panic"));
        }
        let batch = read(&heard);
        assert_eq!(commands(&batch), ["b", "c", "d"]);
        assert_eq!(batch.last().and_then(|last| last.measurement("count")), Some(Number::Whole(1)));
        assert_eq!(heard.dropped(), 1);
    }

    #[test]
    fn what_follows_from_an_event_in_another_thread_comes_after_it() {
        let hub = apart();
        let (heard, pairs) = (Subscription::of(hub, 1 << 16), 20_000_i64);
        heard.want(EXECUTE_START.interest().and(EXECUTE_STOP.interest()));
        let (send, receive) = std::sync::mpsc::channel();
        let told = std::thread::scope(|scope| {
            scope.spawn(move || {
                for number in 0..pairs {
                    tell(hub, &one(&number.to_string()));
                    send.send(number).expect("somebody who follows");
                }
            });
            scope.spawn(|| {
                for number in receive {
                    tell(hub, &Event::new(EXECUTE_STOP).count("number", number.unsigned_abs()));
                }
                heard.close();
            });
            std::iter::from_fn(|| heard.next_batch(Duration::from_micros(50))).flatten().collect()
        });
        let told: Vec<Event> = told;
        let (mut begun, mut ended) = (0, 0);
        for event in &told {
            if event.kind == EXECUTE_START.interest() {
                assert_eq!(event.text("command"), Some(&*begun.to_string()));
                begun += 1;
            } else {
                assert_eq!(event.measurement("number"), Some(Number::Whole(ended)));
                ended += 1;
                assert!(ended <= begun, "the end of {ended} before its beginning");
            }
        }
        assert_eq!((begun, ended), (pairs, pairs));
    }

    #[test]
    fn what_comes_while_a_batch_is_gathered_is_in_it() {
        let hub = apart();
        let heard = Subscription::of(hub, 8);
        heard.want(EXECUTE_START.interest());
        let batches = std::thread::scope(|scope| {
            let reader = scope.spawn(|| gathered(&heard));
            ["a", "b"].iter().for_each(|name| tell(hub, &one(name)));
            while hub.lanes.longest(&heard.reader) < 2 {
                std::thread::yield_now();
            }
            assert_eq!(heard.hurry(), 1);
            reader.join().expect("no panic")
        });
        assert_eq!(commands(&batches.expect("events")), ["a", "b"]);
        assert_eq!(heard.hurry(), 1, "nothing has come since");
        let rest = std::thread::scope(|scope| {
            let reader = scope.spawn(|| gathered(&heard));
            tell(hub, &one("c"));
            heard.close();
            reader.join().expect("no panic")
        });
        assert_eq!(commands(&rest.expect("what was told before the end")), ["c"]);
        assert!(heard.next_batch(SOON).is_none());
    }

    #[test]
    fn a_batch_ends_when_there_are_many_however_long_it_may_be_gathered() {
        let hub = apart();
        let heard = Subscription::of(hub, 1 << 16);
        heard.want(EXECUTE_START.interest());
        for _ in 0..100 {
            let begun = Instant::now();
            let first = std::thread::scope(|scope| {
                let reader = scope.spawn(|| heard.next_batch(LONG).expect("events").len());
                let tell_many = || {
                    for _ in 0..ENOUGH {
                        tell(hub, &Event::new(EXECUTE_START));
                    }
                };
                // Neither alone, nor one after the other: they look for the reader at the same time.
                (0..2).for_each(|_| drop(scope.spawn(tell_many)));
                reader.join().expect("no panic")
            });
            assert!((ENOUGH..=2 * ENOUGH).contains(&first), "{first}");
            assert!(begun.elapsed() < LONG / 2);
            let rest = 2 * ENOUGH - first;
            if rest > 0 {
                assert_eq!(read(&heard).len(), rest);
            }
        }
    }

    #[test]
    fn each_of_several_hears_what_it_wants() {
        let hub = apart();
        let [all, starts, short] = [8, 8, 1].map(|room| Subscription::of(hub, room));
        all.want(Interest::ALL);
        starts.want(EXECUTE_START.interest());
        short.want(EXECUTE_START.interest());
        for event in [one("a"), Event::new(EXECUTE_STOP), one("b")] {
            tell(hub, &event);
        }
        assert_eq!(read(&all), [one("a"), Event::new(EXECUTE_STOP), one("b")]);
        assert_eq!(read(&starts), [one("a"), one("b")]);
        let last = read(&short);
        assert_eq!(last[0], one("b"));
        assert_eq!(last[1].measurement("count"), Some(Number::Whole(1)));
        assert_eq!((all.dropped(), starts.dropped(), short.dropped()), (0, 0, 1));
    }

    #[test]
    fn what_was_told_late_is_not_heard_before_what_it_followed_from() {
        let hub = apart();
        let heard = Subscription::of(hub, 8);
        heard.want(Interest::ALL);
        let put =
            |at, name: &str| hub.lanes.put(EXECUTE_START.interest(), Told::other(at, one(name)));
        // As when several calls end at once: the clock is read for the first one.
        put(10, "ended");
        put(30, "a session is closed");
        put(10, "ended, too");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                put(20, "made since the first ended");
                put(40, "made since the other ended");
            });
        });
        let order = [
            "ended",
            "made since the first ended",
            "a session is closed",
            "ended, too",
            "made since the other ended",
        ];
        assert_eq!(commands(&read(&heard)), order);
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
