//! Which sessions have begun in this worker. What is kept for them, and what their end means, is the
//! SDK's (`snakepit_bridge._sessions`).
//!
//! A session is known by the number of its binding. The numbers are here as well, so that a call of a
//! session that has begun asks nothing of Python.

use std::collections::HashSet;

use pyo3::intern;
use pyo3::prelude::*;
use snakepit_proto::v1::StartCall;

#[derive(Default)]
pub(super) struct Sessions {
    begun: HashSet<u64>,
}

impl Sessions {
    pub(super) fn has(&self, generation: u64) -> bool {
        self.begun.contains(&generation)
    }

    /// A call of a session is about to run. True: it is the first one here.
    pub(super) fn begin(&mut self, py: Python<'_>, start: &StartCall) -> PyResult<bool> {
        let generation = start.session_generation;
        if !self.begun.insert(generation) {
            return Ok(false);
        }
        ours(py)?.call_method1(intern!(py, "begin"), (generation, &start.session_id))?;
        Ok(true)
    }

    /// A session is over: nothing is kept for it any more, and the adapter is told.
    pub(super) fn end(&mut self, py: Python<'_>, generation: u64) -> PyResult<()> {
        if self.begun.remove(&generation) {
            ours(py)?.call_method1(intern!(py, "end"), (generation,))?;
        }
        Ok(())
    }
}

/// As [`Sessions::begin`], where several threads may be the first: one of them is.
pub(super) fn begin(py: Python<'_>, start: &StartCall) -> PyResult<bool> {
    let told = (start.session_generation, &start.session_id);
    ours(py)?.call_method1(intern!(py, "begin"), told)?.extract()
}

/// What is kept for a session; see `Sessions.state` there.
pub(super) fn state(py: Python<'_>, generation: u64) -> PyResult<Bound<'_, PyAny>> {
    ours(py)?.call_method1(intern!(py, "state"), (generation,))
}

fn ours(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    py.import(intern!(py, "snakepit_bridge._sessions"))?.getattr(intern!(py, "of_this_worker"))
}
