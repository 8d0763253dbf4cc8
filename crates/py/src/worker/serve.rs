//! The hot loop: one frame after the other, one call at a time, on the main thread.
//!
//! Frames that have been read are run without any I/O in between; what they answer goes out in one
//! batch when nothing is ready any more, or before a call starts that would keep it waiting.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use snakepit::process::arena::Parked;
use snakepit::process::{Owner, Page, WordState};
use snakepit::{Buffers, Payload};
use snakepit_proto::v1::host_frame::Frame as FromHost;
use snakepit_proto::v1::result::Outcome;
use snakepit_proto::v1::worker_frame::Frame;
use snakepit_proto::v1::{
    Buffer, BufferBytes, EndSession, Failure, FailureKind, HostFrame, Result as CallResult,
    StartCall, Unread,
};

use super::arenas::{self, Found};
use super::boot;
use super::call::Call;
use super::engine::Engine;
use super::failure;
use super::names::Names;
use super::results;
use super::running::RunningCall;
use super::sessions::Sessions;
use super::trace::Execution;
use crate::codec;
use crate::report::Report;

/// A finished call is not kept waiting behind more work than this.
const BATCH: Duration = Duration::from_micros(50);

/// What the SDK gives us beside the tools.
pub(super) struct Hooks<'py> {
    /// `ContextVar.set` of the variable that holds the current call.
    pub(super) set_current: Bound<'py, PyAny>,
    pub(super) describe: Bound<'py, PyAny>,
    pub(super) suggest: Bound<'py, PyAny>,
}

/// The adapter's tools, by number and by name.
#[derive(Default)]
pub(super) struct Tools<'py> {
    tools: Vec<Tool<'py>>,
    names: Names<usize>,
}

struct Tool<'py> {
    callable: Bound<'py, PyAny>,
    streams: bool,
    /// Its last run took longer than a batch may; so one may expect of a tool that has not run yet.
    slow: bool,
}

impl<'py> Tools<'py> {
    pub(super) fn add(&mut self, name: String, callable: Bound<'py, PyAny>, streams: bool) {
        self.names.add(name, self.tools.len());
        self.tools.push(Tool { callable, streams, slow: true });
    }
}

/// What a call needs beside the line, whichever thread runs it.
pub(super) struct Desk<'py> {
    pub(super) py: Python<'py>,
    pub(super) hooks: Hooks<'py>,
    pub(super) max_message: usize,
    pub(super) owner: Owner,
}

/// How a call ended, and the buffers that its value names.
pub(super) type Answer = (Outcome, Vec<Buffer>);

/// What comes after a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Serve,
    /// Only the end, which the host brings about.
    End,
}

pub(super) struct Server<'py, 'line> {
    pub(super) py: Python<'py>,
    pub(super) line: &'line mut Engine,
    pub(super) desk: Desk<'py>,
    /// When the call that runs was taken up; a batch's calls follow each other without a gap, so
    /// one look at the clock per call is enough.
    pub(super) now: Instant,
    page: Option<&'static Page>,
    /// Calls that wait for bytes of theirs.
    parked: Parked<StartCall>,
    tools: Tools<'py>,
    sessions: Sessions,
    /// When the oldest reply that is not sent yet was queued.
    unsent_since: Option<Instant>,
}

impl<'py, 'line> Server<'py, 'line> {
    pub(super) fn new(
        py: Python<'py>,
        line: &'line mut Engine,
        page: Option<&'static Page>,
        max_message: usize,
        tools: Tools<'py>,
        hooks: Hooks<'py>,
    ) -> PyResult<Self> {
        let desk = Desk { py, hooks, max_message, owner: boot::side()?.owner };
        let now = Instant::now();
        let (parked, sessions, unsent_since) = (Parked::default(), Sessions::default(), None);
        Ok(Self { py, line, desk, now, page, parked, tools, sessions, unsent_since })
    }

    /// Runs calls until the host drains (true) or the line ends (false).
    pub(super) fn run(mut self) -> PyResult<bool> {
        loop {
            let frame = match self.line.ready_frame() {
                Some(frame) => frame,
                None => self.idle()?,
            };
            match frame {
                Ok(Some(HostFrame { frame: Some(FromHost::StartCall(start)) })) => {
                    if self.take_up(start)? == Next::End {
                        self.line.await_end(self.py, None);
                        return Ok(false);
                    }
                }
                Ok(Some(HostFrame { frame: Some(FromHost::BufferBytes(part)) })) => {
                    if self.take_up_parked(&part)? == Next::End {
                        self.line.await_end(self.py, None);
                        return Ok(false);
                    }
                }
                Ok(Some(HostFrame { frame: Some(FromHost::EndSession(end)) })) => {
                    self.end_session(&end)?;
                }
                Ok(Some(HostFrame { frame: Some(FromHost::Drain(_)) })) => {
                    self.desk.hooks.set_current.call1((self.py.None(),))?;
                    self.line.drained(self.py);
                    return Ok(true);
                }
                Ok(Some(_)) => {} // for ends without a control socket, or from a newer host
                Ok(None) | Err(_) => return Ok(false),
            }
        }
    }

