//! The process's one driver, and blocking waits on it that let Ctrl-C through.

use std::cell::Cell;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use snakepit::blocking::{Driver, Waited};
use snakepit::process::{Owner, owner};
use tokio::time::Instant;

/// The driver of the process that made it.
static DRIVER: Mutex<Option<(Owner, Arc<Driver>)>> = Mutex::new(None);

/// The driver of this process, started at the first call. A forked child gets its own.
pub(super) fn driver() -> PyResult<Arc<Driver>> {
    let mut slot = DRIVER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((owner, driver)) = &*slot
        && owner.is_here()
    {
        return Ok(driver.clone());
    }
    let driver = Driver::start("snakepit-standby")
        .map_err(|error| PyOSError::new_err(format!("cannot start the runtime: {error}")))?;
    if let Some((_, parents)) = slot.replace((owner(), driver.clone())) {
        // The parent's copy: its thread does not exist here.
        parents.abandon();
    }
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
    py.detach(|| wait_detached(driver, submit, limit))
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

/// Signal handlers of Python run on the main thread only.
fn is_main_thread() -> bool {
    thread_local!(static IS_MAIN: Cell<Option<bool>> = const { Cell::new(None) });
    IS_MAIN.get().unwrap_or_else(|| {
        let is_main = nix::unistd::gettid() == nix::unistd::getpid();
        IS_MAIN.set(Some(is_main));
        is_main
    })
}

/// Seconds as Python gives them. None: no limit.
pub(super) fn duration(seconds: Option<f64>) -> Option<Duration> {
    // More than a clock can hold is no limit; the face has refused what is below zero.
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok())
}
