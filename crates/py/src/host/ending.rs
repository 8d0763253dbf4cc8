//! What concerns no pool: leftovers of hosts that were killed, and the end of this one by a signal.

use std::path::PathBuf;

use pyo3::prelude::*;

/// Hosts, ended, refused: process numbers; folders: how many.
type Cleaned = (Vec<u32>, Vec<u32>, Vec<u32>, usize);

/// End what killed hosts of this user have left; `None`: in all folders where that may be.
#[pyfunction]
pub(super) fn cleanup(py: Python<'_>, folders: Option<Vec<PathBuf>>) -> Cleaned {
    let done =
        py.detach(|| folders.map_or_else(snakepit::cleanup, |all| snakepit::cleanup_in(&all)));
    let numbers = |set: std::collections::BTreeSet<u32>| set.into_iter().collect();
    (done.hosts, numbers(done.ended), numbers(done.refused), done.folders)
}

/// End this process as the default action of a signal does, from whichever thread.
#[pyfunction]
pub(super) fn end_by(py: Python<'_>, signal: i32) {
    py.detach(|| snakepit::process::end_by(signal));
}
