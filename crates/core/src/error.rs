//! Everything that can go wrong between a call and its reply, as fields.

mod cause;
mod diagnosis;
mod exit_report;
mod failure;
mod shortage;
mod start_failure;
mod violation;

use std::sync::Arc;
use std::time::Duration;

pub use cause::{Cause, Recycled};
pub use diagnosis::Diagnosis;
pub use exit_report::ExitReport;
pub use failure::Failure;
pub use shortage::Shortage;
pub use start_failure::StartFailure;
pub use violation::Violation;

use crate::call::Step;
use crate::id::{PoolName, WorkerRef};

/// Which way a message that is too large was going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Arguments, to the worker.
    Arguments,
    /// The result, from the worker.
    Result,
}

/// Everything that can go wrong between `Pool::execute` and its reply.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter is wrong.
    #[error("{field}: {message}")]
    Config {
        /// The parameter.
        field: &'static str,
        /// What is wrong with it and what would be right.
        message: String,
    },

    /// No worker can start.
    #[error("pool {pool}: no worker can start: {}", failure.reason)]
    Start {
        /// The pool.
        pool: PoolName,
        /// The worker whose failure is told, where one was tried.
        worker: Option<WorkerRef>,
        /// Why.
        failure: Arc<StartFailure>,
    },

    /// Workers were still starting when the wait for them ended.
    #[error("pool {pool}: not ready after {waited:?}: {ready} of {size} workers have started")]
    NotReady {
        /// The pool.
        pool: PoolName,
        /// How long it was waited.
        waited: Duration,
        /// Workers that are ready.
        ready: usize,
        /// Workers wanted.
        size: usize,
    },

    /// The pool was closed. Make a new one.
    #[error("pool {pool} is closed")]
    PoolClosed {
        /// The pool.
        pool: PoolName,
        /// Whether the call had been handed to a worker.
        may_have_run: bool,
    },

    /// The pool belongs to the process that this one was forked from. Make a new one here.
    #[error(
        "pool {pool} belongs to the parent of this process: a fork cannot use it; \
         create the pool after the fork"
    )]
    ForkedPool {
        /// The pool.
        pool: PoolName,
    },

    /// The bounded queue is full. Shed load, come again later, or raise `max_queue` or
    /// `max_queue_bytes`.
    #[error(
        "pool {pool}: queue is full ({waiting} calls of {bytes} bytes wait, {capacity} calls may); \
         there will be room after some {retry_after:?}"
    )]
    QueueFull {
        /// The pool.
        pool: PoolName,
        /// `max_queue`.
        capacity: usize,
        /// Calls that wait.
        waiting: usize,
        /// Bytes of their arguments.
        bytes: u64,
        /// When half of them will have been worked off, by the rate of late.
        retry_after: Duration,
    },

    /// The pool's circuit breaker refuses calls, since too many have failed. Nothing ran.
    #[error(
        "pool {pool}: the circuit breaker refuses calls; asking again can help after \
         {retry_after:?}"
    )]
    CircuitOpen {
        /// The pool.
        pool: PoolName,
        /// To ask earlier cannot help. Zero: probes are under way, and any of them may close it.
        retry_after: Duration,
    },

    /// The session's worker is busy and the session's affinity is `strict_fail_fast`.
    #[error(
        "pool {pool}: worker of session {session:?} is busy; affinity \"strict_queue\" would wait"
    )]
    SessionBusy {
        /// The pool.
        pool: PoolName,
        /// The session.
        session: Arc<str>,
    },

    /// The deadline passed; `step` tells whether the call had reached a worker.
    #[error("{tool}: no answer within {limit:?}, while {step}")]
    Timeout {
        /// The tool.
        tool: Arc<str>,
        /// The limit that passed.
        limit: Duration,
        /// How far the call had come.
        step: Step,
    },

    /// The caller cancelled the call.
    #[error("{tool}: cancelled")]
    Cancelled {
        /// The tool.
        tool: Arc<str>,
        /// Whether a worker may have begun it.
        may_have_run: bool,
    },

    /// The session's worker is gone, and the session's state with it.
    #[error("session {session:?} is lost: {cause}; open a new session and load its state again")]
    SessionLost {
        /// The session.
        session: Arc<str>,
        /// Its worker.
        worker: WorkerRef,
        /// What became of its worker.
        cause: String,
        /// How the worker ended, where it ended under this call, or while this call waited.
        exit: Option<Arc<ExitReport>>,
        /// Whether the call may have run.
        may_have_run: bool,
    },

    /// The call was made from inside others, and needs a worker that they hold: it would wait for
    /// itself. Nothing ran.
    #[error(
        "{tool}: made from inside a host tool, it needs a worker that is held by the calls that \
         wait for that tool; give the pool more workers, or make the call from outside"
    )]
    ReentrantCall {
        /// The tool.
        tool: Arc<str>,
        /// Its session, where it has one.
        session: Option<Arc<str>>,
    },

    /// The session was not used for its `ttl`, and its state is gone.
    #[error(
        "session {session:?} has expired: it was not used for its ttl; open a new session and load \
         its state again, or give it a longer ttl"
    )]
    SessionExpired {
        /// The session.
        session: Arc<str>,
    },

    /// The session was closed, and its state is gone.
    #[error("session {session:?} is closed; open a new one")]
    SessionClosed {
        /// The session.
        session: Arc<str>,
    },

    /// As many sessions are open as the pool allows. Close some, give them a shorter `ttl`, or raise
    /// `max_sessions`.
    #[error(
        "pool {pool}: {limit} sessions are open (max_sessions), so {session:?} cannot be opened; \
         close some, give them a shorter ttl, or raise max_sessions"
    )]
    SessionQuotaExceeded {
        /// The pool.
        pool: PoolName,
        /// The session that could not be opened.
        session: Arc<str>,
        /// `max_sessions`.
        limit: usize,
    },

    /// The worker's process ended during the call.
    #[error("{tool}: worker {worker} died: {exit}")]
    WorkerDied {
        /// The tool.
        tool: Arc<str>,
        /// The worker.
        worker: WorkerRef,
        /// How it ended.
        exit: Arc<ExitReport>,
        /// False only where the worker certainly had not begun the call.
        may_have_run: bool,
    },

    /// Two workers died under this call; it is not tried again.
    #[error("{tool}: {deaths} workers died under this call, the last one {worker}: {exit}")]
    PoisonCall {
        /// The tool.
        tool: Arc<str>,
        /// The last worker.
        worker: WorkerRef,
        /// How it ended.
        exit: Arc<ExitReport>,
        /// How many died.
        deaths: u32,
    },

    /// The adapter has no such tool.
    #[error("{tool}: no such tool{}", did_you_mean(suggestions))]
    ToolNotFound {
        /// The name asked for.
        tool: Arc<str>,
        /// The closest names.
        suggestions: Vec<String>,
    },

    /// The result cannot travel; nothing is wrong with the worker.
    #[error("{tool}: {message}")]
    EncodeResult {
        /// The tool.
        tool: Arc<str>,
        /// What cannot travel, where, and what would.
        message: String,
        /// Where it is inside the result.
        path: String,
        /// Its type.
        type_name: String,
    },

    /// The arguments cannot travel; nothing was sent.
    #[error("{tool}: {path}: {message}")]
    Encode {
        /// The tool.
        tool: Arc<str>,
        /// Where it is inside the arguments: `args["model"][2]`.
        path: String,
        /// What cannot travel, and what would.
        message: String,
    },

    /// The arguments are not what the tool's schema says; nothing was sent. Only of calls that
    /// asked for it by `validate_arguments`.
    #[error("{tool}: {path}: expected {expected}, got {got}")]
    Argument {
        /// The tool.
        tool: Arc<str>,
        /// The parameter; empty where it is none in particular.
        parameter: String,
        /// Where it is inside the arguments: `args["user"]["age"]`.
        path: String,
        /// What the schema asks for, in words: `an integer`.
        expected: String,
        /// What was given, in words: `a string of 3 characters`, `nothing`.
        got: String,
    },

    /// The answer is not of the type that the caller asked for. The tool has run.
    #[error("{tool}: {path}: {message}")]
    Decode {
        /// The tool.
        tool: Arc<str>,
        /// Where it is inside the answer: `result["loss"]`, or `chunk["loss"]` of a stream.
        path: String,
        /// What was found and what was asked for.
        message: String,
    },

    /// A value is larger than the pool allows. Raise `max_message` or send less.
    #[error("{tool}: {} of {size} bytes exceed the limit of {limit} bytes (max_message)",
            match direction { Direction::Arguments => "arguments", Direction::Result => "result" })]
    TooLarge {
        /// The tool.
        tool: Arc<str>,
        /// Which way it was going.
        direction: Direction,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },

    /// The adapter's code raised; the worker is well.
    #[error("{tool}: {}: {}", failure.type_name, failure.message)]
    Remote {
        /// The tool.
        tool: Arc<str>,
        /// The worker.
        worker: WorkerRef,
        /// What it raised.
        failure: Arc<Failure>,
    },
}

