//! What a worker asks of a host tool, and the way back.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::call::{HostContext, Origin};
use crate::error::Failure;
use crate::payload::Payload;
use crate::process::arena::Arena;
use crate::transport::WorkerFailure;
use crate::worker::{Port, TooLong};

/// Where it is noted which host tools are under way: the pool.
pub(crate) trait Desk: Send + Sync {
    /// Strikes one off. False: something else has ended it, and nobody wants its answer.
    fn strike(&self, task: &Task) -> bool;
}

/// Hears once how a host tool ended: by a failure, or well. No lock may be held.
pub(crate) type Ended = Box<dyn FnOnce(Option<&WorkerFailure>) + Send>;

/// One that is under way, as the pool and who runs it share it.
pub(crate) struct Task {
    pub(crate) slot: usize,
    /// The worker's number for it.
    pub(crate) id: u64,
    pub(crate) serial: u64,
    pub(crate) context: HostContext,
    port: Port,
    room: Mutex<Room>,
    changed: Condvar,
    /// Of its own time limit.
    timer: Mutex<Option<AbortHandle>>,
    ended: Mutex<Option<Ended>>,
}

/// How far the items may be ahead of their reader.
#[derive(Default)]
struct Room {
    max_items: u64,
    max_bytes: u64,
    sent: (u64, u64),
    taken: (u64, u64),
    wakers: Vec<Waker>,
}

impl Room {
    /// One item may always be under way, whatever its size: else it could never be sent.
    fn has(&self, bytes: u64) -> bool {
        let items = self.sent.0.saturating_sub(self.taken.0);
        let under_way = self.sent.1.saturating_sub(self.taken.1);
        items == 0 || items < self.max_items && under_way.saturating_add(bytes) <= self.max_bytes
    }
}

impl Task {
    pub(crate) fn new(
        (slot, id, serial): (usize, u64, u64),
        context: HostContext,
        port: Port,
        (items, max_bytes): (u32, u64),
        ended: Option<Ended>,
    ) -> Self {
        let room = Room { max_items: u64::from(items.max(1)), max_bytes, ..Room::default() };
        let (room, changed, timer) = (Mutex::new(room), Condvar::new(), Mutex::default());
        let ended = Mutex::new(ended);
        Self { slot, id, serial, context, port, room, changed, timer, ended }
    }

    /// Ends with the task.
    pub(crate) fn limit_by(&self, timer: AbortHandle) {
        *self.timer.lock().unwrap_or_else(PoisonError::into_inner) = Some(timer);
    }

    /// The reader has taken so much in all.
    pub(crate) fn grant(&self, items: u64, bytes: u64) {
        let mut room = self.room();
        room.taken = (room.taken.0.max(items), room.taken.1.max(bytes));
        self.wake(room);
    }

    /// Nobody waits for it any more: the worker is told, and so is who runs it.
    pub(crate) fn call_off(&self, why: WorkerFailure) {
        self.stop_timer();
        self.tell_end(Some(&why));
        self.port.host_tool_failed(self.id, why);
        self.context.cancel();
        self.wake(self.room());
    }

    pub(crate) fn answer(&self, answer: Result<Option<Payload>, WorkerFailure>) {
        self.stop_timer();
        let told = |value: Payload| match self.port.host_tool_told(&value) {
            Ok(told) => Ok((value.bytes, told)),
            Err(TooLong { size, limit }) => Err(WorkerFailure::TooLarge { size, limit }),
        };
        let answer = answer.and_then(|value| value.map(told).transpose());
        self.tell_end(answer.as_ref().err());
        match answer {
            Ok(Some((value, told))) => self.port.host_tool_value(self.id, value, told),
            Ok(None) => self.port.host_tool_end(self.id),
            Err(failure) => self.port.host_tool_failed(self.id, failure),
        }
    }

