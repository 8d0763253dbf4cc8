//! A host tool that was asked for, as the SDK holds it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use bytes::Bytes;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use snakepit::Payload;
use snakepit_proto::v1::worker_frame::Frame;
use snakepit_proto::v1::{CallHostTool, CancelHostTool, Failure, GrantHostToolChunks};
use tokio::runtime::Runtime;

use super::inbox::{Inbox, Refused};
use super::outbox::Outbox;
use super::running::RunningCall;
use super::{arenas, boot, lock, results};
use crate::codec;

/// Items and bytes that the host may be ahead of the reader of a stream.
const WINDOW: (u32, u64) = (1024, 1 << 20);

/// How a host tool ended.
pub(super) enum End {
    Value(Payload),
    Failure(Box<Failure>),
    /// It names what is not there: so no host of this protocol answers.
    Garbled(String),
    /// A stream, well.
    Stream,
    /// The host is gone.
    LineEnded,
}

/// What the host has said of one host tool.
pub(super) struct HostAnswer {
    id: u64,
    asked_bytes: usize,
    said: Mutex<Said>,
}

#[derive(Default)]
struct Said {
    items: VecDeque<Payload>,
    /// Until it is taken.
    end: Option<End>,
    ended: bool,
    watch: Option<Py<PyAny>>,
}

impl HostAnswer {
    pub(super) fn new(id: u64, asked_bytes: usize) -> Self {
        Self { id, asked_bytes, said: Mutex::default() }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn asked_bytes(&self) -> usize {
        self.asked_bytes
    }

    pub(super) fn is_ready(&self) -> bool {
        let said = lock(&self.said);
        !said.items.is_empty() || said.ended
    }

    pub(super) fn add(&self, items: Vec<Payload>) {
        lock(&self.said).items.extend(items);
    }

    /// The first end counts.
    pub(super) fn end(&self, end: End) {
        let mut said = lock(&self.said);
        if !said.ended {
            (said.end, said.ended) = (Some(end), true);
        }
    }

    /// False: there is something already, and nobody needs to watch.
    pub(super) fn watch(&self, watch: Py<PyAny>) -> bool {
        let mut said = lock(&self.said);
        let ready = !said.items.is_empty() || said.ended;
        if !ready && said.watch.is_none() {
            said.watch = Some(watch);
            return true;
        }
        false
    }

    pub(super) fn unwatch(&self) -> Option<Py<PyAny>> {
        lock(&self.said).watch.take()
    }

    fn next(&self) -> Option<Next> {
        let mut said = lock(&self.said);
        match said.items.pop_front() {
            Some(item) => Some(Next::Item(item)),
            None => said.end.take().map(Next::End),
        }
    }
}

enum Next {
    Item(Payload),
    End(End),
}

/// The line, for whoever asks the host from inside a call, on whichever thread.
pub(super) struct Link {
    pub(super) runtime: Arc<Runtime>,
    pub(super) inbox: Inbox,
    pub(super) outbox: Arc<Outbox>,
    pub(super) max_message: usize,
    pump: Pump,
}

/// A thread that reads for coroutines: they wait on their loop, and the main thread for them.
#[derive(Default)]
struct Pump {
    wanted: Mutex<(bool, bool)>,
    bell: Condvar,
}

impl Link {
    pub(super) fn new(
        runtime: Arc<Runtime>,
        inbox: Inbox,
        outbox: Arc<Outbox>,
        max_message: usize,
    ) -> Arc<Self> {
        Arc::new(Self { runtime, inbox, outbox, max_message, pump: Pump::default() })
    }

    fn wait(&self, answer: &HostAnswer) {
        let ready = async {
            self.outbox.hand_over();
            poll_fn(|context| self.inbox.poll_answer(answer, context)).await;
        };
        self.runtime.block_on(ready);
    }

    /// Sees to it that somebody reads while coroutines wait.
    fn start_pump(self: &Arc<Self>) {
        if self.inbox.is_driven() {
            return;
        }
        let mut wanted = lock(&self.pump.wanted);
        let (is_wanted, runs) = &mut *wanted;
        *is_wanted = true;
        if !*runs {
            let link = Arc::clone(self);
            let body = move || link.run_pump();
            // Where no thread can be had, the main thread reads once its call has ended.
            *runs = thread::Builder::new().name("snakepit-pump".into()).spawn(body).is_ok();
        }
        drop(wanted);
        self.pump.bell.notify_one();
    }

