//! The chunks of one streaming call.
//!
//! ```text
//! worker ──Chunks──▶ Channel ──(all that is there)──▶ ChunkStream ──one by one──▶ reader
//!    ▲                                                     │
//!    └───────────── Grant: so much was taken ◀─────────────┘
//! ```
//!
//! A worker may be a [`WINDOW`] ahead of the reader; it is told what was taken each half window. So a
//! slow reader stops a fast worker, and memory is bounded: the pool's state keeps the account, and a
//! worker that sends more is ended.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use smallvec::SmallVec;
use tokio_stream::Stream;

use super::reply::{Canceller, Hold};
use super::shared::Shared;
use super::state::Window;
use crate::error::Error;
use crate::id::CallId;
use crate::payload::Payload;

/// Items and bytes that a worker may be ahead of the reader (one item may always be).
pub(super) const WINDOW: Window = Window { items: 1024, bytes: 1 << 20 };

type Hook = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Inner {
    items: VecDeque<Payload>,
    end: Option<Result<(), Error>>,
    wakers: SmallVec<[Waker; 1]>,
    hooks: SmallVec<[Hook; 1]>,
    hold: Option<Hold>,
    /// Of the worker that runs the call, once it was sent.
    slot: Option<usize>,
}

/// Where the pool puts the chunks.
#[derive(Default)]
pub(crate) struct Channel(Mutex<Inner>);

impl Channel {
    pub(super) fn new(hold: Option<Hold>) -> Self {
        Self(Mutex::new(Inner { hold, ..Inner::default() }))
    }

    pub(super) fn sent_to(&self, slot: usize) {
        self.lock().slot = Some(slot);
    }

    pub(super) fn slot(&self) -> Option<usize> {
        self.lock().slot
    }

    pub(super) fn push(&self, items: Vec<Payload>) {
        let mut inner = self.lock();
        inner.items.extend(items);
        Self::wake(inner);
    }

    /// The first end counts.
    pub(super) fn end(&self, end: Result<(), Error>) {
        let mut inner = self.lock();
        if inner.end.is_none() {
            inner.end = Some(end);
            let hold = inner.hold.take();
            Self::wake(inner);
            drop(hold);
        }
    }

    fn wake(mut inner: MutexGuard<'_, Inner>) {
        let (wakers, hooks) = (mem::take(&mut inner.wakers), mem::take(&mut inner.hooks));
        drop(inner);
        for waker in wakers {
            waker.wake();
        }
        for hook in hooks {
            hook();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every field is whole between statements.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reader of a streaming call: a `Stream` of encoded chunks. Dropping it cancels the call.
pub struct ChunkStream {
    channel: Arc<Channel>,
    shared: Arc<Shared>,
    id: CallId,
    /// Chunks that are here already; taken without a lock.
    here: VecDeque<Payload>,
    ended: bool,
    taken: (u64, u64),
    granted: (u64, u64),
}

impl ChunkStream {
    pub(super) fn new(channel: Arc<Channel>, shared: Arc<Shared>, id: CallId) -> Self {
        let here = VecDeque::new();
        Self { channel, shared, id, here, ended: false, taken: (0, 0), granted: (0, 0) }
    }

    /// The call's name.
    pub fn id(&self) -> CallId {
        self.id
    }

    /// The number of the worker that the call was sent to last.
    pub(super) fn slot(&self) -> Option<usize> {
        self.channel.slot()
    }

    /// The next chunk, if it is here already: no waiting, usually no lock.
    pub fn try_next(&mut self) -> Option<Payload> {
        if self.here.is_empty() && !self.ended {
            mem::swap(&mut self.here, &mut self.channel.lock().items);
        }
        let chunk = self.here.pop_front()?;
        self.taken.0 += 1;
        self.taken.1 += chunk.size();
        self.grant();
        Some(chunk)
    }

    fn grant(&mut self) {
        let items = self.taken.0 - self.granted.0;
        let bytes = self.taken.1 - self.granted.1;
        if items >= u64::from(WINDOW.items) / 2 || bytes >= WINDOW.bytes / 2 {
            self.granted = self.taken;
            self.shared.grant(self.id, self.taken.0, self.taken.1);
        }
    }

    /// Has `hook` run once when a chunk or the end is here; at once if one is. See
    /// [`super::Reply::on_done`].
    pub fn on_ready(&self, hook: impl FnOnce() + Send + 'static) {
        let mut inner = self.channel.lock();
        if !self.here.is_empty() || !inner.items.is_empty() || inner.end.is_some() {
            drop(inner);
            return hook();
        }
        inner.hooks.push(Box::new(hook));
    }

    /// Waits for the next chunk. None: the stream has ended.
    ///
    /// # Errors
    /// Why the call failed; the chunks before it were given out.
    pub async fn next_chunk(&mut self) -> Option<Result<Payload, Error>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// See [`ChunkStream::next_chunk`].
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Payload, Error>>> {
        loop {
            if let Some(chunk) = self.try_next() {
                return Poll::Ready(Some(Ok(chunk)));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let mut inner = self.channel.lock();
            if !inner.items.is_empty() {
                continue;
            }
            match &inner.end {
                Some(end) => {
                    self.ended = true;
                    return Poll::Ready(end.clone().err().map(Err));
                }
                None => {
                    if !inner.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
                        inner.wakers.push(cx.waker().clone());
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    /// See [`super::Reply::forked`].
    #[doc(hidden)]
    pub fn forked(&self) -> Option<Error> {
        self.shared.forked()
    }

    /// Gives the call up. False: it had ended already.
    pub fn cancel(&self) -> bool {
        self.shared.cancel(self.id)
    }

    /// What gives this call up.
    pub fn canceller(&self) -> Canceller {
        Canceller::new(self.shared.clone(), self.id)
    }
}

impl Stream for ChunkStream {
    type Item = Result<Payload, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_chunk(cx)
    }
}

impl Drop for ChunkStream {
    fn drop(&mut self) {
        if !self.ended {
            self.cancel();
        }
    }
}
