//! From a user's parameters to a running pool.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::runtime::Handle;

use super::Pool;
use super::devices::assign_devices;
use super::lines::{traced, wanted_level};
use crate::call::Affinity;
use crate::config::{
    Access, AdapterSource, BreakerRule, BudgetConfig, CallDefaults, CrashBarrier, Env, Guards,
    Heartbeat, Limits, Line, OutputMode, PoolConfig, PoolOptions, Profile, Recycle, RetryPolicy,
    SharedMemory, TelemetryFilter, TimeoutProfile, Unserializable, WorkerConfig, is_name,
};
use crate::error::{Error, StartFailure};
use crate::hardware::usable_cores;
use crate::id::PoolName;
use crate::interpreter::{Interpreter, locate, probe};
use crate::value;

/// Longest name of a pool in characters.
const MAX_NAME: usize = 64;

impl Pool {
    /// Describes a pool whose workers run an adapter, given as `"module:Class"`.
    ///
    /// The workers' interpreter must have the Python package `snakepit-pool` installed, or
    /// `snakepit-bridge` with grpcio (see [`Line`]).
    pub fn builder(adapter: impl Into<String>) -> Builder {
        let options = PoolOptions { adapter: Some(adapter.into()), ..PoolOptions::default() };
        Self::from_config(options)
    }

    /// Describes a pool by parameters that were read from a file, say.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let options: snakepit::PoolOptions =
    ///     toml::from_str(&std::fs::read_to_string("pool.toml")?)?;
    /// let pool = snakepit::Pool::from_config(options).start().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_config(options: PoolOptions) -> Builder {
        Builder { options, adapter_args: None }
    }

    /// Closes the pool as [`Pool::close`] does; calls under way get the pool's `drain_timeout`.
    pub async fn shutdown(&self) {
        self.close(self.defaults.drain_timeout).await;
    }
}

/// A pool that is being described; see [`Pool::builder`]. [`PoolOptions`] says what each parameter
/// means and its default.
#[derive(Clone, Debug)]
#[must_use = "nothing runs before start()"]
pub struct Builder {
    options: PoolOptions,
    /// The adapter's keywords as they were given in code; they count more than those of `options`.
    adapter_args: Option<Result<Bytes, value::CodecError>>,
}

macro_rules! setters {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty;)*) => { $(
        $(#[doc = $doc])+
        pub fn $name(mut self, $name: $type) -> Self {
            self.options.$name = Some($name.into());
            self
        }
    )* };
}

