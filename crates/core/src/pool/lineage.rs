//! A call that is made from inside others: it is theirs, and ends with them.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

use super::Pool;
use super::job::Job;
use super::shared::Shared;
use super::spans::TracedCall;
use super::state::NewCall;
use crate::call::{HostContext, Lineage, Origin};
use crate::error::Error;
use crate::id::CallId;

/// What a call keeps of where it comes from.
pub(super) struct Descent {
    pub(super) within: Option<HostContext>,
    pub(super) origin: Option<Origin>,
    pub(super) traced: Option<Arc<TracedCall>>,
    /// Of the hook that ends it with what is around it.
    hook: u64,
}

impl Drop for Descent {
    fn drop(&mut self) {
        if let Some(within) = &self.within {
            within.forget(self.hook);
        }
    }
}

impl Pool {
    /// Admits a call that has a lineage.
    #[cold]
    pub(super) fn admit_nested(
        &self,
        lineage: Lineage,
        mut new: NewCall<Box<Job>>,
    ) -> Result<CallId, Error> {
        let Lineage { within, origin, trace } = lineage;
        let (tool, session) = (new.job.tool.clone(), new.job.session.clone());
        let id = Arc::new(OnceLock::new());
        let mut hook = 0;
        if let Some(within) = &within {
            new.timeout = earlier(new.timeout, within.deadline());
            new.ancestors = Some(within.ancestors_in(self.shared.hosting.pool).into());
            hook = within.on_cancel(end_with(&self.shared, &id));
            if within.is_cancelled() {
                let error = Error::Cancelled { tool: tool.clone(), may_have_run: false };
                if let Some(trace) = trace {
                    self.abandon(trace, &tool, error.to_string());
                }
                return Err(error);
            }
        }
        let around = within.as_ref().and_then(HostContext::trace);
        let whose = || (tool.clone(), session.clone());
        let traced = match (trace, around, whose()) {
            (Some(trace), _, (tool, session)) => Some(TracedCall::new(trace, tool, session)),
            (None, Some(around), (tool, session)) => {
                Some(TracedCall::within(around, tool, session))
            }
            (None, None, _) => None,
        };
        let traced = traced.map(Arc::new);
        new.job.lineage = Some(Box::new(Descent { within: within.clone(), origin, traced, hook }));
        let admitted = self.shared.submit(new).map_err(|error| match error {
            Error::ReentrantCall { .. } => Error::ReentrantCall { tool, session },
            other => other,
        })?;
        let _first = id.set(admitted);
        // One that came in between found no call to end.
        if within.is_some_and(|within| within.is_cancelled()) {
            self.shared.cancel(admitted);
        }
        Ok(admitted)
    }
}

/// The time that a call gets whose ancestors have a deadline.
fn earlier(timeout: Option<Duration>, deadline: Option<Instant>) -> Option<Duration> {
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    [timeout, left].into_iter().flatten().min()
}

fn end_with(shared: &Arc<Shared>, id: &Arc<OnceLock<CallId>>) -> impl FnOnce() + Send + 'static {
    let (shared, id) = (Arc::downgrade(shared), id.clone());
    move || {
        if let (Some(shared), Some(&id)) = (shared.upgrade(), id.get()) {
            shared.cancel(id);
        }
    }
}
