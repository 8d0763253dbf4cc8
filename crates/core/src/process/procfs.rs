//! One process as `/proc` shows it. Everything may vanish between two looks, hence the options.

use std::collections::HashMap;
use std::fs;

/// Fields of `/proc/PID/stat` that tell who a process is.
pub(super) struct Stat {
    /// The first 15 bytes of the program's name, or what it named itself.
    pub(super) name: Vec<u8>,
    /// It has ended, and its parent has not asked how.
    pub(super) is_zombie: bool,
    /// Its first thread has begun to end: its descriptors may be closed already, although nobody
    /// can have waited for it yet.
    pub(super) is_ending: bool,
    pub(super) parent: u32,
    /// Clock ticks since boot; with the pid it names a process for good.
    pub(super) start_time: u64,
}

/// PF_EXITING of the kernel's `linux/sched.h`.
const ENDING: u64 = 0x4;

pub(super) fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(raw: &[u8]) -> Option<Stat> {
    // The second field is the program's name: it may hold spaces, parentheses and any bytes.
    let name_start = raw.iter().position(|&byte| byte == b'(')? + 1;
    let name_end = raw.iter().rposition(|&byte| byte == b')')?;
    let name = raw.get(name_start..name_end)?.to_vec();
    let rest = std::str::from_utf8(&raw[name_end + 1..]).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let is_zombie = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    let flags: u64 = fields.nth(4)?.parse().ok()?;
    let start_time = fields.nth(12)?.parse().ok()?;
    Some(Stat { name, is_zombie, is_ending: flags & ENDING != 0, parent, start_time })
}

/// The numbers of all processes that can be seen.
pub(super) fn processes() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Whether this kernel lists a task's children (CONFIG_PROC_CHILDREN).
pub(super) fn lists_children() -> bool {
    fs::exists("/proc/thread-self/children").unwrap_or(false)
}

/// Children of all threads of `pid`, at best effort: the lists are exact only for stopped
/// processes.
pub(super) fn children(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return found };
    for task in tasks.flatten() {
        if let Ok(list) = fs::read_to_string(task.path().join("children")) {
            found.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
    }
    found
}

/// All processes below `root`, with their parents, from one look at the whole of `/proc`.
pub(super) fn scan_descendants(root: u32) -> Vec<(u32, u32)> {
    let mut by_parent: HashMap<u32, Vec<u32>> = HashMap::new();
    for pid in processes() {
        if let Some(stat) = stat(pid) {
            by_parent.entry(stat.parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        // Taken out, so that a torn look cannot lead in circles.
        for pid in by_parent.remove(&parent).unwrap_or_default() {
            found.push((pid, parent));
            parents.push(pid);
        }
    }
    found
}

/// Memory that only this process holds: anonymous pages, resident and swapped, in bytes.
pub(super) fn private_memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(parse_memory(&status))
}

fn parse_memory(status: &str) -> u64 {
    let kib = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0)
    };
    // Both are absent for a zombie and a kernel thread: they hold nothing.
    (kib("RssAnon:") + kib("VmSwap:")) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_cannot_confuse_the_fields() {
        let raw = b"42 (a) R 9 (b\xff) S 7 42 42 0 -1 4194304 1 0 0 0 5 6 0 0 20 0 1 0 987654 0 0";
        let stat = parse_stat(raw).unwrap();
        assert_eq!((stat.parent, stat.start_time), (7, 987_654));
        assert_eq!((&*stat.name, stat.is_zombie), (&b"a) R 9 (b\xff"[..], false));
        assert!(!stat.is_ending, "4194304 is PF_RANDOMIZE");
        assert!(parse_stat(b"42 (cut) S 7").is_none());
        assert!(parse_stat(b"").is_none());
    }

    #[test]
    fn memory_is_anonymous_plus_swap() {
        let status = "VmRSS:\t  900 kB\nRssAnon:\t  100 kB\nRssFile:\t 800 kB\nVmSwap:\t   5 kB\n";
        assert_eq!(parse_memory(status), 105 * 1024);
        assert_eq!(parse_memory("Name:\tzombie\n"), 0);
    }

    #[test]
    fn both_ways_find_a_child() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let me = std::process::id();
        assert!(scan_descendants(me).contains(&(child.id(), me)));
        assert_eq!(stat(child.id()).unwrap().parent, me);
        if lists_children() {
            assert!(children(me).contains(&child.id()));
        }
        assert!(!stat(me).unwrap().is_ending);
        child.kill().unwrap();
        while !stat(child.id()).unwrap().is_zombie {
            std::thread::yield_now();
        }
        assert!(stat(child.id()).unwrap().is_ending);
        child.wait().unwrap();
        assert!(stat(child.id()).is_none());
    }
}
