//! What a pool is told when it is made.

mod access;
mod breaker;
mod by_place;
pub(crate) mod environ;
mod guard;
mod guarded;
mod life;
mod limits;
mod options;
mod profile;
mod read;
mod retry;
mod shared_memory;
mod source;
pub(crate) mod suggest;
mod telemetry;
#[cfg(test)]
mod tests;
mod timeout_profile;
mod unserializable;
mod upkeep;
mod worker;

use std::time::Duration;

pub use access::Access;
pub use breaker::{BreakerConfig, Trip};
pub use by_place::ByPlace;
pub use environ::Env;
pub use guard::{BreakerRule, CrashBarrier, Guards};
pub use life::{Heartbeat, Life, Recycle};
pub(crate) use limits::LEAST_ADDRESS_SPACE;
pub use limits::Limits;
pub use options::PoolOptions;
pub use profile::Profile;
pub use retry::{Backoff, BudgetConfig, Jitter, RetryPolicy};
pub use shared_memory::{SharedMemory, WhenFull};
pub(crate) use source::is_name;
pub(crate) use suggest::closest;
pub use telemetry::TelemetryFilter;
pub use timeout_profile::TimeoutProfile;
pub use unserializable::{Detail, Unserializable};
pub use worker::{AdapterSource, Line, OutputMode, SourceKind, WorkerConfig};

use crate::call::Affinity;
use crate::error::Error;
use crate::id::PoolName;

/// The most that `max_sessions` may be.
const MAX_SESSIONS: usize = 10_000_000;

/// Configuration of one pool. Every limit has a default that suits a service.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// Its name, shown in errors and logs.
    pub name: PoolName,
    /// How many workers.
    pub size: usize,
    /// How a worker is started and what it runs.
    pub worker: WorkerConfig,
    /// So many calls may wait; one more is refused.
    pub max_queue: usize,
    /// And so many bytes of arguments; one call may wait whatever its size.
    pub max_queue_bytes: u64,
    /// Largest encoded value in bytes, either way.
    pub max_message: usize,
    /// From the first try to fill a slot until its worker is ready, but for what a try waits for its
    /// turn.
    pub start_timeout: Duration,
    /// Between the cancel of a running call and SIGTERM; SIGKILL follows a second later.
    pub grace: Duration,
    /// How sessions bind unless they say otherwise.
    pub affinity: Affinity,
    /// How long a session may be unused unless it says otherwise; none: until it is closed.
    pub session_ttl: Option<Duration>,
    /// So many sessions may be open; one more is refused.
    pub max_sessions: usize,
    /// How workers live: probes, replacement, starts.
    pub life: Life,
    /// What it does while workers fail.
    pub guards: Guards,
    /// How large buffers travel; none: in frames, whatever their size.
    pub shared_memory: Option<SharedMemory>,
    /// So many host tools may run inside each other, each called by a call that the one before made.
    pub host_tool_depth: u32,
    /// What an operator may do to it from outside, over the operator socket of this process.
    pub control: Access,
}

impl PoolConfig {
    /// A pool of `size` workers with every limit at its default: 1,000 waiting calls of
    /// 256 MiB in all, 256 MiB messages, 60 s to start, 2 s of grace, 10,000 sessions of an hour.
    pub fn new(name: impl Into<PoolName>, size: usize, worker: WorkerConfig) -> Self {
        Self {
            name: name.into(),
            size,
            worker,
            max_queue: 1000,
            max_queue_bytes: 256 << 20,
            max_message: 256 << 20,
            start_timeout: Duration::from_secs(60),
            grace: Duration::from_secs(2),
            affinity: Affinity::default(),
            session_ttl: Some(Duration::from_secs(3600)),
            max_sessions: 10_000,
            life: Life::default(),
            guards: Guards::default(),
            shared_memory: Some(SharedMemory::default()),
            host_tool_depth: 50,
            control: Access::default(),
        }
    }

    /// Workers that can be there at once: one each place, and those that replace others.
    pub(crate) fn slots(&self) -> usize {
        self.size + self.life.spares(self.size, self.worker.capacity)
    }

    /// # Errors
    /// [`Error::Config`] naming the first field that makes no sense.
    pub fn validate(&self) -> Result<(), Error> {
        let wrong = |field, message: String| Err(Error::Config { field, message });
        if !(1..=4096).contains(&self.size) {
            return wrong("size", format!("must be from 1 to 4096, not {}", self.size));
        }
        if self.max_queue >= crate::id::CallId::MAX_LIVE / 2 {
            return wrong("max_queue", format!("must be below 131072, not {}", self.max_queue));
        }
        if !(1024..=u32::MAX as usize / 2).contains(&self.max_message) {
            let message = format!("must be from 1 KiB to 2 GiB, not {}", self.max_message);
            return wrong("max_message", message);
        }
        let (size, limit) = (self.worker.adapter_args.len(), self.max_message);
        if size > limit {
            let message = format!("{size} bytes exceed max_message, which is {limit}");
            return wrong("adapter_args", message);
        }
        if self.start_timeout.is_zero() {
            return wrong("start_timeout", "must be above zero".into());
        }
        self.worker.profile.check(self.worker.capacity)?;
        if !(1..=1000).contains(&self.host_tool_depth) {
            let message = format!("must be from 1 to 1000, not {}", self.host_tool_depth);
            return wrong("host_tool_depth", message);
        }
        if self.session_ttl.is_some_and(|ttl| ttl.is_zero()) {
            return wrong("session_ttl", "must be above zero".into());
        }
        // Places among the sessions are 32 bits wide.
        if !(1..=MAX_SESSIONS).contains(&self.max_sessions) {
            let message = format!("must be from 1 to {MAX_SESSIONS}, not {}", self.max_sessions);
            return wrong("max_sessions", message);
        }
        self.shared_memory.as_ref().map_or(Ok(()), SharedMemory::validate)?;
        self.worker.validate_errors()?;
        self.worker.limits.validate()?;
        self.life.validate()?;
        self.guards.validate()
    }
}

/// What calls get unless they say otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallDefaults {
    /// For the whole of a call that is no stream.
    pub(crate) timeout: Option<Duration>,
    /// For the whole of a stream.
    pub(crate) stream_timeout: Option<Duration>,
    /// Between the chunks of a stream.
    pub(crate) idle_timeout: Option<Duration>,
    /// For calls under way when the pool is shut down.
    pub(crate) drain_timeout: Duration,
    /// Whether arguments are held against the tool's schema.
    pub(crate) validate_arguments: bool,
}

impl Default for CallDefaults {
    fn default() -> Self {
        let five_minutes = Some(Duration::from_secs(300));
        let drain_timeout = Duration::from_secs(30);
        Self {
            timeout: five_minutes,
            stream_timeout: None,
            idle_timeout: five_minutes,
            drain_timeout,
            validate_arguments: false,
        }
    }
}
