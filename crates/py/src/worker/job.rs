//! `Job`: one call, for whichever thread or task runs it. Answered once; what is said after that
//! counts for nothing.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use snakepit::{Buffers, Payload};
use snakepit_proto::v1::result::Outcome;
use snakepit_proto::v1::{Failure, FailureKind, Result as CallResult, StartCall, StreamEnd};

use super::call::Call;
use super::failure;
use super::floor::Floor;
use super::lock;
use super::results::lend;
use super::running::RunningCall;
use super::serve::{Answer, Desk, Hooks, failed, wrong_verb};
use super::sessions;
use super::stream::Window;
use super::trace::Execution;

/// A call that was taken up.
#[pyclass(frozen, module = "snakepit._core")]
pub(crate) struct Job {
    floor: Arc<Floor>,
    running: Arc<RunningCall>,
    call: Py<Call>,
    tool: String,
    arguments: Bytes,
    /// What they name, until the call begins; or why that cannot be.
    buffers: Mutex<Result<Buffers, String>>,
    streaming: bool,
    word: Option<u32>,
    flow: Mutex<Flow>,
    answered: AtomicBool,
    execution: Option<Arc<Execution>>,
}

/// How far a stream is.
struct Flow {
    window: Window,
    /// An item for which there was no room.
    kept: Option<Payload>,
    /// Why one cannot travel.
    unfit: Option<Box<Failure>>,
}

impl Job {
    pub(super) fn new(
        py: Python<'_>,
        floor: &Arc<Floor>,
        mut start: StartCall,
        running: Arc<RunningCall>,
        buffers: Result<Buffers, String>,
    ) -> PyResult<Self> {
        let tool = start.tool.clone();
        if start.session_generation != 0 {
            start.session_new = sessions::begin(py, &start)?;
        }
        let execution = Execution::begin(&mut start, &floor.outbox).map(Arc::new);
        let (link, traced) = (Arc::clone(&floor.link), execution.clone());
        let call = Call::new(Arc::clone(&running), &mut start, Instant::now(), link, traced);
        let flow = Flow { window: Window::new(&start), kept: None, unfit: None };
        Ok(Self {
            floor: Arc::clone(floor),
            running,
            call: Py::new(py, call)?,
            tool,
            streaming: start.streaming,
            word: start.word.checked_sub(1),
            arguments: start.arguments,
            buffers: Mutex::new(buffers),
            flow: Mutex::new(flow),
            answered: AtomicBool::new(false),
            execution,
        })
    }

    fn desk<'py>(&self, py: Python<'py>) -> Desk<'py> {
        let Floor { set_current, describe, suggest, max_message, owner, .. } = &*self.floor;
        let bound = |hook: &Py<PyAny>| hook.bind(py).clone();
        let (set_current, describe, suggest) =
            (bound(set_current), bound(describe), bound(suggest));
        let hooks = Hooks { set_current, describe, suggest };
        Desk { py, hooks, max_message: *max_message, owner: *owner }
    }

    fn answer(&self, outcome: Outcome) {
        self.answer_with((outcome, Vec::new()));
    }

    fn answer_with(&self, (outcome, buffers): Answer) {
        if !self.answered.swap(true, SeqCst) {
            if let Some(execution) = &self.execution {
                execution.end(&outcome, &self.floor.outbox);
            }
            let outcome = Some(outcome);
            let result = CallResult { call_id: self.running.id(), outcome, buffers };
            self.floor.end(&self.running, self.word, result);
        }
    }

    /// As [`Job::room`], where an item that was kept goes first.
    fn look(&self) -> Option<bool> {
        let mut flow = lock(&self.flow);
        // Nobody reads a line that has ended.
        let stopped = self.running.is_cancelled() || self.floor.outbox.is_closed();
        if stopped || flow.unfit.is_some() {
            return Some(false);
        }
        if let Some(item) = flow.kept.take() {
            if !flow.window.has_room(size(&item), &self.running) {
                flow.kept = Some(item);
                return None;
            }
            self.send(&mut flow, item);
            if flow.unfit.is_some() {
                return Some(false);
            }
        }
        flow.window.has_room(0, &self.running).then_some(true)
    }

    /// Waits for nothing: what the host has to map for it has been offered when it was encoded.
    fn send(&self, flow: &mut Flow, item: Payload) {
        match lend(&item, "chunk", self.floor.max_message) {
            Err(failure) => flow.unfit = Some(failure),
            Ok(table) => {
                flow.window.send(size(&item));
                self.floor.item(self.running.id(), item.bytes, table);
            }
        }
    }
}

