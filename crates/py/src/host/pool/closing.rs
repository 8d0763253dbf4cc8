//! The end of a pool: none of its workers is left, and nothing that they printed is lost.

use std::time::Duration;

use pyo3::prelude::*;
use snakepit::process::Printer;

use super::Pool;
use crate::host::leave::{self, Inside};
use crate::host::runtime;

/// After a second Ctrl-C, workers have so long to be gone.
const HURRY: Duration = Duration::from_secs(1);

/// For the last lines that workers printed.
const FLUSH_LIMIT: Duration = Duration::from_millis(100);

impl Pool {
    /// Waits for the calls under way that long; an interrupt ends the patience.
    pub(super) fn close_within(&self, py: Python<'_>, drain: Duration) -> PyResult<()> {
        if self.core().is_forked() {
            return Ok(());
        }
        let _inside = Inside::enter(py);
        let close = || Box::pin(self.core().close(drain));
        let closed = runtime::wait(py, &self.driver, close, None);
        if closed.is_err() {
            // Interrupted: no more patience, but no orphans either.
            py.detach(|| self.hurry());
        }
        // What workers printed last must not be lost with a host that ends now.
        py.detach(|| {
            Printer::global().flush(FLUSH_LIMIT);
            leave::come_back();
        });
        closed.map(drop)
    }

    pub(super) fn kill_now(&self, py: Python<'_>) {
        if self.core().is_forked() {
            return;
        }
        let _inside = Inside::enter(py);
        py.detach(|| {
            self.hurry();
            leave::come_back();
        });
    }

    /// Ends the pool without patience; for a thread that is detached.
    fn hurry(&self) {
        self.core().kill();
        let close = || Box::pin(self.core().close(Duration::ZERO));
        let limit = Some(tokio::time::Instant::now() + HURRY);
        // Interrupts are not asked: it cannot fail, and it may time out.
        let _ = self.driver.wait::<_, PyErr>(close, limit, None);
        self.driver.kick();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if self.core().is_forked() {
            std::mem::forget(self.pool.take());
        } else {
            drop(self.pool.take());
            // The last handle's tasks end when somebody drives.
            self.driver.kick();
        }
    }
}
