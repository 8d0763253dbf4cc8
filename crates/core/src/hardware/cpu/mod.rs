//! The processors, their memory, and what this process may use of both: from `/proc` and `/sys`.

mod group;
mod info;
mod list;

use std::collections::BTreeSet;

use super::machine::Machine;
use super::report::{Cpu, NumaNode, Usable};
use info::CpuInfo;
use list::numbers;

const MIB: u64 = 1 << 20;

/// What the machine tells; where it tells nothing, what the standard library knows.
pub(super) fn detect(machine: &Machine) -> Cpu {
    let info = info::parse(&machine.read("proc/cpuinfo").unwrap_or_default());
    let online = machine.read("sys/devices/system/cpu/online").map(|text| numbers(&text));
    let online =
        online.filter(|all| !all.is_empty()).unwrap_or_else(|| (0..info.threads).collect());
    let threads = match online.len() {
        0 => super::usable_cores(),
        online => online,
    };
    let memory = machine.read("proc/meminfo").unwrap_or_default();
    let total = kilobytes(&memory, "MemTotal") / 1024;
    Cpu {
        cores: cores(machine, &online).or(info.cores).map_or(threads, |cores| cores.min(threads)),
        threads,
        numa_nodes: nodes(machine),
        memory_total_mb: total,
        memory_available_mb: kilobytes(&memory, "MemAvailable") / 1024,
        usable: usable(machine, &online, threads, total),
        model: model(machine, &info),
        features: info.features.into_iter().collect(),
    }
}

/// Bytes of memory that this process may use: the machine's, or what its control groups leave of it.
/// None: nothing tells.
pub(super) fn usable_memory(machine: &Machine) -> Option<u64> {
    let total = kilobytes(&machine.read("proc/meminfo").unwrap_or_default(), "MemTotal") * 1024;
    Some(total).filter(|&total| total > 0).into_iter().chain(group::limits(machine).memory).min()
}

/// Of a machine that does not answer.
pub(super) fn unknown() -> Cpu {
    let threads = super::usable_cores();
    let usable = Usable { cores: threads, ..Usable::default() };
    Cpu { cores: threads, threads, usable, ..Cpu::default() }
}

/// A board has a name where its processor has none.
fn model(machine: &Machine, info: &CpuInfo) -> String {
    let board = || machine.read("proc/device-tree/model");
    let name = info.model.clone().or_else(board).unwrap_or_default();
    name.trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_owned()
}

/// Physical cores: threads of one core are told as each other's siblings.
fn cores(machine: &Machine, online: &BTreeSet<usize>) -> Option<usize> {
    let siblings = |cpu: &usize| {
        let told = |name| machine.read(format!("sys/devices/system/cpu/cpu{cpu}/topology/{name}"));
        // The second is the first one's name before Linux 5.3.
        let text = told("core_cpus_list").or_else(|| told("thread_siblings_list"))?;
        let all = numbers(&text);
        all.contains(cpu).then_some(all)
    };
    let cores: BTreeSet<_> = online.iter().map(siblings).collect::<Option<_>>()?;
    (!cores.is_empty()).then_some(cores.len())
}

fn nodes(machine: &Machine) -> Vec<NumaNode> {
    let online = machine.read("sys/devices/system/node/online").unwrap_or_default();
    let node = |id: usize| {
        let read = |name| machine.read(format!("sys/devices/system/node/node{id}/{name}"));
        let cpus = numbers(&read("cpulist")?).into_iter().collect();
        let memory = read("meminfo").unwrap_or_default();
        let total = memory.lines().find_map(|line| line.split_once("MemTotal:")?.1.into());
        let total = total.and_then(first_number).unwrap_or(0);
        Some(NumaNode { id, cpus, memory_total_mb: total / 1024 })
    };
    numbers(&online).into_iter().filter_map(node).collect()
}

fn usable(machine: &Machine, online: &BTreeSet<usize>, threads: usize, total_mb: u64) -> Usable {
    let limits = group::limits(machine);
    let status = machine.read("proc/thread-self/status").unwrap_or_default();
    let cpus = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    // Also those that could be plugged in are allowed, where nobody said otherwise.
    let is_there = |cpu: &usize| online.is_empty() || online.contains(cpu);
    let cpus = cpus.map(numbers).unwrap_or_default();
    let cpus: Vec<usize> = cpus.into_iter().filter(is_there).collect();
    let allowed = if cpus.is_empty() { threads } else { cpus.len() };
    // Whole ones, as the standard library counts them: a thread more would only be throttled.
    let quota = limits.quota.map_or(usize::MAX, |quota| (quota as usize).max(1));
    let limit = limits.memory.map(|bytes| bytes / MIB);
    Usable {
        cores: allowed.min(quota),
        cpus,
        quota: limits.quota,
        memory_mb: match (limit, total_mb) {
            (Some(limit), 0) => limit,
            (Some(limit), total) => limit.min(total),
            (None, total) => total,
        },
        memory_limit_mb: limit.filter(|&limit| total_mb == 0 || limit < total_mb),
    }
}

