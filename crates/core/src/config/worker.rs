//! How a worker's process is started and which adapter it runs.

use std::ffi::OsString;
use std::path::PathBuf;

use bytes::Bytes;

use super::source::dotted as is_dotted;
use super::{ByPlace, Limits, Profile, TelemetryFilter, Unserializable};
use crate::error::Error;

/// Where an adapter class comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterSource {
    /// How `location` is read.
    pub kind: SourceKind,
    /// Module name or absolute path.
    pub location: String,
    /// The class inside it; dots for nesting.
    pub qualname: String,
}

/// How the module of an adapter is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// Imported by name.
    Module,
    /// A script, run again under another name than `__main__`.
    Script,
    /// A module that was started with `python -m`, run again likewise.
    MainModule,
    /// None: the worker is another program, which has its tools itself.
    Program,
}

/// What becomes of the lines that workers print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputMode {
    /// On the host's standard error, as `[pool/0] line`.
    #[default]
    Show,
    /// Handed to the embedder's line handler.
    Log,
    /// Nothing; the last lines of standard error are kept for reports in any case.
    Drop,
}

impl std::str::FromStr for OutputMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "show" => Ok(Self::Show),
            "log" => Ok(Self::Log),
            "drop" => Ok(Self::Drop),
            _ => Err(format!("unknown output {text:?}; use \"show\", \"log\" or \"drop\"")),
        }
    }
}

/// The worker's end of its line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Line {
    /// The native one where the interpreter can load it, else the other.
    #[default]
    Auto,
    /// The compiled one, from the package `snakepit-pool`.
    Native,
    /// Pure Python, slower; it needs grpcio, msgpack and protobuf.
    Grpcio,
}

impl Line {
    /// `auto`, `native` or `grpcio`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Grpcio => "grpcio",
        }
    }
}

impl std::str::FromStr for Line {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "native" => Ok(Self::Native),
            "grpcio" => Ok(Self::Grpcio),
            _ => Err(format!("unknown line {text:?}; use \"auto\", \"native\" or \"grpcio\"")),
        }
    }
}

/// The process that fills a slot.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Absolute path of the interpreter.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its environment, less what depends on the place.
    pub env: Vec<(OsString, OsString)>,
    /// The rest of it; none of these names is in `env`.
    pub env_by_slot: Vec<(OsString, ByPlace)>,
    /// Devices that the places have in turn, as the host calls them; empty: none is assigned. What
    /// keeps a worker from the others is in its environment.
    pub devices: Vec<String>,
    /// What it may take of the machine.
    pub limits: Limits,
    /// `sys.path` in the worker; empty: the interpreter's own.
    pub sys_path: Vec<String>,
    /// Directory of the SDK's package, for interpreters that do not have it installed.
    pub bridge_path: String,
    /// The class to run.
    pub adapter: AdapterSource,
    /// Encoded map: keywords of the adapter's `__init__`.
    pub adapter_args: Bytes,
    /// What becomes of its output.
    pub output: OutputMode,
    /// What runs its calls.
    pub profile: Profile,
    /// Calls that it runs at once; 1 in the process profile.
    pub capacity: usize,
    /// It reports what threads do to each other.
    pub thread_safety_checks: bool,
    /// What becomes of what cannot travel in its results; None: an error.
    pub results: Option<Unserializable>,
    /// Classes of exceptions that it tells by name, with their arguments: `module:Name`.
    pub errors: Vec<String>,
    /// Which events of its adapter it sends, where somebody listens to them.
    pub telemetry: TelemetryFilter,
}

impl WorkerConfig {
    pub(super) fn validate_errors(&self) -> Result<(), Error> {
        for class in &self.errors {
            let parts = class.split_once(':');
            if !parts.is_some_and(|(module, name)| is_dotted(module) && is_dotted(name)) {
                let message = format!("{class:?} has not the form \"module:Name\"");
                return Err(Error::Config { field: "errors", message });
            }
        }
        self.telemetry.validate()?;
        self.results.as_ref().map_or(Ok(()), Unserializable::validate)
    }
}

impl WorkerConfig {
    /// The whole environment of the worker in one place of the pool.
    pub(crate) fn env_at(&self, place: usize) -> Vec<(OsString, OsString)> {
        let by_slot = self.env_by_slot.iter().map(|(name, it)| (name.clone(), it.at(place)));
        self.env.iter().cloned().chain(by_slot).collect()
    }

    /// The device of the worker in one place; empty: none is assigned.
    pub(crate) fn device_at(&self, place: usize) -> &str {
        match self.devices.len() {
            0 => "",
            count => &self.devices[place % count],
        }
    }

    /// Sets variables for each place in turn, whatever they were.
    pub(crate) fn set_in_turn(&mut self, variables: Vec<(&'static str, Vec<String>)>) {
        for (name, values) in variables {
            self.env.retain(|(known, _)| known != name);
            self.env_by_slot.retain(|(known, _)| known != name);
            // Numbers and UUIDs: no braces, and never empty.
            if let Ok(values) = ByPlace::new(values) {
                self.env_by_slot.push((name.into(), values));
            }
        }
    }
}
