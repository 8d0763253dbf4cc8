//! Reader of one stream, as Python holds it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pyo3::prelude::*;
use snakepit::blocking::Driver;
use snakepit::{Canceller, ChunkStream, Error, Payload};

use super::errors;
use super::inbox::{Inbox, chunk_result, complete};
use super::leave::{self, Inside};
use super::runtime::{self, Ended};
use crate::codec;

/// What a stream has next.
pub(super) enum Next {
    Chunk(Payload),
    Failed(Error),
    End,
}

impl From<Option<Result<Payload, Error>>> for Next {
    fn from(next: Option<Result<Payload, Error>>) -> Self {
        match next {
            Some(Ok(chunk)) => Self::Chunk(chunk),
            Some(Err(error)) => Self::Failed(error),
            None => Self::End,
        }
    }
}

/// One reader at a time: whoever waits holds the lock, detached.
#[pyclass(frozen, module = "snakepit._core")]
pub(super) struct Chunks {
    stream: Mutex<ChunkStream>,
    canceller: Canceller,
    driver: Arc<Driver>,
    idle: Option<Duration>,
    /// What ends it with the loop that reads it.
    token: OnceLock<u64>,
    /// The reader wants no more.
    closed: AtomicBool,
}

/// The next chunk of a borrowed stream, as a future.
struct NextChunk<'a>(&'a mut ChunkStream);

impl Future for NextChunk<'_> {
    type Output = Next;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Next> {
        self.0.poll_chunk(cx).map(Next::from)
    }
}

impl Chunks {
    pub(super) fn new(stream: ChunkStream, driver: Arc<Driver>, idle: Option<Duration>) -> Self {
        let canceller = stream.canceller();
        let (stream, closed) = (Mutex::new(stream), AtomicBool::new(false));
        Self { stream, canceller, driver, idle, token: OnceLock::new(), closed }
    }

    fn lock(&self) -> MutexGuard<'_, ChunkStream> {
        // A stream is whole between polls.
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is there without waiting. None: nothing yet, or another thread reads.
    fn try_next(&self) -> Option<Next> {
        if self.closed.load(Ordering::Acquire) {
            return Some(Next::End);
        }
        // Attached, so the lock must not be waited for: its holder may want the interpreter.
        let mut stream = self.stream.try_lock().ok()?;
        match stream.poll_chunk(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(next) => Some(next.into()),
            Poll::Pending => None,
        }
    }

    fn wait(&self, py: Python<'_>) -> PyResult<Next> {
        py.detach(|| {
            let next = self.wait_detached();
            leave::come_back();
            next
        })
    }

    fn wait_detached(&self) -> PyResult<Next> {
        let mut stream = self.lock();
        if let Some(error) = stream.forked() {
            return Ok(Next::Failed(error));
        }
        let mut limit = self.idle;
        loop {
            let borrowed = &mut *stream;
            match runtime::wait_detached(&self.driver, || NextChunk(borrowed), limit) {
                Ok(Ended::Ready(next)) => return Ok(next),
                // Its end is here then, or a chunk that came in the last moment.
                Ok(Ended::TimedOut) => {
                    self.expire();
                    limit = None;
                }
                Err(interrupt) => {
                    self.close();
                    return Err(interrupt);
                }
            }
        }
    }

    /// Completes an asyncio future with what is there, or when something is.
    pub(super) fn hand_over(
        slf: &Bound<'_, Self>,
        inbox: &Inbox,
        future: Py<PyAny>,
    ) -> PyResult<bool> {
        let py = slf.py();
        let this = slf.get();
        match this.try_next() {
            Some(next) => {
                if let (Next::Failed(_) | Next::End, Some(&token)) = (&next, this.token.get()) {
                    inbox.forget(token);
                }
                complete(future.bind(py), chunk_result(py, next))?;
                Ok(true)
            }
            None => {
                this.token.get_or_init(|| inbox.end_with_loop(this.canceller.clone()));
                let ring = inbox.deliver_chunk(future, slf.clone().unbind());
                py.detach(|| {
                    this.lock().on_ready(ring);
                    leave::come_back();
                });
                Ok(false)
            }
        }
    }
}

#[pymethods]
impl Chunks {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let _inside = Inside::enter(py);
        let next = match self.try_next() {
            Some(next) => next,
            None => self.wait(py)?,
        };
        match next {
            // A close that came while this thread waited; its cancel is no news to the reader.
            Next::Failed(_) if self.closed.load(Ordering::Acquire) => Ok(None),
            Next::Chunk(chunk) => codec::decode_payload(py, &chunk, "chunk").map(Some),
            Next::Failed(error) => Err(errors::exception(py, &error)),
            Next::End => Ok(None),
        }
    }

    fn next_async(
        slf: &Bound<'_, Self>,
        inbox: &Bound<'_, Inbox>,
        future: Py<PyAny>,
    ) -> PyResult<bool> {
        let _inside = Inside::enter(slf.py());
        Self::hand_over(slf, inbox.get(), future)
    }

    /// Ends the call as if its deadline had passed: nothing came for as long as may be.
    fn expire(&self) {
        self.canceller.expire(self.idle.unwrap_or_default());
        self.driver.kick();
    }

    /// Cancels the call. Needs no lock that a reader may hold.
    fn close(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            self.canceller.cancel();
            self.driver.kick();
        }
    }
}
