//! What the host has said about calls beside starting them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// One call: was it cancelled, how much of its stream was taken?
#[derive(Default)]
pub struct Running {
    cancelled: AtomicBool,
    items: AtomicU64,
    bytes: AtomicU64,
    /// Rung at each of these; keeps one ring for whoever waits next.
    changed: Notify,
}

impl Running {
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(SeqCst)
    }

    /// Waits for a cancel.
    pub async fn cancelled(&self) {
        while !self.is_cancelled() {
            self.changed.notified().await;
        }
    }

    /// Items and bytes that the reader of the stream has taken.
    pub fn taken(&self) -> (u64, u64) {
        (self.items.load(SeqCst), self.bytes.load(SeqCst))
    }

    /// Waits for a cancel or a grant that was not waited for yet.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// The calls that run, and those that were cancelled before they came: the control socket overtakes
/// the line.
#[derive(Default)]
pub struct Calls(Mutex<HashMap<u64, Arc<Running>>>);

impl Calls {
    pub fn begin(&self, id: u64) -> Arc<Running> {
        self.of(id)
    }

    pub fn end(&self, id: u64) {
        self.lock().remove(&id);
    }

    pub fn cancel(&self, id: u64) {
        let call = self.of(id);
        call.cancelled.store(true, SeqCst);
        call.changed.notify_one();
    }

    pub fn grant(&self, id: u64, items: u64, bytes: u64) {
        let call = self.of(id);
        call.items.fetch_max(items, SeqCst);
        call.bytes.fetch_max(bytes, SeqCst);
        call.changed.notify_one();
    }

    /// What comes for a call that has ended makes an entry that stays; a test has few of those.
    fn of(&self, id: u64) -> Arc<Running> {
        self.lock().entry(id).or_default().clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Running>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
