//! A caller that does not drive: it sleeps until its future's waker unparks the thread.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::token::Token;

/// Why a parked wait ended.
pub(super) enum Woken<T> {
    Ready(T),
    TimedOut,
    /// Nobody drives for parked callers any more.
    Retired,
}

/// Waits for `future` without driving, until `limit` or until the standby is `retired`.
pub(super) fn wait<F: Future + Unpin>(
    runtime: &Handle,
    future: &mut F,
    limit: Option<Instant>,
    retired: Option<&Token>,
) -> Woken<F::Output> {
    // One a thread, not one a wait: a future that is waited for in slices then knows its waker.
    thread_local! {
        static WAKER: Waker = Waker::from(Arc::new(Unpark(thread::current())));
    }
    let waker = WAKER.with(Waker::clone);
    let mut cx = Context::from_waker(&waker);
    let mut retire = pin!(retired.map(|token| token.retire.notified()));
    loop {
        {
            // The future may make timers or sockets when it is polled.
            let _context = runtime.enter();
            if let Poll::Ready(output) = Pin::new(&mut *future).poll(&mut cx) {
                return Woken::Ready(output);
            }
        }
        if let (Some(retire), Some(token)) = (retire.as_mut().as_pin_mut(), retired)
            // Registered first, asked second: a stop between the two is not missed.
            && (retire.poll(&mut cx).is_ready() || token.is_stopped())
        {
            return Woken::Retired;
        }
        match limit {
            None => thread::park(),
            Some(limit) => match limit.saturating_duration_since(Instant::now()) {
                left if left.is_zero() => return Woken::TimedOut,
                left => thread::park_timeout(left),
            },
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}
