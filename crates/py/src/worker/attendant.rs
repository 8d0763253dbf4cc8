//! Runs what needs Python beside the main thread: cancel callbacks, answers to probes, and to who
//! asks where the threads are.
//!
//! To answer a probe is to have attached: it proves that the interpreter makes progress. The thread
//! starts with its first errand, so a worker that nobody cancels has none.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use pyo3::intern;
use pyo3::prelude::*;
use snakepit::process::FromWorker;

use super::boot::{self, Side};
use super::lock;
use super::running::RunningCall;

/// How long the interpreter's end waits for an errand that is under way.
const LAST_ERRAND: Duration = Duration::from_secs(1);

enum Errand {
    CallBack(Arc<RunningCall>),
    Answer(u64),
    Locate(u64),
    /// Tells who watches a host tool.
    Run(Py<PyAny>),
}

/// Where the watcher leaves errands.
pub(super) struct Attendant {
    side: &'static Side,
    gate: Arc<Gate>,
    errands: Option<Sender<Errand>>,
}

impl Attendant {
    pub(super) fn new(py: Python<'_>, side: &'static Side) -> PyResult<Self> {
        let gate = Arc::new(Gate::default());
        let closed = Arc::clone(&gate);
        boot::at_exit(py, move |py| py.detach(|| closed.close()))?;
        Ok(Self { side, gate, errands: None })
    }

    /// Runs the callback of a call that was just cancelled.
    pub(super) fn call_back(&mut self, call: Arc<RunningCall>) {
        self.send(Errand::CallBack(call));
    }

    /// Tells the host that the interpreter makes progress, once it does.
    pub(super) fn answer(&mut self, nonce: u64) {
        self.send(Errand::Answer(nonce));
    }

    /// Tells the host where the threads are, once it has the interpreter.
    pub(super) fn locate(&mut self, nonce: u64) {
        self.send(Errand::Locate(nonce));
    }

    /// Whether it has something to do and somebody holds the interpreter.
    pub(super) fn is_kept_waiting(&self) -> bool {
        self.gate.attaching.load(SeqCst)
    }

    /// Calls it, without arguments.
    pub(super) fn run(&mut self, callback: Py<PyAny>) {
        self.send(Errand::Run(callback));
    }

    fn send(&mut self, errand: Errand) {
        if self.errands.is_none() {
            let (sender, receiver) = channel();
            let (side, gate) = (self.side, Arc::clone(&self.gate));
            let body = move || run(side, &gate, receiver);
            // Without threads left the flag of the call still says what its callback would.
            if thread::Builder::new().name("snakepit-attendant".into()).spawn(body).is_ok() {
                self.errands = Some(sender);
            }
        }
        if let Some(errands) = &self.errands {
            let _ended_with_python = errands.send(errand);
        }
    }
}

/// One attach for the thread's whole life, as of the host's callback thread: an adapter may fork.
fn run(side: &Side, gate: &Gate, mut errands: Receiver<Errand>) {
    if !gate.enter() {
        return;
    }
    gate.attaching.store(true, SeqCst);
    let _: Option<()> = Python::try_attach(|py| {
        gate.attaching.store(false, SeqCst);
        let mut answer = None;
        while let Some(errand) = py.detach(|| next(side, gate, answer.take(), &mut errands)) {
            gate.attaching.store(false, SeqCst);
            match errand {
                Errand::CallBack(call) => call_back(py, &call),
                Errand::Answer(nonce) => answer = Some(FromWorker::ProbeAnswer { nonce }),
                Errand::Locate(nonce) => {
                    let text = where_threads_are(py).unwrap_or_else(|error| error.to_string());
                    answer = Some(FromWorker::Located { nonce, text });
                }
                Errand::Run(callback) => {
                    if let Err(error) = callback.call0(py) {
                        error.write_unraisable(py, Some(callback.bind(py)));
                    }
                }
            }
        }
    });
    gate.leave();
}

/// Sends what is to be said, waits for an errand, and for leave to attach again.
fn next(
    side: &Side,
    gate: &Gate,
    answer: Option<FromWorker>,
    errands: &mut Receiver<Errand>,
) -> Option<Errand> {
    gate.leave();
    if let Some(answer) = answer {
        let _host_is_gone = side.control.send(&answer);
    }
    let errand = errands.recv().ok();
    if !gate.enter() {
        stop_for_good();
    }
    gate.attaching.store(true, SeqCst);
    errand
}

fn where_threads_are(py: Python<'_>) -> PyResult<String> {
    py.import(intern!(py, "snakepit_bridge._threads"))?
        .call_method0(intern!(py, "where"))?
        .extract()
}

/// Python ends: a thread that attaches now would be unwound through the frames here.
fn stop_for_good() -> ! {
    loop {
        thread::park();
    }
}

fn call_back(py: Python<'_>, call: &RunningCall) {
    if let Some(callback) = call.take_callback()
        && let Err(error) = callback.call0(py)
    {
        error.write_unraisable(py, Some(callback.bind(py)));
    }
}

/// Keeps the thread out of an interpreter that ends: attaching to one may kill the process.
#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    left: Condvar,
    /// Entered, and on its way to the interpreter.
    attaching: AtomicBool,
}

#[derive(Default)]
struct GateState {
    inside: bool,
    closed: bool,
}

impl Gate {
    fn enter(&self) -> bool {
        let mut state = lock(&self.state);
        state.inside = !state.closed;
        state.inside
    }

    fn leave(&self) {
        lock(&self.state).inside = false;
        self.left.notify_all();
    }

    /// Lets nobody in any more, and waits for who is inside; must be called detached.
    fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        let _inside = self
            .left
            .wait_timeout_while(state, LAST_ERRAND, |state| state.inside)
            .unwrap_or_else(PoisonError::into_inner);
    }
}
