//! Real threads, a real socket with an echo at its far end, and mostly a standby whose tick is three
//! seconds: what would be repaired by the tick only takes that long, and fails.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc as std_mpsc};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use self::echo::{
    HANG, Link, PROMPT, Reply, Standby, UNASKED, as_guest, bounded, driver, eventually,
    in_both_seats, ready,
};
use super::{Driver, Interrupt, Waited};

mod echo;

#[test]
fn every_caller_gets_its_own_reply_whatever_their_number() {
    bounded(|| {
        let link = Link::new(&driver("sp-callers"));
        for callers in [1, 2, 3, 8] {
            let start = Arc::new(Barrier::new(callers));
            let threads: Vec<_> = (0..callers)
                .map(|n| {
                    let (link, start) = (link.clone(), Arc::clone(&start));
                    thread::spawn(move || {
                        start.wait();
                        for _ in 0..4_000 / callers {
                            if n % 2 == 0 { link.call() } else { link.call_interruptible() }
                        }
                    })
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        }
        assert!(link.pending.lock().unwrap().is_empty());
    });
}

#[test]
fn futures_finish_beside_callers_and_without_any() {
    bounded(|| {
        let link = Link::new(&driver("sp-futures"));
        let stop = Arc::new(AtomicBool::new(false));
        let caller = thread::spawn({
            let (link, stop) = (link.clone(), Arc::clone(&stop));
            move || {
                while !stop.load(SeqCst) {
                    link.call()
                }
            }
        });
        let burst = |link: &Link| {
            let start = Instant::now();
            let sent: Vec<_> = (0..8).map(|_| link.future()).collect();
            for (call, reply) in sent {
                assert_eq!(reply.blocking_recv(), Ok(call));
            }
            assert!(start.elapsed() < PROMPT, "a burst took {:?}", start.elapsed());
        };
        (0..500).for_each(|_| burst(&link));
        stop.store(true, SeqCst);
        caller.join().unwrap();
        (0..500).for_each(|_| burst(&link));
    });
}

#[test]
fn a_task_spawned_from_outside_starts_at_once() {
    bounded(|| {
        let spawn = |driver: &Driver| {
            let (done, started) = std_mpsc::channel();
            let start = Instant::now();
            driver.handle().spawn(async move { done.send(()).unwrap() });
            driver.kick();
            started.recv().unwrap();
            assert!(start.elapsed() < PROMPT, "after {:?}", start.elapsed());
        };
        // In the warm window the standby is outside, and would sleep for its tick.
        let warm = Link::new(&driver("sp-spawn-warm"));
        for round in 0..200 {
            if round % 2 == 0 {
                warm.call();
            }
            spawn(&warm.driver);
        }
        // After it the standby sleeps inside the runtime.
        let settled = Link::new(&Driver::start("sp-spawn-deep").unwrap());
        settled.call();
        assert!(Standby::of(&settled.driver).settles());
        spawn(&settled.driver);
    });
}

#[test]
fn a_limit_ends_the_wait_and_hands_the_future_back() {
    bounded(|| {
        let driver = driver("sp-limit");
        in_both_seats(|| {
            let (reply, receiver) = oneshot::channel();
            let start = Instant::now();
            let limit = start + Duration::from_millis(80);
            let waited = driver.wait(|| receiver, Some(limit), UNASKED).unwrap();
            let Waited::TimedOut(receiver) = waited else { panic!("nobody replied") };
            assert!(start.elapsed() >= Duration::from_millis(80) && start.elapsed() < HANG / 2);

            reply.send(5).unwrap();
            let past = Some(start);
            assert_eq!(ready(driver.wait(|| receiver, past, UNASKED)), Ok(5), "polled first");
        });
    });
}

/// Never ready; tells when it is dropped.
struct Stuck(Arc<AtomicBool>);

impl Future for Stuck {
    type Output = ();
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

#[test]
fn an_interrupt_is_asked_again_and_again_and_its_error_drops_the_future() {
    bounded(|| {
        let link = Link::new(&driver("sp-interrupt"));
        in_both_seats(|| {
            let dropped = Arc::new(AtomicBool::new(false));
            let mut asked = 0;
            let start = Instant::now();
            let ask: Interrupt<'_, &str> = &mut || {
                asked += 1;
                link.call(); // it may itself wait for calls
                if asked == 4 { Err("stop") } else { Ok(()) }
            };
            let waited = link.driver.wait(|| Stuck(Arc::clone(&dropped)), None, Some(ask));
            assert_eq!(waited.err(), Some("stop"));
            assert!(dropped.load(SeqCst) && start.elapsed() >= Duration::from_millis(150));
        });
    });
}

#[test]
fn others_are_driven_while_an_interrupt_takes_its_time() {
    bounded(|| {
        let link = Link::new(&driver("sp-slow-int"));
        let ask: Interrupt<'_, &str> = &mut || {
            let (call, reply) = link.future();
            let start = Instant::now();
            assert_eq!(reply.blocking_recv(), Ok(call));
            assert!(start.elapsed() < PROMPT);
            Err("stop")
        };
        let waited = link.driver.wait(|| Stuck(Arc::default()), None, Some(ask));
        assert_eq!(waited.err(), Some("stop"));
    });
}

#[test]
fn a_panic_in_submit_or_in_the_future_leaves_the_token_free() {
    bounded(|| {
        let link = Link::new(&driver("sp-panic"));
        in_both_seats(|| {
            let submit = || -> Reply { panic!("submit, on purpose") };
            let wait = || link.driver.wait(submit, None, UNASKED);
            assert!(catch_unwind(AssertUnwindSafe(wait)).is_err());
            let future = || Box::pin(async { panic!("future, on purpose") });
            let wait = || link.driver.wait(future, None, UNASKED);
            assert!(catch_unwind(AssertUnwindSafe(wait)).is_err());

            let (call, reply) = link.future();
            assert_eq!(reply.blocking_recv(), Ok(call), "the standby can drive");
            link.call();
        });
    });
}

#[test]
fn a_wait_inside_a_task_is_refused_and_harms_nobody() {
    bounded(|| {
        let link = Link::new(&driver("sp-nested"));
        let inner = link.clone();
        let task = link.driver.handle().spawn(async move { inner.call() });
        let joined = ready(link.driver.wait(|| task, None, UNASKED));
        assert!(joined.unwrap_err().is_panic());
        link.call();
    });
}

#[test]
fn an_idle_standby_sleeps() {
    bounded(|| {
        let driver = Driver::start("sp-idle").unwrap();
        let standby = Standby::of(&driver);
        let link = Link::new(&driver);
        (0..100).for_each(|_| link.call());
        assert!(standby.settles(), "nothing in flight");

        let _hold = driver.hold();
        assert!(standby.settles(), "something in flight that stays quiet");
        link.call();

        let (reply, receiver) = oneshot::channel();
        let caller = thread::spawn({
            let driver = Arc::clone(&driver);
            move || ready(driver.wait(|| receiver, None, UNASKED))
        });
        assert!(standby.settles(), "a caller drives a long call");
        reply.send(1).unwrap();
        assert_eq!(caller.join().unwrap(), Ok(1));
        link.call();
    });
}

#[test]
fn callers_that_wait_during_a_stop_go_on_by_themselves() {
    bounded(|| {
        let driver = driver("sp-stop");
        let standby = Standby::of(&driver);
        let link = Link::new(&driver);
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..8).map(|_| oneshot::channel()).unzip();
        let sent = Arc::new(Barrier::new(9));
        let callers: Vec<_> = receivers
            .into_iter()
            .enumerate()
            .map(|(n, receiver)| {
                let (driver, link, sent) = (Arc::clone(&driver), link.clone(), Arc::clone(&sent));
                let wait = move || {
                    ready(driver.wait(
                        || {
                            sent.wait();
                            receiver
                        },
                        None,
                        UNASKED,
                    ))
                    .unwrap();
                    link.call();
                };
                thread::spawn(move || if n % 4 == 3 { as_guest(wait) } else { wait() })
            })
            .collect();
        sent.wait();
        driver.stop();
        driver.stop();
        // Joined; the kernel lists a thread for a moment after that.
        eventually("the standby ended", || standby.sleeps().is_none());
        senders.into_iter().for_each(|sender| sender.send(1_u64).unwrap());
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        in_both_seats(|| link.call());
    });
}

