//! What the control groups of this process leave it of processors and memory.
//!
//! A limit holds for a group and all below it, so the smallest from this process's group up to the
//! top counts. Version 2 writes `cpu.max` and `memory.max`; version 1 has a tree for each controller.

use std::path::{Path, PathBuf};

use crate::hardware::machine::Machine;
use crate::process::mount;

/// What version 1 writes for "no limit" is a number of this size.
const NO_LIMIT: u64 = 1 << 60;

/// The limits; none: there is none.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Limits {
    /// Processors' worth of time.
    pub(super) quota: Option<f64>,
    /// Bytes.
    pub(super) memory: Option<u64>,
}

pub(super) fn limits(machine: &Machine) -> Limits {
    let groups = machine.read("proc/self/cgroup").unwrap_or_default();
    let mounts = machine.read("proc/self/mountinfo").unwrap_or_default();
    let mut limits = Limits::default();
    let least = |one: Option<f64>, other: Option<f64>| match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    for folder in folders(&groups, &mounts, None) {
        let read = |name: &str| machine.read(folder.join(name));
        limits.quota = least(limits.quota, read("cpu.max").and_then(|text| cpu_max(&text)));
        let memory = read("memory.max").and_then(|text| bytes(&text));
        limits.memory = limits.memory.into_iter().chain(memory).min();
    }
    for folder in folders(&groups, &mounts, Some("cpu")) {
        let read = |name: &str| machine.read(folder.join(name))?.trim().parse::<i64>().ok();
        let quota = read("cpu.cfs_quota_us").zip(read("cpu.cfs_period_us"));
        limits.quota = least(limits.quota, quota.and_then(|(quota, period)| share(quota, period)));
    }
    for folder in folders(&groups, &mounts, Some("memory")) {
        let memory = machine.read(folder.join("memory.limit_in_bytes"));
        let memory = memory.and_then(|text| bytes(&text));
        limits.memory = limits.memory.into_iter().chain(memory).min();
    }
    limits
}

/// The folders of this process's group and of those above it, lowest first; `controller`: of version
/// 1, none: of version 2.
fn folders(groups: &str, mounts: &str, controller: Option<&str>) -> Vec<PathBuf> {
    let group = groups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let fits = match controller {
            Some(wanted) => controllers.split(',').any(|name| name == wanted),
            None => controllers.is_empty(),
        };
        fits.then(|| PathBuf::from(path))
    });
    let kind = if controller.is_some() { "cgroup" } else { "cgroup2" };
    let (Some(group), Some((root, point))) = (group, mount(mounts, kind, controller)) else {
        return Vec::new();
    };
    // Seen from inside of a container the group may lie above what is mounted.
    let below = group.strip_prefix(&root).unwrap_or(Path::new(""));
    let below = if below.iter().any(|part| part == "..") { Path::new("") } else { below };
    below.ancestors().map(|part| point.join(part)).collect()
}

fn cpu_max(text: &str) -> Option<f64> {
    let mut words = text.split_ascii_whitespace();
    let quota = words.next()?.parse().ok()?; // "max": no limit
    share(quota, words.next().map_or(Some(100_000), |period| period.parse().ok())?)
}

fn share(quota: i64, period: i64) -> Option<f64> {
    (quota > 0 && period > 0).then(|| quota as f64 / period as f64)
}

fn bytes(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|&bytes| bytes < NO_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: &str = "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
    const FIRST: &str = "\
35 24 0:31 /docker/ab /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
36 24 0:32 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
";

    #[test]
    fn the_smallest_limit_on_the_way_up_counts() {
        let (_root, machine) = Machine::of_files(&[
            ("proc/self/cgroup", "0::/user.slice/job\n"),
            ("proc/self/mountinfo", SECOND),
            ("sys/fs/cgroup/user.slice/job/cpu.max", "400000 100000\n"),
            ("sys/fs/cgroup/user.slice/job/memory.max", "max\n"),
            ("sys/fs/cgroup/user.slice/cpu.max", "150000 100000\n"),
            ("sys/fs/cgroup/user.slice/memory.max", "1073741824\n"),
            ("sys/fs/cgroup/cpu.max", "max 100000\n"),
        ]);
        assert_eq!(limits(&machine), Limits { quota: Some(1.5), memory: Some(1 << 30) });
    }

    #[test]
    fn version_1_has_a_tree_for_each() {
        let (_root, machine) = Machine::of_files(&[
            ("proc/self/cgroup", "4:cpu,cpuacct:/job\n3:memory:/docker/ab/inner\n0::/\n"),
            ("proc/self/mountinfo", FIRST),
            ("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "250000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/memory/inner/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n"),
        ]);
        assert_eq!(limits(&machine), Limits { quota: Some(2.5), memory: Some(512 << 20) });
    }

    #[test]
    fn what_cannot_be_read_limits_nothing() {
        let (_root, garbled) = Machine::of_files(&[
            ("proc/self/cgroup", "0::/../..\nnonsense\n::\n"),
            ("proc/self/mountinfo", SECOND),
            ("sys/fs/cgroup/cpu.max", "-5 0\n"),
            ("sys/fs/cgroup/memory.max", "lots\n"),
        ]);
        assert_eq!(limits(&garbled), Limits::default());
        let (_root, empty) = Machine::of_files(&[]);
        assert_eq!(limits(&empty), Limits::default());
    }
}