impl Builder {
    setters! {
        /// Number of workers, from 1 to 4096.
        size: usize;
        /// Name of the pool in errors and logs.
        name: impl Into<String>;
        /// The workers' interpreter: a file, a name in `PATH` or the directory of a virtual
        /// environment.
        python: impl Into<PathBuf>;
        /// What runs a worker's calls.
        profile: Profile;
        /// Calls that a worker of the thread profile runs at once.
        threads_per_worker: usize;
        /// Calls that a worker of the async profile runs at once.
        max_in_flight: usize;
        /// Workers of the thread profile report what their threads do to each other.
        thread_safety_checks: bool;
        /// How long the other calls of a worker may take that did not let go of one.
        condemn_drain: Duration;
        /// How long a call may take, waiting included; `None`: no limit.
        timeout: impl Into<Option<Duration>>;
        /// The same for a whole stream.
        stream_timeout: impl Into<Option<Duration>>;
        /// Limits for what neither of these two says.
        timeout_profile: TimeoutProfile;
        /// How long a stream may be silent; `None`: no limit.
        idle_timeout: impl Into<Option<Duration>>;
        /// Whether arguments are held against the tool's schema before they are sent; see
        /// [`super::Call::validate_arguments`].
        validate_arguments: bool;
        /// Calls that may wait for a worker.
        max_queue: usize;
        /// Bytes of arguments that may wait.
        max_queue_bytes: usize;
        /// When a call whose worker died is made again.
        retry: RetryPolicy;
        /// How many such retries there may be in all.
        retry_budget: BudgetConfig;
        /// Refuses calls while the pool fails.
        circuit_breaker: BreakerRule;
        /// Takes slots whose workers keep dying out of the rotation; `None`: never.
        worker_breaker: impl Into<Option<BreakerRule>>;
        /// Prefers other slots to one whose worker crashed.
        crash_barrier: CrashBarrier;
        /// Bytes of one encoded argument map, result or chunk.
        max_message: usize;
        /// How long a worker may take until its `initialize()` has returned.
        start_timeout: Duration;
        /// What calls under way get on [`Pool::shutdown`].
        drain_timeout: Duration;
        /// Between asking a call to stop and ending its worker.
        grace: Duration;
        /// How sessions bind unless they say otherwise.
        affinity: Affinity;
        /// How long a session may be unused unless it says otherwise; `None`: until it is closed.
        session_ttl: impl Into<Option<Duration>>;
        /// Sessions that may be open at once.
        max_sessions: usize;
        /// When workers are asked for signs of life; `None`: never.
        heartbeat: impl Into<Option<Heartbeat>>;
        /// A worker that has been stalled for so long is killed; `None`: only a deadline kills.
        stall_kill: impl Into<Option<Duration>>;
        /// When workers are replaced by fresh ones; `None`: never.
        recycle: impl Into<Option<Recycle>>;
        /// So many workers start at once.
        startup_batch_size: usize;
        /// From one start that is through to the next one in its place.
        startup_batch_delay: Duration;
        /// So many failed starts in a row degrade a slot.
        max_failed_starts: u32;
        /// Between two tries of a degraded slot.
        degraded_retry: Duration;
        /// What each worker may take of the machine.
        limits: Limits;
        /// The workers' environment.
        env: Env;
        /// What becomes of the lines that workers print.
        worker_output: OutputMode;
        /// The workers' end of the line.
        line: Line;
        /// Memory in which large buffers travel; `None`: in frames.
        shared_memory: impl Into<Option<SharedMemory>>;
        /// What becomes of what cannot travel in a result; `None`: an error.
        unserializable: impl Into<Option<Unserializable>>;
        /// Which events of adapters their workers send, where somebody listens.
        telemetry: TelemetryFilter;
        /// What an operator may do to the pool from outside.
        control: Access;
    }

    /// A directory that workers search for modules, behind those given before.
    pub fn pythonpath(mut self, folder: impl Into<PathBuf>) -> Self {
        self.options.pythonpath.get_or_insert_default().push(folder.into());
        self
    }

    /// Devices that the workers have in turn, each seeing its own alone; see [`crate::hardware`] for
    /// their names.
    pub fn devices(mut self, devices: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.options.devices = Some(devices.into_iter().map(Into::into).collect());
        self
    }

    /// A variable that workers do not get in any case.
    pub fn secret(mut self, name: impl Into<String>) -> Self {
        self.options.secrets.get_or_insert_default().push(name.into());
        self
    }

    /// A class of exceptions, `"module:Name"`, that failures name and tell the arguments of: see
    /// [`crate::Failure::class`].
    pub fn error_class(mut self, class: impl Into<String>) -> Self {
        self.options.errors.get_or_insert_default().push(class.into());
        self
    }

    /// Keywords of the adapter's `__init__`: a struct, a map, or `()`.
    pub fn adapter_args(mut self, arguments: impl Serialize) -> Self {
        self.adapter_args = Some(value::encode_arguments(&arguments));
        self
    }

    /// Lays `options` over what was said so far.
    pub fn merge(mut self, options: PoolOptions) -> Self {
        if options.adapter_args.is_some() {
            self.adapter_args = None;
        }
        self.options.merge(options);
        self
    }

