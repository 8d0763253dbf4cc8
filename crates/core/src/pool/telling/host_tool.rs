//! Host tools that workers call.

use std::sync::Arc;

use tokio::time::Instant;

use super::Teller;
use crate::telemetry::{
    Event, HOST_TOOL_EXCEPTION, HOST_TOOL_START, HOST_TOOL_STOP, Interest, Sink,
};
use crate::tool::Ended;
use crate::transport::WorkerFailure;

const HOST_TOOLS: Interest =
    HOST_TOOL_START.interest().and(HOST_TOOL_STOP.interest()).and(HOST_TOOL_EXCEPTION.interest());

/// One call of a host tool.
#[derive(Clone)]
pub(in super::super) struct ToldAsk {
    sink: Arc<Sink>,
    pool: Arc<str>,
    worker: Arc<str>,
    tool: Arc<str>,
    command: Arc<str>,
    session: Option<Arc<str>>,
    since: Instant,
}

impl Teller {
    /// A worker asks for a host tool, for a call. None: nobody wants to hear of it.
    pub(in super::super) fn ask(
        &self,
        worker: usize,
        tool: &Arc<str>,
        command: &Arc<str>,
        session: Option<&Arc<str>>,
    ) -> Option<ToldAsk> {
        self.sink.hears(HOST_TOOLS).then(|| ToldAsk {
            sink: self.sink.clone(),
            pool: self.pool.clone(),
            worker: self.worker(worker),
            tool: tool.clone(),
            command: command.clone(),
            session: session.cloned(),
            since: Instant::now(),
        })
    }
}

impl ToldAsk {
    /// It is about to begin.
    pub(in super::super) fn begun(&self) {
        if self.sink.hears(HOST_TOOL_START.interest()) {
            self.sink.tell(self.event(Event::new(HOST_TOOL_START)).now());
        }
    }

    /// Tells its end.
    pub(in super::super) fn ended(self) -> Ended {
        Box::new(move |failure| {
            let spec = failure.map_or(HOST_TOOL_STOP, |_| HOST_TOOL_EXCEPTION);
            if self.sink.hears(spec.interest()) {
                let event = self.event(Event::new(spec)).took("duration_ms", self.since.elapsed());
                self.sink.tell(event.with_any("error", failure.map(word)));
            }
        })
    }

    fn event(&self, event: Event) -> Event {
        let event = event.with("pool", self.pool.clone()).with("worker_id", self.worker.clone());
        let event = event.with("tool", self.tool.clone()).with("command", self.command.clone());
        event.with_any("session_id", self.session.clone())
    }
}

fn word(failure: &WorkerFailure) -> Arc<str> {
    match failure {
        WorkerFailure::Exception(raised) => raised.type_name.as_str(),
        WorkerFailure::ToolNotFound(_) => "tool_not_found",
        WorkerFailure::Encode { .. } => "encode_result",
        WorkerFailure::Cancelled => "cancelled",
        WorkerFailure::TooLarge { .. } => "too_large",
    }
    .into()
}
