//! Tells what a pool's workers are.

use snakepit::PoolInfo;

/// See `_Detail` in the stub.
type Detail = (usize, u64, usize, Option<(String, bool, Option<String>)>, Vec<String>);

/// See `_Info` there.
pub(super) type Info = (&'static str, usize, Vec<Detail>);

/// As Python takes it.
pub(super) fn told(info: PoolInfo) -> Info {
    let worker = |it: snakepit::WorkerDetail| {
        let python = it.python.map(|python| (python.version, python.gil, python.gil_enabled_by));
        let reports = it.reports.iter().map(ToString::to_string).collect();
        (it.worker.slot, it.worker.generation, it.running, python, reports)
    };
    (info.profile.as_str(), info.capacity, info.workers.into_iter().map(worker).collect())
}
