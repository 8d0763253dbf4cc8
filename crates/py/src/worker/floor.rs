//! What the thread that drives the line and those that run calls share, where there are several.
//!
//! ```text
//! drive ── StartCall ──▶ waiting ── take ──▶ a job, in a thread or task of the SDK
//! drive ◀── wake ─────── said ◀──── items and results, in any order but each call's own
//! ```
//!
//! Nobody waits for a timer: whoever drives takes all that was said whenever it is free, so items of a
//! quick generator travel together, and those of a slow one at once.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use bytes::Bytes;
use pyo3::prelude::*;
use snakepit::Buffers;
use snakepit::process::arena::Parked;
use snakepit::process::{Owner, Page};
use snakepit_proto::v1::worker_frame::Frame;
use snakepit_proto::v1::{Buffer, BufferBytes, Chunks, Result as CallResult, StartCall, Unread};
use tokio::sync::Notify;

use super::arenas::{self, Found};
use super::bell::Bell;
use super::host_reply::Link;
use super::lock;
use super::names::Names;
use super::outbox::{CHUNK_BYTES, CHUNK_ITEMS, Outbox};
use super::running::{Running, RunningCall};

pub(super) struct Floor {
    pub(super) running: Arc<Running>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) link: Arc<Link>,
    pub(super) tools: Names<(Py<PyAny>, bool)>,
    pub(super) set_current: Py<PyAny>,
    pub(super) describe: Py<PyAny>,
    pub(super) suggest: Py<PyAny>,
    pub(super) max_message: usize,
    pub(super) owner: Owner,
    /// Rung when a stream may have room; a loop hears of calls by it, too.
    pub(super) bell: Arc<Bell>,
    /// Something was said.
    pub(super) wake: Notify,
    page: Option<&'static Page>,
    waiting: Mutex<Waiting>,
    /// For threads: a call may begin, or none ever will. Who is woken and finds none waits again.
    arrival: Condvar,
    /// For the one thread that ends sessions: one is over, or no more are told of.
    ending: Condvar,
    said: Mutex<Vec<Said>>,
    /// Calls that wait for bytes of theirs.
    parked: Mutex<Parked<StartCall>>,
    /// Calls that were sent and are not answered.
    under_way: AtomicUsize,
}

#[derive(Default)]
struct Waiting {
    calls: VecDeque<Arrival>,
    /// Sessions that are over, the first of which is being ended. Calls wait for that: the adapter
    /// hears of the end before the next session of the same id begins.
    ends: VecDeque<u64>,
    /// No more come.
    closed: bool,
}

impl Waiting {
    /// There is a call that may begin.
    fn has_call(&self) -> bool {
        !self.calls.is_empty() && (self.ends.is_empty() || self.closed)
    }

    fn next(&mut self) -> Option<Arrival> {
        if self.has_call() { self.calls.pop_front() } else { None }
    }
}

/// A call as the host sent it; or one that was taken up before, and the buffers that it has got since.
struct Arrival(StartCall, Option<Buffers>);

enum Said {
    /// With the buffers that it names.
    Item(u64, Bytes, Vec<Buffer>),
    End(CallResult),
    /// A call cannot read what it names.
    Unread(u64),
}

/// Frames in the making: each call's items since its last frame.
#[derive(Default)]
struct Gathering(Vec<(Chunks, usize)>);

/// What there is to take up.
pub(super) enum Taken {
    /// With its buffers, or what is wrong with them.
    Call(Box<StartCall>, Arc<RunningCall>, Result<Buffers, String>),
    Nothing,
    /// And nothing will come.
    Closed,
}

