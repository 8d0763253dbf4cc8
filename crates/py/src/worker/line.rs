//! `Line`: the worker's native end as the SDK sees it.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError};
use std::time::Duration;

use prost::Message;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyString};
use snakepit::line::frame_limit;
use snakepit::process::{self, Page};
use snakepit_proto::v1::adapter_source::Source;
use snakepit_proto::v1::worker_frame::Frame;
use snakepit_proto::v1::{
    FailureKind, Initialize, Interpreter, Profile, Ready, Report, StartFailed, Tool as ToolInfo,
};

use super::engine::Engine;
use super::failure::{self, Told};
use super::floor::Floor;
use super::jobs::Jobs;
use super::names::Names;
use super::outbox::Outbox;
use super::results;
use super::serve::{Hooks, Server, Tools};
use super::standby::Standby;
use super::telemetry::{Telemetry, Wanted};
use super::{boot, drive};
use crate::codec;

/// How long a worker that cannot start waits for the host to take note of why.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What a frame has around Ready.
const MARGIN: usize = 64;

/// Decorators may be stacked, even in a circle.
const MAX_WRAPPERS: usize = 16;

/// The worker's native end of the line.
#[pyclass(frozen, module = "snakepit._core")]
pub(crate) struct Line {
    initialize: Initialize,
    max_message: usize,
    page: Option<&'static Page>,
    /// Of the engine, which is taken while it serves.
    outbox: Arc<Outbox>,
    wanted: Arc<Wanted>,
    standby: Arc<Standby>,
    /// Where several calls run at once.
    floor: OnceLock<Arc<Floor>>,
    /// Only ever tried: a tool that calls back into its own line must not wait for itself.
    engine: Mutex<Engine>,
}

impl Line {
    pub(super) fn new(
        initialize: Initialize,
        max_message: usize,
        page: Option<&'static Page>,
        engine: Engine,
        wanted: Arc<Wanted>,
    ) -> Self {
        let (outbox, standby) = (Arc::clone(&engine.outbox), engine.standby());
        let engine = Mutex::new(engine);
        let floor = OnceLock::new();
        Self { initialize, max_message, page, outbox, wanted, standby, floor, engine }
    }

    fn engine(&self) -> PyResult<MutexGuard<'_, Engine>> {
        match self.engine.try_lock() {
            Ok(engine) => Ok(engine),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                Err(PyRuntimeError::new_err("this line is being served already"))
            }
        }
    }

    /// Python ends. Not from within a tool, which may leave by `sys.exit` in a copy of the process.
    pub(super) fn close(&self, py: Python<'_>) {
        if let Ok(mut engine) = self.engine() {
            engine.close(py);
        }
    }
}

