//! What a caller asks for, and how far a call has come.

mod context;
mod session;
mod tool_name;
mod trace_context;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use context::Caller;
pub use context::{HostContext, Origin};

use crate::config::RetryPolicy;
use crate::error::{Direction, Error};
use crate::payload::Payload;
pub use session::{Binding, Ended, MAX_METADATA, MAX_SESSION_ID, Opening, SessionKey};
pub(crate) use session::{Bound, Life, Resident, check_id};
pub(crate) use tool_name::{MAX_TOOL_NAME, TOOL_NAME_RULE, is_tool_name};
pub use trace_context::{NoTraceContext, TraceContext};

/// Longest name of a tool in bytes: it travels beside the arguments, in what a frame may have beyond
/// a message.
const MAX_NAME: usize = 4096;

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

/// One call as the caller describes it; arguments are encoded already.
#[derive(Clone, Debug)]
pub struct CallSpec {
    /// Name of the tool.
    pub tool: Arc<str>,
    /// Encoded map of keyword arguments.
    pub arguments: Payload,
    /// Routing.
    pub session: Option<SessionKey>,
    /// For the whole call, waiting included. None: no limit.
    pub timeout: Option<Duration>,
    /// Whether it may run again where it may have run already.
    pub idempotent: bool,
    /// When it is made again after its worker died. None: as the pool says.
    pub retry: Option<Arc<RetryPolicy>>,
    /// Where it comes from. None: from inside the host tool that runs here, if one does.
    pub lineage: Option<Lineage>,
}

/// Where a call comes from.
#[derive(Clone, Default)]
pub struct Lineage {
    /// From inside which calls it is made.
    pub within: Option<HostContext>,
    /// What its host tools are given back.
    pub origin: Option<Origin>,
    /// Of which trace it is a part: the call itself is this span. None: as what is around it.
    pub trace: Option<TraceContext>,
}

impl From<HostContext> for Lineage {
    fn from(within: HostContext) -> Self {
        Self { within: Some(within), ..Self::default() }
    }
}

impl fmt::Debug for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lineage").field("within", &self.within).finish_non_exhaustive()
    }
}

impl CallSpec {
    /// A call without session, limit or retry.
    pub fn new(tool: impl Into<Arc<str>>, arguments: impl Into<Payload>) -> Self {
        Self {
            tool: tool.into(),
            arguments: arguments.into(),
            session: None,
            timeout: None,
            idempotent: false,
            retry: None,
            lineage: None,
        }
    }

    /// What no pool would take, whatever it does at the time.
    pub(crate) fn check(&self, max_message: usize) -> Result<(), Error> {
        let Self { tool, arguments, session, retry, .. } = self;
        if tool.len() > MAX_NAME {
            let message = format!("{} bytes are too long for a name; {MAX_NAME} fit", tool.len());
            return Err(Error::Config { field: "tool", message });
        }
        session.as_ref().map_or(Ok(()), SessionKey::check)?;
        if let Some(policy) = retry {
            policy.validate()?;
        }
        let size = arguments.bytes.len();
        if size > max_message {
            let (tool, direction, limit) = (tool.clone(), Direction::Arguments, max_message as u64);
            return Err(Error::TooLarge { tool, direction, size: size as u64, limit });
        }
        Ok(())
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
