//! The file in which a host process notes its workers, so that another one can end them after it.
//!
//! ```text
//! snakepit-ledger 1 PID START BOOT-ID PID-NAMESPACE RUN
//! SHIM START WORKER START                                one line of fixed length a worker
//!                                                        (blank: free; START 0: not known yet)
//! ```
//!
//! The host holds a lock on the file as long as it lives. START is field 22 of `/proc/PID/stat`;
//! with the number it names a process for good, within one boot and one namespace of numbers.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{Flock, FlockArg};

use super::lock::HostLock;
use super::run::RunId;
use super::{limits, procfs};

/// Name of the file in a run folder.
pub(super) const FILE: &str = "ledger";

const MAGIC: &str = "snakepit-ledger 1";
/// In place of what the kernel does not tell.
const UNKNOWN: &str = "-";
/// Four numbers of at most 20 digits, with room to spare.
const LINE: usize = 96;
/// No host has a ledger of this size: 100,000 workers.
const MAX_FILE: u64 = 10 << 20;

/// A process, named for good within one boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) pid: u32,
    pub(super) start_time: u64,
}

impl Named {
    /// The process that has this number now.
    pub(super) fn now(pid: u32) -> Option<Self> {
        Some(Self { pid, start_time: procfs::stat(pid)?.start_time })
    }

    /// Whether it runs: a zombie does not, and one whose first thread alone has ended does.
    pub(super) fn is_alive(self) -> bool {
        procfs::stat(self.pid)
            .is_some_and(|stat| stat.start_time == self.start_time && !stat.is_zombie)
    }
}

/// This process's own.
#[derive(Debug)]
pub(super) struct Ledger {
    file: HostLock,
    first_line: u64,
    /// True: taken.
    places: Mutex<Vec<bool>>,
}

impl Ledger {
    /// Makes and locks the file.
    pub(super) fn create(path: &Path, run: &RunId) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let file = HostLock::take(file)?;
        let me = Named::now(std::process::id()).ok_or(io::ErrorKind::Unsupported)?;
        let (boot, namespace) = (boot_id(), pid_namespace());
        let head = format!("{MAGIC} {} {} {boot} {namespace} {run}\n", me.pid, me.start_time);
        limits::may_write(head.len() as u64)?;
        file.write_all_at(head.as_bytes(), 0)?;
        Ok(Self { file, first_line: head.len() as u64, places: Mutex::default() })
    }

    /// Takes a free line.
    pub(super) fn take(&self) -> usize {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        match places.iter().position(|taken| !taken) {
            Some(place) => {
                places[place] = true;
                place
            }
            None => {
                places.push(true);
                places.len() - 1
            }
        }
    }

    /// Writes who is on a line.
    pub(super) fn write(&self, place: usize, shim: Named, worker: Option<Named>) {
        let worker = worker.unwrap_or(Named { pid: 0, start_time: 0 });
        let numbers = [u64::from(shim.pid), shim.start_time, worker.pid.into(), worker.start_time];
        self.put(place, &numbers.map(|number| number.to_string()).join(" "));
    }

    /// Frees a line.
    pub(super) fn free(&self, place: usize) {
        self.put(place, "");
        self.places.lock().unwrap_or_else(PoisonError::into_inner)[place] = false;
    }

    fn put(&self, place: usize, text: &str) {
        let line = format!("{text:<width$}\n", width = LINE - 1);
        let at = self.first_line + (place * LINE) as u64;
        // A full disk costs the sweep after a death of ours its certainty, and nobody a call.
        let end = at + line.len() as u64;
        let written =
            limits::may_write(end).and_then(|()| self.file.write_all_at(line.as_bytes(), at));
        #[cfg(feature = "failpoints")]
        let written = written.and(crate::failpoint::check(crate::failpoint::Point::Ledger));
        if let Err(error) = written {
            tracing::warn!(%error, "the ledger of workers cannot be written");
        }
    }
}

/// What a dead host has left: its ledger, locked, so that one process at a time sees to it.
#[derive(Debug)]
pub(super) struct Estate {
    _lock: Flock<File>,
    pub(super) host: Named,
    pub(super) run: RunId,
    pub(super) shims: Vec<Named>,
    pub(super) workers: Vec<Named>,
    /// False: of another boot, and so is all that it names.
    pub(super) is_of_this_boot: bool,
}

/// Whose ledger it is.
#[derive(Debug)]
pub(super) enum Found {
    Dead(Box<Estate>),
    /// Its host lives, or somebody else is seeing to it.
    Busy,
    /// It is no ledger of ours, or one of a host whose numbers of processes mean nothing here: of
    /// another container, say, where what it left may run on.
    Foreign,
}

/// Reads the ledger at `path`.
///
/// # Errors
///
/// `NotFound` where there is none.
pub(super) fn open(path: &Path) -> io::Result<Found> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let Ok(mut lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else {
        return Ok(Found::Busy);
    };
    if lock.metadata()?.nlink() == 0 {
        return Ok(Found::Busy); // Somebody has just seen to it.
    }
    let mut text = String::new();
    (&mut *lock).take(MAX_FILE).read_to_string(&mut text)?;
    let Some(estate) = parse(&text, lock) else { return Ok(Found::Foreign) };
    // A file system without locks: the process itself must say that it is gone.
    let lives = estate.is_of_this_boot && estate.host.is_alive();
    Ok(if lives { Found::Busy } else { Found::Dead(Box::new(estate)) })
}

