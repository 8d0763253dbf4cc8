//! The engine of one pool, as Python holds it: a few lines a method, no decision.

mod closing;

use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use snakepit::blocking::Driver;
use snakepit::{CallSpec, HostToolOptions, LineHandler, Lineage, Outcome};

use super::chunks::Chunks;
use super::health::HealthMonitor;
use super::host_tools::{HostCall, HostQueue, Trace, lineage};
use super::inbox::Inbox;
use super::leave::{self, Inside};
use super::metrics::{self, Metrics};
use super::reply::Reply;
use super::retry::RetryPolicy;
use super::runtime::{self, Ended, duration};
use super::session::{self, Session};
use super::spans::SpanQueue;
use super::submitted::Submitted;
use super::{callbacks, config, errors, host_tools, info, life, logs, tools};
use crate::codec;
use crate::memory::{self, Place, Room, SharedRef};

/// Handle of a running pool. Python wraps it in `snakepit.Pool`; not public.
#[pyclass(frozen, module = "snakepit._core")]
pub(super) struct Pool {
    /// None only in `drop`: a forked child must leak it, since what it holds may be locked by
    /// threads that do not exist there.
    pool: Option<snakepit::Pool>,
    driver: Arc<Driver>,
    /// Makes something that can travel of an argument that cannot; None: that is an error.
    substitute: Option<Py<PyAny>>,
}

/// The value of an outcome, or its exception.
pub(super) fn deliver(py: Python<'_>, outcome: Outcome) -> PyResult<Bound<'_, PyAny>> {
    match outcome {
        Ok(value) => codec::decode_payload(py, &value, "result"),
        Err(error) => Err(errors::exception(py, &error)),
    }
}

impl Pool {
    fn core(&self) -> &snakepit::Pool {
        self.pool.as_ref().expect("taken by drop only")
    }

    #[expect(clippy::too_many_arguments, reason = "the arguments of one call, by position")]
    fn spec(
        &self,
        tool: &str,
        args: Option<&Bound<'_, PyAny>>,
        session: Option<&Session>,
        timeout: Option<f64>,
        idempotent: bool,
        retry: Option<&RetryPolicy>,
        lineage: Option<Lineage>,
    ) -> PyResult<CallSpec> {
        let arguments = tools::encoded(args, self.substitute.as_ref(), self.place(timeout));
        let arguments =
            match (arguments, lineage.as_ref().and_then(|lineage| lineage.trace.as_ref())) {
                (Err(error), Some(trace)) => {
                    self.core().abandon(trace.clone(), tool, error.to_string());
                    return Err(error);
                }
                (arguments, _) => arguments?,
            };
        Ok(CallSpec {
            tool: tool.into(),
            arguments,
            session: session.map(Session::key),
            timeout: duration(timeout),
            idempotent,
            retry: retry.map(|policy| policy.0.clone()),
            lineage,
        })
    }

    /// Where what is large of a call's arguments goes.
    fn place(&self, timeout: Option<f64>) -> Place<'_> {
        let (arena, limit) = (self.core().arena(), duration(timeout));
        Place { arena, limit, come_back: leave::come_back, insist: false }
    }

    /// For what waits: the driver of a parent process must not be waited on.
    fn here(&self, py: Python<'_>) -> PyResult<(&snakepit::Pool, Inside)> {
        let inside = Inside::enter(py);
        let pool = self.core();
        if pool.is_forked() {
            let pool = pool.config().name.clone();
            return Err(errors::exception(py, &snakepit::Error::ForkedPool { pool }));
        }
        Ok((pool, inside))
    }
}