/// Bytes that an item takes of its stream's window.
fn size(item: &Payload) -> usize {
    usize::try_from(item.size()).unwrap_or(usize::MAX)
}

#[pymethods]
impl Job {
    /// What the tool can ask about its call.
    #[getter]
    fn call(&self, py: Python<'_>) -> Py<Call> {
        self.call.clone_ref(py)
    }

    /// Name of the tool.
    #[getter]
    fn tool(&self) -> &str {
        &self.tool
    }

    /// Whether it is to be answered item by item.
    #[getter]
    fn streams(&self) -> bool {
        self.streaming
    }

    /// The tool and its keywords; None: there is nothing to run, and the call is answered.
    fn begin<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyDict>)>> {
        let buffers = std::mem::replace(&mut *lock(&self.buffers), Ok(Buffers::default()));
        let refused = if self.running.is_cancelled() {
            failure::plain(FailureKind::Cancelled, "", "cancelled before it started".to_owned())
        } else {
            match self.floor.tools.find_named(&self.tool, self.streaming) {
                None => self.desk(py).not_found(&self.tool),
                Some((_, streams)) if *streams != self.streaming => {
                    let message = wrong_verb(&self.tool, *streams);
                    failure::plain(FailureKind::Exception, "TypeError", message)
                }
                Some((callable, _)) => match self.desk(py).arguments(&self.arguments, buffers) {
                    Ok(arguments) => return Ok(Some((callable.bind(py).clone(), arguments))),
                    Err(error) => failure::bare(py, FailureKind::Decode, &error),
                },
            }
        };
        self.answer(failed(refused));
        Ok(None)
    }

    /// Answer with what the tool returned.
    fn reply(&self, value: &Bound<'_, PyAny>) {
        let desk = self.desk(value.py());
        desk.stay_ourselves();
        match desk.value(value) {
            Err(failure) => self.answer(failed(*failure)),
            Ok(answer) => self.answer_with(answer),
        }
    }

    /// Answer with what the tool raised.
    fn fail(&self, error: Bound<'_, PyBaseException>) {
        let desk = self.desk(error.py());
        desk.stay_ourselves();
        let error = PyErr::from_value(error.into_any());
        self.answer(failed(desk.raised(error, &self.running)));
    }

    /// Whether the next item may be pulled: True; False: the stream must stop; None: not yet.
    fn room(&self) -> Option<bool> {
        self.look()
    }

    /// As ``room``, but waits instead of None.
    fn wait_for_room(&self, py: Python<'_>) -> bool {
        loop {
            if let Some(room) = self.look() {
                return room;
            }
            py.detach(|| {
                self.floor.bell.wait_until(|| {
                    let flow = lock(&self.flow);
                    let kept = flow.kept.as_ref().map_or(0, size);
                    self.running.is_cancelled()
                        || self.floor.outbox.is_closed()
                        || flow.window.has_room(kept, &self.running)
                });
            });
        }
    }

    /// One more item; it leaves when there is room.
    fn add(&self, item: &Bound<'_, PyAny>) {
        let desk = self.desk(item.py());
        desk.stay_ourselves();
        let encoded = desk.encode(item, "chunk");
        let mut flow = lock(&self.flow);
        match encoded {
            Err(failure) => flow.unfit = Some(failure),
            Ok(item) if flow.window.has_room(size(&item), &self.running) => {
                self.send(&mut flow, item);
            }
            Ok(item) => flow.kept = Some(item),
        }
    }

    /// The stream ended well.
    fn end(&self, py: Python<'_>) {
        self.desk(py).stay_ourselves();
        self.answer(Outcome::End(StreamEnd {}));
    }

    /// The stream was stopped early; ``error``: what closing it raised.
    #[pyo3(signature = (error=None))]
    fn stop(&self, py: Python<'_>, error: Option<Bound<'_, PyBaseException>>) {
        let desk = self.desk(py);
        desk.stay_ourselves();
        let mut why = match lock(&self.flow).unfit.take() {
            Some(failure) => *failure,
            None => {
                let message = "cancelled while it streamed".to_owned();
                failure::plain(FailureKind::Cancelled, "", message)
            }
        };
        if let Some(error) = error {
            let error = PyErr::from_value(error.into_any());
            failure::add_second(&mut why, desk.raised(error, &self.running));
        }
        self.answer(failed(why));
    }

    fn __repr__(&self) -> String {
        format!("<Job {} of {:?}>", self.running.id(), self.tool)
    }
}
