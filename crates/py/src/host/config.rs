//! Reads `snakepit._config.PoolConfig` off its attributes.

use std::ffi::OsString;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use snakepit::{
    AdapterSource, BreakerConfig, BreakerRule, ByPlace, CrashBarrier, Guards, Limits, OutputMode,
    PoolConfig, SharedMemory, SourceKind, Trip, Unserializable, WorkerConfig,
};

use super::breaker::CircuitBreaker;
use super::errors::config_error;
use super::life;
use super::retry::RetryPolicy;
use super::runtime::duration;
use crate::codec;

/// A pool's configuration, and who logs what there is to tell of its workers.
pub(super) fn read(config: &Bound<'_, PyAny>) -> PyResult<(PoolConfig, Py<PyAny>)> {
    let py = config.py();
    let text = |name: &str| config.getattr(name)?.extract::<String>();
    let seconds = |name: &'static str| -> PyResult<_> {
        let value = config.getattr(name)?.extract::<f64>()?;
        duration(Some(value))
            .ok_or_else(|| config_error(py, name, format!("{value} seconds are too many")))
    };
    let adapter_args = config.getattr("adapter_args")?;
    let worker = WorkerConfig {
        program: text("python")?.into(),
        args: config.getattr("arguments")?.extract()?,
        env: environment(&config.getattr("env")?)?,
        env_by_slot: by_slot(&config.getattr("env_by_slot")?)?,
        devices: config.getattr("devices")?.extract()?,
        limits: limits(&config.getattr("limits")?)?,
        sys_path: config.getattr("sys_path")?.extract()?,
        bridge_path: text("bridge_path")?,
        adapter: source(&config.getattr("adapter")?)?,
        adapter_args: codec::encode(&adapter_args, "adapter_args")?.into(),
        output: match &*text("worker_output")? {
            "show" => OutputMode::Show,
            "log" => OutputMode::Log,
            _ => OutputMode::Drop,
        },
        profile: text("profile")?
            .parse()
            .map_err(|message| config_error(py, "profile", message))?,
        capacity: config.getattr("capacity")?.extract()?,
        thread_safety_checks: config.getattr("thread_safety_checks")?.extract()?,
        results: results(&config.getattr("unserializable")?)?,
        errors: config.getattr("errors")?.extract()?,
        telemetry: snakepit::TelemetryFilter::default(),
    };
    let affinity =
        text("affinity")?.parse().map_err(|message| config_error(py, "affinity", message))?;
    let lines = config.getattr("log_lines")?;
    let config = PoolConfig {
        name: text("name")?.as_str().into(),
        size: config.getattr("size")?.extract()?,
        worker,
        max_queue: config.getattr("max_queue")?.extract()?,
        max_message: config.getattr("max_message")?.extract()?,
        start_timeout: seconds("start_timeout")?,
        grace: seconds("grace")?,
        affinity,
        session_ttl: config
            .getattr("session_ttl")?
            .extract::<Option<f64>>()?
            .and_then(|ttl| duration(Some(ttl))),
        max_sessions: config.getattr("max_sessions")?.extract()?,
        life: life::read(&config.getattr("life")?)?,
        max_queue_bytes: config.getattr("max_queue_bytes")?.extract()?,
        guards: guards(config)?,
        shared_memory: shared_memory(config)?,
        host_tool_depth: config.getattr("host_tool_depth")?.extract()?,
    };
    Ok((config, lines.unbind()))
}

/// Bytes at most, threshold, seconds to wait, what then.
type Memory = (Option<u64>, usize, f64, String);

/// None: buffers travel in frames alone.
fn shared_memory(config: &Bound<'_, PyAny>) -> PyResult<Option<SharedMemory>> {
    let Some(told) = config.getattr_opt("shared_memory")? else {
        return Ok(Some(SharedMemory::default()));
    };
    let read = |(max_bytes, threshold, wait, when_full): Memory| {
        let when_full = when_full
            .parse()
            .map_err(|message| config_error(config.py(), "shared_memory", message))?;
        let wait = duration(Some(wait)).unwrap_or(Duration::MAX);
        Ok(SharedMemory { max_bytes, threshold, wait, when_full })
    };
    told.extract::<Option<Memory>>()?.map(read).transpose()
}

