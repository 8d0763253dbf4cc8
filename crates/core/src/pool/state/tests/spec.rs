//! What a call is, as a test submits it.

use std::sync::Arc;
use std::time::Duration;

use crate::call::{Affinity, Binding, SessionKey};
use crate::config::RetryPolicy;
use crate::id::CallId;

/// A call to submit; `Spec::default()` has no session, no limit and may not run twice.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spec {
    pub(super) session: Option<SessionKey>,
    pub(super) timeout: Option<Duration>,
    pub(super) idempotent: bool,
    pub(super) streaming: bool,
    pub(super) raises: bool,
    pub(super) bytes: u32,
    pub(super) retry: Option<Arc<RetryPolicy>>,
    pub(super) ancestors: Option<Arc<[CallId]>>,
}

impl Spec {
    pub(super) fn stream() -> Self {
        Self { streaming: true, ..Self::default() }
    }

    pub(super) fn session(id: &str, affinity: Affinity) -> Self {
        Self {
            session: Some(SessionKey { id: id.into(), affinity, object: None }),
            ..Self::default()
        }
    }

    pub(super) fn object(mut self, object: &Arc<Binding>) -> Self {
        self.session.as_mut().expect("a session").object = Some(object.clone());
        self
    }

    pub(super) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Made from inside these calls.
    pub(super) fn within(mut self, ancestors: &[CallId]) -> Self {
        self.ancestors = Some(ancestors.into());
        self
    }

    pub(super) fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    pub(super) fn strict(&self) -> Option<&SessionKey> {
        self.session.as_ref().filter(|session| session.affinity.is_strict())
    }
}
