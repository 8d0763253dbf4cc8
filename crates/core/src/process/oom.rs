//! Whether the kernel killed a worker for want of memory: what its control group counts.
//!
//! The kernel's log would say it for sure, but is not to be read by everybody. A group counts the
//! kills in it; one that has counted more than was claimed by other workers, while nobody of ours
//! sent a SIGKILL, explains one death.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::fork::PerProcess;
use super::group::shared;

/// Kills of each group that are accounted for, by this process's workers or from before them.
static ACCOUNTED: PerProcess<Mutex<HashMap<PathBuf, u64>>> = PerProcess::new();

/// The control group of one worker.
#[derive(Debug)]
pub struct OomCounter {
    file: PathBuf,
}

impl OomCounter {
    /// That of a process; `None` where its group's count cannot be read.
    pub fn of(pid: u32) -> Option<Self> {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let mut readable = candidates(&groups, &mounts).into_iter();
        let (count, file) = readable.find_map(|file| Some((count(&file)?, file)))?;
        let mut accounted =
            ACCOUNTED.get(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        accounted.entry(file.clone()).or_insert(count);
        Some(Self { file })
    }

    /// Whether the group has counted a kill that explains the death of this worker; only one death
    /// is explained by each.
    pub fn claim(&self) -> bool {
        let Some(now) = count(&self.file) else { return false };
        let mut accounted =
            ACCOUNTED.get(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        let known = accounted.entry(self.file.clone()).or_insert(now);
        let more = now > *known;
        *known += u64::from(more);
        more
    }

    /// A worker died otherwise: what was counted until now explains no later death.
    pub fn settle(&self) {
        if let Some(now) = count(&self.file) {
            let mut accounted =
                ACCOUNTED.get(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
            accounted.insert(self.file.clone(), now);
        }
    }
}

/// Version 2 counts in `memory.events`, version 1 in `memory.oom_control`.
fn candidates(groups: &str, mounts: &str) -> Vec<PathBuf> {
    let group_of = |wanted: &str| {
        groups.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            controllers.split(',').any(|name| name == wanted).then(|| PathBuf::from(path))
        })
    };
    let file = |group: Option<PathBuf>, kind: &str, option: Option<&str>, name: &str| {
        let (root, point) = mount(mounts, kind, option)?;
        let group = group?;
        let group = shared(&group);
        // Seen from inside of a container the group may lie above what is mounted.
        let below = group.strip_prefix(&root).unwrap_or(Path::new(""));
        Some(point.join(below).join(name))
    };
    let second = file(group_of(""), "cgroup2", None, "memory.events");
    let first = file(group_of("memory"), "cgroup", Some("memory"), "memory.oom_control");
    second.into_iter().chain(first).collect()
}

/// Root and mount point of a file system, from `/proc/self/mountinfo`.
pub(super) fn mount(mounts: &str, kind: &str, option: Option<&str>) -> Option<(PathBuf, PathBuf)> {
    mounts.lines().find_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        let (mut mount, mut system) = (mount.split(' ').skip(3), system.split(' '));
        let fits = system.next()? == kind
            && option.is_none_or(|option| {
                system.next_back().is_some_and(|all| all.split(',').any(|one| one == option))
            });
        fits.then(|| Some((mount.next()?.into(), mount.next()?.into())))?
    })
}

fn count(file: &Path) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
24 1 0:21 / /proc rw - proc proc rw
30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate
35 24 0:31 /docker/ab /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
36 24 0:32 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct
";

    #[test]
    fn the_group_is_found_in_both_versions() {
        let files = |groups| candidates(groups, MOUNTS);
        assert_eq!(files("0::/user/a\n"), [Path::new("/sys/fs/cgroup/user/a/memory.events")]);
        assert_eq!(
            files("4:cpu,cpuacct:/\n3:memory:/docker/ab/job\n"),
            [Path::new("/sys/fs/cgroup/memory/job/memory.oom_control")]
        );
        assert!(files("4:cpu:/\n").is_empty() && candidates("0::/\n", "").is_empty());
    }

    #[test]
    fn each_kill_explains_one_death() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("memory.events");
        let counted = |kills: u32| fs::write(&file, format!("oom 9\noom_kill {kills}\n")).unwrap();
        counted(3);
        let counter = OomCounter { file: file.clone() };
        assert!(!counter.claim(), "from before");
        counted(5);
        assert_eq!([counter.claim(), counter.claim(), counter.claim()], [true, true, false]);
        counted(6);
        counter.settle();
        assert!(!counter.claim());
        fs::remove_file(&file).unwrap();
        assert!(!counter.claim());
    }
}