fn kilobytes(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(first_number).unwrap_or(0)
}

fn first_number(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_threads_of_two_cores_on_two_nodes() {
        let mut files = vec![
            ("proc/cpuinfo", include_str!("../recorded/cpuinfo-intel")),
            ("proc/meminfo", "MemTotal:        8388608 kB\nMemAvailable:    4194304 kB\n"),
            ("proc/thread-self/status", "Name:\tx\nCpus_allowed:\t7\nCpus_allowed_list:\t0-2\n"),
            ("sys/devices/system/cpu/online", "0-3\n"),
            ("sys/devices/system/node/online", "0-1\n"),
            ("sys/devices/system/node/node0/cpulist", "0,2\n"),
            ("sys/devices/system/node/node0/meminfo", "Node 0 MemTotal:  4194304 kB\n"),
            ("sys/devices/system/node/node1/cpulist", "1,3\n"),
        ];
        for cpu in ["0", "1", "2", "3"] {
            let name = format!("sys/devices/system/cpu/cpu{cpu}/topology/core_cpus_list").leak();
            let core = if cpu == "0" || cpu == "2" { "0,2\n" } else { "1,3\n" };
            files.push((name, core));
        }
        let (_root, machine) = Machine::of_files(&files);
        let cpu = detect(&machine);
        assert_eq!((cpu.cores, cpu.threads), (2, 4));
        assert_eq!((cpu.memory_total_mb, cpu.memory_available_mb), (8192, 4096));
        assert_eq!(cpu.usable.cpus, [0, 1, 2]);
        assert_eq!((cpu.usable.cores, cpu.usable.memory_mb), (3, 8192));
        let nodes: Vec<_> =
            cpu.numa_nodes.iter().map(|it| (it.id, &*it.cpus, it.memory_total_mb)).collect();
        assert_eq!(nodes, [(0, &[0, 2][..], 4096), (1, &[1, 3], 0)]);
        assert!(cpu.features.is_sorted() && cpu.has("amx_tile"));
    }

    #[test]
    fn memory_is_the_machines_or_what_a_group_leaves_of_it() {
        let machine = ("proc/meminfo", "MemTotal:        8388608 kB\n");
        let group = [
            ("proc/self/cgroup", "0::/jobs/one\n"),
            ("proc/self/mountinfo", "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
            ("sys/fs/cgroup/jobs/one/memory.max", "max\n"),
        ];
        let limit = |text| ("sys/fs/cgroup/jobs/memory.max", text);
        let memory = |files: &[_]| usable_memory(&Machine::of_files(files).1);
        assert_eq!(memory(&[machine]), Some(8 << 30));
        assert_eq!(memory(&[&[machine][..], &group].concat()), Some(8 << 30));
        assert_eq!(memory(&[&[machine, limit("1048576\n")][..], &group].concat()), Some(1 << 20));
        let more = limit("17179869184\n");
        assert_eq!(memory(&[&[machine, more][..], &group].concat()), Some(8 << 30));
        assert_eq!(memory(&[&[limit("1048576\n")][..], &group].concat()), Some(1 << 20));
        assert_eq!(memory(&[]), None);
    }

    #[test]
    fn processors_that_could_be_plugged_in_are_not_usable() {
        let (_root, machine) = Machine::of_files(&[
            ("proc/thread-self/status", "Cpus_allowed_list:\t0-239\n"),
            ("sys/devices/system/cpu/online", "0-1\n"),
        ]);
        let cpu = detect(&machine);
        assert_eq!((cpu.threads, cpu.usable.cores, &*cpu.usable.cpus), (2, 2, &[0, 1][..]));
    }

    #[test]
    fn a_machine_that_tells_nothing_has_a_processor() {
        let (_root, silent) = Machine::of_files(&[]);
        let cpu = detect(&silent);
        assert!(cpu.cores >= 1 && cpu.threads >= 1 && cpu.usable.cores >= 1);
        assert_eq!((cpu.model.as_str(), cpu.memory_total_mb), ("", 0));
        let (_root, board) = Machine::of_files(&[("proc/device-tree/model", "NVIDIA Jetson\0")]);
        assert_eq!(detect(&board).model, "NVIDIA Jetson");
    }

    #[test]
    fn this_machine_tells_what_the_standard_library_knows() {
        let cpu = detect(&Machine::here(&[]));
        let known = std::thread::available_parallelism().unwrap().get();
        assert_eq!(cpu.usable.cores, known);
        assert!(cpu.cores <= cpu.threads && cpu.memory_total_mb > 0);
        assert!(cpu.usable.memory_mb <= cpu.memory_total_mb);
    }
}
