//! The answer of one call, on its way or here.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use smallvec::SmallVec;

use super::shared::Shared;
use crate::error::Error;
use crate::id::CallId;
use crate::payload::Payload;

/// How a call ended: its encoded result, or why there is none.
pub type Outcome = Result<Payload, Error>;

type Hook = Box<dyn FnOnce(&Outcome) + Send>;

/// Kept as long as the call is under way and dropped when it ends.
pub(crate) type Hold = Box<dyn Send + Sync>;

#[derive(Default)]
struct Inner {
    outcome: Option<Outcome>,
    /// One a waiting thread or task; nearly always one.
    wakers: SmallVec<[Waker; 1]>,
    hooks: SmallVec<[Hook; 1]>,
    hold: Option<Hold>,
}

/// Where the pool puts the answer. Nothing in it touches an interpreter.
pub(crate) struct Cell {
    inner: Mutex<Inner>,
    slot: AtomicUsize,
}

/// No worker has the call yet.
const NO_SLOT: usize = usize::MAX;

impl Cell {
    pub(super) fn new(hold: Option<Hold>) -> Self {
        let inner = Mutex::new(Inner { hold, ..Inner::default() });
        Self { inner, slot: AtomicUsize::new(NO_SLOT) }
    }

    /// Remembers where the call was sent, for those who trace it.
    pub(super) fn sent_to(&self, slot: usize) {
        self.slot.store(slot, Ordering::Relaxed);
    }

    pub(super) fn slot(&self) -> Option<usize> {
        Some(self.slot.load(Ordering::Relaxed)).filter(|&slot| slot != NO_SLOT)
    }

    /// The first outcome counts; a later one is dropped.
    pub(super) fn complete(&self, outcome: Outcome) {
        let mut inner = self.lock();
        if inner.outcome.is_some() {
            return;
        }
        let hooks = std::mem::take(&mut inner.hooks);
        let told = (!hooks.is_empty()).then(|| outcome.clone());
        inner.outcome = Some(outcome);
        let (wakers, hold) = (std::mem::take(&mut inner.wakers), inner.hold.take());
        drop(inner);
        for waker in wakers {
            waker.wake();
        }
        for (hook, outcome) in hooks.into_iter().zip(told.iter().cycle()) {
            hook(outcome);
        }
        drop(hold);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every field is whole between statements.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call under way, as a future. Dropping it cancels the call, unless it was detached.
pub struct Reply {
    cell: Arc<Cell>,
    canceller: Canceller,
    detached: bool,
}

/// Gives one call up, from anywhere.
#[derive(Clone)]
pub struct Canceller {
    shared: Arc<Shared>,
    id: CallId,
}

impl Canceller {
    pub(super) fn new(shared: Arc<Shared>, id: CallId) -> Self {
        Self { shared, id }
    }

    /// Frees the call's caller now and tells its worker. False: it had ended already.
    pub fn cancel(&self) -> bool {
        self.shared.cancel(self.id)
    }

    /// The same, but as if the call's deadline had passed: nothing came of it for `limit`.
    pub fn expire(&self, limit: Duration) -> bool {
        self.shared.expire(self.id, limit)
    }
}

impl Reply {
    pub(super) fn new(cell: Arc<Cell>, shared: Arc<Shared>, id: CallId) -> Self {
        Self { cell, canceller: Canceller::new(shared, id), detached: false }
    }

    /// The call's name.
    pub fn id(&self) -> CallId {
        self.canceller.id
    }

    /// From now on dropping this does not cancel the call.
    pub fn detach(&mut self) {
        self.detached = true;
    }

    /// The error of whoever waits for this in a fork of the process that made the call.
    #[doc(hidden)]
    pub fn forked(&self) -> Option<Error> {
        self.canceller.shared.forked()
    }

    /// Whether the call is in a worker; false in a fork.
    pub fn is_running(&self) -> bool {
        self.canceller.shared.is_here()
            && self.canceller.shared.read(|state| state.is_sent(self.id()))
    }

    /// The number of the worker that the call was sent to last.
    pub(super) fn slot(&self) -> Option<usize> {
        self.cell.slot()
    }

    /// Whether the outcome is here.
    pub fn is_done(&self) -> bool {
        self.cell.lock().outcome.is_some()
    }

    /// A copy of the outcome, if it is here.
    pub fn outcome(&self) -> Option<Outcome> {
        self.cell.lock().outcome.clone()
    }

    /// Gives the call up: its caller is freed now, its worker told. False: it had ended already.
    pub fn cancel(&self) -> bool {
        self.canceller.cancel()
    }

    /// What gives this call up.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// Has `hook` run once when the outcome is here; at once if it is. It runs on whichever thread
    /// brings the outcome, with no lock held, and must not block.
    pub fn on_done(&self, hook: impl FnOnce(&Outcome) + Send + 'static) {
        let mut inner = self.cell.lock();
        if let Some(outcome) = inner.outcome.clone() {
            drop(inner);
            return hook(&outcome);
        }
        inner.hooks.push(Box::new(hook));
    }

    fn poll_outcome(&self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let mut inner = self.cell.lock();
        if let Some(outcome) = &inner.outcome {
            return Poll::Ready(outcome.clone());
        }
        if !inner.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            inner.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Future for Reply {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.poll_outcome(cx)
    }
}

impl Future for &Reply {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.poll_outcome(cx)
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if !self.detached && !self.is_done() {
            self.cancel();
        }
    }
}