impl Floor {
    pub(super) fn new(
        (running, link): (Arc<Running>, Arc<Link>),
        tools: Names<(Py<PyAny>, bool)>,
        (set_current, describe, suggest): (Py<PyAny>, Py<PyAny>, Py<PyAny>),
        page: Option<&'static Page>,
        max_message: usize,
        owner: Owner,
    ) -> std::io::Result<Self> {
        let bell = Arc::new(Bell::new()?);
        // One worker, one floor.
        let _ = running.bell.set(Arc::clone(&bell));
        Ok(Self {
            running,
            outbox: Arc::clone(&link.outbox),
            link,
            tools,
            set_current,
            describe,
            suggest,
            max_message,
            owner,
            bell,
            wake: Notify::new(),
            page,
            waiting: Mutex::default(),
            arrival: Condvar::new(),
            ending: Condvar::new(),
            said: Mutex::default(),
            parked: Mutex::default(),
            under_way: AtomicUsize::new(0),
        })
    }

    /// A call came.
    pub(super) fn arrived(&self, start: StartCall) {
        self.under_way.fetch_add(1, SeqCst);
        self.wait_for_a_thread(Arrival(start, None));
    }

    /// More came of a buffer of a call that could not read it.
    pub(super) fn more(&self, part: &BufferBytes) {
        let id = part.call_id;
        let found = {
            let mut parked = lock(&self.parked);
            match part.gone {
                true => parked.gone(id).map(|start| (start, Buffers::default())),
                false => parked.more(id, part.index, &part.bytes),
            }
        };
        let Some((start, buffers)) = found else { return };
        if part.gone {
            self.running.cancel(id);
        }
        self.wait_for_a_thread(Arrival(start, Some(buffers)));
    }

    fn wait_for_a_thread(&self, arrival: Arrival) {
        let mut waiting = lock(&self.waiting);
        waiting.calls.push_back(arrival);
        let may_begin = waiting.has_call();
        drop(waiting);
        if may_begin {
            // One: whoever is busy looks for more calls before it waits.
            self.arrival.notify_one();
            self.bell.tell_loop();
        }
    }

    /// A session is over; none of its calls is here.
    pub(super) fn session_ended(&self, generation: u64) {
        lock(&self.waiting).ends.push_back(generation);
        self.ending.notify_one();
    }

    /// Waits for a session to end; None: none will. Must be called detached, by one thread.
    pub(super) fn next_end(&self) -> Option<u64> {
        let waiting = lock(&self.waiting);
        let waiting = self
            .ending
            .wait_while(waiting, |waiting| !waiting.closed && waiting.ends.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        // Those that are left end with the worker.
        waiting.ends.front().copied().filter(|_| !waiting.closed)
    }

    /// The adapter knows of the end that [`Floor::next_end`] gave.
    pub(super) fn ended(&self) {
        let mut waiting = lock(&self.waiting);
        waiting.ends.pop_front();
        let may_begin = waiting.has_call();
        drop(waiting);
        if may_begin {
            // All: as many as may have come meanwhile.
            self.arrival.notify_all();
            self.bell.tell_loop();
        }
    }

    /// No call comes any more.
    pub(super) fn close(&self) {
        lock(&self.waiting).closed = true;
        self.arrival.notify_all();
        self.ending.notify_one();
        self.bell.ring();
    }

    /// The next call, claimed; waits for none.
    pub(super) fn take(&self, py: Python<'_>) -> Taken {
        loop {
            let Arrival(mut start, buffers) = {
                let mut waiting = lock(&self.waiting);
                match waiting.next() {
                    Some(arrival) => arrival,
                    None if waiting.closed => return Taken::Closed,
                    None => return Taken::Nothing,
                }
            };
            // The word is claimed before anything else is looked at: from here on the host cannot
            // give the call to another worker any more.
            let claimed = buffers.is_some()
                || self.word(&start).is_none_or(|(page, index)| page.start(index, start.call_id));
            let found = match buffers {
                Some(buffers) => Found::All(buffers),
                None => arenas::find(py, std::mem::take(&mut start.buffers)),
            };
            let buffers = match found {
                _ if !claimed => {
                    self.forget_one(); // revoked; what it borrowed is given back
                    continue;
                }
                Found::All(buffers) => Ok(buffers),
                Found::Wrong(detail) => Err(detail),
                Found::Missing(table) => {
                    let id = start.call_id;
                    lock(&self.parked).add(id, start, table);
                    self.say(Said::Unread(id));
                    continue;
                }
            };
            let running = self.running.begin(start.call_id);
            return Taken::Call(Box::new(start), running, buffers);
        }
    }

    /// Waits until there is something to take, or never will be; must be called detached.
    pub(super) fn wait(&self) {
        let waiting = lock(&self.waiting);
        let _woken = self
            .arrival
            .wait_while(waiting, |waiting| !waiting.closed && !waiting.has_call())
            .unwrap_or_else(PoisonError::into_inner);
    }

    fn word(&self, start: &StartCall) -> Option<(&'static Page, u32)> {
        Some((self.page?, start.word.checked_sub(1)?))
    }

    /// One more item of a stream.
    pub(super) fn item(&self, call_id: u64, item: Bytes, buffers: Vec<Buffer>) {
        self.say(Said::Item(call_id, item, buffers));
    }

    /// The last word about a call. Must be called attached.
    pub(super) fn end(&self, running: &RunningCall, word: Option<u32>, result: CallResult) {
        let id = result.call_id;
        self.running.end(running);
        self.say(Said::End(result));
        if let (Some(page), Some(index)) = (self.page, word) {
            page.finish(index, id);
        }
        self.forget_one();
    }

    fn say(&self, said: Said) {
        lock(&self.said).push(said);
        self.wake.notify_one();
    }

    fn forget_one(&self) {
        self.under_way.fetch_sub(1, SeqCst);
        self.wake.notify_one();
    }

    /// Every call that was sent is answered.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way.load(SeqCst) == 0
    }

