//! What the pool holds of a worker: where to send things for it.

use std::sync::Arc;

use crate::config::WorkerConfig;
use crate::id::{CallId, WorkerRef};
use crate::process::{Control, Page, ToWorker, WordState};
use crate::transport::{Outbox, ToolCall};

/// Sends to one worker. Cheap to clone, never waits, never fails: a worker that is gone is noticed
/// by its keeper.
#[derive(Clone)]
pub(crate) struct Port {
    outbox: Outbox,
    /// Where cancels and grants go when the worker's end reads it: they must get through while a
    /// tool runs.
    control: Option<Arc<Control>>,
    page: Option<Arc<Page>>,
}

impl Port {
    pub(crate) fn new(
        outbox: Outbox,
        control: Option<Arc<Control>>,
        page: Option<Arc<Page>>,
    ) -> Self {
        Self { outbox, control, page }
    }

    /// Where what has no order with the rest is sent from elsewhere: answers of host tools.
    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Whether calls that wait in the worker can be taken back.
    pub(crate) fn is_revocable(&self) -> bool {
        self.page.is_some()
    }

    /// Whether it can be asked for signs of life.
    pub(crate) fn has_control(&self) -> bool {
        self.control.is_some()
    }

    /// Asks the interpreter for an answer. One that is lost is asked for again.
    pub(crate) fn probe(&self, probe: u64) {
        self.tell(&ToWorker::Probe { nonce: probe });
    }

    pub(crate) fn start_call(&self, mut call: ToolCall<'_>) {
        match (&self.page, call.word) {
            (Some(page), Some(word)) => {
                page.queue(u32::from(word), call.id.raw());
            }
            _ => call.word = None,
        }
        self.outbox.start_call(call);
    }

    pub(crate) fn cancel(&self, id: CallId) {
        let sent = self.tell(&ToWorker::Cancel { call: id.raw() });
        if !sent {
            self.outbox.cancel(id);
        }
    }

    /// A session is over. On the line, not beside it: what its calls left is theirs until then.
    pub(crate) fn end_session(&self, id: &str, generation: u64) {
        self.outbox.end_session(id, generation);
    }

    /// The reader of a stream has taken so much in all.
    pub(crate) fn grant(&self, id: CallId, items: u64, bytes: u64) {
        if !self.tell(&ToWorker::Grant { call: id.raw(), items, bytes }) {
            self.outbox.grant(id, items, bytes);
        }
    }

    /// Asks where its threads are. False: it does not hear.
    pub(super) fn ask_for_stack(&self) -> bool {
        self.tell(&ToWorker::Trace)
    }

    fn tell(&self, message: &ToWorker) -> bool {
        let Some(control) = &self.control else { return false };
        match control.send(message, &[]) {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, "control socket refused a message");
                false
            }
        }
    }

    /// Takes a call back. True: the worker had not begun it.
    pub(crate) fn revoke(&self, word: u8, id: CallId) -> bool {
        self.page.as_ref().is_some_and(|page| page.revoke(u32::from(word), id.raw()))
    }

    /// The worker is to be killed for a call. False: that has ended, and nobody else may suffer for it.
    pub(crate) fn condemn(&self, word: u8, id: CallId) -> bool {
        self.page.as_ref().is_none_or(|page| page.condemn(u32::from(word), id.raw()))
    }

    /// Whether the worker is in the middle of a call, as its word tells.
    pub(crate) fn runs(&self, word: u8, id: CallId) -> bool {
        let state = self.page.as_ref().map(|page| page.state(u32::from(word), id.raw()));
        state == Some(WordState::Started)
    }

    /// Asked about a dead worker: it had not begun the call.
    pub(crate) fn untouched(&self, word: u8, id: CallId) -> bool {
        // A call that can still be taken back was not begun; a dead worker begins nothing more.
        self.revoke(word, id)
    }

    pub(super) fn initialize(&self, worker: &WorkerRef, config: &WorkerConfig) {
        self.outbox.initialize(worker, config);
    }

    pub(super) fn drain(&self) {
        self.outbox.drain();
    }
}