    /// Checks the configuration, asks the interpreter what it can do, and starts the pool on the
    /// current runtime. Workers start behind it: calls wait for them, as does
    /// [`Pool::await_ready`].
    ///
    /// # Errors
    /// [`Error::Config`] naming the parameter that is wrong; [`Error::Start`] for an interpreter
    /// that is missing, too old, or without the SDK, with what mends it.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time enabled.
    pub async fn start(self) -> Result<Pool, Error> {
        let Self { options, adapter_args } = self;
        let name = pool_name(options.name.as_deref())?;
        let adapter = options.adapter.as_deref().unwrap_or_default();
        let adapter = AdapterSource::parse(adapter)?;
        let adapter_args = keywords(&options, adapter_args)?;
        let line = match options.line {
            Some(line) => line,
            None => line_of_environment()?,
        };
        let pythonpath = folders(options.pythonpath.as_deref().unwrap_or_default())?;
        let size = options.size.unwrap_or(1);
        let profile = options.profile.unwrap_or_default();
        let capacity = profile.capacity(options.threads_per_worker, options.max_in_flight)?;
        let thread_safety_checks = safety_checks(profile, options.thread_safety_checks)?;
        // Coroutines share one thread.
        let threads = if profile == Profile::Thread { capacity } else { 1 };
        let cores = usable_cores();
        let env = options.env.clone().unwrap_or_default().of_worker(
            std::env::vars_os(),
            options.secrets.as_deref().unwrap_or_default(),
            &pythonpath,
            (cores / (size * threads).max(1)).max(1),
        )?;
        let worker = WorkerConfig {
            program: PathBuf::new(), // once the rest has been found right
            args: Vec::new(),
            env: env.everywhere,
            env_by_slot: env.by_place,
            devices: Vec::new(), // once the machine has been asked
            limits: options.limits.unwrap_or_default(),
            sys_path: Vec::new(),
            bridge_path: String::new(),
            adapter,
            adapter_args,
            output: options.worker_output.unwrap_or_default(),
            log_level: wanted_level(),
            profile,
            capacity,
            thread_safety_checks,
            results: options.unserializable.clone().flatten(),
            errors: options.errors.clone().unwrap_or_default(),
            telemetry: options.telemetry.clone().unwrap_or_default(),
        };
        let mut config = PoolConfig::new(name, size, worker);
        config.shared_memory = options.shared_memory.unwrap_or(config.shared_memory);
        config.control = options.control.unwrap_or_default();
        limits(&mut config, &options);
        config.validate()?;
        assign_devices(&mut config.worker, &options).await?;
        find_interpreter(&mut config, options.python.as_deref(), line).await?;

        let lines = (config.worker.output == OutputMode::Log).then(traced);
        let mut pool = Pool::start_on(&Handle::current(), config, lines)?;
        let usual = CallDefaults::default();
        let profile = options.timeout_profile;
        let limits = profile.map(|profile| (profile.timeout(), profile.stream_timeout()));
        let (timeout, stream_timeout) = limits.unwrap_or((usual.timeout, usual.stream_timeout));
        pool.defaults = CallDefaults {
            timeout: options.timeout.unwrap_or(timeout),
            stream_timeout: options.stream_timeout.unwrap_or(stream_timeout),
            idle_timeout: options.idle_timeout.unwrap_or(usual.idle_timeout),
            drain_timeout: options.drain_timeout.unwrap_or(usual.drain_timeout),
            validate_arguments: options.validate_arguments.unwrap_or(usual.validate_arguments),
        };
        Ok(pool)
    }
}

fn wrong(field: &'static str, message: impl Into<String>) -> Error {
    Error::Config { field, message: message.into() }
}

fn pool_name(name: Option<&str>) -> Result<PoolName, Error> {
    let name = name.unwrap_or("default");
    let first = name.chars().next().is_some_and(|first| first.is_ascii_alphanumeric());
    let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if first && rest && name.len() <= MAX_NAME {
        return Ok(name.into());
    }
    Err(wrong(
        "name",
        format!("1 to {MAX_NAME} of the characters A-Z a-z 0-9 _ . - are needed, not {name:?}"),
    ))
}

fn keywords(
    options: &PoolOptions,
    given: Option<Result<Bytes, value::CodecError>>,
) -> Result<Bytes, Error> {
    let encoded = match (given, &options.adapter_args) {
        (Some(encoded), _) => encoded,
        (None, Some(map)) => value::encode_arguments(map),
        (None, None) => value::encode_arguments(&()),
    };
    let told = |error: value::CodecError| {
        wrong("adapter_args", format!("{}: {}", error.path("adapter_args"), error.message()))
    };
    let encoded = encoded.map_err(told)?;
    let map: value::Map = value::decode(&encoded).map_err(told)?;
    match map.iter().filter_map(|(key, _)| key.as_str()).find(|key| !is_name(key)) {
        Some(key) => Err(wrong("adapter_args", format!("{key:?} is no keyword of __init__"))),
        None => Ok(encoded),
    }
}

fn safety_checks(profile: Profile, asked: Option<bool>) -> Result<bool, Error> {
    let checks = asked.unwrap_or_default();
    if checks && profile != Profile::Thread {
        let message = format!("only for profile \"thread\", not for {:?}", profile.as_str());
        return Err(wrong("thread_safety_checks", message));
    }
    Ok(checks)
}

