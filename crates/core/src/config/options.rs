//! A pool's parameters as a user writes them: all optional, mergeable, read from any format.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::guarded::{Barrier, Breaker, Budget, Retry, SlotBreaker};
use super::read::{Limited, Named, Size, Span, Word};
use super::suggest::closest;
use super::upkeep::{Table, Whole};
use super::{
    Access, BreakerRule, BudgetConfig, CrashBarrier, Env, Heartbeat, Limits, Line, OutputMode,
    Profile, Recycle, RetryPolicy, SharedMemory, TelemetryFilter, TimeoutProfile, Unserializable,
};
use crate::call::Affinity;
use crate::value::Map;

/// Declares the parameters once: fields, their reading by name, and how one set is laid over
/// another.
macro_rules! parameters {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty, read as $read:ty;)*) => {
        /// What a pool is made from, to be read from a configuration file or built in code. The
        /// names are those of `snakepit.Pool` in Python; what is left out has the default that is
        /// written there and here.
        ///
        /// Durations are numbers of seconds, or texts with a unit (`"500ms"`, `"30s"`, `"5m"`,
        /// `"1h"`), sizes numbers of bytes, or texts (`"64KiB"`, `"256MiB"`, `"1GiB"`). Unknown keys
        /// are refused, with the closest known one.
        ///
        /// ```
        /// use std::time::Duration;
        ///
        /// let options: snakepit::PoolOptions = toml::from_str(
        ///     r#"
        ///     adapter = "my_app.adapters:Model"
        ///     size = 4
        ///     python = "/srv/models/.venv"
        ///     timeout = "30s"
        ///     env = { CUDA_VISIBLE_DEVICES = "0" }
        ///     adapter_args = { weights = "small" }
        ///     "#,
        /// )?;
        /// assert_eq!(options.timeout, Some(Some(Duration::from_secs(30))));
        ///
        /// let error = toml::from_str::<snakepit::PoolOptions>("siez = 4").unwrap_err();
        /// assert!(error.message().contains("did you mean \"size\"?"));
        /// # Ok::<(), toml::de::Error>(())
        /// ```
        #[derive(Clone, Debug, Default, PartialEq)]
        #[non_exhaustive]
        pub struct PoolOptions {
            $($(#[doc = $doc])+ pub $name: Option<$type>,)*
        }

        impl PoolOptions {
            const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];

            /// Lays `over` over this: what is set there counts.
            pub fn merge(&mut self, over: Self) {
                $(if over.$name.is_some() {
                    self.$name = over.$name;
                })*
            }
        }

        impl<'de> Visitor<'de> for Parameters {
            type Value = PoolOptions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of a pool's parameters")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PoolOptions, A::Error> {
                let mut options = PoolOptions::default();
                while let Some(name) = map.next_key::<String>()? {
                    match &*name {
                        $(stringify!($name) => {
                            // Formats do not say which one is wrong.
                            let value = map.next_value::<$read>().map_err(|error| {
                                de::Error::custom(format!("{name}: {error}"))
                            })?;
                            options.$name = Some(value.into());
                        })*
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            return Err(de::Error::custom(unknown(&name)));
                        }
                    }
                }
                Ok(options)
            }
        }
    };
}

