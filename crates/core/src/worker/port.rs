//! What the pool holds of a worker: where to send things for it.

use std::sync::Arc;

use bytes::Bytes;

use super::loans::Loans;
use super::locator::Locator;
use crate::config::{TelemetryFilter, WorkerConfig};
use crate::id::{CallId, WorkerRef};
use crate::payload::{Buffers, Payload, Told};
use crate::process::{Control, Page, ToWorker, WordState};
use crate::transport::{Outbox, ToolCall, WorkerFailure, inline_bytes};

/// Bytes of a buffer that go in one frame, where they have to.
const PART: usize = 1 << 20;

/// A frame would be larger than `max_message` allows: what has to go in it does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong {
    pub(crate) size: u64,
    pub(crate) limit: u64,
}

/// Sends to one worker. Cheap to clone, never waits, never fails: a worker that is gone is noticed
/// by its keeper.
#[derive(Clone)]
pub(crate) struct Port {
    outbox: Outbox,
    /// Where cancels and grants go when the worker's end reads it: they must get through while a
    /// tool runs.
    control: Option<Arc<Control>>,
    page: Option<Arc<Page>>,
    /// None: all that it is to read goes in frames.
    loans: Option<Arc<Loans>>,
    /// Bytes of one value in a frame.
    max_message: usize,
    /// Its adapter's events may be asked for.
    tells: bool,
}

impl Port {
    pub(crate) fn new(
        outbox: Outbox,
        control: Option<Arc<Control>>,
        page: Option<Arc<Page>>,
        max_message: usize,
    ) -> Self {
        Self { outbox, control, page, loans: None, max_message, tells: false }
    }

    /// From now on buffers are lent to it.
    pub(super) fn lend_by(&mut self, loans: Arc<Loans>) {
        self.loans = Some(loans);
    }

    /// Its end can be told which events of its adapter are wanted.
    pub(super) fn can_tell(&mut self) {
        self.tells = true;
    }

    /// Whether it may tell events of its adapter.
    pub(crate) fn tells(&self) -> bool {
        self.tells
    }

    /// Which events of its adapter are wanted from now on; none where not `enabled`.
    pub(crate) fn control_telemetry(&self, enabled: bool, filter: &TelemetryFilter) {
        if self.tells {
            self.outbox.telemetry_control(enabled, filter);
        }
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

    /// Sends a call.
    ///
    /// # Errors
    /// It is not sent: this worker would have to be sent its buffers in the frame, and they do not fit.
    pub(crate) fn start_call(&self, mut call: ToolCall<'_>) -> Result<(), TooLong> {
        if !call.arguments.buffers.is_empty() {
            call.told = self.told(call.arguments, Loans::lend)?;
        }
        match (&self.page, call.word) {
            (Some(page), Some(word)) => {
                page.queue(u32::from(word), call.id.raw());
            }
            _ => call.word = None,
        }
        self.outbox.start_call(call);
        Ok(())
    }

    /// The buffers of a value as its frame tells them.
    fn told(
        &self,
        value: &Payload,
        lend: impl Fn(&Loans, &Buffers) -> Vec<Told>,
    ) -> Result<Vec<Told>, TooLong> {
        let told = match &self.loans {
            Some(loans) => lend(loans, &value.buffers),
            None => inline(&value.buffers),
        };
        let size = value.bytes.len() as u64 + inline_bytes(&told);
        if size > self.max_message as u64 {
            if let Some(loans) = self.loans.as_ref().filter(|_| told.iter().any(is_shared)) {
                loans.take_back(&value.buffers);
            }
            return Err(TooLong { size, limit: self.max_message as u64 });
        }
        Ok(told)
    }

    /// The bytes of a call that the worker could not read; None: nobody waits for it any more.
    pub(crate) fn send_bytes(&self, id: CallId, arguments: Option<&Payload>) {
        let Some(arguments) = arguments else { return self.outbox.buffer_bytes(id, None) };
        if let Some(loans) = &self.loans {
            loans.take_back(&arguments.buffers);
        }
        for (index, buffer) in arguments.buffers.iter().enumerate() {
            // What had no place in a segment was in the frame.
            let mut left: Bytes = buffer.bytes().clone();
            while buffer.is_shared() && !left.is_empty() {
                let part = left.split_to(left.len().min(PART));
                self.outbox.buffer_bytes(id, Some((index as u32, part)));
            }
        }
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

    /// Asks where its threads are; also before it is ready.
    pub(super) fn locator(&self) -> Locator {
        Locator::new(self.control.as_ref())
    }

    /// Asks where its threads are, before it is ended. False: it does not hear.
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

    pub(super) fn initialize(
        &self,
        worker: &WorkerRef,
        config: &WorkerConfig,
        (wanted, filter): (bool, &TelemetryFilter),
    ) {
        let loans = self.loans.as_ref();
        let telemetry = self.tells.then_some((wanted, filter));
        self.outbox.initialize(worker, config, loans.map(|loans| loans.arena()), telemetry);
    }

    pub(super) fn drain(&self) {
        self.outbox.drain();
    }
}

/// Answers of host tools. They have no order with the rest, and are sent from elsewhere.
impl Port {
    /// Has the worker map what these lie in, so that [`Port::host_tool_told`] can name them. Blocks the
    /// thread; not for the one that drives the runtime.
    pub(crate) fn offer(&self, buffers: &Buffers) {
        if let Some(loans) = self.lender_of(buffers) {
            loans.exchange().offer(buffers);
        }
    }

    /// The same, without waiting. True: the worker has answered, or there is nothing to map.
    pub(crate) fn is_offered(&self, buffers: &Buffers) -> bool {
        self.lender_of(buffers).is_none_or(|loans| loans.exchange().is_answered(buffers))
    }

    /// As [`Port::offer`], for a task.
    pub(crate) async fn offer_async(&self, buffers: &Buffers) {
        if let Some(loans) = self.lender_of(buffers) {
            loans.exchange().offer_async(buffers).await;
        }
    }

    fn lender_of(&self, buffers: &Buffers) -> Option<&Loans> {
        self.loans.as_deref().filter(|_| !buffers.is_empty())
    }

    /// The buffers of an answer as its frame tells them. Waits for nothing.
    ///
    /// # Errors
    /// They would have to go in it, and do not fit.
    pub(crate) fn host_tool_told(&self, answer: &Payload) -> Result<Vec<Told>, TooLong> {
        self.told(answer, Loans::lend_taken)
    }

    pub(crate) fn host_tool_value(&self, id: u64, value: Bytes, told: Vec<Told>) {
        self.outbox.host_tool_value(id, value, told);
    }

    pub(crate) fn host_tool_item(&self, id: u64, item: Bytes, told: Vec<Told>) {
        self.outbox.host_tool_item(id, item, told);
    }

    pub(crate) fn host_tool_failed(&self, id: u64, failure: WorkerFailure) {
        self.outbox.host_tool_failed(id, failure);
    }

    pub(crate) fn host_tool_end(&self, id: u64) {
        self.outbox.host_tool_end(id);
    }
}

fn inline(buffers: &Buffers) -> Vec<Told> {
    buffers.iter().map(|buffer| Told::Inline(buffer.bytes().clone())).collect()
}

fn is_shared(told: &Told) -> bool {
    matches!(told, Told::Shared { .. })
}
