//! What a caller asks for, and how far a call has come.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;

use crate::config::RetryPolicy;

/// How strictly the calls of a session stay with the worker that holds its state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Affinity {
    /// Wait for the home worker, as long as the deadline allows.
    #[default]
    StrictQueue,
    /// Answer [`crate::Error::SessionBusy`] at once when the home worker is busy.
    StrictFailFast,
    /// Prefer the home worker when it is free; else any other.
    Hint,
}

impl Affinity {
    /// Whether a call may only run on the session's home.
    pub fn is_strict(self) -> bool {
        self != Self::Hint
    }
}

impl std::str::FromStr for Affinity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "strict_queue" => Ok(Self::StrictQueue),
            "strict_fail_fast" => Ok(Self::StrictFailFast),
            "hint" => Ok(Self::Hint),
            _ => Err(format!(
                "unknown affinity {text:?}; use \"strict_queue\", \"strict_fail_fast\" or \"hint\""
            )),
        }
    }
}

/// The session that a call belongs to.
#[derive(Clone, Debug)]
pub struct SessionKey {
    /// The caller's id.
    pub id: Arc<str>,
    /// How strictly it binds.
    pub affinity: Affinity,
    /// The caller's session object, where it has one.
    pub object: Option<Arc<Binding>>,
}

/// What a session object remembers: its first binding to a worker. Another one means that the state
/// it relies on is gone.
#[derive(Debug, Default)]
pub struct Binding(OnceLock<Bound>);

/// A binding of a session to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    /// Its number, unique in the pool, from 1.
    pub(crate) binding: u64,
    pub(crate) home: Resident,
}

/// A worker as a pool's state knows it. When one is told of that is gone, its slot may have another
/// one, and another number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resident {
    pub(crate) slot: usize,
    /// What users know its place by.
    pub(crate) number: usize,
    pub(crate) generation: u64,
}

impl Binding {
    /// The binding's number, None before the first call was sent.
    pub fn get(&self) -> Option<u64> {
        self.bound().map(|bound| bound.binding)
    }

    pub(crate) fn bound(&self) -> Option<Bound> {
        self.0.get().copied()
    }

    /// Remembers the first binding; later ones are ignored.
    pub(crate) fn set_first(&self, bound: Bound) {
        let _ = self.0.set(bound);
    }
}

/// One call as the caller describes it; arguments are encoded already.
#[derive(Clone, Debug)]
pub struct CallSpec {
    /// Name of the tool.
    pub tool: Arc<str>,
    /// Encoded map of keyword arguments.
    pub arguments: Bytes,
    /// Routing.
    pub session: Option<SessionKey>,
    /// For the whole call, waiting included. None: no limit.
    pub timeout: Option<Duration>,
    /// Whether it may run again where it may have run already.
    pub idempotent: bool,
    /// When it is made again after its worker died. None: as the pool says.
    pub retry: Option<Arc<RetryPolicy>>,
}

impl CallSpec {
    /// A call without session, limit or retry.
    pub fn new(tool: impl Into<Arc<str>>, arguments: impl Into<Bytes>) -> Self {
        Self {
            tool: tool.into(),
            arguments: arguments.into(),
            session: None,
            timeout: None,
            idempotent: false,
            retry: None,
        }
    }
}

/// How far a call had come when its deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Waiting for a worker; certainly not run.
    Queued,
    /// Handed to a worker that had not begun it; certainly not run.
    Sent,
    /// A worker was running it, or may have been.
    Running,
}

impl Step {
    /// `queued`, `sent` or `running`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Running => "running",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
