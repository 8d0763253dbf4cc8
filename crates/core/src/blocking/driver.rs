//! The driver: a runtime, its standby, and the blocking wait.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::pin::Pin;
use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::park::{self, Woken};
use super::standby;
use super::token::{Hold, Token};

/// How often a waiting caller is asked whether it wants to go on.
const SLICE: Duration = Duration::from_millis(50);
/// First pause of a standby outside the runtime.
const TICK: Duration = Duration::from_millis(1);

/// Asked at least every 50 ms during a wait; an error ends the wait. Runs outside the runtime, on
/// the waiting thread, while others drive: it may take long, and may itself wait for calls.
pub type Interrupt<'a, E> = &'a mut (dyn FnMut() -> Result<(), E> + 'a);

/// How a wait ended that was not interrupted.
#[derive(Debug)]
pub enum Waited<F: Future> {
    Ready(F::Output),
    /// The limit passed. Wait again with the future, or drop it and [`Driver::kick`].
    TimedOut(F),
}

/// A current-thread runtime that its blocked callers drive, and a standby for when none does.
///
/// A driver belongs to the process that started it. After a fork, the copy in the child must not be
/// used: call [`abandon`](Self::abandon) there. Dropping that copy touches nothing.
pub struct Driver {
    /// `None` only during drop.
    runtime: Option<Arc<Runtime>>,
    handle: Handle,
    token: Arc<Token>,
    standby: Mutex<Option<JoinHandle<()>>>,
    process: u32,
}

impl Driver {
    /// Builds the runtime and starts the standby thread under this name.
    ///
    /// # Errors
    /// What the system says when it has no descriptor or thread left.
    pub fn start(name: &str) -> io::Result<Arc<Self>> {
        Self::start_with_tick(name, TICK)
    }

    /// With a long tick a lost wake-up shows: nothing but the tick would repair it.
    pub(super) fn start_with_tick(name: &str, tick: Duration) -> io::Result<Arc<Self>> {
        let token = Arc::new(Token::new(tick)?);
        let runtime = Arc::new(Builder::new_current_thread().enable_all().build()?);
        let spawned = thread::Builder::new().name(name.to_owned()).spawn({
            let (runtime, token) = (Arc::clone(&runtime), Arc::clone(&token));
            move || standby::run(runtime, token)
        });
        let standby = match spawned {
            Ok(standby) => standby,
            Err(error) => {
                release(runtime);
                return Err(error);
            }
        };
        Ok(Arc::new(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
            token,
            standby: Mutex::new(Some(standby)),
            process: process::id(),
        }))
    }

    /// To spawn tasks with. Follow a spawn by [`kick`](Self::kick), unless a [`Hold`] exists.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Sends by `submit` and waits for the future it returns, on the calling thread.
    ///
    /// `submit` runs once, at once, inside the runtime; keep it short, for nobody may be driving
    /// meanwhile (encode before). The future is polled on this thread only. `limit` ends the wait, not the call. Without `interrupt` and `limit` the thread sleeps
    /// until the future is ready.
    ///
    /// A thread that is in the context of another tokio runtime may call this too (it blocks, as
    /// its name says); it never drives. After [`stop`](Self::stop) every caller drives for itself.
    ///
    /// # Errors
    /// Only what `interrupt` returns. The future is dropped then, which cancels what it stands for.
    ///
    /// # Panics
    /// Inside a task of a driver's runtime, which would wait for itself: await there, or wait on
    /// another thread. In a forked child, after [`abandon`](Self::abandon).
    pub fn wait<F, E>(
        &self,
        submit: impl FnOnce() -> F,
        limit: Option<Instant>,
        mut interrupt: Option<Interrupt<'_, E>>,
    ) -> Result<Waited<F>, E>
    where
        F: Future + Unpin,
    {
        assert!(
            !self.token.is_abandoned(),
            "blocking wait in a forked child, on its parent's driver"
        );
        assert!(
            !Inside::is_here(),
            "blocking wait inside a task that a blocked caller may be driving"
        );
        let is_foreign = Handle::try_current().is_ok();
        let caller = self.token.arrive();
        let mut seat = caller.seat(!is_foreign);
        let mut future = Submitted::new(submit);
        loop {
            let slice = interrupt.as_ref().map(|_| Instant::now() + SLICE);
            let until = [limit, slice].into_iter().flatten().min();
            let woken = if seat.drives {
                self.drive(&mut future, until)
            } else if is_foreign && self.token.is_stopped() {
                self.proxy(&mut future, until)
            } else {
                park::wait(&self.handle, &mut future, until, Some(&self.token))
            };
            // Nobody may depend on this thread while it is outside: an interrupt can take long.
            drop(seat);
            match woken {
                Woken::Ready(output) => return Ok(Waited::Ready(output)),
                Woken::Retired => {}
                Woken::TimedOut => {
                    if limit.is_some_and(|limit| limit <= Instant::now()) {
                        return Ok(Waited::TimedOut(future.into_inner()));
                    }
                    if let Some(Err(error)) = interrupt.as_mut().map(|ask| ask()) {
                        drop(future);
                        // The drop may have left a cancellation for some task to send.
                        self.kick();
                        return Err(error);
                    }
                }
            }
            seat = caller.seat(!is_foreign);
        }
    }

    /// Says that something is in flight which no caller waits for: a future, a stream, a coroutine.
    /// Take it before you send.
    pub fn hold(self: &Arc<Self>) -> Hold {
        Hold::new(&self.token)
    }

    /// Says that something was given to the runtime from outside (a spawn, a close, a cancellation)
    /// so that it is noticed at once and not within 8 ms. Cheap; any thread.
    pub fn kick(&self) {
        self.token.kick();
    }

    /// Ends the standby and joins it, except inside a task of the runtime, where it only ends it.
    ///
    /// Idempotent. Tasks are driven no more, save by a late [`wait`](Self::wait); callers that are
    /// waiting go on, by themselves. Do not hold a lock (or an interpreter) that a task may want.
    pub fn stop(&self) {
        if self.is_copy() {
            return;
        }
        self.token.stop();
        if Inside::is_here() {
            return;
        }
        let mut standby = self.standby.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(standby) = standby.take() {
            // A panic there has been logged, and callers do not need the standby.
            let _ = standby.join();
        }
    }

    /// For the child after a fork: marks this copy as not to be used. Takes no lock, makes no system
    /// call; safe in an atfork handler.
    pub fn abandon(&self) {
        self.token.abandon();
    }

    /// Whether this is the copy of a driver in a forked child.
    fn is_copy(&self) -> bool {
        self.token.is_abandoned() || self.process != process::id()
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("taken by drop only")
    }

    fn drive<F: Future + Unpin>(&self, future: &mut F, until: Option<Instant>) -> Woken<F::Output> {
        let _inside = Inside::enter();
        match until {
            None => Woken::Ready(self.runtime().block_on(future)),
            // Inside an async block: a timer must be made in the runtime's context.
            Some(until) => match self.runtime().block_on(async { timeout_at(until, future).await })
            {
                Ok(output) => Woken::Ready(output),
                Err(_) => Woken::TimedOut,
            },
        }
    }

    /// For a thread that may not drive when the standby is gone: another thread drives meanwhile.
    fn proxy<F: Future + Unpin>(&self, future: &mut F, until: Option<Instant>) -> Woken<F::Output> {
        struct Finish<'a>(&'a Notify);
        impl Drop for Finish<'_> {
            fn drop(&mut self) {
                self.0.notify_one();
            }
        }
        let done = Notify::new();
        thread::scope(|scope| {
            let _finish = Finish(&done);
            scope.spawn(|| {
                let _inside = Inside::enter();
                self.runtime().block_on(done.notified());
            });
            park::wait(&self.handle, future, until, None)
        })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let runtime = self.runtime.take().expect("taken by drop only");
        if self.is_copy() {
            // The epoll set, the eventfds and the standby are the parent's; locks and the core may
            // have been in use by threads that do not exist here.
            mem::forget(runtime);
            let standby = self.standby.get_mut().unwrap_or_else(PoisonError::into_inner);
            mem::forget(standby.take());
            return;
        }
        self.stop();
        release(runtime);
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("process", &self.process).finish_non_exhaustive()
    }
}