parameters! {
    /// Where the adapter's class is: `"module:Class"`.
    adapter: String, read as String;
    /// Number of workers, from 1 to 4096. Default: 1.
    size: usize, read as usize;
    /// Name of the pool in errors, logs and process lists. Default: `default`.
    name: String, read as String;
    /// What runs a worker's calls: `process` (one at a time), `thread` or `async` (several at once).
    /// Default: `process`.
    profile: Profile, read as Named<Profile>;
    /// Calls that a worker of the thread profile runs at once, from 1 to 256. Default: 10.
    threads_per_worker: usize, read as usize;
    /// Calls that a worker of the async profile runs at once, from 1 to 4096. Default: 100.
    max_in_flight: usize, read as usize;
    /// Workers of the thread profile report what their threads do to each other. Default: no.
    thread_safety_checks: bool, read as bool;
    /// Where a worker that runs several calls at once did not let go of one: how long its others
    /// may take until it is ended. Default: 30 s.
    condemn_drain: Duration, read as Limited;
    /// Keywords of the adapter's `__init__`.
    adapter_args: Map, read as Map;
    /// The workers' interpreter: a file, a name in `PATH` or the directory of a virtual
    /// environment. Default: that of `VIRTUAL_ENV`, else `python3` in `PATH`.
    python: PathBuf, read as PathBuf;
    /// Directories that workers search first for modules.
    pythonpath: Vec<PathBuf>, read as Word<PathBuf>;
    /// How long a call may take, waiting included, unless it says otherwise; no limit: null, or
    /// `"none"`. Default: 300 s.
    timeout: Option<Duration>, read as Span;
    /// The same for a whole stream. Default: no limit.
    stream_timeout: Option<Duration>, read as Span;
    /// Limits for what neither of these two says: `balanced` (300 s, 900 s), `production` (the same),
    /// `production_strict` (60 s, 300 s), `development` (900 s, 3600 s), `ml_inference` (the same) or
    /// `batch` (3600 s, no limit). Default: none.
    timeout_profile: TimeoutProfile, read as Named<TimeoutProfile>;
    /// How long a stream may be silent; no limit as above. Default: 300 s.
    idle_timeout: Option<Duration>, read as Span;
    /// Whether arguments are held against the tool's schema before they are sent. Default: no.
    validate_arguments: bool, read as bool;
    /// Calls that may wait for a worker. Default: 1000.
    max_queue: usize, read as usize;
    /// Bytes of arguments that may wait; one call may whatever its size. Default: 256 MiB.
    max_queue_bytes: usize, read as Size;
    /// Bytes of one encoded argument map, result or chunk. Default: 256 MiB.
    max_message: usize, read as Size;
    /// How long a worker may take until its `initialize()` has returned. Default: 60 s.
    start_timeout: Duration, read as Limited;
    /// What calls under way get when the pool is shut down. Default: 30 s.
    drain_timeout: Duration, read as Limited;
    /// Between asking a call to stop and ending its worker. Default: 2 s.
    grace: Duration, read as Limited;
    /// How sessions bind unless they say otherwise. Default: `strict_queue`.
    affinity: Affinity, read as Named<Affinity>;
    /// How long a session may be unused unless it says otherwise; no limit: null, or `"none"`.
    /// Default: 3600 s.
    session_ttl: Option<Duration>, read as Span;
    /// Sessions that may be open at once, from 1 to 10,000,000. Default: 10,000.
    max_sessions: usize, read as usize;
    /// When workers are asked for signs of life: a table of `interval`, `timeout`, `missed` and
    /// `initial_delay`, or `"none"`. Default: all of its defaults.
    heartbeat: Option<Heartbeat>, read as Table<Heartbeat>;
    /// A worker that does not answer for so long after it counts as stalled is killed; `"none"`: only
    /// a call's deadline kills. Default: none.
    stall_kill: Option<Duration>, read as Span;
    /// When workers are replaced by fresh ones: a table of `calls`, `age`, `memory`,
    /// `memory_growth`, `jitter`, `session_drain` and `at_once`, or `"none"`. Default: none.
    recycle: Option<Recycle>, read as Table<Recycle>;
    /// So many workers start at once. Default: all.
    startup_batch_size: usize, read as usize;
    /// From one start that is through to the next one in its place. Default: none.
    startup_batch_delay: Duration, read as Limited;
    /// So many failed starts in a row degrade a slot. Default: 5.
    max_failed_starts: u32, read as u32;
    /// Between two tries of a degraded slot. Default: 30 s.
    degraded_retry: Duration, read as Limited;
    /// When a call whose worker died is made again: a table of `max_attempts`, `backoff` (pauses, or
    /// a table of `base`, `max` and `multiplier`), `jitter` (`full`, `equal` or `none`) and
    /// `idempotent`. Default: once, at once, and only calls that say that they are idempotent.
    retry: RetryPolicy, read as Retry;
    /// How many such retries there may be in all: a table of `capacity`, `retry_cost` and `deposit`.
    /// Default: 500, 14 and 1.
    retry_budget: BudgetConfig, read as Budget;
    /// Refuses calls while the pool fails: a table of `failure_threshold`, or `window`,
    /// `minimum_calls` and `failure_rate`; `reset_timeout`, `half_open_max_calls` and
    /// `count_remote_errors`. Default: none.
    circuit_breaker: BreakerRule, read as Breaker;
    /// Takes slots whose workers keep dying out of the rotation, never more than half of them: a
    /// table of the same but `half_open_max_calls`, since a slot is probed by one call at a time; or
    /// `"none"`: never. Default: half of the last 20 calls of a slot, and 5 at least; 30 s.
    worker_breaker: Option<BreakerRule>, read as SlotBreaker;
    /// Prefers other slots to one whose worker crashed: a table of `taint` and `max_restarts`.
    /// Default: none.
    crash_barrier: CrashBarrier, read as Barrier;
    /// What each worker may take of the machine: a table of `nice`, `address_space`, `open_files`,
    /// `core_files`, `umask`, `no_new_privs` and `oom_score`. Default: all of its defaults.
    limits: Limits, read as Whole<Limits>;
    /// The workers' environment: `"inherit"`, `"strict"`, or a table that is laid over what is
    /// inherited; or a list of such a word and such a table. A value is a text, in which `{slot}`
    /// stands for the worker's place, or a list of texts that the places have in turn; null
    /// removes. Default: inherited.
    env: Env, read as Env;
    /// Devices that the workers have in turn, each seeing its own alone: `cuda:0`, `rocm:1`, `cpu`, or
    /// the UUID of a device or of an instance of one. Default: all see what this process sees.
    devices: Vec<String>, read as Word<String>;
    /// Names of variables that workers do not get in any case.
    secrets: Vec<String>, read as Word<String>;
    /// What becomes of the lines that workers print. Default: `show`.
    worker_output: OutputMode, read as Named<OutputMode>;
    /// The workers' end of the line. Default: that of `SNAKEPIT_LINE`, else `auto`.
    line: Line, read as Named<Line>;
    /// Memory in which large buffers travel: a table of `max_bytes`, `threshold`, `wait` and
    /// `when_full` (`inline` or `error`); or `"none"`: in frames. Default: all of its defaults.
    shared_memory: Option<SharedMemory>, read as Table<SharedMemory>;
    /// What becomes of what cannot travel in a result: a table of `detail`, `max_repr` and
    /// `max_elements`, or `"none"`: an error. Default: none.
    unserializable: Option<Unserializable>, read as Table<Unserializable>;
    /// Classes of exceptions, each as `"module:Name"`, that failures name and tell the arguments of.
    errors: Vec<String>, read as Word<String>;
    /// Which events of adapters their workers send, where somebody listens: a table of `sampling`, `allow`
    /// and `deny`. Default: all of its defaults.
    telemetry: TelemetryFilter, read as Whole<TelemetryFilter>;
    /// What `snakepit status`, `stack` and `recycle` may do to the pool from outside, as processes of
    /// the same user: `admin`, `read` or `off`. Default: `admin`.
    control: Access, read as Named<Access>;
}

struct Parameters;

impl<'de> Deserialize<'de> for PoolOptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Parameters)
    }
}

fn unknown(name: &str) -> String {
    if name == "inline" {
        return format!("{name}: only a pool in Python has this parameter; leave it out");
    }
    let hint = match closest(name, PoolOptions::NAMES) {
        Some(known) => format!("; did you mean {known:?}?"),
        None => format!("; it has {}", PoolOptions::NAMES.join(", ")),
    };
    format!("{name}: a pool has no parameter {name:?}{hint}")
}
