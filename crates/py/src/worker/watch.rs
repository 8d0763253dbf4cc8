//! Serves the control socket: what must get through while the main thread runs a tool.
//!
//! A plain thread that never attaches to Python, so it works while C code holds the interpreter.
//! What needs Python goes on to the attendant.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use pyo3::intern;
use pyo3::prelude::*;
use snakepit::process::arena::Exchange;
use snakepit::process::{FromWorker, StackDump, ToWorker, Way, end_in_place_of_shim};

use super::attendant::Attendant;
use super::boot::{self, Side};
use super::running::Running;

/// Between the end of the host and ours: the shim, or `serve` returning, is usually quicker.
const GRACE: Duration = Duration::from_secs(1);

/// Starts the thread; it lives as long as the process.
pub(super) fn start(
    py: Python<'_>,
    side: &'static Side,
    running: Arc<Running>,
    exchange: Option<Arc<Exchange>>,
) -> PyResult<()> {
    let mut attendant = Attendant::new(py, side)?;
    let stack = register_stack_dump(py).inspect_err(|error| error.display(py)).ok();
    let body = move || {
        let _end = EndWithHost(side);
        watch((side, exchange.as_deref()), &running, &mut attendant, stack.as_ref());
    };
    thread::Builder::new().name("snakepit-watch".into()).spawn(body)?;
    Ok(())
}

/// Has the interpreter's fault handler tell where all threads are, at a signal; it needs nobody's
/// leave for that.
fn register_stack_dump(py: Python<'_>) -> PyResult<StackDump> {
    let stack = StackDump::create()?;
    let all_threads_and_no_other_handler = (StackDump::signal(), stack.file(), true, false);
    py.import(intern!(py, "faulthandler"))?
        .call_method1(intern!(py, "register"), all_threads_and_no_other_handler)?;
    Ok(stack)
}

fn watch(
    (side, exchange): (&Side, Option<&Exchange>),
    running: &Running,
    attendant: &mut Attendant,
    stack: Option<&StackDump>,
) {
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
            Ok(Some((ToWorker::Trace, _))) => {
                let text = stack.and_then(StackDump::take).unwrap_or_default();
                let _host_is_gone = side.control.send(&FromWorker::Stack(text));
            }
            Ok(Some((ToWorker::Locate { nonce, way: Way::Interpreter }, _))) => {
                attendant.locate(nonce);
            }
            Ok(Some((ToWorker::Locate { nonce, way: Way::Signal }, _))) => {
                // Of an interpreter that runs on the handler might read what is gone.
                let held = stack.filter(|_| attendant.is_kept_waiting());
                let text = held.and_then(StackDump::take).unwrap_or_default();
                let _host_is_gone = side.control.send(&FromWorker::Located { nonce, text });
            }
            Ok(Some((ToWorker::Arena(message), fds))) => {
                if let Some(exchange) = exchange {
                    exchange.heard(message, fds);
                }
            }
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

/// Ends the worker, and all that it started, when the watcher ends for whatever reason: without it
/// nothing can be cancelled and nobody notices the end of the host.
struct EndWithHost(&'static Side);

impl Drop for EndWithHost {
    fn drop(&mut self) {
        end_in_place_of_shim(self.0.shim_pid, self.0.run.as_ref(), GRACE);
        boot::exit_now()
    }
}
