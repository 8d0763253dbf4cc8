//! Host tools in Python: where their calls wait for a thread of Python's, and how these answer.
//!
//! ```text
//! runtime ──push──▶ HostQueue ──next()──▶ a thread of the pool's ──succeed, fail, send──▶ worker
//! ```
//!
//! The threads are Python's own, so the interpreter's end finds them as it finds any. One more than
//! are busy is always there, up to a bound: whoever takes a call is told to start the next one.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use snakepit::blocking::Driver;
use snakepit::telemetry::TraceContext;
use snakepit::{Failure, HostContext, HostTool, HostToolInfo, Lineage, Origin, Payload};

use super::leave::{self, Inside};
use super::{callbacks, raised, runtime};
use crate::codec;
use crate::memory::{self, Place};
use crate::report::Report;

/// The calls of one pool's host tools that wait for a thread.
#[pyclass(frozen, module = "snakepit._core")]
pub(super) struct HostQueue(Arc<Queue>);

struct Queue {
    inner: Mutex<Inner>,
    bell: Condvar,
    max_threads: usize,
}

struct Inner {
    calls: VecDeque<Waiting>,
    /// Threads that wait here.
    idle: usize,
    /// And all that were started.
    threads: usize,
    closed: bool,
}

struct Waiting {
    call: snakepit::HostCall,
    function: Arc<Function>,
}

/// What a host tool is in Python.
struct Function {
    tool: Py<PyAny>,
    /// Makes something that can travel of what cannot, where the pool wants that.
    substitute: Option<Py<PyAny>>,
}

/// A host tool whose calls wait there.
struct Queued {
    queue: Arc<Queue>,
    function: Arc<Function>,
}