fn parse(text: &str, lock: Flock<File>) -> Option<Estate> {
    let Told { host, boot, namespace, run, shims, workers } = tell(text)?;
    let this_boot = boot_id();
    let is_of_this_boot = boot == this_boot;
    let is_certain = is_of_this_boot || ![boot, &this_boot].contains(&UNKNOWN);
    if !is_certain || is_of_this_boot && namespace != pid_namespace() {
        return None;
    }
    Some(Estate { _lock: lock, host, run, shims, workers, is_of_this_boot })
}

/// What a ledger says.
struct Told<'a> {
    host: Named,
    boot: &'a str,
    namespace: &'a str,
    run: RunId,
    shims: Vec<Named>,
    workers: Vec<Named>,
}

fn tell(text: &str) -> Option<Told<'_>> {
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next()?.strip_prefix(MAGIC)?.split_ascii_whitespace().collect();
    let [pid, start_time, boot, namespace, run] = head[..] else { return None };
    let host = Named { pid: pid.parse().ok()?, start_time: start_time.parse().ok()? };
    let run = RunId::parse(run)?;
    let (shims, workers) = (Vec::new(), Vec::new());
    let mut told = Told { host, boot, namespace, run, shims, workers };
    for line in lines {
        // A line that was taken and not written yet, before one that was, is a hole: bytes of zero.
        let words = line.split([' ', '\0']).filter(|word| !word.is_empty());
        let numbers: Vec<u64> = words.map_while(|number| number.parse().ok()).collect();
        let [shim, shim_start, worker, worker_start] = numbers[..] else { continue };
        for (list, pid, start_time) in
            [(&mut told.shims, shim, shim_start), (&mut told.workers, worker, worker_start)]
        {
            // Numbers 0 and 1 mean everybody, and init; what is too large for the system's signed
            // numbers would be one below zero: a group of processes.
            if let Ok(pid @ 2..) = i32::try_from(pid) {
                list.push(Named { pid: pid.unsigned_abs(), start_time });
            }
        }
    }
    Some(told)
}

/// The processes that would be ended, were this the ledger of a dead host.
#[cfg(feature = "testkit")]
pub(super) fn named(text: &str) -> Vec<u32> {
    let told = tell(text).map(|told| [told.shims, told.workers].concat()).unwrap_or_default();
    told.into_iter().map(|named| named.pid).collect()
}

pub(super) fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.map_or_else(|_| UNKNOWN.into(), |id| id.trim().to_owned())
}

/// Its inode. Numbers of processes are those of a namespace. Asked of this thread: the first one,
/// for which the process stands there, may have ended.
fn pid_namespace() -> String {
    fs::metadata("/proc/thread-self/ns/pid")
        .map_or_else(|_| UNKNOWN.into(), |file| file.ino().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_after_the_host_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        assert_eq!(open(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        let run = RunId::random().unwrap();
        let ledger = Ledger::create(&path, &run).unwrap();
        let name = |pid| Named { pid, start_time: u64::MAX - u64::from(pid) };
        let places = [ledger.take(), ledger.take(), ledger.take()];
        ledger.write(places[0], name(10), Some(name(11)));
        ledger.write(places[1], name(20), Some(name(21)));
        ledger.write(places[2], name(30), None);
        ledger.free(places[1]);
        assert_eq!(ledger.take(), places[1], "a freed line is used again");
        assert!(matches!(open(&path).unwrap(), Found::Busy), "the host lives");

        drop(ledger);
        assert!(matches!(open(&path).unwrap(), Found::Busy), "and still does, without a lock");
        let text = fs::read_to_string(&path).unwrap();
        let me = Named::now(std::process::id()).unwrap();
        let other = text.replacen(&me.start_time.to_string(), "1", 1);
        fs::write(&path, other).unwrap();
        let Found::Dead(estate) = open(&path).unwrap() else { panic!("its host is dead") };
        assert_eq!((estate.shims, estate.workers), (vec![name(10), name(30)], vec![name(11)]));
        assert!(estate.run == run && estate.is_of_this_boot);
    }

    #[test]
    fn a_line_behind_one_that_was_never_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let ledger = Ledger::create(&path, &RunId::random().unwrap()).unwrap();
        let places = [ledger.take(), ledger.take(), ledger.take()];
        let name = |pid| Named { pid, start_time: 7 };
        ledger.write(places[2], name(30), Some(name(31)));
        let text = fs::read_to_string(&path).unwrap();
        let told = tell(&text).expect("a ledger");
        assert_eq!((told.shims, told.workers), (vec![name(30)], vec![name(31)]));
    }

    #[test]
    fn numbers_that_are_not_those_of_one_process_are_nobodys() {
        let run = "a5".repeat(16);
        let text = format!(
            "{MAGIC} 9 9 boot 4 {run}\n0 1 1 1\n2147483648 1 4294967295 1\n\
             18446744073709551615 1 2147483647 1\n"
        );
        let told = tell(&text).expect("a ledger");
        assert!(told.shims.is_empty());
        assert_eq!(told.workers, [Named { pid: 2_147_483_647, start_time: 1 }]);
    }

    #[test]
    fn a_file_of_others_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        for text in ["", "notes\n", "snakepit-ledger 1 1 2 3 4 5\n", "snakepit-ledger 9 1 2 3 4\n"]
        {
            fs::write(&path, text).unwrap();
            assert!(matches!(open(&path).unwrap(), Found::Foreign), "{text:?}");
        }
    }
}
