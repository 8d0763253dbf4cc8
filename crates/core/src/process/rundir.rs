//! The folder of a host process: its sockets, and the ledger of its workers. Private, short, removed
//! with the last pool by the process that made it; what a killed host left is cleaned up
//! ([`mod@super::cleanup`]).

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};
use std::thread;

use nix::unistd::geteuid;

use super::cleanup::{self, cleanup};
use super::fork::{Owner, PerProcess, owner};
use super::group::{Groups, WorkerGroup};
use super::ledger::{self, Ledger, Named};
use super::lock::HostLock;
use super::run::{RunId, RunToken};

/// Longest path that fits `sockaddr_un` everywhere, with room to spare.
const MAX_PATH: usize = 100;
/// Of the longest name of a socket: a number and this.
pub(super) const SOCKET: &str = ".sock";
const MAX_SOCKET: usize = 20 + SOCKET.len();

pub(super) const PREFIX: &str = "snakepit-";
/// A folder that is not yet complete: no sweep looks at it.
pub(super) const UNFINISHED: &str = ".snakepit-";

static OF_PROCESS: PerProcess<Mutex<Weak<RunDir>>> = PerProcess::new();

/// This process's folder, for as long as anybody holds it.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    run: RunId,
    ledger: Ledger,
    /// Of the folder, where its file system has such locks.
    _lock: Option<HostLock>,
    /// Where those of the workers are made, if that is possible.
    groups: Option<Groups>,
    next: AtomicU64,
    owner: Owner,
}

impl RunDir {
    /// The folder of this process, made if there is none: of mode 0700, under `$XDG_RUNTIME_DIR`,
    /// the temporary folder or `/tmp`, the first where it can be made and a socket's path is short
    /// enough. The first one of a process starts a cleanup behind it.
    pub fn of_process() -> io::Result<Arc<Self>> {
        static CLEANED: PerProcess<Once> = PerProcess::new();
        CLEANED.get(Once::new).call_once(|| {
            // Without a thread to spare it is left for another host.
            let _ = thread::Builder::new().name("snakepit-cleanup".into()).spawn(cleanup);
        });
        let mut slot =
            OF_PROCESS.get(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dir) = slot.upgrade() {
            return Ok(dir);
        }
        let dir = Arc::new(Self::create()?);
        *slot = Arc::downgrade(&dir);
        Ok(dir)
    }

    fn create() -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for base in bases() {
            if let Some(why) = is_others(&base) {
                tracing::warn!(folder = %base.display(), why, "refused: a place for the run folder");
                let remedy = "give it to this user, mode 0700, or name another in XDG_RUNTIME_DIR";
                let told = format!("{} {why}; {remedy}", base.display());
                last = io::Error::new(io::ErrorKind::PermissionDenied, told);
                continue;
            }
            if base.as_os_str().len() + PREFIX.len() + MAX_SOCKET + 8 > MAX_PATH {
                last = io::Error::from(io::ErrorKind::InvalidFilename);
                continue;
            }
            match Self::create_in(&base) {
                Ok(dir) => return Ok(dir),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn create_in(base: &Path) -> io::Result<Self> {
        let run = RunId::random()?;
        let mode = Permissions::from_mode(0o700);
        let made =
            tempfile::Builder::new().prefix(UNFINISHED).permissions(mode).tempdir_in(base)?;
        let lock = File::open(made.path()).and_then(HostLock::take);
        let lock = lock.inspect_err(|error| tracing::debug!(%error, "run folder not locked")).ok();
        let ledger = Ledger::create(&made.path().join(ledger::FILE), &run)?;
        // Without the note a later host would not find them.
        let groups = Groups::of_process(&run).filter(|groups| groups.note(made.path()).is_ok());
        // Seen by others only now, when the ledger is locked.
        let name = made.path().file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let path = base.join(name.trim_start_matches('.'));
        fs::rename(made.path(), &path)?;
        let _moved = made.keep();
        Ok(Self { path, run, ledger, _lock: lock, groups, next: AtomicU64::new(0), owner: owner() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A path for a socket, in the folder, that nobody else gets.
    pub fn socket(&self) -> PathBuf {
        self.path.join(format!("{}{SOCKET}", self.next.fetch_add(1, Ordering::Relaxed)))
    }

    /// A place in the ledger, and a mark, for a worker that is about to be spawned.
    pub fn entry(self: &Arc<Self>) -> Entry {
        let token = self.run.worker(self.next.fetch_add(1, Ordering::Relaxed));
        let group = self.groups.as_ref().and_then(|groups| groups.of_worker(&token));
        Entry { place: self.ledger.take(), dir: self.clone(), token, group, shim: None }
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        // A forked child drops its copy; the folder is still the parent's.
        if self.owner.is_here()
            && !cleanup::remove(&self.path)
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            tracing::debug!(path = %self.path.display(), %error, "run folder not removed");
        }
    }
}

/// One worker in the ledger, until this is dropped: then nothing of it is left, or its shim, which
/// was told, sees to it.
#[derive(Debug)]
pub struct Entry {
    dir: Arc<RunDir>,
    place: usize,
    token: RunToken,
    group: Option<WorkerGroup>,
    shim: Option<Named>,
}

impl Entry {
    /// The mark of the worker, for its environment.
    pub fn token(&self) -> &RunToken {
        &self.token
    }

    /// The control group made for the worker, where there is one; its path, too, for the environment.
    pub fn group(&self) -> Option<&WorkerGroup> {
        self.group.as_ref()
    }

    /// Its shim has been spawned.
    pub fn spawned(&mut self, shim: u32) {
        self.shim = Named::now(shim);
        self.note(None);
    }

    /// The worker itself is known.
    pub fn forked(&self, worker: u32, start_time: u64) {
        self.note(Some(Named { pid: worker, start_time }));
    }

    fn note(&self, worker: Option<Named>) {
        if let Some(shim) = self.shim
            && self.dir.owner.is_here()
        {
            self.dir.ledger.write(self.place, shim, worker);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.dir.owner.is_here() {
            self.dir.ledger.free(self.place);
            if let Some(group) = &self.group {
                group.remove();
            }
        }
    }
}

/// Why others could put something of theirs in the place of what is made in a folder.
fn is_others(base: &Path) -> Option<&'static str> {
    /// Only the owner of a file may rename it.
    const STICKY: u32 = 0o1000;
    /// What owners look like that this container does not know.
    const UNKNOWN: u32 = 65534;
    let folder = fs::metadata(base).ok()?; // To make something in it fails, and says why.
    let (owner, sticky) = (folder.uid(), folder.mode() & STICKY != 0);
    if owner != geteuid().as_raw() && owner != 0 && !(owner == UNKNOWN && sticky) {
        return Some("belongs to another user");
    }
    (folder.mode() & 0o022 != 0 && !sticky).then_some("can be changed by others")
}

/// Where run folders are made, in this order.
pub(super) fn bases() -> Vec<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let all = runtime.into_iter().chain([std::env::temp_dir(), PathBuf::from("/tmp")]);
    let mut bases: Vec<PathBuf> = Vec::new();
    for base in all.filter(|base| base.is_absolute()) {
        if !bases.contains(&base) {
            bases.push(base);
        }
    }
    bases
}
