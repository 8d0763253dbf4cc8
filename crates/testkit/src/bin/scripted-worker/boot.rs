//! From a fresh process to a worker, and its end of the control socket.

use std::process::exit;
use std::sync::Arc;

use nix::sys::signal::{SigSet, Signal};
use prost::Message;
use snakepit::process::{self, ForkHooks, FromWorker, Page, ToWorker, Way, WorkerControl};
use snakepit_proto::v1::Start;

use super::calls::Calls;
use super::memory::Memory;
use super::script::{Beginning, Script};
use super::{NO_HOST, stay};

/// Whatever goes wrong, no worker of a test lives longer.
const SECONDS_TO_LIVE: u32 = 600;

/// What makes this process a worker.
pub struct Side {
    pub control: Arc<WorkerControl>,
    pub start: Start,
    /// None: it does not honour one.
    pub page: Option<Page>,
    pub memory: Memory,
}

/// Splits off the shim and waits for the start message; returns in the worker only.
pub fn become_worker(script: &Script) -> Side {
    let nothing = || {};
    let hooks = ForkHooks { before: nothing, after_parent: nothing, after_child: nothing };
    // SAFETY: `main` calls this first, so this process has one thread.
    let side = unsafe { process::become_worker(&hooks) }.expect("started by a pool");
    nix::unistd::alarm::set(SECONDS_TO_LIVE);
    if !script.heeds_sigterm {
        let mut deaf = SigSet::empty();
        deaf.add(Signal::SIGTERM);
        // Before there are threads: they inherit it.
        deaf.thread_block().expect("a signal that can be blocked");
    }
    let control = WorkerControl::new(side.control);
    match script.beginning {
        Beginning::Exit(code) => {
            eprintln!("leaving before hello");
            exit(code);
        }
        Beginning::BootError => {
            let text = "scripted to be no worker".to_owned();
            control.send(&FromWorker::BootError(text)).expect("a host that listens");
            exit(78);
        }
        Beginning::Mute => stay(),
        _ => {}
    }
    loop {
        match control.recv() {
            Ok(Some((ToWorker::Start(message), fds))) => {
                let start = Start::decode(message).expect("a start message");
                let page = fds.into_iter().next().filter(|_| script.words);
                let page = page.map(|fd| Page::map(fd).expect("a shared page"));
                return Side { control: Arc::new(control), start, page, memory: Memory::default() };
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => exit(NO_HOST),
        }
    }
}

/// Passes on what comes beside the line, until the host is gone.
pub fn serve_control(control: &WorkerControl, calls: &Calls, memory: &Memory) {
    while let Ok(Some((message, fds))) = control.recv() {
        match message {
            ToWorker::Cancel { call } => calls.cancel(call),
            ToWorker::Grant { call, items, bytes } => calls.grant(call, items, bytes),
            ToWorker::Probe { nonce } => {
                // A host that is gone is noticed by the next `recv`.
                let _ = control.send(&FromWorker::ProbeAnswer { nonce });
            }
            ToWorker::Locate { nonce, way: Way::Interpreter } => {
                let text = "Thread main: in a script".into();
                let _ = control.send(&FromWorker::Located { nonce, text });
            }
            ToWorker::Arena(message) => memory.heard(message, fds),
            ToWorker::Locate { .. } | ToWorker::Trace | ToWorker::Start(_) => {}
        }
    }
    exit(NO_HOST);
}
