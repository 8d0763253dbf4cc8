//! What the host says, for whoever waits for it: calls for the main thread, answers of host tools for
//! the threads and coroutines that asked.
//!
//! ```text
//! whoever polls ──▶ frames ──┬── StartCall, Drain, …             ──▶ aside ──▶ main thread
//!                            ├── HostToolResult, HostToolChunks  ──▶ the reply of that number
//!                            └── TelemetryControl                ──▶ kept for who tells
//! ```
//!
//! Whoever waits for anything reads, one at a time, and routes what is not its own. As a rule that is
//! the main thread alone, and a frame goes straight to it. The stream of frames wakes only who polled
//! it last, so a reader that leaves wakes the others, one of whom reads then.

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use snakepit::Payload;
use snakepit_proto::v1::host_frame::Frame as FromHost;
use snakepit_proto::v1::host_tool_result::Outcome;
use snakepit_proto::v1::worker_frame::Frame;
use snakepit_proto::v1::{Buffer, CallHostTool, HostFrame};
use tonic::{Status, Streaming};

use super::arenas;
use super::attendant::Attendant;
use super::host_reply::{End, HostAnswer};
use super::lock;
use super::outbox::Outbox;
use super::running::RunningCall;
use super::telemetry::Wanted;

/// Host tools that the host lets us have under way, as `worker.proto` says.
const LIMIT: usize = 256;

/// Why a host tool cannot be asked for.
pub(super) enum Refused {
    /// The call has been answered.
    Over,
    /// As many are under way as may be.
    Full,
}

pub(super) struct Inbox {
    state: Mutex<State>,
}

struct State {
    frames: Streaming<HostFrame>,
    /// For the main thread, read by others.
    aside: VecDeque<HostFrame>,
    ended: Option<Option<Status>>,
    /// Of the main thread, as it waited last.
    main: Option<Waker>,
    /// Of others who wait, by a number of their own.
    others: Vec<(u64, Waker)>,
    asked: HashMap<u64, Arc<HostAnswer>>,
    bytes: usize,
    max_bytes: usize,
    last: u64,
    /// Of those that were asked for, which nobody waits for on a thread of its own.
    watched: usize,
    /// A thread does nothing but read: the others leave it to that one.
    driven: bool,
    attendant: Attendant,
    wanted: Arc<Wanted>,
}

impl Inbox {
    pub(super) fn new(
        frames: Streaming<HostFrame>,
        attendant: Attendant,
        max_message: usize,
        wanted: Arc<Wanted>,
    ) -> Self {
        let state = State {
            frames,
            aside: VecDeque::new(),
            ended: None,
            main: None,
            others: Vec::new(),
            asked: HashMap::new(),
            bytes: 0,
            max_bytes: max_message,
            last: 0,
            watched: 0,
            driven: false,
            attendant,
            wanted,
        };
        Self { state: Mutex::new(state) }
    }

    /// From now on one thread polls for frames all the time.
    pub(super) fn leave_to_driver(&self) {
        self.lock().driven = true;
    }

    /// See [`Self::leave_to_driver`].
    pub(super) fn is_driven(&self) -> bool {
        self.lock().driven
    }

    /// A frame for the main thread that is here already, without any I/O.
    pub(super) fn ready_frame(&self) -> Option<Result<Option<HostFrame>, Status>> {
        let mut state = self.lock();
        // The waker is replaced by a real one before anybody waits.
        let frame = state.poll_main(&mut Context::from_waker(Waker::noop()));
        state.wake_others();
        match frame {
            Poll::Ready(frame) => Some(frame),
            Poll::Pending => None,
        }
    }

    /// The next frame for the main thread. `None`: the host closed the line.
    pub(super) fn poll_frame(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<HostFrame>, Status>> {
        let mut state = self.lock();
        let frame = state.poll_main(context);
        match frame {
            Poll::Ready(_) => state.wake_others(),
            Poll::Pending => {
                if !state.main.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
                    state.main = Some(context.waker().clone());
                }
            }
        }
        frame
    }

    /// Asks the host, on behalf of a call that runs.
    pub(super) fn ask(
        &self,
        call: &RunningCall,
        ask: CallHostTool,
        outbox: &Outbox,
    ) -> Result<Arc<HostAnswer>, Refused> {
        let mut state = self.lock();
        let bytes = ask.arguments.len() + arenas::inline_bytes(&ask.buffers);
        let too_large = state.bytes.saturating_add(bytes) > state.max_bytes;
        if state.asked.len() >= LIMIT || !state.asked.is_empty() && too_large {
            return Err(Refused::Full);
        }
        let _asking = call.asking().ok_or(Refused::Over)?;
        state.last += 1;
        let id = state.last;
        let answer = Arc::new(HostAnswer::new(id, bytes));
        if state.ended.is_some() {
            answer.end(End::LineEnded);
        } else {
            state.asked.insert(id, Arc::clone(&answer));
            state.bytes += bytes;
        }
        outbox.push(Frame::CallHostTool(CallHostTool { id, call_id: call.id(), ..ask }));
        Ok(answer)
    }

    /// Ready when there is something of that answer. `key`: of who waits.
    pub(super) fn poll_answer(&self, answer: &HostAnswer, context: &mut Context<'_>) -> Poll<()> {
        self.poll_until(answer.id(), context, |_| answer.is_ready())
    }

    /// Reads for those who watch, until there is none. Ready then.
    pub(super) fn poll_watched(&self, context: &mut Context<'_>) -> Poll<()> {
        self.poll_until(u64::MAX, context, |state| state.watched == 0)
    }

