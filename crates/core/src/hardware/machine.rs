//! Where all is looked up: files below a root, tools in a path, variables of an environment.
//!
//! Each look is bounded: in bytes, and by one deadline for all of them. What does not answer by then
//! is not there.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::tool;

/// What a tool may take, all its runs together.
pub(super) const LIMIT: Duration = Duration::from_secs(2);

/// What is beyond the limit before one stops waiting for whoever was to keep it.
const GRACE: Duration = Duration::from_millis(500);

/// `/proc/cpuinfo` of the largest machines is about a megabyte.
const MOST_BYTES: u64 = 4 << 20;

/// Of a tool's output.
const MOST_OUTPUT: usize = 1 << 20;

/// Places of the vendors' tools that are not in everybody's `PATH`.
const TOOL_FOLDERS: [&str; 4] = ["/usr/bin", "/opt/rocm/bin", "/usr/lib/wsl/lib", "/usr/sbin"];

/// NVIDIA's management library, by the name that every driver has, and where Windows puts it.
const NVML: [&str; 2] = ["libnvidia-ml.so.1", "/usr/lib/wsl/lib/libnvidia-ml.so.1"];

/// The questions of this process to drivers.
static ASKED: Asked = Asked::new();

/// One machine, or what a test says is one.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    root: PathBuf,
    tools: Vec<PathBuf>,
    env: HashMap<String, String>,
    pub(super) nvml: Vec<PathBuf>,
    /// Directories with Python packages, some of which bring libraries.
    pub(super) packages: Vec<PathBuf>,
    pub(super) deadline: Instant,
    pub(super) is_apple: bool,
    pub(super) asked: &'static Asked,
}

/// Until when each question that a driver has not answered yet was to be. They are told apart by that
/// alone: two that have the same moment are as good as one another.
#[derive(Debug, Default)]
pub(super) struct Asked(Mutex<Vec<Instant>>);

impl Asked {
    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// A question begins, unless one is overdue: each of those costs a thread, and one is enough.
    pub(super) fn begin(&'static self, until: Instant) -> Option<Question> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let free = open.iter().all(|&other| other > now);
        free.then(|| {
            open.push(until);
            Question { asked: self, until }
        })
    }
}

/// Open until it is dropped: when it was answered, late or not, or could not be asked.
#[derive(Debug)]
pub(super) struct Question {
    asked: &'static Asked,
    until: Instant,
}

impl Drop for Question {
    fn drop(&mut self) {
        let mut open = self.asked.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = open.iter().position(|&other| other == self.until) {
            open.swap_remove(at);
        }
    }
}

impl Machine {
    /// This one. `packages`: directories with Python packages.
    pub(super) fn here(packages: &[PathBuf]) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut tools: Vec<PathBuf> = std::env::split_paths(&path).collect();
        tools.extend(TOOL_FOLDERS.map(PathBuf::from));
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self {
            tools,
            env: std::env::vars_os().filter_map(text).collect(),
            nvml: NVML.map(PathBuf::from).into(),
            packages: packages.to_vec(),
            is_apple: cfg!(all(target_os = "macos", target_arch = "aarch64")),
            ..Self::at(Path::new("/"))
        }
    }

    /// The files below `root`, and nothing else.
    pub(super) fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            tools: Vec::new(),
            env: HashMap::new(),
            nvml: Vec::new(),
            packages: Vec::new(),
            deadline: Instant::now() + LIMIT,
            is_apple: false,
            asked: &ASKED,
        }
    }

    /// A file's text; what is no UTF-8 in it is replaced. None: it cannot be read.
    pub(super) fn read(&self, path: impl AsRef<Path>) -> Option<String> {
        let mut bytes = Vec::new();
        let file = File::open(self.inside(path.as_ref())).ok()?;
        file.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The names in a folder, sorted as numbers where they are.
    pub(super) fn list(&self, path: impl AsRef<Path>) -> Vec<String> {
        let entries = std::fs::read_dir(self.inside(path.as_ref())).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.collect();
        names.sort_by_key(|name| (name.parse::<u64>().unwrap_or(u64::MAX), name.clone()));
        names
    }

    /// Where a path is below the root, links in it followed.
    pub(super) fn resolved(&self, path: impl AsRef<Path>) -> Option<PathBuf> {
        std::fs::canonicalize(self.inside(path.as_ref())).ok()
    }

    /// A variable of this process; empty ones count, too.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str)
    }

    /// Whether there is such a tool.
    pub(super) fn has_tool(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// What a tool prints; none: it is not there, failed, hung, or said too much.
    pub(super) fn ask(&self, name: &str, args: &[&str]) -> Option<String> {
        let said = tool::ask(&self.find(name)?, args, self.deadline, MOST_OUTPUT)?;
        Some(String::from_utf8_lossy(&said).into_owned())
    }

    fn find(&self, name: &str) -> Option<PathBuf> {
        let runs = |file: &PathBuf| {
            let found = std::fs::metadata(file);
            found.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
        };
        // A relative folder of PATH is whoever's working directory this is.
        let folders = self.tools.iter().filter(|folder| folder.is_absolute());
        folders.map(|folder| folder.join(name)).find(runs)
    }

    fn inside(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Has `look` look on a thread of its own, and waits as long as it may take. One that hangs, in a
    /// driver that does not answer, is left behind.
    pub(super) fn aside<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Pending<T> {
        let (told, found) = mpsc::sync_channel(1);
        let machine = self.clone();
        let started = thread::Builder::new().name("snakepit-hardware".into()).spawn(move || {
            let _nobody_waits_any_more = told.send(look(&machine));
        });
        drop(started); // Without a thread nothing is found, either.
        Pending { found, until: self.deadline + GRACE }
    }
}

/// What a look on another thread will find.
pub(super) struct Pending<T> {
    found: mpsc::Receiver<T>,
    until: Instant,
}

impl<T> Pending<T> {
    /// None: it found no end in time, or panicked.
    pub(super) fn wait(self) -> Option<T> {
        self.found.recv_timeout(self.until.saturating_duration_since(Instant::now())).ok()
    }
}

#[cfg(test)]
impl Machine {
    /// A machine of these files alone.
    pub(super) fn of_files(files: &[(&str, &str)]) -> (tempfile::TempDir, Self) {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = root.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let machine = Self::at(root.path());
        (root, machine)
    }

    /// With a tool that is this shell script. It must not depend on `PATH`.
    pub(super) fn with_tool(mut self, name: &str, script: &str) -> Self {
        let folder = self.root.join("tools");
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        if !self.tools.contains(&folder) {
            self.tools.push(folder);
        }
        self
    }

    pub(super) fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    pub(super) fn within(mut self, limit: Duration) -> Self {
        self.deadline = Instant::now() + limit;
        self
    }

    /// With threads of its own that it may lose.
    pub(super) fn alone(mut self) -> Self {
        self.asked = Box::leak(Box::default());
        self
    }
}
