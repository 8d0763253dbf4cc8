//! The worker's native end of the line: dials the host, runs the calls that it sends, answers.
//!
//! ```text
//! boot       become_worker ─▶ start_message                        before `site`, single-threaded
//! dial       connect ─▶ Hello ─▶ Initialize                        main thread
//! inbox      frame ─▶ the main thread, or who waits for a host tool   whoever waits
//! serve      frame ─▶ decode ─▶ tool ─▶ encode ─▶ outbox           main thread: the only one that runs
//!                                                                  tools, and the one that does the I/O
//! watch      control socket ─▶ cancel, grant, probe, end of host   own thread, never attaches to Python
//! arenas     large buffers: segments of the host, and our own
//! attendant  cancel callbacks, answers to probes                   own thread, attaches
//! telemetry  what the adapter tells of its work                        whoever tells
//! sessions   which sessions have been here, and their end          main thread
//! trace      spans of traced calls                                 whoever runs them
//! standby    drives the line while a tool runs long                own thread, never attaches
//!            and something that was said is not yet sent
//! ```
//!
//! Where a worker runs several calls at once (profiles `thread` and `async`), in the place of `serve`:
//!
//! ```text
//! drive      frame ─▶ floor ─▶ …; what was said ─▶ outbox      own thread, attaches never while it drives
//! jobs, job  what the SDK's threads, or its loop, take up,     theirs
//!            run and answer
//! ```
//!
//! Not here: how an adapter is found and its tools are collected (`snakepit_bridge`), how a process
//! becomes a worker (`snakepit::process`), how values look on the wire (`codec`).
//!
//! No lock of this module is held while a thread attaches to Python; each guards a few words and
//! may be taken attached.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;

mod arenas;
mod attendant;
mod bell;
mod boot;
mod call;
mod dial;
mod drive;
mod engine;
mod failure;
mod floor;
mod host_reply;
mod inbox;
mod job;
mod jobs;
mod line;
mod names;
mod outbox;
mod results;
mod running;
mod serve;
mod sessions;
mod standby;
mod stream;
mod telemetry;
mod trace;
mod watch;

/// Adds the worker's functions and classes to the extension module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(boot::become_worker, module)?)?;
    module.add_function(wrap_pyfunction!(boot::become_program, module)?)?;
    module.add_function(wrap_pyfunction!(boot::report_boot_error, module)?)?;
    module.add_function(wrap_pyfunction!(boot::start_message, module)?)?;
    module.add_function(wrap_pyfunction!(dial::attach, module)?)?;
    module.add_function(wrap_pyfunction!(arenas::room, module)?)?;
    module.add_class::<call::Call>()?;
    module.add_class::<job::Job>()?;
    module.add_class::<jobs::Jobs>()?;
    module.add_class::<host_reply::HostReply>()?;
    module.add_class::<telemetry::Telemetry>()?;
    module.add_class::<line::Line>()
}

/// Locks what stays consistent even where a holder panicked: every section here is a plain store.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