    fn poll_until(
        &self,
        key: u64,
        context: &mut Context<'_>,
        done: impl Fn(&State) -> bool,
    ) -> Poll<()> {
        let mut state = self.lock();
        while !done(&state) {
            let polled = match (state.driven, &state.ended) {
                (true, None) => Poll::Pending,
                _ => state.poll_stream(context),
            };
            match polled {
                Poll::Ready(Ok(Some(frame))) => {
                    if let Some(frame) = state.route(frame) {
                        state.aside.push_back(frame);
                        state.wake_main();
                    }
                }
                // All who wait have been told; whoever watches is told by the attendant.
                Poll::Ready(_) => break,
                Poll::Pending => {
                    state.others.retain(|(known, _)| *known != key);
                    state.others.push((key, context.waker().clone()));
                    return Poll::Pending;
                }
            }
        }
        state.leave(key);
        Poll::Ready(())
    }

    /// Has `watch` called by the attendant once there is something of that answer. False: there is,
    /// and it will not be.
    pub(super) fn watch(&self, answer: &HostAnswer, watch: pyo3::Py<pyo3::PyAny>) -> bool {
        let mut state = self.lock();
        let watched = answer.watch(watch);
        state.watched += usize::from(watched);
        watched
    }

    /// Nobody waits for that one any more.
    pub(super) fn forget(&self, answer: &HostAnswer) {
        let mut state = self.lock();
        let watch = answer.unwatch();
        state.watched -= usize::from(watch.is_some());
        state.remove(answer.id());
        state.wake_others();
        drop(state);
        drop(watch);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// The items of a frame with what they name.
fn items(items: Vec<Bytes>, table: Vec<Buffer>) -> Result<Vec<Payload>, String> {
    if table.is_empty() {
        return Ok(items.into_iter().map(Payload::from).collect());
    }
    let buffers = arenas::taken(table)?;
    match <[Bytes; 1]>::try_from(items) {
        Ok([bytes]) => Ok(vec![Payload { bytes, buffers }]),
        Err(_) => Err("buffers of more or less than one item".to_owned()),
    }
}

impl State {
    fn poll_main(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<HostFrame>, Status>> {
        loop {
            if let Some(frame) = self.aside.pop_front() {
                return Poll::Ready(Ok(Some(frame)));
            }
            match self.poll_stream(context) {
                Poll::Ready(Ok(Some(frame))) => {
                    if let Some(frame) = self.route(frame) {
                        return Poll::Ready(Ok(Some(frame)));
                    }
                }
                other => return other,
            }
        }
    }

    fn poll_stream(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<HostFrame>, Status>> {
        if let Some(end) = &self.ended {
            return Poll::Ready(end.clone().map_or(Ok(None), Err));
        }
        let polled = pin!(self.frames.message()).poll(context);
        match &polled {
            Poll::Ready(Ok(Some(_))) | Poll::Pending => {}
            Poll::Ready(Ok(None)) => self.end(None),
            Poll::Ready(Err(status)) => self.end(Some(status.clone())),
        }
        polled
    }

    /// Gives an answer to who waits for it, and takes note of what is wanted; all else comes back.
    fn route(&mut self, frame: HostFrame) -> Option<HostFrame> {
        match frame.frame {
            Some(FromHost::HostToolResult(result)) => {
                // Also of one that nobody waits for: what is not looked at is counted back.
                let buffers = arenas::taken(result.buffers);
                if let Some(answer) = self.remove(result.id) {
                    answer.end(match (result.outcome, buffers) {
                        (Some(Outcome::Value(bytes)), Ok(buffers)) => {
                            End::Value(Payload { bytes, buffers })
                        }
                        (Some(Outcome::Value(_)), Err(detail)) => End::Garbled(detail),
                        (Some(Outcome::Failure(failure)), _) => End::Failure(failure),
                        (Some(Outcome::End(_)), _) => End::Stream,
                        (None, _) => End::LineEnded, // no honest host says that
                    });
                    self.tell(&answer);
                }
                None
            }
            Some(FromHost::HostToolChunks(chunks)) => {
                let items = items(chunks.items, chunks.buffers);
                if let Some(answer) = self.asked.get(&chunks.id).map(Arc::clone) {
                    match items {
                        Ok(items) => answer.add(items),
                        Err(detail) => answer.end(End::Garbled(detail)),
                    }
                    self.tell(&answer);
                }
                None
            }
            Some(FromHost::TelemetryControl(control)) => {
                self.wanted.replace(control);
                None
            }
            frame => Some(HostFrame { frame }),
        }
    }

    fn remove(&mut self, id: u64) -> Option<Arc<HostAnswer>> {
        let answer = self.asked.remove(&id)?;
        self.bytes -= answer.asked_bytes();
        Some(answer)
    }

    fn tell(&mut self, answer: &HostAnswer) {
        if let Some(watch) = answer.unwatch() {
            self.watched -= 1;
            self.attendant.run(watch);
        }
        if let Some((_, waker)) = self.others.iter().find(|(key, _)| *key == answer.id()) {
            waker.wake_by_ref();
        }
    }

    fn end(&mut self, status: Option<Status>) {
        self.ended = Some(status);
        let asked: Vec<_> = self.asked.drain().map(|(_, answer)| answer).collect();
        self.bytes = 0;
        for answer in asked {
            answer.end(End::LineEnded);
            self.tell(&answer);
        }
        self.wake_main();
        self.wake_others();
    }

    /// Who waited does not any more: another one reads.
    fn leave(&mut self, key: u64) {
        self.others.retain(|(known, _)| *known != key);
        self.wake_main();
        self.wake_others();
    }

    fn wake_main(&self) {
        if let Some(waker) = &self.main {
            waker.wake_by_ref();
        }
    }

    fn wake_others(&self) {
        for (_, waker) in &self.others {
            waker.wake_by_ref();
        }
    }
}
