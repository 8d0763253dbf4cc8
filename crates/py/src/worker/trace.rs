//! The execution of a traced call: a span of its trace, and what is inside of it.
//!
//! ```text
//! StartCall.traceparent ──▶ Execution ── begins, ends ──▶ telemetry, before the answer
//!                               ├─ Call.trace       what the SDK makes spans inside of
//!                               └─ attach           what the adapter's own instrumentation is inside of
//! ```
//!
//! The ids of these spans are the worker's: a host that makes spans of its own of them gives them
//! others. So what an adapter exports by itself is inside of the call, whose id all know.

use std::sync::Arc;
use std::time::Instant;

use pyo3::intern;
use pyo3::prelude::*;
use snakepit::Buffers;
use snakepit::telemetry::{TraceContext, now_ns};
use snakepit_proto::v1::attribute::Value;
use snakepit_proto::v1::result::Outcome;
use snakepit_proto::v1::{Attribute, Failure, Span, SpanStatus, StartCall};

use super::outbox::Outbox;
use super::running::RunningCall;
use super::serve::{Answer, Server};

/// Characters of what is said of an error.
const MAX_TEXT: usize = 1024;

pub(super) struct Execution {
    traceparent: String,
    tracestate: String,
    /// None: nobody records the trace.
    span: Option<Span>,
    began: Instant,
}

impl Execution {
    /// A call begins. None: it is not traced.
    pub(super) fn begin(start: &mut StartCall, outbox: &Outbox) -> Option<Self> {
        if start.traceparent.is_empty() {
            return None;
        }
        let context: TraceContext = start.traceparent.parse().ok()?;
        let span = context.is_sampled().then(|| Span {
            trace_id: context.trace_id.to_vec().into(),
            span_id: context.child().span_id.to_vec().into(),
            parent_span_id: context.span_id.to_vec().into(),
            name: format!("execute {}", start.tool),
            start_ns: now_ns(),
            attributes: vec![text("snakepit.tool", &start.tool)],
            call_id: start.call_id,
            ..Span::default()
        });
        if let Some(span) = &span {
            outbox.telemetry.add_span(span.clone());
        }
        let (traceparent, tracestate) =
            (std::mem::take(&mut start.traceparent), std::mem::take(&mut start.tracestate));
        Some(Self { traceparent, tracestate, span, began: Instant::now() })
    }

    /// Before it is answered.
    pub(super) fn end(&self, outcome: &Outcome, outbox: &Outbox) {
        let Some(span) = &self.span else { return };
        let mut span = span.clone();
        span.end_ns = span.start_ns + u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(0);
        span.set_status(SpanStatus::Ok);
        if let Outcome::Failure(failure) = outcome {
            span.set_status(SpanStatus::Error);
            span.message = said(failure);
            if !failure.type_name.is_empty() {
                span.attributes.push(text("error.type", &failure.type_name));
            }
        }
        outbox.telemetry.add_span(span);
    }

    /// What the SDK knows of it: `traceparent`, `tracestate`, its span's id; that is empty where nobody
    /// records it.
    pub(super) fn told(&self) -> (&str, &str, &[u8]) {
        (&self.traceparent, &self.tracestate, self.span_id())
    }

    pub(super) fn span_id(&self) -> &[u8] {
        self.span.as_ref().map_or(&[], |span| &span.span_id)
    }

    /// Has the adapter's own instrumentation be inside of the call, on this thread; what takes it back.
    pub(super) fn attach<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        ours(py)?.call_method1(intern!(py, "attach"), (&self.traceparent, &self.tracestate))
    }
}

impl Server<'_, '_> {
    /// As [`Server::outcome`], of a call that is traced.
    pub(super) fn traced(
        &mut self,
        number: Option<usize>,
        start: &mut StartCall,
        buffers: Result<Buffers, String>,
        (running, execution): (&Arc<RunningCall>, Arc<Execution>),
    ) -> PyResult<Answer> {
        let attached = execution.attach(self.py)?;
        let traced = Some(Arc::clone(&execution));
        let outcome = self.outcome(number, start, buffers, (running, traced));
        // A copy that a tool forked tells nothing.
        self.desk.stay_ourselves();
        detach(&attached)?;
        if let Ok((outcome, _)) = &outcome {
            execution.end(outcome, &self.line.outbox);
        }
        outcome
    }
}

/// Takes back what [`Execution::attach`] did.
pub(super) fn detach(attached: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = attached.py();
    ours(py)?.call_method1(intern!(py, "detach"), (attached,)).map(drop)
}

fn ours(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import(intern!(py, "snakepit_bridge._trace"))
}

fn said(failure: &Failure) -> String {
    let Failure { type_name, message, .. } = failure;
    let said = match type_name.is_empty() {
        true => message.clone(),
        false => format!("{type_name}: {message}"),
    };
    said.chars().take(MAX_TEXT).collect()
}

fn text(key: &str, text: &str) -> Attribute {
    Attribute { key: key.into(), value: Some(Value::Text(text.into())) }
}