#[test]
fn a_task_may_own_the_last_reference() {
    bounded(|| {
        let driver = driver("sp-last");
        let standby = Standby::of(&driver);
        let (go, wait) = oneshot::channel::<()>();
        let owner = Arc::clone(&driver);
        driver.handle().spawn(async move {
            let _ = wait.await;
            drop(owner);
        });
        drop(driver);
        go.send(()).unwrap();
        eventually("the standby ended", || standby.sleeps().is_none());
    });
}

#[test]
fn an_abandoned_driver_is_refused_and_its_drop_touches_nothing() {
    bounded(|| {
        let driver = driver("sp-forked");
        let standby = Standby::of(&driver);
        driver.abandon();
        let wait = || driver.wait(|| std::future::ready(1), None, UNASKED);
        assert!(catch_unwind(AssertUnwindSafe(wait)).is_err());
        let hold = driver.hold();
        driver.kick();
        driver.stop();
        drop((driver, hold));
        assert!(standby.sleeps().is_some(), "neither stopped nor joined");
    });
}

#[test]
fn no_wake_up_is_lost() {
    bounded(|| {
        let link = Link::new(&driver("sp-soak"));
        let soak = |seed: u64, calls: u64, call: fn(&Link)| {
            let link = link.clone();
            thread::spawn(move || {
                let (mut worst, mut random) = (Duration::ZERO, seed);
                for n in 0..calls {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    if n % (10 * seed) == 0 {
                        thread::sleep(Duration::from_micros(random % 2_000));
                    }
                    let start = Instant::now();
                    call(&link);
                    worst = worst.max(start.elapsed());
                }
                worst
            })
        };
        let futures: fn(&Link) = |link| {
            let sent: Vec<_> = (0..4).map(|_| link.future()).collect();
            sent.into_iter().for_each(|(call, reply)| assert_eq!(reply.blocking_recv(), Ok(call)));
        };
        for callers in [1, 2, 5] {
            let mut threads: Vec<_> =
                (1..=callers).map(|n| soak(n, 20_000 / callers, Link::call)).collect();
            threads.push(soak(7, 4_000, futures));
            threads.push(soak(3, 4_000, Link::call_interruptible));
            for thread in threads {
                let worst = thread.join().unwrap();
                assert!(worst < PROMPT, "{callers} callers: worst {worst:?}");
            }
        }
    });
}
