//! A call under way, as Python holds it.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use pyo3::exceptions::{PyBaseException, PyTimeoutError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use snakepit::blocking::Driver;
use snakepit::{Error, Outcome};

use super::leave::Inside;
use super::pool::deliver;
use super::runtime::{self, Ended, duration};
use super::{callbacks, errors};

/// Outcome of one call: stays encoded until it is asked for, then the same object every time.
#[pyclass(frozen, module = "snakepit._core")]
pub(super) struct Reply {
    reply: snakepit::Reply,
    driver: Arc<Driver>,
    delivered: OnceLock<Result<Py<PyAny>, Py<PyBaseException>>>,
}

/// The reply borrowed as a future; `&Reply` is one, but it must be named to be pinned.
struct Borrowed<'a>(&'a snakepit::Reply);

impl Future for Borrowed<'_> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl Reply {
    pub(super) fn new(mut reply: snakepit::Reply, driver: Arc<Driver>) -> Self {
        // As everywhere in Python: dropping a future does not cancel it.
        reply.detach();
        Self { reply, driver, delivered: OnceLock::new() }
    }

    pub(super) fn inner(&self) -> &snakepit::Reply {
        &self.reply
    }

    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        if self.reply.is_done() {
            return Ok(());
        }
        if let Some(error) = self.reply.forked() {
            return Err(errors::exception(py, &error));
        }
        let reply = || Borrowed(&self.reply);
        match runtime::wait(py, &self.driver, reply, duration(timeout)) {
            Ok(Ended::Ready(_)) => Ok(()),
            Ok(Ended::TimedOut) => Err(PyTimeoutError::new_err("the call still runs")),
            Err(interrupt) => {
                // Who presses Ctrl-C at a wait wants what it waits for to stop.
                self.cancel();
                Err(interrupt)
            }
        }
    }

    fn deliver(&self, py: Python<'_>) -> &Result<Py<PyAny>, Py<PyBaseException>> {
        if let Some(delivered) = self.delivered.get() {
            return delivered;
        }
        let outcome = self.reply.outcome().expect("asked only when done");
        let made = match deliver(py, outcome) {
            Ok(value) => Ok(value.unbind()),
            Err(error) => Err(error.into_value(py)),
        };
        // Made outside: whoever runs Python meanwhile may ask for the same. The first is kept.
        self.delivered.get_or_init(|| made)
    }
}

#[pymethods]
impl Reply {
    fn done(&self) -> bool {
        self.reply.is_done()
    }

    fn running(&self) -> bool {
        self.reply.is_running()
    }

    fn cancelled(&self) -> bool {
        matches!(self.reply.outcome(), Some(Err(Error::Cancelled { .. })))
    }

    fn cancel(&self) -> bool {
        let cancelled = self.reply.cancel();
        if cancelled {
            self.driver.kick();
        }
        cancelled || self.cancelled()
    }

    #[pyo3(signature = (timeout = None))]
    fn result(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        let _inside = Inside::enter(py);
        self.wait(py, timeout)?;
        match self.deliver(py) {
            Ok(value) => Ok(value.clone_ref(py)),
            Err(error) => Err(PyErr::from_value(error.bind(py).clone().into_any())),
        }
    }

    #[pyo3(signature = (timeout = None))]
    fn exception(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Py<PyAny>>> {
        let _inside = Inside::enter(py);
        self.wait(py, timeout)?;
        match self.deliver(py) {
            Ok(_) => Ok(None),
            Err(error) if self.cancelled() => {
                Err(PyErr::from_value(error.bind(py).clone().into_any()))
            }
            Err(error) => Ok(Some(error.clone_ref(py).into_any())),
        }
    }

    fn watch(&self, callback: Py<PyAny>) {
        self.reply.on_done(move |_| callbacks::run(callback));
    }

    /// An error that was raised holds the frames it passed, and one of them holds this, as a rule.
    /// Unseen by the collector, that circle would keep the frame's arguments for ever. There is no
    /// `__clear__`: frames and tracebacks have one.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.delivered.get() {
            Some(Ok(value)) => visit.call(value),
            Some(Err(error)) => visit.call(error),
            None => Ok(()),
        }
    }
}
