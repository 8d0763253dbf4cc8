//! What a pool's workers are: their profile, the Python that they run in, and what they report.

use std::sync::Arc;

use super::Pool;
use super::shared::Shared;
use crate::config::Profile;
use crate::id::{PoolName, WorkerRef};
use crate::transport::{FromWorker, PythonInfo};

/// Reports of a worker that are kept.
const MAX_REPORTS: usize = 32;

/// How a pool is made up, and what its workers run in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolInfo {
    /// Its name.
    pub name: PoolName,
    /// What runs a worker's calls.
    pub profile: Profile,
    /// Workers.
    pub size: usize,
    /// Calls that a worker runs at once.
    pub capacity: usize,
    /// One row a worker, by its place.
    pub workers: Vec<WorkerDetail>,
}

/// What there is to know of one worker, beside [`super::WorkerInfo`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerDetail {
    /// Which worker.
    pub worker: WorkerRef,
    /// Calls in it now.
    pub running: usize,
    /// The Python that it runs in; none before it is ready, and where it is no Python.
    pub python: Option<PythonInfo>,
    /// What it told people of itself, the first 32 of it: modules that switched the global interpreter
    /// lock on, and with `thread_safety_checks` what its threads did to each other.
    pub reports: Vec<Arc<str>>,
}

impl Pool {
    /// What the pool and its workers are; no workers in a fork.
    pub fn info(&self) -> PoolInfo {
        let config = self.config();
        let workers = match self.is_forked() {
            true => Vec::new(),
            false => (0..config.size).map(|number| self.shared().detail(number)).collect(),
        };
        PoolInfo {
            name: config.name.clone(),
            profile: config.worker.profile,
            size: config.size,
            capacity: config.worker.capacity,
            workers,
        }
    }
}

impl Shared {
    fn detail(&self, number: usize) -> WorkerDetail {
        let inner = self.lock();
        let slot = inner.state.slot_of(number);
        let (generation, running) = (inner.state.generation(slot), inner.state.load(slot));
        let record = &inner.records[slot];
        WorkerDetail {
            worker: WorkerRef { pool: self.config.name.clone(), slot: number, generation },
            running,
            python: record.python.clone(),
            reports: record.reports.clone(),
        }
    }

    /// Takes note of what a worker reports; `frames` has other things too.
    #[cold]
    pub(super) fn take_reports(&self, slot: usize, frames: &mut Vec<FromWorker>) {
        let mut news = Vec::new();
        frames.retain_mut(|frame| {
            let FromWorker::Report(text, python) = frame else { return true };
            news.push((Arc::<str>::from(std::mem::take(text)), python.take()));
            false
        });
        let mut inner = self.lock();
        let record = &mut inner.records[slot];
        for (text, python) in news {
            if let (Some(known), Some(told)) = (&mut record.python, python) {
                (known.gil, known.gil_enabled_by) = (told.gil, told.gil_enabled_by);
            }
            if record.reports.len() < MAX_REPORTS && !record.reports.contains(&text) {
                record.reports.push(text);
            }
        }
    }
}
