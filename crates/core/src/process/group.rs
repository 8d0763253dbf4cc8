//! A control group of each worker's own, where the kernel lets this user make one (version 2, and
//! delegated). It holds what the tree and the mark cannot: a process that was started with an
//! environment made from nothing, and that is below nobody since its shim was killed; and one that
//! changed its user.
//!
//! ```text
//! the host's group ─┬─ host, shims
//!                   └─ snakepit-RUN-NUMBER ── worker, all that it starts
//! ```
//!
//! Beside the walk of the tree, never instead of it: mostly there is no such group. No controller is
//! enabled here, so nothing is limited, and the host may stay where it is.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::oom::mount;
use super::run::{RunId, RunToken};
use super::sys;

/// Tells a shim the folder of its worker's group.
pub const GROUP_VARIABLE: &str = "SNAKEPIT_GROUP";

/// Name of the file in a run folder that says where the groups of its workers are.
pub(super) const FILE: &str = "group";

const PREFIX: &str = "snakepit-";
/// Freeing memory takes some 70 ms a GiB.
const LIMIT: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(1);

/// The group in which those of the workers are made.
#[derive(Clone, Debug)]
pub(super) struct Groups(PathBuf);

impl Groups {
    /// That of this process; `None` where it is not to be divided.
    pub(super) fn of_process(run: &RunId) -> Option<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = fs::read_to_string("/proc/thread-self/mountinfo").ok()?;
        let own = folder(&groups, &mounts)?;
        // systemd minds whoever divides a group that it has not given away, root included.
        let given = !Path::new("/run/systemd/system").exists()
            || ["user.delegate", "trusted.delegate"].iter().any(|name| sys::has_xattr(&own, name));
        if !given {
            tracing::debug!(group = %own.display(), "the control group is not delegated");
            return None;
        }
        // What can be made once can be made for each worker. Under a name that nobody else has, nor
        // a host that was killed while it tried.
        let groups = Self(own);
        let probe = groups.make(&name(&run.worker(u64::MAX)));
        match &probe {
            Ok(probe) => {
                probe.remove();
                tracing::debug!(group = %groups.0.display(), "each worker gets a control group");
            }
            Err(error) => tracing::debug!(%error, "no control groups for workers"),
        }
        probe.is_ok().then_some(groups)
    }

    /// What a host noted in its run folder.
    pub(super) fn noted(folder: &Path) -> Option<Self> {
        let text = fs::read_to_string(folder.join(FILE)).ok()?;
        Some(Self(PathBuf::from(text.trim_end_matches('\n'))))
    }

    pub(super) fn note(&self, folder: &Path) -> io::Result<()> {
        fs::write(folder.join(FILE), format!("{}\n", self.0.display()))
    }

    /// Makes the group of a worker.
    pub(super) fn of_worker(&self, token: &RunToken) -> Option<WorkerGroup> {
        let made = self.make(&name(token));
        made.inspect_err(|error| tracing::debug!(%error, "no control group for a worker")).ok()
    }

    fn make(&self, name: &str) -> io::Result<WorkerGroup> {
        let group = WorkerGroup(self.0.join(name));
        fs::create_dir(&group.0)?;
        // Since Linux 5.14; without it a group is of no use here.
        if !group.0.join("cgroup.kill").exists() {
            group.remove();
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(group)
    }

    /// All that a run has left.
    pub(super) fn of_run(&self, run: &RunId) -> Vec<WorkerGroup> {
        let prefix = format!("{PREFIX}{run}-");
        let folders = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let named = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(&prefix);
        folders.filter(named).map(|entry| WorkerGroup(entry.path())).collect()
    }
}

/// One worker and all that it started, without its shim.
#[derive(Clone, Debug)]
pub struct WorkerGroup(PathBuf);

impl WorkerGroup {
    /// The one that the host made for this process's worker.
    pub(super) fn of_process(token: &RunToken) -> Option<Self> {
        let path = PathBuf::from(std::env::var_os(GROUP_VARIABLE)?);
        // A variable from elsewhere must not have others killed.
        path.ends_with(name(token)).then_some(Self(path))
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The group as a descriptor, for what is to be started in it.
    pub(super) fn open(&self) -> io::Result<OwnedFd> {
        File::open(&self.0).map(OwnedFd::from)
    }

    /// The group in which it was made.
    pub(super) fn parent(&self) -> Option<Groups> {
        self.0.parent().map(|path| Groups(path.to_owned()))
    }

    /// Sends SIGKILL to all that is in it, whatever forks meanwhile and whoever owns it.
    pub(super) fn kill(&self) -> io::Result<()> {
        fs::write(self.0.join("cgroup.kill"), "1")
    }

    /// Ends what is in it, waits until that is gone, three seconds at most, and removes the group.
    /// Says whom.
    pub(super) fn end(&self) -> BTreeSet<u32> {
        let members = members(&self.0);
        if !members.is_empty() && self.kill().is_ok() {
            let until = Instant::now() + LIMIT;
            while !self::members(&self.0).is_empty() && Instant::now() < until {
                thread::sleep(PAUSE);
            }
        }
        self.remove();
        members
    }

    /// Removes an empty group with those that were made in it.
    pub(super) fn remove(&self) {
        remove(&self.0);
    }
}

fn name(token: &RunToken) -> String {
    format!("{PREFIX}{token}")
}

/// The group without the worker's part, where it has one: what others count is counted there.
pub(super) fn shared(group: &Path) -> &Path {
    let is_ours = |name: &str| {
        let token = name.strip_prefix(PREFIX);
        token.and_then(|token| token.split_once('-')).is_some_and(|(run, _)| {
            run.len() == 32 && run.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    let name = group.file_name().and_then(|name| name.to_str());
    match group.parent() {
        Some(parent) if name.is_some_and(is_ours) => parent,
        _ => group,
    }
}

fn below(group: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path())
}

fn members(group: &Path) -> BTreeSet<u32> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let mut found: BTreeSet<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    for inner in below(group) {
        found.extend(members(&inner));
    }
    found
}

fn remove(group: &Path) {
    for inner in below(group) {
        remove(&inner);
    }
    let _still_populated_or_gone = fs::remove_dir(group);
}

/// Where a process's group of version 2 can be seen.
fn folder(groups: &str, mounts: &str) -> Option<PathBuf> {
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let (root, point) = mount(mounts, "cgroup2", None)?;
    // One that lies above what is mounted is somebody else's.
    let inside = Path::new(group).strip_prefix(&root).ok()?;
    Some(point.join(inside)).filter(|path| !path.iter().any(|part| part == ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
24 1 0:21 / /proc rw - proc proc rw
30 24 0:26 /docker/ab /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate
";

    #[test]
    fn the_group_is_found_where_it_can_be_seen() {
        let found = |group: &str| folder(&format!("4:cpu:/\n0::{group}\n"), MOUNTS);
        assert_eq!(found("/docker/ab/job").unwrap(), Path::new("/sys/fs/cgroup/job"));
        assert!(found("/docker/cd").is_none() && found("/docker/ab/../cd").is_none());
        assert!(folder("4:cpu:/\n", MOUNTS).is_none() && folder("0::/\n", "").is_none());
    }

    #[test]
    fn only_a_workers_part_is_taken_off() {
        let run = RunId::random().unwrap();
        let own = format!("/a/{}", name(&run.worker(3)));
        assert_eq!(shared(Path::new(&own)), Path::new("/a"));
        for other in ["/a/snakepit-web.service", "/a/snakepit-", "/", "/a"] {
            assert_eq!(shared(Path::new(other)), Path::new(other));
        }
    }
}
