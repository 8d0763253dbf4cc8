//! Decisions: pure state machines, event in, effects out, `now` passed in. No task, no lock, no I/O.

pub(crate) mod affinity;
pub(crate) mod allowance;
pub(crate) mod arena;
pub(crate) mod breaker;
pub(crate) mod budget;
pub(crate) mod health;
pub(crate) mod heartbeat;
pub(crate) mod hostcalls;
pub(crate) mod prefetch;
pub(crate) mod queue;
pub(crate) mod rate;
pub(crate) mod recycle;
pub(crate) mod reentrancy;
pub(crate) mod restart;
pub(crate) mod retry;
pub(crate) mod session;
pub(crate) mod startup;
pub(crate) mod toolbox;
