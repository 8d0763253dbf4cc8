//! Completions for one asyncio loop: the runtime fills it, one eventfd wakes the loop for all.
//!
//! No thread attaches to tell the loop anything; the loop's own thread decodes when it drains.

use std::collections::HashMap;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::eventfd::{EfdFlags, EventFd};
use pyo3::exceptions::PyStopAsyncIteration;
use pyo3::intern;
use pyo3::prelude::*;
use snakepit::{Canceller, Outcome};

use super::chunks::{Chunks, Next};
use super::leave::Inside;
use super::pool::deliver;
use super::reply::Reply;

/// What waits to be handed over.
enum Done {
    Call(Py<PyAny>, Outcome),
    Chunk(Py<PyAny>, Py<Chunks>),
}

#[derive(Default)]
struct Inner {
    done: Vec<Done>,
    /// Calls of this loop that are under way, so that they end with it.
    pending: HashMap<u64, Canceller>,
    next: u64,
    closed: bool,
    /// The loop was woken and has not drained since.
    rung: bool,
}

/// Shared with what completes.
struct Shared {
    inner: Mutex<Inner>,
    bell: EventFd,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every field is whole between statements.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, done: Done, token: Option<u64>) {
        let mut inner = self.lock();
        if let Some(token) = token {
            inner.pending.remove(&token);
        }
        if inner.closed {
            return;
        }
        inner.done.push(done);
        if !std::mem::replace(&mut inner.rung, true) {
            // Fails only when the counter is full, and then the loop is awake.
            let _ = self.bell.write(1);
        }
    }
}

#[pyclass(frozen, module = "snakepit._core")]
pub(super) struct Inbox(Arc<Shared>);

impl Inbox {
    fn hand_over(&self, py: Python<'_>, done: Done) -> PyResult<()> {
        match done {
            Done::Call(future, outcome) => {
                let future = future.bind(py);
                if is_waiting(future)? {
                    complete(future, deliver(py, outcome))?;
                }
            }
            Done::Chunk(future, chunks) => {
                if is_waiting(future.bind(py))? {
                    Chunks::hand_over(chunks.bind(py), self, future)?;
                }
            }
        }
        Ok(())
    }

    /// Has `future` completed here when the call ends.
    pub(super) fn deliver_to(&self, future: Py<PyAny>, reply: &Reply) {
        let token = self.end_with_loop(reply.inner().canceller());
        let shared = self.0.clone();
        reply.inner().on_done(move |outcome| {
            shared.put(Done::Call(future, outcome.clone()), Some(token));
        });
    }

    /// Has a call cancelled when the inbox is closed, unless it is forgotten before.
    pub(super) fn end_with_loop(&self, canceller: Canceller) -> u64 {
        let mut inner = self.0.lock();
        if inner.closed {
            drop(inner);
            canceller.cancel();
            return 0;
        }
        inner.next += 1;
        let token = inner.next;
        inner.pending.insert(token, canceller);
        token
    }

    pub(super) fn forget(&self, token: u64) {
        self.0.lock().pending.remove(&token);
    }

    /// Has `future` completed here when a chunk or the end is there.
    pub(super) fn deliver_chunk(
        &self,
        future: Py<PyAny>,
        chunks: Py<Chunks>,
    ) -> impl FnOnce() + Send + use<> {
        let shared = self.0.clone();
        move || shared.put(Done::Chunk(future, chunks), None)
    }
}

#[pymethods]
impl Inbox {
    #[new]
    fn new() -> PyResult<Self> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        let bell = EventFd::from_value_and_flags(0, flags).map_err(std::io::Error::from)?;
        Ok(Self(Arc::new(Shared { inner: Mutex::default(), bell })))
    }

    fn fileno(&self) -> i32 {
        self.0.bell.as_raw_fd()
    }

    fn drain(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let _inside = Inside::enter(py);
        let this = slf.get();
        let done = {
            let mut inner = this.0.lock();
            // An error means that nobody rang, which is fine.
            let _ = this.0.bell.read();
            inner.rung = false;
            std::mem::take(&mut inner.done)
        };
        let mut rest = done.into_iter();
        while let Some(done) = rest.next() {
            if let Err(error) = this.hand_over(py, done) {
                // A signal handler raised in between, say: what is left waits for the next round.
                for done in rest {
                    this.0.put(done, None);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn close(&self) {
        let (pending, done) = {
            let mut inner = self.0.lock();
            inner.closed = true;
            (std::mem::take(&mut inner.pending), std::mem::take(&mut inner.done))
        };
        for canceller in pending.into_values() {
            canceller.cancel();
        }
        drop(done);
    }
}

/// Whether an asyncio future can still be completed.
pub(super) fn is_waiting(future: &Bound<'_, PyAny>) -> PyResult<bool> {
    let done = future.call_method0(intern!(future.py(), "done"))?;
    Ok(!done.is_truthy()?)
}

/// Completes an asyncio future that is waiting.
pub(super) fn complete(
    future: &Bound<'_, PyAny>,
    result: PyResult<Bound<'_, PyAny>>,
) -> PyResult<()> {
    let py = future.py();
    match result {
        Ok(value) => future.call_method1(intern!(py, "set_result"), (value,))?,
        Err(error) => future.call_method1(intern!(py, "set_exception"), (error.into_value(py),))?,
    };
    Ok(())
}

/// What an asyncio future of a chunk gets.
pub(super) fn chunk_result<'py>(py: Python<'py>, next: Next) -> PyResult<Bound<'py, PyAny>> {
    match next {
        Next::Chunk(chunk) => crate::codec::decode_payload(py, &chunk, "chunk"),
        Next::Failed(error) => Err(super::errors::exception(py, &error)),
        Next::End => Err(PyStopAsyncIteration::new_err(())),
    }
}
