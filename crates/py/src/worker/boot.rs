//! From a bare interpreter to a worker: the shim forks it, the control socket tells it what to be.
//!
//! The border to C of this module: around the fork Python must be told, and a process that must not
//! run anybody's exit handlers ends by `_exit`.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;

use prost::Message;
use pyo3::exceptions::{PyConnectionError, PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};
use snakepit::process::{
    self, ForkHooks, FromWorker, Owner, Page, RunToken, ToWorker, WorkerControl, WorkerSide,
};
use snakepit_proto::v1::Start;

/// How a worker exits whose host is gone, or that finds itself to be a stray copy of one.
pub(super) const EXIT_NO_HOST: i32 = 70;

static SIDE: OnceLock<Side> = OnceLock::new();

/// What makes this process a worker; there is one in a process.
pub(super) struct Side {
    pub(super) control: WorkerControl,
    /// A tool may fork; its copy of us must not answer for the worker.
    pub(super) owner: Owner,
    pub(super) shim_pid: u32,
    /// What marks this worker's processes.
    pub(super) run: Option<RunToken>,
    started: OnceLock<(Start, Option<Page>)>,
}

impl Side {
    pub(super) fn start(&self) -> PyResult<&Start> {
        self.started.get().map(|(start, _)| start).ok_or_else(|| {
            PyRuntimeError::new_err("read start_message() before you attach to the host")
        })
    }

    pub(super) fn page(&self) -> Option<&Page> {
        self.started.get()?.1.as_ref()
    }
}

pub(super) fn side() -> PyResult<&'static Side> {
    SIDE.get().ok_or_else(|| PyRuntimeError::new_err("this process is no worker: no host made it"))
}

/// Turn this fresh `python -S` into a shim and its worker; returns in the worker only.
#[pyfunction]
pub(crate) fn become_worker() -> PyResult<()> {
    let hooks = ForkHooks {
        before: before_fork,
        after_parent: after_fork_in_parent,
        after_child: after_fork_in_child,
    };
    // SAFETY: the boot script calls this before `site` and before any import, so this process has
    // one thread, and it is attached as the hooks require.
    let WorkerSide { control, shim_pid, run, .. } = unsafe { process::become_worker(&hooks) }?;
    let side = Side {
        control: WorkerControl::new(control),
        owner: process::owner(),
        shim_pid,
        run,
        started: OnceLock::new(),
    };
    SIDE.set(side).map_err(|_| PyRuntimeError::new_err("this process is a worker already"))
}

/// Become another program, which speaks the protocol itself; returns only where that fails.
#[pyfunction]
pub(crate) fn become_program(command: Vec<OsString>) -> PyResult<()> {
    let Err(error) = process::become_program(side()?.control.as_fd(), &command);
    Err(error.into())
}

/// Tell the host why this worker cannot start, over the control socket.
#[pyfunction]
pub(crate) fn report_boot_error(py: Python<'_>, message: String) -> PyResult<()> {
    let side = side()?;
    py.detach(|| side.control.send(&FromWorker::BootError(message)))?;
    Ok(())
}

/// What the host sent over the control socket; blocks until it is there.
#[pyfunction]
pub(crate) fn start_message(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let side = side()?;
    if side.started.get().is_none() {
        let (message, fds) = py.detach(|| await_start(&side.control))?;
        let start = Start::decode(message)
            .map_err(|error| PyValueError::new_err(format!("malformed start message: {error}")))?;
        let page = fds.into_iter().next().map(Page::map).transpose()?;
        let _same_message_read_twice = side.started.set((start, page));
    }
    let start = side.start()?;
    let read = PyDict::new(py);
    read.set_item(intern!(py, "sys_path"), &start.sys_path)?;
    read.set_item(intern!(py, "bridge_path"), &start.bridge_path)?;
    Ok(read)
}

fn await_start(control: &WorkerControl) -> PyResult<(bytes::Bytes, Vec<OwnedFd>)> {
    loop {
        match control.recv()? {
            Some((ToWorker::Start(message), fds)) => return Ok((message, fds)),
            Some(_) => {} // nothing else means anything yet
            None => {
                return Err(PyConnectionError::new_err("the host is gone: no start message came"));
            }
        }
    }
}

/// Has `last` run when Python ends in this process, before anything is torn down.
pub(super) fn at_exit(py: Python<'_>, last: impl Fn(Python<'_>) + Send + 'static) -> PyResult<()> {
    let owner = side()?.owner;
    let run = move |args: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
        // A tool may fork a child that leaves by `sys.exit`.
        if owner.is_here() {
            last(args.py());
        }
    };
    let run = PyCFunction::new_closure(py, None, None, run)?;
    py.import(intern!(py, "atexit"))?.call_method1(intern!(py, "register"), (run,))?;
    Ok(())
}

fn before_fork() {
    // SAFETY: called attached, right before the fork.
    unsafe { pyo3::ffi::PyOS_BeforeFork() }
}

fn after_fork_in_parent() {
    // SAFETY: called attached, by the thread that called `before_fork`.
    unsafe { pyo3::ffi::PyOS_AfterFork_Parent() }
}

fn after_fork_in_child() {
    // SAFETY: called in the child, by the copy of the thread that called `before_fork`.
    unsafe { pyo3::ffi::PyOS_AfterFork_Child() }
}

/// Ends this process without exit handlers, which would wait for threads or touch shared state.
pub(super) fn exit_now() -> ! {
    // SAFETY: `_exit` has no precondition.
    unsafe { libc::_exit(EXIT_NO_HOST) }
}