impl HostTool for Queued {
    fn call(&self, call: snakepit::HostCall) {
        let max = self.queue.max_threads;
        let mut inner = self.queue.lock();
        let busy = inner.idle <= inner.calls.len() && inner.threads >= max;
        let nested = call.context().depth() > 1;
        let refusal = if inner.closed {
            "the pool is being closed".to_owned()
        } else if busy && nested {
            // It would wait for a thread that may be held by what waits for it.
            format!("all {max} threads for host tools are busy, and this call is from inside one")
        } else {
            inner.calls.push_back(Waiting { call, function: self.function.clone() });
            drop(inner);
            self.queue.bell.notify_one();
            return;
        };
        drop(inner);
        call.fail(Failure {
            type_name: "RuntimeError".into(),
            message: format!("host tool {}: {refusal}", call.name()),
            ..Failure::default()
        });
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every field is whole between statements.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a call. None: it is closed, or nothing came for so long and others wait too.
    fn next(&self, limit: Duration) -> Option<(Waiting, bool)> {
        let mut inner = self.lock();
        inner.idle += 1;
        let nothing = |inner: &mut Inner| inner.calls.is_empty() && !inner.closed;
        loop {
            let waited = self.bell.wait_timeout_while(inner, limit, nothing);
            (inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
            // The last one that waits stays: whoever takes a call starts the next thread.
            if !nothing(&mut inner) || inner.idle > 1 {
                break;
            }
        }
        inner.idle -= 1;
        let Some(next) = inner.calls.pop_front() else {
            inner.threads -= 1;
            return None;
        };
        let more = inner.idle == 0 && inner.threads < self.max_threads && !inner.closed;
        inner.threads += usize::from(more);
        Some((next, more))
    }
}

#[pymethods]
impl HostQueue {
    #[new]
    fn new(max_threads: usize) -> Self {
        let inner = Inner { calls: VecDeque::new(), idle: 0, threads: 0, closed: false };
        let (inner, bell) = (Mutex::new(inner), Condvar::new());
        Self(Arc::new(Queue { inner, bell, max_threads }))
    }

    /// Whether a thread must be started, which is then counted: none is there.
    fn wants_thread(&self) -> bool {
        let mut inner = self.0.lock();
        let wants = inner.threads == 0 && !inner.closed;
        inner.threads += usize::from(wants);
        wants
    }

    /// A thread that was counted could not be started.
    fn no_thread(&self) {
        self.0.lock().threads -= 1;
    }

    /// Wait for a call; with it, whether another thread must be started, which is counted. None:
    /// the thread shall end, since the queue is closed or nothing came for `limit` seconds.
    fn next(&self, py: Python<'_>, limit: f64) -> PyResult<Option<(HostCall, bool)>> {
        let _inside = Inside::enter(py);
        let limit = runtime::duration(Some(limit)).unwrap_or(Duration::MAX);
        let next = py.detach(|| {
            let next = self.0.next(limit);
            leave::come_back();
            next
        });
        let Some((Waiting { mut call, function }, more)) = next else { return Ok(None) };
        let (arguments, driver) = (Mutex::new(call.take_arguments()), runtime::driver()?);
        Ok(Some((HostCall { call, arguments, function, driver }, more)))
    }

    /// Take no more calls, fail those that wait, let idle threads go.
    fn close(&self) {
        let waiting = {
            let mut inner = self.0.lock();
            inner.closed = true;
            std::mem::take(&mut inner.calls)
        };
        self.0.bell.notify_all();
        drop(waiting);
    }
}

impl HostQueue {
    /// What the pool asks for the calls of `tool`.
    pub(super) fn tool(&self, tool: Py<PyAny>, substitute: Option<Py<PyAny>>) -> Arc<dyn HostTool> {
        let function = Arc::new(Function { tool, substitute });
        Arc::new(Queued { queue: self.0.clone(), function })
    }
}

/// One call of a host tool, as the thread that runs it holds it.
#[pyclass(frozen, module = "snakepit._core")]
pub(super) struct HostCall {
    call: snakepit::HostCall,
    /// Until they are decoded: what the function lets go of is the worker's again, while it runs.
    arguments: Mutex<Payload>,
    function: Arc<Function>,
    driver: Arc<Driver>,
}

impl HostCall {
    fn context(&self) -> &HostContext {
        self.call.context()
    }

    /// Somebody must notice what was just said.
    fn kicked<T>(&self, said: T) -> T {
        self.driver.kick();
        said
    }

    fn encoded(&self, value: &Bound<'_, PyAny>, root: &str) -> PyResult<Payload> {
        let (arena, limit) = (self.call.arena(), self.call.remaining());
        let place = Place { arena, limit, come_back: leave::come_back, insist: false };
        let substitute = self.function.substitute.as_ref();
        let encoded = codec::encode_or(value, root, substitute, place.threshold())?;
        memory::payload(value.py(), encoded, place, root)
    }

    /// Says something that may have to wait for the worker.
    fn detached<T: Send>(&self, py: Python<'_>, say: impl Send + FnOnce() -> T) -> T {
        py.detach(|| {
            let said = say();
            leave::come_back();
            said
        })
    }
}

#[pymethods]
impl HostCall {
    #[getter]
    fn tool(&self, py: Python<'_>) -> Py<PyAny> {
        self.function.tool.clone_ref(py)
    }

    #[getter]
    fn name(&self) -> &str {
        self.call.name()
    }

    #[getter]
    fn session_id(&self) -> Option<&str> {
        self.context().session()
    }

    #[getter]
    fn caller(&self) -> &str {
        self.context().caller()
    }

    #[getter]
    fn depth(&self) -> u32 {
        self.context().depth()
    }

    #[getter]
    fn cancelled(&self) -> bool {
        self.context().is_cancelled()
    }

    /// What the call that asks was given, or None.
    #[getter]
    fn origin(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let origin = self.call.origin()?.downcast_ref::<Py<PyAny>>()?;
        Some(origin.clone_ref(py))
    }

    /// ``traceparent`` and ``tracestate`` of the span inside of which the worker asks, or None.
    #[getter]
    fn trace(&self) -> Option<Trace> {
        let trace = self.context().trace()?;
        Some((trace.to_string(), trace.state.to_string()))
    }

    fn remaining(&self) -> Option<f64> {
        Some(self.call.remaining()?.as_secs_f64())
    }

    /// The keywords, once.
    fn arguments<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let arguments =
            std::mem::take(&mut *self.arguments.lock().unwrap_or_else(PoisonError::into_inner));
        codec::decode_payload(py, &arguments, "args")
    }

    /// Have `callback` called once, on another thread, when nobody waits any more; the number takes
    /// it back.
    fn on_cancel(&self, callback: Py<PyAny>) -> u64 {
        self.context().on_cancel(move || callbacks::run(callback))
    }

    fn forget(&self, token: u64) {
        self.context().forget(token);
    }

    /// Answer with a value; False: nobody waits.
    fn succeed(&self, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = value.py();
        let _inside = Inside::enter(py);
        let value = self.encoded(value, "result")?;
        let said = match value.buffers.is_empty() {
            true => self.call.succeed(value),
            false => self.detached(py, || self.call.succeed(value)),
        };
        Ok(self.kicked(said))
    }

    /// Answer with what was raised; False: nobody waits.
    fn fail(&self, report: Report<'_>) -> PyResult<bool> {
        Ok(self.kicked(self.call.fail(raised::failure(report)?)))
    }

    /// Send an item; None: the reader has no room yet.
    fn try_send(&self, item: &Bound<'_, PyAny>) -> PyResult<Option<bool>> {
        let _inside = Inside::enter(item.py());
        let item = self.encoded(item, "item")?;
        Ok(self.kicked(self.call.try_send(&item)))
    }

    /// Send an item once the reader has room for it; False: nobody waits.
    fn send(&self, py: Python<'_>, item: &Bound<'_, PyAny>) -> PyResult<bool> {
        let _inside = Inside::enter(py);
        let item = self.encoded(item, "item")?;
        let sent = match self.call.try_send(&item) {
            Some(sent) => sent,
            None => self.detached(py, || self.call.send(&item)),
        };
        Ok(self.kicked(sent))
    }

    fn end(&self) -> bool {
        self.kicked(self.call.end())
    }

    fn __repr__(&self) -> String {
        format!("<HostCall of {:?}>", self.call.name())
    }
}

/// Which span a call is: ``traceparent`` and ``tracestate``.
pub(super) type Trace = (String, String);

/// Where a call comes from, as Python tells it. None: from nowhere.
///
/// # Errors
/// What is no ``traceparent``.
pub(super) fn lineage(
    within: Option<&HostCall>,
    origin: Option<Bound<'_, PyAny>>,
    trace: Option<Trace>,
) -> PyResult<Option<Lineage>> {
    let within = within.map(|call| call.context().clone());
    let origin = origin.map(|origin| Arc::new(origin.unbind()) as Origin);
    let context = |(parent, state): Trace| match parent.parse::<TraceContext>() {
        Ok(context) => Ok(context.with_state(&state)),
        Err(error) => Err(PyValueError::new_err(error.to_string())),
    };
    let trace = trace.map(context).transpose()?;
    let any = within.is_some() || origin.is_some() || trace.is_some();
    Ok(any.then_some(Lineage { within, origin, trace }))
}

/// Name, session, description, seconds, whether it streams: see `_HostTool` in the stub.
pub(super) type Row = (String, Option<String>, String, Option<f64>, bool);

/// What is registered, as Python takes it.
pub(super) fn row(tool: HostToolInfo) -> Row {
    let HostToolInfo { name, session, description, timeout, streaming } = tool;
    (name, session, description, timeout.map(|limit| limit.as_secs_f64()), streaming)
}
