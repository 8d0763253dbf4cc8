//! Serves the control socket: what must get through while the main thread runs a tool.
//!
//! A plain thread that never attaches to Python, so it works while C code holds the interpreter.
//! What needs Python goes on to the attendant.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{getpgrp, getpid};
use pyo3::prelude::*;
use snakepit::process::ToWorker;

use super::attendant::Attendant;
use super::boot::{self, Side};
use super::running::Running;

/// Between the end of the host and ours: the shim, or `serve` returning, is usually quicker.
const GRACE: Duration = Duration::from_secs(1);

/// Starts the thread; it lives as long as the process.
pub(super) fn start(py: Python<'_>, side: &'static Side, running: Arc<Running>) -> PyResult<()> {
    let mut attendant = Attendant::new(py, side)?;
    let body = move || {
        let _end = EndWithHost;
        watch(side, &running, &mut attendant);
    };
    thread::Builder::new().name("snakepit-watch".into()).spawn(body)?;
    Ok(())
}

fn watch(side: &Side, running: &Running, attendant: &mut Attendant) {
    loop {
        match side.control.recv() {
            Ok(Some((ToWorker::Cancel { call }, _))) => {
                if let Some(call) = running.cancel(call) {
                    attendant.call_back(call);
                }
            }
            Ok(Some((ToWorker::Grant { call, items, bytes }, _))) => {
                running.grant(call, items, bytes);
            }
            Ok(Some((ToWorker::Probe { nonce }, _))) => attendant.answer(nonce),
            Ok(Some((ToWorker::Start(_), _))) => {} // a second one means nothing
            // A newer host may say what we do not know.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {}
            Ok(None) | Err(_) => break,
        }
    }
    for call in running.cancel_all() {
        attendant.call_back(call);
    }
}

/// Ends the worker, and what it started in its group, when the watcher ends for whatever reason:
/// without it nothing can be cancelled and nobody notices the end of the host.
struct EndWithHost;

impl Drop for EndWithHost {
    fn drop(&mut self) {
        thread::sleep(GRACE);
        // Only a group of our own: an adapter may have joined another.
        if getpgrp() == getpid() {
            let _unless_we_are_dead = killpg(getpgrp(), Signal::SIGKILL);
        }
        boot::exit_now()
    }
}
