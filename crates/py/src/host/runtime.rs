//! The process's one driver, and blocking waits on it that let Ctrl-C through.

use std::cell::Cell;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use snakepit::blocking::{Driver, Waited};
use snakepit::process::{Owner, PerProcess, owner};
use tokio::time::Instant;

use super::leave;

/// The driver of this process. A forked child gets its own.
static DRIVER: PerProcess<Mutex<Option<Arc<Driver>>>> = PerProcess::new();

/// Started at the first call.
pub(super) fn driver() -> PyResult<Arc<Driver>> {
    let slot = DRIVER.get(Mutex::default);
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(driver) = &*slot {
        return Ok(driver.clone());
    }
    let driver = Driver::start("snakepit-standby")
        .map_err(|error| PyOSError::new_err(format!("cannot start the runtime: {error}")))?;
    *slot = Some(driver.clone());
    Ok(driver)
}

/// How a wait ended.
pub(super) enum Ended<T> {
    Ready(T),
    TimedOut,
}

/// Waits, detached, for the future that `submit` returns. On the main thread signal handlers run
/// at least every 50 ms; what they raise ends the wait and drops the future.
pub(super) fn wait<F>(
    py: Python<'_>,
    driver: &Driver,
    submit: impl FnOnce() -> F + Send,
    limit: Option<Duration>,
) -> PyResult<Ended<F::Output>>
where
    F: Future + Unpin + Send,
    F::Output: Send,
{
    py.detach(|| {
        let ended = wait_detached(driver, submit, limit);
        leave::come_back();
        ended
    })
}

/// As [`wait`], for a thread that is detached already.
pub(super) fn wait_detached<F>(
    driver: &Driver,
    submit: impl FnOnce() -> F,
    limit: Option<Duration>,
) -> PyResult<Ended<F::Output>>
where
    F: Future + Unpin,
{
    let limit = limit.and_then(|limit| Instant::now().checked_add(limit));
    let mut check = || Python::attach(|py| py.check_signals());
    let waited = if is_main_thread() {
        driver.wait(submit, limit, Some(&mut check))?
    } else {
        driver.wait::<F, PyErr>(submit, limit, None)?
    };
    Ok(match waited {
        Waited::Ready(output) => Ended::Ready(output),
        Waited::TimedOut(future) => {
            drop(future);
            driver.kick();
            Ended::TimedOut
        }
    })
}

/// Signal handlers of Python run on the main thread only; in a forked child that is the one that
/// forked.
pub(super) fn is_main_thread() -> bool {
    thread_local!(static IS_MAIN: Cell<Option<(Owner, bool)>> = const { Cell::new(None) });
    match IS_MAIN.get() {
        Some((owner, is_main)) if owner.is_here() => is_main,
        _ => {
            let is_main = nix::unistd::gettid() == nix::unistd::getpid();
            IS_MAIN.set(Some((owner(), is_main)));
            is_main
        }
    }
}

/// Seconds as Python gives them. None: no limit.
pub(super) fn duration(seconds: Option<f64>) -> Option<Duration> {
    // More than a clock can hold is no limit; the face has refused what is below zero.
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok())
}