    fn run_pump(&self) {
        loop {
            let mut wanted = lock(&self.pump.wanted);
            while !wanted.0 {
                wanted =
                    self.pump.bell.wait(wanted).unwrap_or_else(std::sync::PoisonError::into_inner);
            }
            wanted.0 = false;
            drop(wanted);
            self.runtime.block_on(async {
                self.outbox.hand_over();
                poll_fn(|context| self.inbox.poll_watched(context)).await;
            });
        }
    }
}

/// A host tool that was asked for.
#[pyclass(frozen, module = "snakepit._core")]
pub(crate) struct HostReply {
    link: Arc<Link>,
    answer: Arc<HostAnswer>,
    taken: (AtomicU64, AtomicU64),
    granted: (AtomicU64, AtomicU64),
}

/// Asks the host, on behalf of a call that runs.
pub(super) fn ask(
    link: &Arc<Link>,
    call: &RunningCall,
    name: &str,
    arguments: &Bound<'_, PyAny>,
    (streaming, span_id): (bool, Bytes),
) -> PyResult<HostReply> {
    if !boot::side()?.owner.is_here() {
        return Err(PyRuntimeError::new_err(
            "this process is a fork of the worker: only the worker itself can call the host",
        ));
    }
    let py = arguments.py();
    let Payload { bytes: arguments, buffers } = results::encode_args(arguments)?;
    arenas::offer(py, &buffers);
    let table = arenas::lend(&buffers);
    let size = arguments.len().saturating_add(arenas::inline_bytes(&table));
    let limit = link.max_message;
    if size > limit {
        arenas::take_back(&buffers, &table);
        return Err(PyValueError::new_err(format!(
            "host tool {name}: its arguments take {size} bytes, {limit} are allowed: \
             raise max_message, or send less"
        )));
    }
    let (window_items, window_bytes) = if streaming { WINDOW } else { (0, 0) };
    let ask = CallHostTool {
        name: name.to_owned(),
        arguments,
        buffers: table.clone(),
        streaming,
        window_items,
        window_bytes,
        span_id,
        ..CallHostTool::default()
    };
    let answer = link.inbox.ask(call, ask, &link.outbox).map_err(|refused| {
        arenas::take_back(&buffers, &table);
        PyRuntimeError::new_err(match refused {
            Refused::Over => "the call has ended: a host tool can be called only while it runs",
            Refused::Full => {
                "too many host tools at once: 256 may be under way in a worker, \
                 with max_message bytes of arguments together"
            }
        })
    })?;
    let (taken, granted) = Default::default();
    Ok(HostReply { link: Arc::clone(link), answer, taken, granted })
}

impl HostReply {
    fn note_taken(&self, bytes: u64) {
        let items = self.taken.0.fetch_add(1, SeqCst) + 1;
        let bytes = self.taken.1.fetch_add(bytes, SeqCst) + bytes;
        let new_items = items - self.granted.0.load(SeqCst);
        let new_bytes = bytes - self.granted.1.load(SeqCst);
        if new_items >= u64::from(WINDOW.0) / 2 || new_bytes >= WINDOW.1 / 2 {
            self.granted.0.store(items, SeqCst);
            self.granted.1.store(bytes, SeqCst);
            let grant = GrantHostToolChunks { id: self.answer.id(), items, bytes };
            self.link.outbox.push(Frame::GrantHostToolChunks(grant));
            self.link.outbox.hand_over();
        }
    }
}

#[pymethods]
impl HostReply {
    /// Blocks until an item or the end is here.
    fn wait(&self, py: Python<'_>) {
        if !self.answer.is_ready() {
            py.detach(|| self.link.wait(&self.answer));
        }
    }

    /// Have `callback` called once, on another thread, when an item or the end is here; False: one
    /// is, and it will not be called.
    fn watch(&self, callback: Py<PyAny>) -> bool {
        let watched = self.link.inbox.watch(&self.answer, callback);
        if watched {
            // The pump may be waiting already, and then hands over nothing more.
            self.link.outbox.hand_over();
            self.link.start_pump();
        }
        watched
    }

    /// What comes next, once: a word and what belongs to it. None: nothing is here.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Option<(&'static str, Bound<'py, PyAny>)>> {
        let none = || py.None().into_bound(py);
        Ok(match self.answer.next() {
            None => None,
            Some(Next::Item(item)) => {
                self.note_taken(item.size());
                Some(("item", codec::decode_payload(py, &item, "item")?))
            }
            Some(Next::End(End::Value(value))) => {
                Some(("value", codec::decode_payload(py, &value, "result")?))
            }
            Some(Next::End(End::Garbled(detail))) => {
                return Err(codec::garbled(py, "result", detail));
            }
            Some(Next::End(End::Failure(failure))) => {
                Some(("failure", told(py, *failure)?.into_any()))
            }
            Some(Next::End(End::Stream)) => Some(("end", none())),
            Some(Next::End(End::LineEnded)) => Some(("gone", none())),
        })
    }

    /// Nobody waits for it any more.
    fn close(&self) {
        if self.answer.unfinished() {
            self.link.inbox.forget(&self.answer);
            self.link.outbox.push(Frame::CancelHostTool(CancelHostTool { id: self.answer.id() }));
            self.link.outbox.hand_over();
        }
    }
}

impl HostAnswer {
    fn unfinished(&self) -> bool {
        !lock(&self.said).ended
    }
}

/// Kind, report, suggestions, size, limit.
fn told(py: Python<'_>, failure: Failure) -> PyResult<Bound<'_, PyTuple>> {
    let report = report(py, &failure)?;
    (failure.kind, report, failure.suggestions, failure.size, failure.limit).into_pyobject(py)
}

/// An exception of the host as the SDK reports those of the worker.
fn report<'py>(py: Python<'py>, failure: &Failure) -> PyResult<Bound<'py, PyTuple>> {
    let inner = |failure: &Option<Box<Failure>>| {
        failure.as_deref().map(|failure| report(py, failure)).transpose()
    };
    let (cause, context) = (inner(&failure.cause)?, inner(&failure.context)?);
    let members = failure.exceptions.iter().map(|member| report(py, member));
    let members = members.collect::<PyResult<Vec<_>>>()?;
    let plain = failure.notes.is_empty() && cause.is_none() && context.is_none();
    let detail = (!plain || !members.is_empty())
        .then(|| (&failure.notes, cause, context, members, py.None(), py.None()));
    (&failure.type_name, &failure.message, &failure.traceback, detail).into_pyobject(py)
}
