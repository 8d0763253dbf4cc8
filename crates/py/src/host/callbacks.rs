//! The one thread of ours that attaches to Python: it runs what completions ask for.
//!
//! A completion lands on whichever thread drives the runtime, which must not wait for an
//! interpreter. So callbacks and lines to log are queued here and run in batches. The thread starts
//! with the first pool; the face ends it at exit, after its pools.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyList;
use snakepit::process::PerProcess;

use super::leave::{Inside, come_back, leave as let_nobody_in};
use super::logs::Told;

/// Lines that may wait to be logged; more are dropped and counted.
const MAX_LINES: usize = 10_000;

/// Messages taken at a time.
const BATCH: usize = 1024;

/// How long a thread waits for a log handler that is slow.
const PATIENCE: Duration = Duration::from_secs(2);

static LINES_WAITING: AtomicUsize = AtomicUsize::new(0);
static LINES_DROPPED: AtomicUsize = AtomicUsize::new(0);
static THREAD: PerProcess<Mutex<Option<Thread>>> = PerProcess::new();

struct Thread {
    messages: Sender<Message>,
    handle: JoinHandle<()>,
}

/// A line for a log: worker, `stdout` or `stderr`, text; or category, level, text. And what else there
/// is to tell of what an adapter logged.
pub(super) type Line = (String, &'static str, String, Option<Told>);

enum Message {
    Run(Py<PyAny>),
    Log(Arc<Py<PyAny>>, Box<Line>),
    /// All before this is handled when the sender is dropped.
    Mark(Sender<()>),
    Stop,
}

/// Calls `callback` without arguments, soon, on the callback thread.
pub(super) fn run(callback: Py<PyAny>) {
    send(Message::Run(callback));
}

/// Hands a line to `handler`, which takes a list of them. Never waits. False: it is dropped, since too
/// many wait.
pub(super) fn log(handler: &Arc<Py<PyAny>>, line: Line) -> bool {
    let admitted = LINES_WAITING.fetch_add(1, Ordering::Relaxed) < MAX_LINES;
    if admitted {
        send(Message::Log(handler.clone(), Box::new(line)));
    } else {
        LINES_WAITING.fetch_sub(1, Ordering::Relaxed);
        LINES_DROPPED.fetch_add(1, Ordering::Relaxed);
    }
    admitted
}

/// Starts the thread, so that it is there before anything completes.
pub(super) fn start() -> PyResult<()> {
    let mut slot = thread();
    if slot.is_none() {
        let (messages, queue) = channel();
        let builder = thread::Builder::new().name("snakepit-callbacks".into());
        let handle = builder.spawn(|| serve(queue))?;
        *slot = Some(Thread { messages, handle });
    }
    Ok(())
}

fn thread() -> MutexGuard<'static, Option<Thread>> {
    // An Option is whole after any panic.
    THREAD.get(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

fn send(message: Message) {
    if let Some(thread) = &*thread() {
        // After the stop nobody is left to be told.
        let _ = thread.messages.send(message);
    }
}

/// Waits until what was told before this call has reached its handlers, 2 seconds at most: what comes
/// next may change who hears it. A handler may call this, and does not wait.
#[pyfunction]
pub(super) fn deliver_logs(py: Python<'_>) {
    let _inside = Inside::enter(py);
    let (mark, handled) = channel();
    let messages = match &*thread() {
        Some(thread) if thread.handle.thread().id() != thread::current().id() => {
            thread.messages.clone()
        }
        _ => return,
    };
    if messages.send(Message::Mark(mark)).is_ok() {
        // An error is what is waited for: the other end is dropped.
        let _ = py.detach(move || {
            let handled = handled.recv_timeout(PATIENCE);
            come_back();
            handled
        });
    }
}

/// For the interpreter's exit, when pools are closed: runs what is queued and ends the callback
/// thread; no thread of ours, or in a method of ours, attaches after this.
#[pyfunction]
pub(super) fn leave(py: Python<'_>) {
    let thread = thread().take();
    if let Some(thread) = thread {
        let _ = thread.messages.send(Message::Stop);
        // It may be waiting for the interpreter that this thread holds.
        let _ = py.detach(|| thread.handle.join());
    }
    let_nobody_in(py);
}

/// One attach for the thread's whole life: the first attach of a thread, and its last detach, take
/// CPython's lock on its list of threads without the GIL. A child that another thread forks at that
/// moment waits for this lock forever on Python 3.11, before it has run anything.
fn serve(mut queue: Receiver<Message>) {
    // None: the interpreter is ending, and with it everybody who could be told.
    let _: Option<()> = Python::try_attach(|py| {
        let _inside = Inside::enter(py);
        while let Some(batch) = py.detach(|| {
            let batch = next_batch(&mut queue);
            come_back();
            batch
        }) {
            let stopping = batch.iter().any(|message| matches!(message, Message::Stop));
            handle(py, batch);
            if stopping {
                return;
            }
        }
    });
}

/// Waits for a message; takes those that came with it, too. None when nobody can send any more.
fn next_batch(queue: &mut Receiver<Message>) -> Option<Vec<Message>> {
    let mut batch = vec![queue.recv().ok()?];
    batch.extend(queue.try_iter().take(BATCH - 1));
    Some(batch)
}

fn handle(py: Python<'_>, batch: Vec<Message>) {
    let mut lines: Option<(Arc<Py<PyAny>>, Vec<Line>)> = None;
    for message in batch {
        match message {
            Message::Run(callback) => {
                if let Err(error) = callback.call0(py) {
                    error.write_unraisable(py, Some(callback.bind(py)));
                }
            }
            Message::Log(handler, line) => {
                LINES_WAITING.fetch_sub(1, Ordering::Relaxed);
                match &mut lines {
                    Some((same, lines)) if Arc::ptr_eq(same, &handler) => lines.push(*line),
                    _ => {
                        flush(py, lines.take());
                        lines = Some((handler, vec![*line]));
                    }
                }
            }
            Message::Mark(mark) => {
                flush(py, lines.take());
                drop(mark);
            }
            Message::Stop => {}
        }
    }
    flush(py, lines);
}

fn flush(py: Python<'_>, lines: Option<(Arc<Py<PyAny>>, Vec<Line>)>) {
    let Some((handler, mut lines)) = lines else { return };
    match LINES_DROPPED.swap(0, Ordering::Relaxed) {
        0 => {}
        dropped => {
            let text = format!("… {dropped} lines dropped: the log handler is too slow");
            lines.push(("snakepit".into(), "stderr", text, None));
        }
    }
    let told = PyList::new(py, lines).and_then(|lines| handler.call1(py, (lines,)));
    if let Err(error) = told {
        error.write_unraisable(py, Some(handler.bind(py)));
    }
}
