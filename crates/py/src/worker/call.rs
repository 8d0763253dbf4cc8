//! `Call`: what a tool can ask about the call that it runs for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use snakepit_proto::v1::StartCall;

use super::host_reply::{self, HostReply, Link};
use super::running::RunningCall;
use super::sessions;
use super::trace::Execution;
use crate::codec;

/// The call that a tool is running for.
#[pyclass(frozen, module = "snakepit._core")]
pub(crate) struct Call {
    running: Arc<RunningCall>,
    tool: String,
    session_id: Option<String>,
    session_new: bool,
    session_generation: u64,
    /// Encoded; empty: none.
    session_metadata: Bytes,
    deadline: Option<Instant>,
    link: Arc<Link>,
    execution: Option<Arc<Execution>>,
}

impl Call {
    /// `now` is when the call was taken up: the host's frame says how much time was left, not until
    /// when, since the two clocks need not agree.
    pub(super) fn new(
        running: Arc<RunningCall>,
        start: &mut StartCall,
        now: Instant,
        link: Arc<Link>,
        execution: Option<Arc<Execution>>,
    ) -> Self {
        let time_left = match start.time_left_us {
            0 => None,
            micros => Some(Duration::from_micros(micros)),
        };
        Self {
            running,
            tool: std::mem::take(&mut start.tool),
            session_id: Some(std::mem::take(&mut start.session_id)).filter(|id| !id.is_empty()),
            session_new: start.session_new,
            session_generation: start.session_generation,
            session_metadata: std::mem::take(&mut start.session_metadata),
            deadline: time_left.and_then(|left| now.checked_add(left)),
            link,
            execution,
        }
    }
}

#[pymethods]
impl Call {
    #[getter]
    fn id(&self) -> u64 {
        self.running.id()
    }

    #[getter]
    fn tool(&self) -> &str {
        &self.tool
    }

    #[getter]
    fn session_id(&self) -> Option<&str> {
        self.session_id.as_deref()
    }

    #[getter]
    fn session_new(&self) -> bool {
        self.session_new
    }

    #[getter]
    fn session_generation(&self) -> u64 {
        self.session_generation
    }

    /// ``traceparent`` and ``tracestate`` of the call, and the id of the span of this execution, which is
    /// empty where nobody records the trace. None: it is not traced.
    #[getter]
    fn trace(&self) -> Option<(&str, &str, &[u8])> {
        self.execution.as_ref().map(|execution| execution.told())
    }

    /// What the host's session was given, a new dict each time.
    fn session_metadata<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.session_metadata.is_empty() {
            true => Ok(PyDict::new(py).into_any()),
            false => codec::decode(py, &self.session_metadata, "metadata"),
        }
    }

    /// What this worker keeps for the session.
    fn session_state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        sessions::state(py, self.session_generation)
    }

    #[getter]
    fn cancelled(&self) -> bool {
        self.running.is_cancelled()
    }

    /// Seconds to the deadline, 0.0 when it has passed, None when there is none.
    fn remaining(&self) -> Option<f64> {
        let left = self.deadline?.saturating_duration_since(Instant::now());
        Some(left.as_secs_f64())
    }

    /// Have `callback` called once, on another thread, when the host cancels this call.
    ///
    /// Called at once if that has happened. None takes it back.
    #[pyo3(signature = (callback))]
    fn on_cancel(&self, py: Python<'_>, callback: Option<Py<PyAny>>) -> PyResult<()> {
        drop(self.running.set_callback(callback));
        // Set first, then look: the canceller flags first, then takes. One of the two sees both.
        if self.running.is_cancelled()
            && let Some(callback) = self.running.take_callback()
        {
            callback.call0(py)?;
        }
        Ok(())
    }

    /// Ask the host to run one of its tools, for this call and while it runs; from any thread. ``span``:
    /// the id of the one inside of which it is asked. Default: that of this execution.
    #[pyo3(signature = (name, arguments, streaming, span=None))]
    fn ask_host(
        &self,
        name: &str,
        arguments: &Bound<'_, PyAny>,
        streaming: bool,
        span: Option<&[u8]>,
    ) -> PyResult<HostReply> {
        let own = || self.execution.as_ref().map_or(&[][..], |execution| execution.span_id());
        let span_id = Bytes::copy_from_slice(span.unwrap_or_else(own));
        host_reply::ask(&self.link, &self.running, name, arguments, (streaming, span_id))
    }

    fn __repr__(&self) -> String {
        format!("<Call {} of {:?}>", self.running.id(), self.tool)
    }
}
