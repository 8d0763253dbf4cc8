//! `Jobs`: the calls that wait for a thread or task of the SDK.

use std::sync::Arc;

use pyo3::prelude::*;

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
            match self.floor.take() {
                Taken::Call(start, running) => {
                    return Job::new(py, &self.floor, *start, running).map(Some);
                }
                Taken::Closed => return Ok(None),
                Taken::Nothing => py.detach(|| self.floor.wait()),
            }
        }
    }

    /// The next call, if one is there.
    fn get_nowait(&self, py: Python<'_>) -> PyResult<Option<Job>> {
        match self.floor.take() {
            Taken::Call(start, running) => Job::new(py, &self.floor, *start, running).map(Some),
            Taken::Closed | Taken::Nothing => Ok(None),
        }
    }

    /// An eventfd that is readable after a call came, and after a stream may have room again.
    fn fileno(&self) -> i32 {
        self.floor.bell.fd()
    }
}