impl Error {
    /// How long to stay away, where the error tells: of a full queue and an open circuit breaker.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::QueueFull { retry_after, .. } | Self::CircuitOpen { retry_after, .. } => {
                Some(*retry_after)
            }
            _ => None,
        }
    }

    /// True unless it is certain that no worker began the call.
    pub fn may_have_run(&self) -> bool {
        match self {
            Self::Config { .. }
            | Self::Start { .. }
            | Self::NotReady { .. }
            | Self::ForkedPool { .. }
            | Self::QueueFull { .. }
            | Self::CircuitOpen { .. }
            | Self::SessionBusy { .. }
            | Self::SessionExpired { .. }
            | Self::SessionClosed { .. }
            | Self::SessionQuotaExceeded { .. }
            | Self::Encode { .. }
            | Self::ReentrantCall { .. }
            | Self::Argument { .. }
            | Self::ToolNotFound { .. } => false,
            Self::TooLarge { direction, .. } => *direction == Direction::Result,
            Self::Timeout { step, .. } => *step == Step::Running,
            Self::PoolClosed { may_have_run, .. }
            | Self::Cancelled { may_have_run, .. }
            | Self::SessionLost { may_have_run, .. }
            | Self::WorkerDied { may_have_run, .. } => *may_have_run,
            Self::PoisonCall { .. }
            | Self::EncodeResult { .. }
            | Self::Decode { .. }
            | Self::Remote { .. } => true,
        }
    }
}

fn did_you_mean(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!("; did you mean {}?", names.join(", ")),
    }
}
