//! The spans of traced calls that the host knows of: how long one waited for a worker, and how it ended.
//!
//! ```text
//! call     ├──────────────────────────────────────────────┤   begun by whoever made it, ended here
//! queue    ├─────┤
//! execute         ├────────────────────────────────────┤      its worker's, with what is inside of it
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::job::Job;
use super::shared::Shared;
use super::trace::word;
use crate::error::Error;
use crate::telemetry::{SpanRecord, SpanStatus, TraceContext, Value};

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
    /// Nanoseconds from then until it was sent, for the last time; 0: it was not.
    sent: AtomicU64,
}

impl TracedCall {
    /// A call whose span somebody has begun.
    pub(super) fn new(context: TraceContext, job: &Job) -> Self {
        Self::with_parent(context, None, job)
    }

    /// A call that is made inside of a span.
    pub(super) fn within(around: &TraceContext, job: &Job) -> Self {
        Self::with_parent(around.child(), Some(around.span_id), job)
    }

    fn with_parent(context: TraceContext, parent: Option<[u8; 8]>, job: &Job) -> Self {
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            context,
            parent,
            tool: job.tool.clone(),
            session: job.session.clone(),
            began: nanoseconds(began),
            since: Instant::now(),
            sent: AtomicU64::new(0),
        }
    }

    /// It goes to a worker.
    pub(super) fn sent(&self) {
        self.sent.store(nanoseconds(self.since.elapsed()).max(1), Relaxed);
    }

    /// A span of its trace inside of it; None: itself.
    pub(super) fn inside(&self, span: Option<[u8; 8]>) -> TraceContext {
        let span_id = span.unwrap_or(self.context.span_id);
        TraceContext { span_id, ..self.context.clone() }
    }

    /// The first part of its time.
    fn queue(&self, sent: u64) -> SpanRecord {
        SpanRecord {
            trace_id: self.context.trace_id,
            span_id: TraceContext::new_span_id(),
            parent_span_id: Some(self.context.span_id),
            name: "queue".into(),
            start: self.began,
            end: Some(self.began + sent),
            attributes: Vec::new(),
            status: SpanStatus::Unset,
            call: None,
        }
    }
}

impl Shared {
    /// A call ended that may be traced; `worker` is the number of the one that had it last.
    pub(super) fn end_trace(
        &self,
        traced: Option<&TracedCall>,
        worker: Option<usize>,
        outcome: Result<(), &Error>,
    ) {
        let Some((traced, handler)) = traced.zip(self.relay.spans()) else { return };
        if !traced.context.is_sampled() {
            return;
        }
        let text = |key: &str, text: &str| (key.to_owned(), Value::from(text));
        let mut attributes = vec![
            text("snakepit.pool", self.config.name.as_str()),
            text("snakepit.tool", &traced.tool),
            text("snakepit.outcome", outcome.err().map_or("ok", word)),
        ];
        attributes.extend(traced.session.as_deref().map(|id| text("snakepit.session", id)));
        attributes.extend(
            worker.map(|number| text("snakepit.worker", &format!("{}/{number}", self.config.name))),
        );
        let end = SpanRecord {
            trace_id: traced.context.trace_id,
            span_id: traced.context.span_id,
            parent_span_id: traced.parent,
            name: traced.tool.to_string(),
            start: traced.began,
            end: Some(traced.began + nanoseconds(traced.since.elapsed())),
            attributes,
            status: outcome
                .map_or_else(|error| SpanStatus::Error(error.to_string()), |()| SpanStatus::Ok),
            call: None,
        };
        let sent = Some(traced.sent.load(Relaxed)).filter(|&sent| sent > 0);
        handler(sent.map(|sent| traced.queue(sent)).into_iter().chain([end]).collect());
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
