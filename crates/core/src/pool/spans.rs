//! The spans of traced calls that the host knows of: how long one waited, and how it ended.
//!
//! ```text
//! call     ├──────────────────────────────────────────────┤   begun by whoever made it, ended here
//! queue    ├─────┤                                            until it was sent
//! dispatch       ├──┤                                         until its worker began it
//! execute           ├──────────────────────────────────┤      its worker's, with what is inside of it
//! ```
//!
//! A call that is made again has the lower three once more. An execution of which its worker could
//! not tell before it died is told here: from when it was sent, since nobody knows when it began.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::Pool;
use super::shared::Shared;
use super::trace::word;
use crate::call::Step;
use crate::error::Error;
use crate::telemetry::{Number, SpanRecord, SpanStatus, TraceContext, Value, nanoseconds, now_ns};

/// A call that is a part of somebody's trace.
pub(super) struct TracedCall {
    /// Its own span.
    pub(super) context: TraceContext,
    /// Where the span is this pool's own: what it is inside of.
    parent: Option<[u8; 8]>,
    tool: Arc<str>,
    session: Option<Arc<str>>,
    /// Nanoseconds since the epoch.
    began: u64,
    since: Instant,
    /// A leaf lock.
    progress: Mutex<Progress>,
}

/// How far it is. All times are nanoseconds since the epoch.
struct Progress {
    /// It waits, or waited, since then.
    waits: u64,
    sent: Option<u64>,
    /// Its worker has told that it began it.
    told: bool,
    retries: u32,
    /// Executions that nobody has told: their workers died too soon.
    lost: Vec<Lost>,
}

struct Lost {
    waits: u64,
    sent: u64,
    died: u64,
}

impl TracedCall {
    /// A call whose span somebody has begun.
    pub(super) fn new(context: TraceContext, tool: Arc<str>, session: Option<Arc<str>>) -> Self {
        Self::with_parent(context, None, tool, session)
    }

    /// A call that is made inside of a span.
    pub(super) fn within(around: &TraceContext, tool: Arc<str>, session: Option<Arc<str>>) -> Self {
        Self::with_parent(around.child(), Some(around.span_id), tool, session)
    }

    fn with_parent(
        context: TraceContext,
        parent: Option<[u8; 8]>,
        tool: Arc<str>,
        session: Option<Arc<str>>,
    ) -> Self {
        let began = now_ns();
        let progress =
            Progress { waits: began, sent: None, told: false, retries: 0, lost: Vec::new() };
        let (since, progress) = (Instant::now(), Mutex::new(progress));
        Self { context, parent, tool, session, began, since, progress }
    }

