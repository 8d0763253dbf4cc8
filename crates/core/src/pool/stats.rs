//! What a pool tells about itself.

use super::job::Job;
use super::shared::Shared;
use super::state::{Counters, State};
use crate::breaker::CircuitBreaker;
use crate::id::WorkerRef;
use crate::policy::breaker::BreakerState;
use crate::process::arena::{Arena, ArenaStats};
use crate::process::tree_memory;

/// Counts of one pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Since the pool was made.
    pub counters: Counters,
    /// Calls that wait now.
    pub queued: usize,
    /// Bytes of their arguments.
    pub queued_bytes: u64,
    /// Calls in workers now.
    pub running: usize,
    /// Slots.
    pub workers: usize,
    /// Slots whose worker is ready.
    pub ready: usize,
    /// Sessions that have a home.
    pub sessions: usize,
    /// Tokens left in the retry budget.
    pub retry_tokens: u32,
    /// What the pool's circuit breaker does, where it has one.
    pub circuit: Option<BreakerState>,
    /// Slots whose own breaker is not closed.
    pub barred: usize,
    /// What its arena has, where it has one.
    pub shared_memory: Option<ArenaStats>,
}

/// One row of the pool's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerInfo {
    /// Which worker.
    pub worker: WorkerRef,
    /// Its process id, once there is one.
    pub pid: Option<u32>,
    /// `starting`, `ready`, `busy`, `stalled`, `draining`, `stopping`, `condemned` or `degraded`.
    pub state: &'static str,
    /// Calls that it answered.
    pub calls: u64,
    /// Memory of its process tree in bytes: what it holds for itself, swap included, shared pages
    /// not.
    pub memory: Option<u64>,
    /// Sessions that live in it.
    pub sessions: u32,
    /// What the slot's breaker does with new calls.
    pub breaker: BreakerState,
    /// Whether others are preferred, since its worker crashed a short while ago.
    pub tainted: bool,
    /// What it computes with, of the pool's `devices`; none: none is assigned.
    pub device: Option<String>,
}

impl Shared {
    pub(super) fn stats(&self) -> PoolStats {
        self.read(|state| self.stats_of(state))
    }

    pub(super) fn stats_of(&self, state: &State<Box<Job>>) -> PoolStats {
        PoolStats {
            counters: state.counters(),
            queued: state.queued(),
            queued_bytes: state.queued_bytes(),
            running: state.in_workers(),
            workers: self.config.size,
            ready: state.ready(),
            sessions: state.sessions(),
            retry_tokens: state.retry_tokens(),
            circuit: self.gate.breaker().map(CircuitBreaker::state),
            barred: state.distrusted(),
            shared_memory: self.arena.as_ref().map(Arena::stats),
        }
    }

    pub(super) fn worker_info(&self, number: usize) -> WorkerInfo {
        // At one moment: else a process might be told under the name of the one before it, and
        // whoever kills it would have killed another one than he thinks.
        let (generation, pid, described, trust) = {
            let inner = self.lock();
            let (state, slot) = (&inner.state, inner.state.slot_of(number));
            let pid = inner.records[slot].pid;
            (state.generation(slot), pid, state.describe(slot), state.trust(slot))
        };
        let (state, calls, sessions) = described;
        let (breaker, tainted) = trust;
        let (worker, memory) = (self.worker(number, generation), pid.and_then(tree_memory));
        let device = Some(self.config.worker.device_at(number));
        let device = device.filter(|device| !device.is_empty()).map(str::to_owned);
        WorkerInfo { worker, pid, state, calls, memory, sessions, breaker, tainted, device }
    }
}