    /// Waits for a frame, and drives the line meanwhile.
    fn idle(&mut self) -> PyResult<Result<Option<HostFrame>, tonic::Status>> {
        // Here, not after each call: within a batch the next call overwrites it anyway.
        self.desk.hooks.set_current.call1((self.py.None(),))?;
        let frame = self.line.next_frame(self.py);
        // A long reply may be on its way still when the next call is here.
        self.unsent_since = self.unsent_since.filter(|_| !self.line.outbox.is_delivered());
        self.now = Instant::now();
        Ok(frame)
    }

    fn take_up(&mut self, mut start: StartCall) -> PyResult<Next> {
        let number = self.tools.names.find(&start).copied();
        let slow_next = number.is_some_and(|number| self.tools.tools[number].slow);
        if let Some(since) = self.unsent_since
            && (slow_next || self.now.duration_since(since) > BATCH)
        {
            // Before the call is claimed: while this waits, it can still be taken back.
            self.line.deliver(self.py);
            self.unsent_since = None;
        }
        // The word is claimed before anything else is looked at: from here on the host cannot give
        // the call to another worker any more.
        let id = start.call_id;
        let revoked = self.word(&start).is_some_and(|(page, index)| !page.start(index, id));
        match arenas::find(self.py, std::mem::take(&mut start.buffers)) {
            // What it borrowed is given back.
            _ if revoked => Ok(Next::Serve),
            Found::All(buffers) => self.run_call(number, start, Ok(buffers)),
            Found::Wrong(detail) => self.run_call(number, start, Err(detail)),
            Found::Missing(table) => {
                self.parked.add(id, start, table);
                self.line.push(Frame::Unread(Unread { call_id: id }), 0);
                Ok(Next::Serve)
            }
        }
    }

    /// More of a buffer that could not be read in its segment.
    fn take_up_parked(&mut self, part: &BufferBytes) -> PyResult<Next> {
        let id = part.call_id;
        let found = match part.gone {
            true => self.parked.gone(id).map(|start| (start, Buffers::default())),
            false => self.parked.more(id, part.index, &part.bytes),
        };
        let Some((start, buffers)) = found else { return Ok(Next::Serve) };
        if part.gone {
            self.line.running.cancel(id);
        }
        let number = self.tools.names.find(&start).copied();
        // It may be slow, and has waited already.
        self.line.deliver(self.py);
        self.unsent_since = None;
        self.run_call(number, start, Ok(buffers))
    }

    /// The word of a call, where it has one.
    fn word(&self, start: &StartCall) -> Option<(&'static Page, u32)> {
        Some((self.page?, start.word.checked_sub(1)?))
    }

    /// Runs a call that was claimed.
    fn run_call(
        &mut self,
        number: Option<usize>,
        mut start: StartCall,
        buffers: Result<Buffers, String>,
    ) -> PyResult<Next> {
        let (id, word) = (start.call_id, self.word(&start));
        let (running, began) = (self.line.running.begin(id), self.now);
        let execution = Execution::begin(&mut start, &self.line.outbox).map(Arc::new);
        self.line.enter_python();
        let outcome = match execution {
            None => self.outcome(number, &mut start, buffers, (&running, None)),
            Some(execution) => self.traced(number, &mut start, buffers, (&running, execution)),
        };
        self.desk.stay_ourselves();
        self.line.leave_python();
        self.line.running.end(&running);
        self.reply(id, outcome?);
        if let Some((page, index)) = word
            && !page.finish(index, id)
            && page.state(index, id) == WordState::Condemned
        {
            // We are being killed for this call: one that began now would be killed for nothing.
            return Ok(Next::End);
        }
        if let Some(number) = number {
            self.tools.tools[number].slow = self.now.duration_since(began) > BATCH;
        }
        Ok(Next::Serve)
    }

    /// Runs code of the adapter, between calls: nobody's reply waits for it.
    fn end_session(&mut self, end: &EndSession) -> PyResult<()> {
        if !self.sessions.has(end.session_generation) {
            return Ok(());
        }
        // Before: it may end the process.
        self.line.deliver(self.py);
        self.unsent_since = None;
        self.line.enter_python();
        let ended = self.sessions.end(self.py, end.session_generation);
        self.desk.stay_ourselves();
        self.line.leave_python();
        self.now = Instant::now();
        ended
    }

    fn reply(&mut self, call_id: u64, (outcome, buffers): Answer) {
        let bytes = match &outcome {
            Outcome::Value(value) => value.len() + arenas::inline_bytes(&buffers),
            Outcome::Failure(_) | Outcome::End(_) => 0,
        };
        let outcome = Some(outcome);
        self.line.push(Frame::Result(CallResult { call_id, outcome, buffers }), bytes);
        self.now = Instant::now();
        self.unsent_since.get_or_insert(self.now);
    }

