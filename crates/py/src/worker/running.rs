//! What the watcher must know of the calls that run: whom a cancel or a grant is for.
//!
//! The control socket overtakes the line, so a cancel may be here before its call: it is remembered
//! and meets the call when that begins.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock};

use pyo3::prelude::*;
use tokio::sync::Notify;

use super::bell::Bell;
use super::lock;

/// How many cancels may wait for their calls. More than a host ever prefetches; a forgotten one
/// only means that its call runs until the host's grace is over.
const EARLY_CANCELS: usize = 64;

/// A call that runs, as its own thread, the watcher and the attendant share it.
#[derive(Default)]
pub(super) struct RunningCall {
    id: u64,
    cancelled: AtomicBool,
    callback: Mutex<Option<Py<PyAny>>>,
    taken_items: AtomicU64,
    taken_bytes: AtomicU64,
    /// Threads that are about to ask the host something for it.
    asking: AtomicU64,
    over: AtomicBool,
}

/// The call does not end while this is held.
pub(super) struct Asking<'c>(&'c RunningCall);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.asking.fetch_sub(1, SeqCst);
    }
}

impl RunningCall {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(SeqCst)
    }

    /// Holds off the answer to this call. None: it has been given.
    pub(super) fn asking(&self) -> Option<Asking<'_>> {
        self.asking.fetch_add(1, SeqCst);
        let asking = Asking(self);
        (!self.over.load(SeqCst)).then_some(asking)
    }

    /// Nothing is asked for this call from now on: the host would take it for a lie.
    fn finish(&self) {
        self.over.store(true, SeqCst);
        // Of a stray thread, which is about to queue a frame and waits for nobody.
        while self.asking.load(SeqCst) > 0 {
            std::hint::spin_loop();
        }
    }

    /// What the reader of this stream has taken since the call began: items and bytes.
    pub(super) fn taken(&self) -> (u64, u64) {
        (self.taken_items.load(SeqCst), self.taken_bytes.load(SeqCst))
    }

    /// Sets what a cancel runs and hands back what it was, for the caller to drop unlocked: a
    /// finalizer may run any Python code.
    pub(super) fn set_callback(&self, callback: Option<Py<PyAny>>) -> Option<Py<PyAny>> {
        std::mem::replace(&mut *lock(&self.callback), callback)
    }

    /// Takes the callback: who gets it runs it, so it runs once whoever was first.
    pub(super) fn take_callback(&self) -> Option<Py<PyAny>> {
        self.set_callback(None)
    }
}

/// The calls that run now. The process profile runs one at a time; nothing here relies on it.
#[derive(Default)]
pub(super) struct Running {
    calls: Mutex<Calls>,
    /// Rung at every cancel and grant, for a stream that waits for either. Keeps one permit, so a
    /// ring between a check and the wait is not lost.
    pub(super) changed: Notify,
    /// Rung then too, where several streams may wait at once.
    pub(super) bell: OnceLock<Arc<Bell>>,
}

#[derive(Default)]
struct Calls {
    running: Vec<Arc<RunningCall>>,
    early: VecDeque<u64>,
    /// The host is gone: whatever still begins is cancelled already.
    ended: bool,
}

impl Running {
    /// A call begins; it is cancelled already if its cancel overtook it.
    pub(super) fn begin(&self, id: u64) -> Arc<RunningCall> {
        let mut call = RunningCall { id, ..RunningCall::default() };
        let mut calls = lock(&self.calls);
        let overtaken = calls.early.iter().position(|&early| early == id);
        if let Some(place) = overtaken {
            calls.early.remove(place);
        }
        *call.cancelled.get_mut() = calls.ended || overtaken.is_some();
        let call = Arc::new(call);
        calls.running.push(Arc::clone(&call));
        call
    }

    /// A call ended, and is answered next. Must be called attached: the callback that nobody needed
    /// is dropped here.
    pub(super) fn end(&self, call: &RunningCall) {
        call.finish();
        lock(&self.calls).running.retain(|running| running.id != call.id);
        drop(call.take_callback());
    }

    /// Flags a call; hands it back if it runs, so that its callback can be run elsewhere.
    pub(super) fn cancel(&self, id: u64) -> Option<Arc<RunningCall>> {
        let mut calls = lock(&self.calls);
        let Some(call) = calls.find(id) else {
            if calls.early.len() == EARLY_CANCELS {
                calls.early.pop_front();
            }
            calls.early.push_back(id);
            return None;
        };
        drop(calls);
        call.cancelled.store(true, SeqCst);
        self.ring();
        Some(call)
    }

    /// The reader of a stream has taken so much since the call began.
    pub(super) fn grant(&self, id: u64, items: u64, bytes: u64) {
        let Some(call) = lock(&self.calls).find(id) else { return };
        call.taken_items.fetch_max(items, SeqCst);
        call.taken_bytes.fetch_max(bytes, SeqCst);
        self.ring();
    }

    /// The host is gone: nobody will ask for a result or grant a credit any more.
    pub(super) fn cancel_all(&self) -> Vec<Arc<RunningCall>> {
        let calls = {
            let mut calls = lock(&self.calls);
            calls.ended = true;
            calls.running.clone()
        };
        for call in &calls {
            call.cancelled.store(true, SeqCst);
        }
        self.ring();
        calls
    }

    fn ring(&self) {
        self.changed.notify_one();
        if let Some(bell) = self.bell.get() {
            bell.ring();
        }
    }
}

impl Calls {
    fn find(&self, id: u64) -> Option<Arc<RunningCall>> {
        self.running.iter().find(|call| call.id == id).cloned()
    }
}
