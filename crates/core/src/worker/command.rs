//! How a Python worker is started: the only place that knows.

use std::path::Path;

use bytes::Bytes;

use crate::config::{OutputMode, WorkerConfig};
use crate::process::spawn::Command;
use crate::process::{
    Entry, GROUP_VARIABLE, LIMITS_VARIABLE, RECORDS_VARIABLE, RUN_VARIABLE, ToWorker, limits,
    record,
};
use crate::transport::{Token, start_message};

/// What mends a program that is no worker's interpreter.
pub(super) const REMEDY: &str = "python must name a CPython 3.10 or newer";

/// The process to spawn for a place: `program args…`, where the arguments name the SDK's boot file.
/// All that it starts carries the mark of `entry`.
pub(super) fn command(config: &WorkerConfig, place: usize, entry: &Entry) -> Command {
    let ours = [RUN_VARIABLE, GROUP_VARIABLE, LIMITS_VARIABLE, RECORDS_VARIABLE];
    let mut env = config.env_at(place);
    // Of two of one name the first would count: not the limits, nor the mark.
    env.retain(|(name, _)| !ours.iter().any(|variable| name == variable));
    env.push((RUN_VARIABLE.into(), entry.token().to_string().into()));
    if let Some(group) = entry.group() {
        env.push((GROUP_VARIABLE.into(), group.path().into()));
    }
    let limits = limits::told(&config.limits);
    if !limits.is_empty() {
        env.push((LIMITS_VARIABLE.into(), limits.into()));
    }
    if let Some(arenas) = limits::malloc_arenas(&config.limits)
        && env.iter().all(|(name, _)| name != limits::ARENAS_VARIABLE)
    {
        env.push((limits::ARENAS_VARIABLE.into(), arenas.to_string().into()));
    }
    if config.output == OutputMode::Log {
        let wanted = format!("{} {}", config.log_level, record::mark(entry.token()));
        env.push((RECORDS_VARIABLE.into(), wanted.into()));
    }
    #[cfg(feature = "failpoints")]
    if let Some(plan) = crate::failpoint::for_next_worker() {
        env.push((crate::failpoint::VARIABLE.into(), plan.into()));
    }
    Command { program: config.program.clone(), args: config.args.clone(), env }
}

/// What it reads from its control socket.
pub(super) fn start(
    token: &Token,
    socket: &Path,
    config: &WorkerConfig,
    max_message: usize,
) -> ToWorker {
    ToWorker::Start(Bytes::from(start_message(token, socket, config, max_message)))
}