    pub(super) fn outcome(
        &mut self,
        number: Option<usize>,
        start: &mut StartCall,
        buffers: Result<Buffers, String>,
        (running, execution): (&Arc<RunningCall>, Option<Arc<Execution>>),
    ) -> PyResult<Answer> {
        let failed = |failure| (failed(failure), Vec::new());
        if running.is_cancelled() {
            let message = "cancelled before it started".to_owned();
            return Ok(failed(failure::plain(FailureKind::Cancelled, "", message)));
        }
        let Some(number) = number else { return Ok(failed(self.desk.not_found(&start.tool))) };
        let tool = &self.tools.tools[number];
        if tool.streams != start.streaming {
            let message = wrong_verb(&start.tool, tool.streams);
            return Ok(failed(failure::plain(FailureKind::Exception, "TypeError", message)));
        }
        let arguments = match self.desk.arguments(&start.arguments, buffers) {
            Ok(arguments) => arguments,
            Err(error) => return Ok(failed(failure::bare(self.py, FailureKind::Decode, &error))),
        };
        let (callable, streams) = (tool.callable.clone(), tool.streams);
        if start.session_generation != 0 {
            start.session_new = self.sessions.begin(self.py, start)?;
        }
        let link = Arc::clone(&self.line.link);
        let call = Call::new(Arc::clone(running), start, self.now, link, execution);
        self.desk.hooks.set_current.call1((Bound::new(self.py, call)?,))?;
        let returned = callable.call((), Some(&arguments));
        Ok(match returned {
            Err(error) => failed(self.desk.raised(error, running)),
            Ok(items) if streams => (self.stream(&items, start, running), Vec::new()),
            Ok(value) => self.desk.value(&value).unwrap_or_else(|failure| failed(*failure)),
        })
    }
}

impl<'py> Desk<'py> {
    /// The keywords of a call. `buffers`: what they name, or why that cannot be.
    pub(super) fn arguments(
        &self,
        encoded: &Bytes,
        buffers: Result<Buffers, String>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let buffers = buffers.map_err(|detail| PyValueError::new_err(format!("args: {detail}")))?;
        let encoded = Payload { bytes: encoded.clone(), buffers };
        let arguments = codec::decode_payload(self.py, &encoded, "args")?;
        let arguments = arguments
            .cast_into_exact::<PyDict>()
            .map_err(|_| PyTypeError::new_err("args: not a map of keywords"))?;
        for (key, _) in &arguments {
            if !key.is_instance_of::<PyString>() {
                return Err(PyTypeError::new_err(format!("args: keyword {key} is no string")));
            }
        }
        Ok(arguments)
    }

    /// A value as it travels, unless it cannot or the host would not take it.
    pub(super) fn encode(
        &self,
        value: &Bound<'py, PyAny>,
        root: &str,
    ) -> Result<Payload, Box<Failure>> {
        let encoded =
            results::encode(value, root).map_err(|error| failure::unfit(self.py, &error))?;
        if encoded.bytes.len() > self.max_message {
            return Err(failure::too_large(root, encoded.bytes.len(), self.max_message).into());
        }
        arenas::offer(self.py, &encoded.buffers);
        Ok(encoded)
    }

    /// The answer of a tool that returned.
    pub(super) fn value(&self, value: &Bound<'py, PyAny>) -> Result<Answer, Box<Failure>> {
        let encoded = self.encode(value, "result")?;
        let table = results::lend(&encoded, "result", self.max_message)?;
        Ok((Outcome::Value(encoded.bytes), table))
    }

    pub(super) fn not_found(&self, name: &str) -> Failure {
        // Only a courtesy: without it the failure is as true.
        let suggestions = self.hooks.suggest.call1((name,)).and_then(|names| names.extract());
        Failure {
            suggestions: suggestions.unwrap_or_default(),
            ..failure::plain(FailureKind::ToolNotFound, "", format!("no tool '{name}'"))
        }
    }

    /// What the adapter's code raised: of a cancelled call it is the answer to the cancel.
    pub(super) fn raised(&self, error: PyErr, running: &RunningCall) -> Failure {
        let cancelled = running.is_cancelled();
        let kind = if cancelled { FailureKind::Cancelled } else { FailureKind::Exception };
        let py = self.py;
        let parts = (error.get_type(py), error.value(py), error.traceback(py));
        let described = self.hooks.describe.call1(parts);
        let reported =
            described.and_then(|told| failure::reported(kind, told.extract::<Report<'_>>()?));
        match reported {
            Ok(failure) => failure,
            Err(second) => {
                let mut failure = failure::bare(py, kind, &error);
                failure.traceback = format!("(no traceback: describing it raised {second})");
                failure
            }
        }
    }

    /// Ends the process if it is a copy that a tool forked and let return: the line, its runtime and
    /// the page are its parent's.
    pub(super) fn stay_ourselves(&self) {
        if !self.owner.is_here() {
            boot::exit_now();
        }
    }
}

/// Refused before anything runs: a caller of the wrong verb would lose the chunks, or wait for some.
pub(super) fn wrong_verb(tool: &str, streams: bool) -> String {
    if streams {
        format!("tool '{tool}' streams its results: use execute_stream")
    } else {
        format!(
            "tool '{tool}' does not stream: use execute, \
             or declare it with @tool(supports_streaming=True)"
        )
    }
}

pub(super) fn failed(failure: Failure) -> Outcome {
    Outcome::Failure(failure.into())
}