    /// Gives the outbox what was said. Called by who drives.
    pub(super) fn hand_over(&self) {
        let said = std::mem::take(&mut *lock(&self.said));
        let mut gathering = Gathering::default();
        for said in said {
            match said {
                Said::Item(call_id, item, buffers) if buffers.is_empty() => {
                    gathering.add(call_id, item, &self.outbox);
                }
                Said::Item(call_id, item, buffers) => {
                    gathering.seal(call_id, &self.outbox);
                    let items = vec![item];
                    self.outbox.push(Frame::Chunks(Chunks { call_id, items, buffers }));
                }
                Said::Unread(call_id) => self.outbox.push(Frame::Unread(Unread { call_id })),
                Said::End(result) => {
                    gathering.seal(result.call_id, &self.outbox);
                    self.outbox.push(Frame::Result(result));
                }
            }
        }
        for (chunk, _) in gathering.0 {
            self.outbox.push(Frame::Chunks(chunk));
        }
    }
}

impl Gathering {
    fn add(&mut self, call_id: u64, item: Bytes, outbox: &Outbox) {
        let full = |(chunk, bytes): &(Chunks, usize)| {
            chunk.items.len() == CHUNK_ITEMS || bytes + item.len() > CHUNK_BYTES
        };
        if self.0.iter().any(|open| open.0.call_id == call_id && full(open)) {
            self.seal(call_id, outbox);
        }
        let length = item.len();
        match self.0.iter_mut().find(|(chunk, _)| chunk.call_id == call_id) {
            Some((chunk, bytes)) => {
                chunk.items.push(item);
                *bytes += length;
            }
            None => {
                let chunk = Chunks { call_id, items: vec![item], buffers: Vec::new() };
                self.0.push((chunk, length));
            }
        }
    }

    fn seal(&mut self, call_id: u64, outbox: &Outbox) {
        if let Some(at) = self.0.iter().position(|(chunk, _)| chunk.call_id == call_id) {
            outbox.push(Frame::Chunks(self.0.swap_remove(at).0));
        }
    }
}