#[pymethods]
impl Pool {
    #[new]
    fn new(py: Python<'_>, config: &Bound<'_, PyAny>) -> PyResult<Self> {
        let _inside = Inside::enter(py);
        let breaker = config::breaker(config)?;
        let substitute = config.getattr("substitute")?.extract()?;
        let spans: Option<Py<SpanQueue>> = config.getattr("spans")?.extract()?;
        let (config, lines) = config::read(config)?;
        let driver = runtime::driver()?;
        callbacks::start()?;
        let handler = Arc::new(lines);
        let lines: LineHandler = Arc::new(move |line| {
            let stream = if line.is_error { "stderr" } else { "stdout" };
            let told = line.record.map(logs::told);
            callbacks::log(&handler, (line.worker.to_string(), stream, line.text.into(), told))
        });
        let pool = py
            .detach(|| snakepit::Pool::start_on(driver.handle(), config, Some(lines)))
            .map_err(|error| errors::exception(py, &error))?;
        if let Some(spans) = spans {
            pool.on_spans(spans.get().handler());
        }
        if let Some((breaker, count_remote_errors)) = breaker {
            pool.guard_by(breaker, count_remote_errors);
        }
        driver.kick();
        Ok(Self { pool: Some(pool), driver, substitute })
    }

    #[pyo3(signature = (tool, args, session, timeout, idempotent, retry=None, within=None, origin=None, trace=None))]
    #[expect(clippy::too_many_arguments, reason = "the arguments of one call, by position")]
    fn execute<'py>(
        &self,
        py: Python<'py>,
        tool: &str,
        args: Option<&Bound<'py, PyAny>>,
        session: Option<&Session>,
        timeout: Option<f64>,
        idempotent: bool,
        retry: Option<&RetryPolicy>,
        within: Option<&HostCall>,
        origin: Option<Bound<'_, PyAny>>,
        trace: Option<Trace>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (pool, _inside) = self.here(py)?;
        let lineage = lineage(within, origin, trace)?;
        let spec = self.spec(tool, args, session, timeout, idempotent, retry, lineage)?;
        let submit = || match pool.submit(spec) {
            Ok(reply) => Submitted::Reply(reply),
            Err(error) => Submitted::Refused(Some(error)),
        };
        match runtime::wait(py, &self.driver, submit, None)? {
            Ended::Ready(outcome) => deliver(py, outcome),
            Ended::TimedOut => Err(PyRuntimeError::new_err("a wait without limit ended")),
        }
    }

    #[pyo3(signature = (tool, args, session, timeout, idempotent, retry=None, within=None, origin=None, trace=None))]
    #[expect(clippy::too_many_arguments, reason = "the arguments of one call, by position")]
    fn submit(
        &self,
        py: Python<'_>,
        tool: &str,
        args: Option<&Bound<'_, PyAny>>,
        session: Option<&Session>,
        timeout: Option<f64>,
        idempotent: bool,
        retry: Option<&RetryPolicy>,
        within: Option<&HostCall>,
        origin: Option<Bound<'_, PyAny>>,
        trace: Option<Trace>,
    ) -> PyResult<Reply> {
        let (pool, _inside) = self.here(py)?;
        let lineage = lineage(within, origin, trace)?;
        let spec = self.spec(tool, args, session, timeout, idempotent, retry, lineage)?;
        let hold = Box::new(self.driver.hold());
        // Attached: a leaf lock of bounded work; to detach would invite another thread in.
        match pool.submit_holding(spec, Some(hold)) {
            Ok(reply) => Ok(Reply::new(reply, self.driver.clone())),
            Err(error) => Err(errors::exception(py, &error)),
        }
    }

    #[pyo3(signature = (
        tool, args, session, timeout, idempotent, inbox, future, retry=None, within=None, origin=None,
        trace=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "the arguments of one call, by position")]
    fn execute_async(
        &self,
        py: Python<'_>,
        tool: &str,
        args: Option<&Bound<'_, PyAny>>,
        session: Option<&Session>,
        timeout: Option<f64>,
        idempotent: bool,
        inbox: &Inbox,
        future: Py<PyAny>,
        retry: Option<&RetryPolicy>,
        within: Option<&HostCall>,
        origin: Option<Bound<'_, PyAny>>,
        trace: Option<Trace>,
    ) -> PyResult<Reply> {
        let reply = self
            .submit(py, tool, args, session, timeout, idempotent, retry, within, origin, trace)?;
        inbox.deliver_to(future, &reply);
        Ok(reply)
    }

    #[pyo3(signature = (tool, args, session, timeout, idle_timeout, within=None, origin=None, trace=None))]
    #[expect(clippy::too_many_arguments, reason = "the arguments of one call, by position")]
    fn stream(
        &self,
        py: Python<'_>,
        tool: &str,
        args: Option<&Bound<'_, PyAny>>,
        session: Option<&Session>,
        timeout: Option<f64>,
        idle_timeout: Option<f64>,
        within: Option<&HostCall>,
        origin: Option<Bound<'_, PyAny>>,
        trace: Option<Trace>,
    ) -> PyResult<Chunks> {
        let (pool, _inside) = self.here(py)?;
        let lineage = lineage(within, origin, trace)?;
        let spec = self.spec(tool, args, session, timeout, false, None, lineage)?;
        let hold = Box::new(self.driver.hold());
        match pool.stream_holding(spec, Some(hold)) {
            Ok(stream) => Ok(Chunks::new(stream, self.driver.clone(), duration(idle_timeout))),
            Err(error) => Err(errors::exception(py, &error)),
        }
    }

    fn session(
        &self,
        py: Python<'_>,
        session_id: &str,
        affinity: Option<&str>,
    ) -> PyResult<Session> {
        Session::by_id(py, self.core(), session_id, affinity)
    }

    fn open_session(
        &self,
        py: Python<'_>,
        session_id: &str,
        affinity: Option<&str>,
        ttl: Option<f64>,
        metadata: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Session> {
        let session = Session::open(py, self.core(), (session_id, affinity), ttl, metadata)?;
        self.driver.kick(); // The timer has something to wait for.
        Ok(session)
    }

    fn end_session(&self, session: &Session) -> bool {
        let ended = session.close(self.core());
        self.driver.kick();
        ended
    }

    fn close_session(&self, session_id: &str) -> bool {
        let ended = self.core().close_session(session_id);
        self.driver.kick();
        ended
    }

    fn sessions<'py>(&self, py: Python<'py>) -> PyResult<Vec<session::Row<'py>>> {
        let (pool, _inside) = self.here(py)?;
        pool.sessions().into_iter().map(|info| session::row(py, info)).collect()
    }

    fn session_info<'py>(&self, py: Python<'py>, session_id: &str) -> session::Found<'py> {
        let (pool, _inside) = self.here(py)?;
        pool.session_info(session_id).map(|info| session::row(py, info)).transpose()
    }

    #[expect(clippy::too_many_arguments, reason = "what there is to say of one tool")]
    fn register_tool(
        &self,
        py: Python<'_>,
        queue: &HostQueue,
        tool: Py<PyAny>,
        name: &str,
        session: Option<String>,
        description: String,
        timeout: Option<f64>,
        streaming: bool,
    ) -> PyResult<()> {
        let (pool, _inside) = self.here(py)?;
        let options =
            HostToolOptions { session, description, timeout: duration(timeout), streaming };
        let substitute = self.substitute.as_ref().map(|substitute| substitute.clone_ref(py));
        let registered = pool.register_host_tool(name, options, queue.tool(tool, substitute));
        registered.map_err(|error| errors::exception(py, &error))
    }

    fn unregister_tool(&self, name: &str, session: Option<&str>) -> bool {
        self.core().unregister_tool(name, session)
    }

    fn host_tools(&self) -> Vec<host_tools::Row> {
        self.core().host_tools().into_iter().map(host_tools::row).collect()
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (pool, _inside) = self.here(py)?;
        metrics::stats(py, &pool.stats(), pool.restart_reasons())
    }

    fn metrics(&self, py: Python<'_>) -> PyResult<Metrics> {
        let (pool, _inside) = self.here(py)?;
        Ok(Metrics(pool.metrics()))
    }

    fn put(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<SharedRef> {
        let (_, _inside) = self.here(py)?;
        let place = Place { insist: true, ..self.place(None) };
        let substitute = self.substitute.as_ref();
        let encoded = codec::encode_or(value, "value", substitute, place.threshold())?;
        memory::payload(py, encoded, place, "value").map(SharedRef::new)
    }

    fn room(&self, py: Python<'_>, nbytes: usize) -> PyResult<Option<Room>> {
        let (pool, _inside) = self.here(py)?;
        let room = |arena| memory::room(py, arena, nbytes, leave::come_back);
        pool.arena().map(room).transpose()
    }

    fn health(&self, py: Python<'_>) -> PyResult<life::Health> {
        let (pool, _inside) = self.here(py)?;
        Ok(life::told(pool.health()))
    }

    fn monitor(&self, monitor: &HealthMonitor) {
        self.core().monitor(&monitor.0);
    }

    fn workers(&self, py: Python<'_>) -> PyResult<Vec<info::Row>> {
        let (pool, _inside) = self.here(py)?;
        let rows = py.detach(|| {
            let rows = pool.workers();
            leave::come_back();
            rows
        });
        Ok(rows.into_iter().map(info::row).collect())
    }

    fn info(&self, py: Python<'_>) -> PyResult<info::Info> {
        let (pool, _inside) = self.here(py)?;
        Ok(info::told(pool.info()))
    }

    fn await_ready(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        let (pool, _inside) = self.here(py)?;
        let ready = || Box::pin(pool.await_ready(duration(timeout)));
        match runtime::wait(py, &self.driver, ready, None)? {
            Ended::Ready(ready) => ready.map_err(|error| errors::exception(py, &error)),
            Ended::TimedOut => Err(PyRuntimeError::new_err("a wait without limit ended")),
        }
    }

    fn tools(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Vec<tools::Row>> {
        let (pool, _inside) = self.here(py)?;
        tools::list(py, pool, &self.driver, duration(timeout))
    }

    #[getter]
    fn knows_tools(&self) -> bool {
        self.core().knows_tools()
    }

    fn checked(
        &self,
        py: Python<'_>,
        tool: &str,
        args: Option<&Bound<'_, PyAny>>,
        timeout: Option<f64>,
        wait: bool,
    ) -> PyResult<(tools::Arguments, Option<f64>)> {
        let (pool, _inside) = self.here(py)?;
        let limit = duration(timeout);
        let arguments = tools::encoded(args, self.substitute.as_ref(), self.place(timeout))?;
        tools::checked(py, pool, &self.driver, tool, arguments, wait.then_some(limit))
    }

    /// Which events of adapters are wanted from now on, of one worker or of all.
    fn set_telemetry(
        &self,
        py: Python<'_>,
        worker: Option<usize>,
        wanted: (f64, Vec<String>, Vec<String>),
    ) -> PyResult<()> {
        let (pool, _inside) = self.here(py)?;
        let set = pool.set_telemetry(worker, config::filter(wanted));
        self.driver.kick();
        set.map_err(|error| errors::exception(py, &error))
    }

    fn recycle(&self, py: Python<'_>, slot: usize, generation: Option<u64>) -> PyResult<bool> {
        let (pool, _inside) = self.here(py)?;
        let recycled = pool.recycle(slot, generation);
        self.driver.kick();
        Ok(recycled)
    }

    fn close(&self, py: Python<'_>, drain: f64) -> PyResult<()> {
        self.close_within(py, duration(Some(drain)).unwrap_or(Duration::MAX))
    }

    /// Kill the workers and wait until they are gone, a second at most.
    fn kill(&self, py: Python<'_>) {
        self.kill_now(py);
    }

    #[getter]
    fn closed(&self) -> bool {
        self.core().is_closed()
    }

    #[getter]
    fn forked(&self) -> bool {
        self.core().is_forked()
    }
}