    /// By the clock that its spans begin with: one that is set meanwhile changes none of them.
    fn now(&self) -> u64 {
        self.began + nanoseconds(self.since.elapsed())
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        // Every section here leaves it whole.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It goes to a worker.
    pub(super) fn sent(&self) {
        let mut progress = self.progress();
        (progress.sent, progress.told) = (Some(self.now()), false);
    }

    /// Its worker died, and it is made again.
    pub(super) fn retried(&self) {
        let mut progress = self.progress();
        let died = self.now();
        if let Some(sent) = progress.sent.take()
            && !progress.told
        {
            let waits = progress.waits;
            progress.lost.push(Lost { waits, sent, died });
        }
        (progress.waits, progress.told) = (died, false);
        progress.retries += 1;
    }

    /// A worker tells of a span. What came before it, where that is the call's execution.
    pub(super) fn begins(&self, span: &SpanRecord) -> Option<[SpanRecord; 2]> {
        if span.end.is_some() || span.parent_span_id != Some(self.context.span_id) {
            return None;
        }
        let mut progress = self.progress();
        let sent = progress.sent.filter(|_| !progress.told)?;
        progress.told = true;
        let dispatched = span.start.max(sent);
        Some([self.inner("queue", progress.waits, sent), self.inner("dispatch", sent, dispatched)])
    }

    /// A span of its trace inside of it; None: itself.
    pub(super) fn inside(&self, span: Option<[u8; 8]>) -> TraceContext {
        let span_id = span.unwrap_or(self.context.span_id);
        TraceContext { span_id, ..self.context.clone() }
    }

    /// A part of its time.
    fn inner(&self, name: &str, start: u64, end: u64) -> SpanRecord {
        SpanRecord {
            trace_id: self.context.trace_id,
            span_id: TraceContext::new_span_id(),
            parent_span_id: Some(self.context.span_id),
            name: name.into(),
            start,
            end: Some(end),
            attributes: Vec::new(),
            status: SpanStatus::Unset,
            call: None,
        }
    }

    /// An execution that its worker has not told of.
    fn untold(&self, sent: u64, end: u64, why: &str) -> SpanRecord {
        let name = format!("execute {}", self.tool);
        SpanRecord {
            attributes: vec![("snakepit.unfinished".into(), Value::Flag(true))],
            status: SpanStatus::Error(why.into()),
            ..self.inner(&name, sent, end)
        }
    }

    /// All that is left to tell, its own span last.
    fn end(
        &self,
        (pool, worker): (&str, Option<usize>),
        outcome: Result<(), &Error>,
    ) -> Vec<SpanRecord> {
        let Progress { waits, sent, told, retries, lost } = &mut *self.progress();
        let (end, mut records) = (self.now(), Vec::new());
        for Lost { waits, sent, died } in lost.drain(..) {
            records.push(self.inner("queue", waits, sent));
            records.push(self.untold(sent, died, "its worker died"));
        }
        let queued = |error: &Error| matches!(error, Error::Timeout { step: Step::Queued, .. });
        let sent = sent.filter(|_| !outcome.is_err_and(queued));
        if !*told {
            records.push(self.inner("queue", *waits, sent.unwrap_or(end)));
            if let (Some(sent), Err(error)) = (sent, outcome)
                && error.may_have_run()
            {
                records.push(self.untold(sent, end, &error.to_string()));
            }
        }
        let text = |key: &str, text: &str| (key.to_owned(), Value::from(text));
        let mut attributes = vec![
            text("snakepit.pool", pool),
            text("snakepit.tool", &self.tool),
            text("snakepit.outcome", outcome.err().map_or("ok", word)),
        ];
        attributes.extend(self.session.as_deref().map(|id| text("snakepit.session", id)));
        attributes
            .extend(worker.map(|number| text("snakepit.worker", &format!("{pool}/{number}"))));
        if *retries > 0 {
            let retries = Number::Whole((*retries).into());
            attributes.push(("snakepit.retries".into(), Value::Number(retries)));
        }
        let status =
            outcome.map_or_else(|error| SpanStatus::Error(error.to_string()), |()| SpanStatus::Ok);
        records.push(self.own(end, attributes, status));
        records
    }

    fn own(&self, end: u64, attributes: Vec<(String, Value)>, status: SpanStatus) -> SpanRecord {
        SpanRecord {
            trace_id: self.context.trace_id,
            span_id: self.context.span_id,
            parent_span_id: self.parent,
            name: format!("call {}", self.tool),
            start: self.began,
            end: Some(end),
            attributes,
            status,
            call: None,
        }
    }
}

impl Shared {
    /// A traced call ended; `worker` is the number of the one that had it last.
    #[cold]
    pub(super) fn end_trace(
        &self,
        traced: &TracedCall,
        worker: Option<usize>,
        outcome: Result<(), &Error>,
    ) {
        if let Some(handler) = self.relay.spans().filter(|_| traced.context.is_sampled()) {
            handler(traced.end((self.config.name.as_str(), worker), outcome));
        }
    }
}

impl Pool {
    /// A call for which somebody has begun a span is not made after all: tells that it has ended.
    pub fn abandon(&self, trace: TraceContext, tool: &str, why: String) {
        if let Some(handler) = self.shared.relay.spans().filter(|_| trace.is_sampled()) {
            let traced = TracedCall::new(trace, tool.into(), None);
            let pool = ("snakepit.pool".to_owned(), Value::from(self.config().name.as_str()));
            handler(vec![traced.own(traced.began, vec![pool], SpanStatus::Error(why))]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traced() -> TracedCall {
        let context = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        TracedCall::new(context.parse().expect("a context"), "t".into(), None)
    }

    fn names(records: &[SpanRecord]) -> Vec<&str> {
        records.iter().map(|record| &*record.name).collect()
    }

    fn execution(traced: &TracedCall, start: u64) -> SpanRecord {
        SpanRecord { end: None, ..traced.inner("execute t", start, 0) }
    }

    #[test]
    fn queue_and_dispatch_are_told_once_for_each_execution() {
        let traced = traced();
        traced.sent();
        let begun = execution(&traced, traced.now() + 7);
        let before = traced.begins(&begun).expect("the first span of an execution");
        assert_eq!(names(&before), ["queue", "dispatch"]);
        assert_eq!(
            (before[1].start, before[1].end),
            (before[0].end.unwrap_or(0), Some(begun.start))
        );
        assert_eq!(traced.begins(&begun), None, "told already");
        assert_eq!(names(&traced.end(("p", Some(1)), Ok(()))), ["call t"]);
    }

    #[test]
    fn executions_of_workers_that_died_too_soon_are_told_by_the_host() {
        let traced = traced();
        traced.sent();
        traced.retried();
        traced.sent();
        assert!(traced.begins(&execution(&traced, traced.now())).is_some());
        let ended = traced.end(("p", Some(1)), Ok(()));
        assert_eq!(names(&ended), ["queue", "execute t", "call t"]);
        assert!(matches!(ended[1].status, SpanStatus::Error(_)));
        let retries = Value::Number(Number::Whole(1));
        assert!(ended[2].attributes.contains(&("snakepit.retries".into(), retries)));
    }

    #[test]
    fn a_call_that_no_worker_had_was_in_the_queue_to_its_end() {
        let traced = traced();
        let why = Error::Cancelled { tool: "t".into(), may_have_run: false };
        let ended = traced.end(("p", None), Err(&why));
        assert_eq!(names(&ended), ["queue", "call t"]);
        assert_eq!(ended[0].end, ended[1].end);
        assert_eq!(ended[1].status, SpanStatus::Error(why.to_string()));
    }
}