    fn tell_end(&self, failure: Option<&WorkerFailure>) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ended) = ended {
            ended(failure);
        }
    }

    fn stop_timer(&self) {
        let timer = self.timer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(timer) = timer {
            timer.abort();
        }
    }

    fn wake(&self, mut room: MutexGuard<'_, Room>) {
        let wakers = std::mem::take(&mut room.wakers);
        drop(room);
        self.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        // Every field is whole between statements.
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call of a host tool. Answer it once: by [`HostCall::succeed`], or by [`HostCall::fail`], or
/// where it streams by [`HostCall::send`] and [`HostCall::end`]. Dropping it unanswered is a failure.
///
/// Values may have buffers beside them. Those in the arena of the pool travel by name, once the worker
/// has mapped them; what waits for that says so.
pub struct HostCall {
    pub(crate) name: Arc<str>,
    pub(crate) arguments: Payload,
    pub(crate) origin: Option<Origin>,
    pub(crate) arena: Option<Arena>,
    pub(crate) task: Arc<Task>,
    pub(crate) desk: Arc<dyn Desk>,
}

impl HostCall {
    /// The name by which the tool was called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The encoded map of its keywords. What is beside them is the worker's memory, and kept by this.
    pub fn arguments(&self) -> &Payload {
        &self.arguments
    }

    /// The same, once: whoever reads them lets go of the memory when it wants.
    pub fn take_arguments(&mut self) -> Payload {
        std::mem::take(&mut self.arguments)
    }

    /// Where its pool keeps what is large of values, if anywhere.
    pub fn arena(&self) -> Option<&Arena> {
        self.arena.as_ref()
    }

    /// From inside which calls it runs.
    pub fn context(&self) -> &HostContext {
        &self.task.context
    }

    /// What the embedder gave the call that asks, if anything.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// Time left; `None`: no limit.
    pub fn remaining(&self) -> Option<Duration> {
        let deadline = self.task.context.deadline()?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    /// Answers with an encoded value. One above `max_message` is a failure. False: nobody waits.
    /// Where the value has buffers this blocks the thread until the worker has mapped them, 2 s at
    /// most: a task takes [`HostCall::succeed_async`].
    pub fn succeed(&self, value: Payload) -> bool {
        self.task.port.offer(&value.buffers);
        self.answer(Ok(Some(value)))
    }

    /// As [`HostCall::succeed`], for a task.
    pub async fn succeed_async(&self, value: Payload) -> bool {
        self.task.port.offer_async(&value.buffers).await;
        self.answer(Ok(Some(value)))
    }

    /// Answers that it failed, as the adapter's code shall see it. False: nobody waits.
    pub fn fail(&self, failure: Failure) -> bool {
        self.answer(Err(WorkerFailure::Exception(failure.into())))
    }

    /// Ends a stream well. False: nobody waits.
    pub fn end(&self) -> bool {
        self.answer(Ok(None))
    }

    /// Sends an item if the reader has room for it. `None`: it has none yet, or the worker has not
    /// mapped the item's buffers yet; `Some(false)`: nobody waits any more, or the item was too large,
    /// which ends the stream.
    pub fn try_send(&self, item: &Payload) -> Option<bool> {
        match self.task.port.is_offered(&item.buffers) {
            true => self.send_now(item),
            false => None,
        }
    }

    /// The same of an item whose buffers the worker has mapped, or never will.
    fn send_now(&self, item: &Payload) -> Option<bool> {
        let Task { id, port, context, .. } = &*self.task;
        if context.is_cancelled() {
            return Some(false);
        }
        let mut room = self.task.room();
        let bytes = item.size();
        if !room.has(bytes) {
            return None;
        }
        match port.host_tool_told(item) {
            Ok(told) => {
                room.sent = (room.sent.0 + 1, room.sent.1 + bytes);
                // Under the lock, so that items keep their order whoever sends them.
                port.host_tool_item(*id, item.bytes.clone(), told);
                Some(true)
            }
            Err(TooLong { size, limit }) => {
                drop(room);
                self.answer(Err(WorkerFailure::TooLarge { size, limit }));
                Some(false)
            }
        }
    }

    /// Sends an item of a stream once the reader has room for it; blocks the thread. False: nobody
    /// waits any more.
    pub fn send(&self, item: &Payload) -> bool {
        self.task.port.offer(&item.buffers);
        loop {
            if let Some(sent) = self.send_now(item) {
                return sent;
            }
            let room = self.task.room();
            let full = |room: &mut Room| !room.has(item.size()) && !self.context().is_cancelled();
            drop(self.task.changed.wait_while(room, full));
        }
    }

    /// As [`HostCall::send`], for a task.
    pub async fn send_async(&self, item: &Payload) -> bool {
        self.task.port.offer_async(&item.buffers).await;
        std::future::poll_fn(|cx| {
            if let Some(sent) = self.send_now(item) {
                return Poll::Ready(sent);
            }
            self.task.room().wakers.push(cx.waker().clone());
            // Looked at again: room may have come in between.
            self.send_now(item).map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    fn answer(&self, answer: Result<Option<Payload>, WorkerFailure>) -> bool {
        let wanted = self.desk.strike(&self.task);
        if wanted {
            self.task.answer(answer);
        }
        wanted
    }
}

impl Drop for HostCall {
    fn drop(&mut self) {
        let panicked = std::thread::panicking();
        let what = if panicked { "panicked" } else { "was given up without an answer" };
        let message = format!("the host tool {:?} {what}", self.name);
        let type_name = if panicked { "Panic" } else { "RuntimeError" }.into();
        // Of one that was answered nothing is left to strike off.
        self.fail(Failure { type_name, message, ..Failure::default() });
    }
}

impl fmt::Debug for HostCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostCall").field("name", &self.name).finish_non_exhaustive()
    }
}
