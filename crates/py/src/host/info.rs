//! Tells what a pool's workers are.

use snakepit::{PoolInfo, WorkerInfo};

/// See `_Detail` in the stub.
type Detail = (usize, u64, usize, Option<(String, bool, Option<String>)>, Vec<String>);

/// See `_Info` there.
pub(super) type Info = (&'static str, usize, Vec<Detail>);

/// One row of the pool's table; see `_Worker` in the stub.
pub(super) type Row = (
    usize,
    u64,
    Option<u32>,
    &'static str,
    u64,
    Option<u64>,
    u32,
    &'static str,
    bool,
    Option<String>,
);

/// As Python takes it.
pub(super) fn told(info: PoolInfo) -> Info {
    let worker = |it: snakepit::WorkerDetail| {
        let python = it.python.map(|python| (python.version, python.gil, python.gil_enabled_by));
        let reports = it.reports.iter().map(ToString::to_string).collect();
        (it.worker.slot, it.worker.generation, it.running, python, reports)
    };
    (info.profile.as_str(), info.capacity, info.workers.into_iter().map(worker).collect())
}

/// As Python takes it.
pub(super) fn row(row: WorkerInfo) -> Row {
    let (slot, generation) = (row.worker.slot, row.worker.generation);
    let breaker = row.breaker.as_str();
    let WorkerInfo { pid, state, calls, memory, sessions, .. } = row;
    let (tainted, device) = (row.tainted, row.device);
    (slot, generation, pid, state, calls, memory, sessions, breaker, tainted, device)
}