#[pymethods]
impl Line {
    #[getter]
    fn initialize<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let told = &self.initialize;
        let adapter = told.adapter.clone().unwrap_or_default();
        let (kind, location) = match adapter.source.unwrap_or(Source::Module(String::new())) {
            Source::Module(name) => ("module", name),
            Source::Script(path) => ("script", path),
            Source::MainModule(name) => ("main_module", name),
        };
        let device = Some(told.device.as_str()).filter(|device| !device.is_empty());
        let read = PyDict::new(py);
        read.set_item(intern!(py, "adapter_kind"), kind)?;
        read.set_item(intern!(py, "adapter_location"), location)?;
        read.set_item(intern!(py, "adapter_qualname"), adapter.qualname)?;
        read.set_item(
            intern!(py, "arguments"),
            codec::decode(py, &told.arguments, "adapter_args")?,
        )?;
        read.set_item(intern!(py, "pool"), &told.pool)?;
        read.set_item(intern!(py, "slot"), told.slot)?;
        read.set_item(intern!(py, "generation"), told.generation)?;
        read.set_item(intern!(py, "device"), device)?;
        let profile = match told.profile() {
            Profile::Thread => "thread",
            Profile::Async => "async",
            Profile::Process | Profile::Unspecified => "process",
        };
        read.set_item(intern!(py, "profile"), profile)?;
        read.set_item(intern!(py, "capacity"), told.capacity.max(1))?;
        read.set_item(intern!(py, "thread_safety_checks"), told.thread_safety_checks)?;
        read.set_item(intern!(py, "errors"), &told.errors)?;
        let rule = told.unserializable.as_ref();
        let rule = rule.map(|rule| (&*rule.detail, rule.max_repr, rule.max_elements));
        read.set_item(intern!(py, "unserializable"), rule)?;
        Ok(read)
    }

    /// Say which tools there are: name, description, whether it streams, the schema of its
    /// parameters, whether it may overlap with itself. Calls may come then. ``gil``: whether this Python's lock is on, and the module for
    /// which it was switched on. ValueError: that is more than a frame holds.
    #[pyo3(signature = (tools, gil=None))]
    fn ready(
        &self,
        py: Python<'_>,
        tools: Vec<(String, String, bool, String, bool)>,
        gil: Option<(bool, Option<String>)>,
    ) -> PyResult<()> {
        let tool = |(name, description, streaming, parameters, thread_safe)| ToolInfo {
            name,
            description,
            streaming,
            parameters,
            thread_safe,
        };
        let tools = tools.into_iter().map(tool).collect();
        let ready = Ready { tools, interpreter: gil.map(interpreter) };
        let (size, limit) = (ready.encoded_len(), frame_limit(self.max_message) - MARGIN);
        if size > limit {
            return Err(PyValueError::new_err(format!(
                "the tools' names, descriptions and schemas take {size} bytes, and {limit} fit; \
                 raise the pool's max_message"
            )));
        }
        // `initialize` may have changed the user, which makes the kernel forget.
        process::die_with_shim(boot::side()?.shim_pid);
        let mut engine = self.engine()?;
        engine.push(Frame::Ready(ready), 0);
        engine.flush(py);
        // What `initialize` has told goes now, and nothing could before.
        if self.initialize.telemetry.is_some() {
            self.outbox.telemetry.open();
        }
        Ok(())
    }

    /// Where what the adapter tells is left for the host; None: it wants none, ever.
    #[getter]
    fn telemetry(&self) -> PyResult<Option<Telemetry>> {
        if self.initialize.telemetry.is_none() {
            return Ok(None);
        }
        let (wanted, outbox) = (Arc::clone(&self.wanted), Arc::clone(&self.outbox));
        let (standby, owner) = (Arc::clone(&self.standby), boot::side()?.owner);
        Ok(Some(Telemetry { wanted, outbox, standby, owner }))
    }

    /// Tell people something about this worker, from any thread. It goes out with the next thing that
    /// is said.
    #[pyo3(signature = (topic, text, gil=None))]
    fn report(&self, topic: String, text: String, gil: Option<(bool, Option<String>)>) {
        let report = Report { topic, text, interpreter: gil.map(interpreter) };
        self.outbox.push(Frame::Report(report));
        if let Some(floor) = self.floor.get() {
            floor.wake.notify_one();
        }
    }

    /// The calls that the host sends, for threads or tasks that run several at once. What ``tools``
    /// and the others are is written at ``serve``.
    fn jobs<'py>(
        &self,
        tools: Bound<'py, PyMapping>,
        current: &Bound<'py, PyAny>,
        describe: Bound<'py, PyAny>,
        suggest: Bound<'py, PyAny>,
    ) -> PyResult<Jobs> {
        let py = current.py();
        let mut named = Names::default();
        for item in tools.items()? {
            let (name, (callable, streaming)): (String, (Bound<'py, PyAny>, bool)) =
                item.extract()?;
            seed_parameters(&callable);
            named.add(name, (callable.unbind(), streaming));
        }
        let set_current = current.getattr(intern!(py, "set"))?.unbind();
        let engine = self.engine()?;
        let line = (Arc::clone(&engine.running), Arc::clone(&engine.link));
        let hooks = (set_current, describe.unbind(), suggest.unbind());
        let owner = boot::side()?.owner;
        let floor = Floor::new(line, named, hooks, self.page, self.max_message, owner)?;
        let floor = Arc::clone(self.floor.get_or_init(|| Arc::new(floor)));
        Ok(Jobs { floor })
    }

    /// Hand out calls on this thread until the host drains and all are answered (True), or the line
    /// ends (False).
    fn drive(&self, py: Python<'_>, jobs: &Jobs) -> PyResult<bool> {
        let mut engine = self.engine()?;
        Ok(drive::drive(py, &mut engine, &jobs.floor))
    }

    /// Report and flush; the host then stops this worker.
    fn start_failed(
        &self,
        py: Python<'_>,
        failure: Told<'_>,
        adapter_source: bool,
        permanent: bool,
    ) -> PyResult<()> {
        let kind = if adapter_source { FailureKind::AdapterSource } else { FailureKind::Exception };
        let failure = Some(failure::told(kind, failure));
        let mut engine = self.engine()?;
        engine.push(Frame::StartFailed(Box::new(StartFailed { failure, permanent })), 0);
        engine.await_end(py, Some(LAST_WORDS));
        Ok(())
    }

    /// From now on what cannot travel in a result is sent as what `substitute` makes of it.
    #[expect(clippy::unused_self, reason = "there is one line in a process")]
    fn substitute_by(&self, py: Python<'_>, substitute: Py<PyAny>) {
        results::substitute_by(py, substitute);
    }

    /// Run calls on this thread until the host drains (True) or the line ends (False).
    ///
    /// `tools` maps a name to a plain callable and whether it returns an iterator of chunks;
    /// coroutines have been wrapped by the SDK. KeyboardInterrupt and SystemExit raised by a tool are
    /// failures like any other.
    fn serve<'py>(
        &self,
        py: Python<'py>,
        tools: Bound<'py, PyMapping>,
        current: Bound<'py, PyAny>,
        describe: Bound<'py, PyAny>,
        suggest: Bound<'py, PyAny>,
    ) -> PyResult<bool> {
        let mut named = Tools::default();
        for item in tools.items()? {
            let (name, (callable, streaming)): (String, (Bound<'py, PyAny>, bool)) =
                item.extract()?;
            seed_parameters(&callable);
            named.add(name, callable, streaming);
        }
        let hooks = Hooks { set_current: current.getattr(intern!(py, "set"))?, describe, suggest };
        let mut engine = self.engine()?;
        Server::new(py, &mut engine, self.page, self.max_message, named, hooks)?.run()
    }
}

fn interpreter((gil, enabled_by): (bool, Option<String>)) -> Interpreter {
    Interpreter { gil, gil_enabled_by: enabled_by.unwrap_or_default() }
}

/// Makes the names of a tool's parameters known to the codec: they are the keys that come most.
fn seed_parameters(callable: &Bound<'_, PyAny>) {
    let names = || -> PyResult<Vec<Bound<'_, PyString>>> {
        let py = callable.py();
        let mut function = callable.clone();
        for _ in 0..MAX_WRAPPERS {
            match function.getattr_opt(intern!(py, "__wrapped__"))? {
                Some(wrapped) => function = wrapped,
                None => break,
            }
        }
        let code = function.getattr(intern!(py, "__code__"))?;
        let positional: usize = code.getattr(intern!(py, "co_argcount"))?.extract()?;
        let named: usize = code.getattr(intern!(py, "co_kwonlyargcount"))?.extract()?;
        let variables: Vec<Bound<'_, PyString>> =
            code.getattr(intern!(py, "co_varnames"))?.extract()?;
        Ok(variables.into_iter().take(positional + named).collect())
    };
    // A callable without Python code has no names to offer; nothing depends on them.
    if let Ok(names) = names() {
        codec::seed_keys(&names);
    }
}