fn line_of_environment() -> Result<Line, Error> {
    match std::env::var("SNAKEPIT_LINE") {
        Ok(text) if !text.is_empty() => {
            text.parse().map_err(|message| wrong("line", format!("SNAKEPIT_LINE: {message}")))
        }
        _ => Ok(Line::default()),
    }
}

fn folders(pythonpath: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let absolute = |folder: &PathBuf| {
        let shown = folder.display();
        let told = |error| wrong("pythonpath", format!("{shown}: {error}"));
        let found = std::path::absolute(folder).map_err(told)?;
        // A zip archive is as good as a folder.
        match found.try_exists().map_err(told)? {
            true => Ok(found),
            false => Err(wrong("pythonpath", format!("there is no folder {}", found.display()))),
        }
    };
    pythonpath.iter().map(absolute).collect()
}

fn limits(config: &mut PoolConfig, options: &PoolOptions) {
    config.max_queue = options.max_queue.unwrap_or(config.max_queue);
    config.max_message = options.max_message.unwrap_or(config.max_message);
    config.start_timeout = options.start_timeout.unwrap_or(config.start_timeout);
    config.grace = options.grace.unwrap_or(config.grace);
    config.session_ttl = options.session_ttl.unwrap_or(config.session_ttl);
    config.max_sessions = options.max_sessions.unwrap_or(config.max_sessions);
    config.affinity = options.affinity.unwrap_or(config.affinity);
    let life = &mut config.life;
    life.heartbeat = options.heartbeat.unwrap_or(life.heartbeat);
    life.stall_kill = options.stall_kill.unwrap_or(life.stall_kill);
    life.recycle = options.recycle.unwrap_or(life.recycle);
    life.startup_batch_size = options.startup_batch_size.or(life.startup_batch_size);
    life.startup_batch_delay = options.startup_batch_delay.unwrap_or(life.startup_batch_delay);
    life.max_failed_starts = options.max_failed_starts.unwrap_or(life.max_failed_starts);
    life.degraded_retry = options.degraded_retry.unwrap_or(life.degraded_retry);
    life.condemn_drain = options.condemn_drain.unwrap_or(life.condemn_drain);
    config.max_queue_bytes =
        options.max_queue_bytes.map_or(config.max_queue_bytes, |bytes| bytes as u64);
    guards(&mut config.guards, options);
}

fn guards(guards: &mut Guards, options: &PoolOptions) {
    if let Some(retry) = &options.retry {
        guards.retry = retry.clone();
    }
    guards.retry_budget = options.retry_budget.unwrap_or(guards.retry_budget);
    guards.circuit_breaker = options.circuit_breaker.or(guards.circuit_breaker);
    guards.worker_breaker = options.worker_breaker.unwrap_or(guards.worker_breaker);
    guards.crash_barrier = options.crash_barrier.or(guards.crash_barrier);
}

/// Fills in how a worker is started.
async fn find_interpreter(
    config: &mut PoolConfig,
    python: Option<&Path>,
    line: Line,
) -> Result<(), Error> {
    let pool = config.name.clone();
    let no_start = |reason| {
        let failure = StartFailure { reason, permanent: true, ..StartFailure::default() };
        Error::Start { pool: pool.clone(), worker: None, failure: failure.into() }
    };
    let program = locate(python).map_err(no_start)?;
    let found = probe(program, config.worker.env_at(0), config.start_timeout);
    let Interpreter { program, bridge, core } = found.await.map_err(no_start)?;
    if line == Line::Native && core.is_none() {
        return Err(no_start(format!(
            "{0} has no native end of the line that it can load; mend it with `{0} -m pip install \
             snakepit-pool`, or leave line at \"auto\"",
            program.display()
        )));
    }
    let boot = bridge.join("boot.py");
    let bridge = bridge.into_os_string().into_string();
    let bridge = bridge.map_err(|path| {
        no_start(format!("snakepit_bridge is in {}, which is no UTF-8", path.display()))
    })?;
    let core = core.map_or_else(|| "-".into(), PathBuf::into_os_string);
    let worker = &mut config.worker;
    worker.program = program;
    worker.args = vec!["-S".into(), boot.into(), OsString::from(line.as_str()), core];
    worker.bridge_path = bridge;
    Ok(())
}