/// As the fields of `snakepit.WorkerBreaker`; none: no slot is barred.
type SlotRule = (u32, u32, f64, Option<u32>, f64, bool);

fn guards(config: &Bound<'_, PyAny>) -> PyResult<Guards> {
    let mut guards = Guards::default();
    if let Some(retry) = config.getattr("retry")?.extract::<Option<Py<RetryPolicy>>>()? {
        guards.retry = (*retry.get().0).clone();
    }
    let barrier = config.getattr("crash_barrier")?.extract::<Option<(f64, u32)>>()?;
    guards.crash_barrier = barrier.map(|(taint, max_restarts)| CrashBarrier {
        taint: duration(Some(taint)).unwrap_or(Duration::MAX),
        max_restarts,
    });
    let rule = config.getattr("worker_breaker")?.extract::<Option<SlotRule>>()?;
    guards.worker_breaker = rule.map(|(window, minimum_calls, rate, row, reset, count)| {
        let trip = match row {
            Some(threshold) => Trip::Consecutive(threshold),
            None => Trip::Rate { window, minimum_calls, failure_rate: rate },
        };
        let reset_timeout = duration(Some(reset)).unwrap_or(Duration::MAX);
        let limits = BreakerConfig { trip, reset_timeout, ..BreakerConfig::default() };
        BreakerRule { limits, count_remote_errors: count }
    });
    Ok(guards)
}

/// The breaker that the pool shares with its owner, and whether exceptions of tools are failures.
pub(super) fn breaker(
    config: &Bound<'_, PyAny>,
) -> PyResult<Option<(snakepit::CircuitBreaker, bool)>> {
    let breaker =
        config.getattr("circuit_breaker")?.extract::<Option<(Py<CircuitBreaker>, bool)>>()?;
    Ok(breaker.map(|(breaker, count_remote_errors)| (breaker.get().0.clone(), count_remote_errors)))
}

fn results(rule: &Bound<'_, PyAny>) -> PyResult<Option<Unserializable>> {
    let read = |(detail, max_repr, max_elements): (String, u32, u64)| {
        let detail =
            detail.parse().map_err(|message| config_error(rule.py(), "unserializable", message))?;
        Ok(Unserializable { detail, max_repr, max_elements })
    };
    rule.extract::<Option<_>>()?.map(read).transpose()
}

fn source(adapter: &Bound<'_, PyAny>) -> PyResult<AdapterSource> {
    let kind = match &*adapter.getattr("kind")?.extract::<String>()? {
        "script" => SourceKind::Script,
        "main_module" => SourceKind::MainModule,
        "program" => SourceKind::Program,
        _ => SourceKind::Module,
    };
    let location = adapter.getattr("location")?.extract()?;
    let qualname = adapter.getattr("qualname")?.extract()?;
    Ok(AdapterSource { kind, location, qualname })
}

fn environment(env: &Bound<'_, PyAny>) -> PyResult<Vec<(OsString, OsString)>> {
    let dict = PyDict::new(env.py());
    dict.update(env.cast()?)?;
    dict.iter().map(|(name, value)| Ok((name.extract()?, value.extract()?))).collect()
}

fn by_slot(env: &Bound<'_, PyAny>) -> PyResult<Vec<(OsString, ByPlace)>> {
    let read = |(name, values): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        let (values, front) = values.extract::<(Vec<String>, Option<OsString>)>()?;
        let mut values = ByPlace::new(values)
            .map_err(|message| config_error(env.py(), "env", format!("{name}: {message}")))?;
        front.inspect(|front| values.put_in_front(front));
        Ok((name.extract()?, values))
    };
    env.cast::<PyDict>()?.iter().map(read).collect()
}

/// As the fields of `snakepit.Limits`; none: its defaults.
type Told = (u32, Option<u64>, Option<u64>, bool, Option<u32>, bool, u32);

fn limits(limits: &Bound<'_, PyAny>) -> PyResult<Limits> {
    let told = limits.extract::<Option<Told>>()?;
    Ok(told.map_or_else(
        Limits::default,
        |(nice, address_space, open_files, core_files, umask, no_new_privs, oom_score)| Limits {
            nice,
            address_space,
            open_files,
            core_files,
            umask,
            no_new_privs,
            oom_score,
        },
    ))
}