/// Gives one reference up; the last one ends the runtime and drops its tasks. Waits for nothing, so
/// it may run anywhere, in another runtime's context too.
pub(super) fn release(runtime: Arc<Runtime>) {
    if let Some(runtime) = Arc::into_inner(runtime) {
        runtime.shutdown_background();
    }
}

/// What `submit` returns, submitted by the first poll. That is inside the runtime where the caller
/// drives: waking the line's task is a push to a local queue there; from outside it is a system call
/// and one more turn of the I/O loop.
enum Submitted<S, F> {
    Not(Option<S>),
    Under(F),
}

impl<S: FnOnce() -> F, F> Submitted<S, F> {
    fn new(submit: S) -> Self {
        Self::Not(Some(submit))
    }

    fn submit(&mut self) -> &mut F {
        if let Self::Not(submit) = self {
            let submit = submit.take().expect("a panic in submit ends the wait");
            *self = Self::Under(submit());
        }
        let Self::Under(future) = self else { unreachable!("submitted above") };
        future
    }

    fn into_inner(mut self) -> F {
        self.submit();
        let Self::Under(future) = self else { unreachable!("submitted above") };
        future
    }
}

// The closure is never pinned: it is moved out to be called.
impl<S, F: Unpin> Unpin for Submitted<S, F> {}

impl<S: FnOnce() -> F, F: Future + Unpin> Future for Submitted<S, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        Pin::new(self.submit()).poll(cx)
    }
}

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Marks that this thread polls some driver's tasks.
pub(super) struct Inside(());

impl Inside {
    pub(super) fn enter() -> Self {
        INSIDE.set(true);
        Self(())
    }

    fn is_here() -> bool {
        INSIDE.get()
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(false);
    }
}
