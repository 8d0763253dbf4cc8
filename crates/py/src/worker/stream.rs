//! Streams: a tool's items, one by one, as fast as the reader takes them.
//!
//! Items are coalesced while the generator is quick, and sent at once when it is slow. What the
//! reader has not taken yet stays within the call's window; then the generator waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyIterator;
use snakepit_proto::v1::result::Outcome;
use snakepit_proto::v1::worker_frame::Frame;
use snakepit_proto::v1::{Chunks, Failure, FailureKind, StartCall, StreamEnd};

use super::failure;
use super::results::lend;
use super::running::RunningCall;
use super::serve::{Server, failed};

/// An item that took longer is sent at once: its reader waits for it.
const SLOW_ITEM: Duration = Duration::from_micros(100);

/// No item of a steady generator waits longer for others to join it.
const OLDEST_ITEM: Duration = Duration::from_millis(1);

impl<'py> Server<'py, '_> {
    /// Runs the items of one call, and answers how it ended.
    pub(super) fn stream(
        &mut self,
        produced: &Bound<'py, PyAny>,
        start: &StartCall,
        running: &Arc<RunningCall>,
    ) -> Outcome {
        let items = match produced.try_iter() {
            Ok(items) => items,
            Err(error) => return failed(self.desk.raised(error, running)),
        };
        let ended = self.send_items(&items, Window::new(start), running);
        let outcome = match ended {
            Ok(()) => Outcome::End(StreamEnd {}),
            Err(Stop::Raised(error)) => failed(self.desk.raised(error, running)),
            Err(Stop::Cancelled) => {
                let message = "cancelled while it streamed".to_owned();
                let failure = failure::plain(FailureKind::Cancelled, "", message);
                failed(self.close(&items, failure, running))
            }
            Err(Stop::Unfit(failure)) => failed(self.close(&items, *failure, running)),
        };
        self.line.outbox.seal();
        outcome
    }

    fn send_items(
        &mut self,
        items: &Bound<'py, PyIterator>,
        mut window: Window,
        running: &Arc<RunningCall>,
    ) -> Result<(), Stop> {
        let (mut before, mut oldest) = (self.now, None);
        let mut items = items.clone();
        loop {
            self.await_room(&window, 0, running)?;
            let Some(item) = items.next() else { return Ok(()) };
            self.desk.stay_ourselves();
            let item =
                self.desk.encode(&item.map_err(Stop::Raised)?, "chunk").map_err(Stop::Unfit)?;
            let size = usize::try_from(item.size()).unwrap_or(usize::MAX);
            self.await_room(&window, size, running)?;
            window.send(size);
            let full = match item.buffers.is_empty() {
                true => self.line.add_item(running, item.bytes),
                false => {
                    let buffers =
                        lend(&item, "chunk", self.desk.max_message).map_err(Stop::Unfit)?;
                    self.line.outbox.seal();
                    let (call_id, items) = (running.id(), vec![item.bytes]);
                    self.line.push(Frame::Chunks(Chunks { call_id, items, buffers }), size);
                    true
                }
            };
            let now = Instant::now();
            let oldest_age = now.duration_since(*oldest.get_or_insert(now));
            if full || now.duration_since(before) > SLOW_ITEM || oldest_age > OLDEST_ITEM {
                self.line.flush(self.py);
                oldest = None;
            }
            before = now;
            self.line.leave_python();
            self.line.enter_python();
        }
    }

    /// Waits, with everything sent, until the window has room for so many bytes more.
    fn await_room(
        &mut self,
        window: &Window,
        bytes: usize,
        running: &Arc<RunningCall>,
    ) -> Result<(), Stop> {
        if !window.has_room(bytes, running) {
            self.line.outbox.seal();
            let call = Arc::clone(running);
            let done = move || call.is_cancelled() || window.has_room(bytes, &call);
            self.line.drive_until(self.py, done);
        }
        // Nobody reads a line that has ended.
        if running.is_cancelled() || self.line.outbox.is_closed() {
            return Err(Stop::Cancelled);
        }
        Ok(())
    }

    /// Ends a generator early, so that its `finally` runs, and tells what went wrong there too.
    fn close(
        &self,
        items: &Bound<'py, PyIterator>,
        mut failure: Failure,
        running: &RunningCall,
    ) -> Failure {
        let close = items.getattr_opt(intern!(self.py, "close"));
        let closed = close.and_then(|close| close.map_or(Ok(()), |close| close.call0().map(drop)));
        if let Err(error) = closed {
            failure::add_second(&mut failure, self.desk.raised(error, running));
        }
        failure
    }
}

/// Why a stream ends before its iterator does.
enum Stop {
    Cancelled,
    Raised(PyErr),
    /// An item that cannot travel.
    Unfit(Box<Failure>),
}

/// How much of a stream may be under way, and how much was sent.
pub(super) struct Window {
    max_items: u64,
    max_bytes: u64,
    sent_items: u64,
    sent_bytes: u64,
}

impl Window {
    pub(super) fn new(start: &StartCall) -> Self {
        let (max_items, max_bytes) = (u64::from(start.window_items.max(1)), start.window_bytes);
        Self { max_items, max_bytes, sent_items: 0, sent_bytes: 0 }
    }

    pub(super) fn send(&mut self, bytes: usize) {
        self.sent_items += 1;
        self.sent_bytes += bytes as u64;
    }

    /// One item may always be under way, whatever its size: else it could never be sent.
    pub(super) fn has_room(&self, bytes: usize, running: &RunningCall) -> bool {
        let (taken_items, taken_bytes) = running.taken();
        let items = self.sent_items.saturating_sub(taken_items);
        let under_way = self.sent_bytes.saturating_sub(taken_bytes);
        items == 0
            || items < self.max_items && under_way.saturating_add(bytes as u64) <= self.max_bytes
    }
}
