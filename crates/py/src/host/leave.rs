//! The interpreter's end, with threads still in here.
//!
//! A daemon thread that comes back for the interpreter once that is ending is ended by it, before
//! Python 3.14: `pthread_exit` unwinds its stack, and a stack with Rust frames on it must not be
//! unwound like that. So at exit, when the pools are closed and every wait has ended, threads that
//! come out of a wait or into a call stop for good where they are detached; and the exit waits until
//! none is between the two.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use snakepit::process::PerProcess;

use super::runtime::is_main_thread;

/// The exit waits no longer than this for threads to come out.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Default)]
struct Gate {
    leaving: AtomicBool,
    /// Threads in a method of ours.
    inside: AtomicUsize,
}

static GATE: PerProcess<Gate> = PerProcess::new();

fn gate() -> &'static Gate {
    GATE.get(Gate::default)
}

/// A thread is in a method of ours that may run Python code or wait.
pub(super) struct Inside(());

impl Inside {
    /// Does not return, off the main thread, when the interpreter ends.
    pub(super) fn enter(py: Python<'_>) -> Self {
        let gate = gate();
        gate.inside.fetch_add(1, SeqCst);
        let inside = Self(());
        if gate.leaving.load(SeqCst) && !is_main_thread() {
            py.detach(|| stop_for_good(gate));
        }
        inside
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        gate().inside.fetch_sub(1, SeqCst);
    }
}

/// For a thread that is inside and detached, before it attaches again.
pub(super) fn come_back() {
    let gate = gate();
    if gate.leaving.load(SeqCst) && !is_main_thread() {
        stop_for_good(gate);
    }
}

fn stop_for_good(gate: &Gate) {
    gate.inside.fetch_sub(1, SeqCst);
    loop {
        thread::park();
    }
}

/// No other thread gets into the interpreter through us from now on, or is on its way out of us.
pub(super) fn leave(py: Python<'_>) {
    let gate = gate();
    gate.leaving.store(true, SeqCst);
    py.detach(|| {
        let until = Instant::now() + PATIENCE;
        while gate.inside.load(SeqCst) > 0 && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
    });
}
