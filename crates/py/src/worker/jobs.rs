//! `Jobs`: the calls that wait for a thread or task of the SDK.

use std::sync::Arc;

use pyo3::prelude::*;

use super::boot;
use super::floor::{Floor, Taken};
use super::job::Job;

/// The calls that the host sent and nobody has taken up.
#[pyclass(frozen, module = "snakepit._core")]
pub(crate) struct Jobs {
    pub(super) floor: Arc<Floor>,
}

#[pymethods]
impl Jobs {
    /// Wait for the next call; None: no more come.
    fn get(&self, py: Python<'_>) -> PyResult<Option<Job>> {
        loop {
            match self.floor.take(py) {
                Taken::Call(start, running, buffers) => {
                    return Job::new(py, &self.floor, *start, running, buffers).map(Some);
                }
                Taken::Closed => return Ok(None),
                Taken::Nothing => py.detach(|| self.floor.wait()),
            }
        }
    }

    /// The next call, if one is there.
    fn get_nowait(&self, py: Python<'_>) -> PyResult<Option<Job>> {
        match self.floor.take(py) {
            Taken::Call(start, running, buffers) => {
                Job::new(py, &self.floor, *start, running, buffers).map(Some)
            }
            Taken::Closed | Taken::Nothing => Ok(None),
        }
    }

    /// Wait for the end of a session: its number; None: no more are told of. No call is taken up until
    /// ``ended`` says that it is done with.
    fn next_end(&self, py: Python<'_>) -> Option<u64> {
        py.detach(|| self.floor.next_end())
    }

    /// What ``next_end`` gave is done with.
    fn ended(&self) {
        if !self.floor.owner.is_here() {
            boot::exit_now();
        }
        self.floor.ended();
    }

    /// An eventfd that is readable after a call came, and after a stream may have room again.
    fn fileno(&self) -> i32 {
        self.floor.bell.fd()
    }
}
