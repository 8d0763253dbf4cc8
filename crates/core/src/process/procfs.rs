//! One process as `/proc` shows it. Everything may vanish between two looks, hence the options.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::time::Duration;

use super::sys;

/// Fields of `/proc/PID/stat` that tell who a process is.
pub(super) struct Stat {
    /// The first 15 bytes of the program's name, or what it named itself.
    pub(super) name: Vec<u8>,
    /// All of it has ended, and its parent has not asked how. Not so a process whose first thread
    /// ended alone: that shows the same state, but is counted with others.
    pub(super) is_zombie: bool,
    /// This thread has begun to end.
    is_leaving: bool,
    pub(super) parent: u32,
    /// Clock ticks since boot; with the pid it names a process for good.
    pub(super) start_time: u64,
}

/// PF_EXITING of the kernel's `linux/sched.h`.
const ENDING: u64 = 0x4;
/// Threads that vanish under a look make it worthless; a process that ends has only so many.
const LOOKS: usize = 100;
/// Of a command line, in characters.
const MAX_PROGRAM: usize = 256;

pub(super) fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// How long ago this process began.
pub fn process_age() -> Option<Duration> {
    let began = stat(std::process::id())?.start_time as f64 / sys::ticks_per_second()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split_ascii_whitespace().next()?.parse().ok()?;
    // What a container is told of the machine's age may be less than the truth.
    Duration::try_from_secs_f64((uptime - began).max(0.0)).ok()
}

/// The command line of this process: its first 256 characters, arguments apart by blanks.
pub fn program() -> String {
    let line = fs::read("/proc/self/cmdline").unwrap_or_default();
    let line =
        String::from_utf8_lossy(line.strip_suffix(b"\0").unwrap_or(&line)).replace('\0', " ");
    match line.char_indices().nth(MAX_PROGRAM) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Whether a process is gone or about to be: each of its threads has begun to end. Then its
/// descriptors may be closed already, although nobody can have waited for it yet.
///
/// What `/proc/PID/stat` says is said of the first thread only, and that may have ended alone
/// (`pthread_exit` of a main thread), while the process lives on.
pub(super) fn is_ending(pid: u32) -> bool {
    let first = stat(pid);
    first.is_none_or(|first| first.is_leaving)
        && (0..LOOKS).find_map(|_| all_leave(pid)).unwrap_or(false)
}

/// `None` when a thread vanished meanwhile, which may have started another.
fn all_leave(pid: u32) -> Option<bool> {
    let mut all_seen = true;
    for thread in threads(pid) {
        let seen = fs::read(format!("/proc/{pid}/task/{thread}/stat"));
        match seen.ok().and_then(|raw| parse_stat(&raw)) {
            Some(seen) if !seen.is_leaving => return Some(false),
            Some(_) => {}
            None => all_seen = false,
        }
    }
    all_seen.then_some(true)
}

/// The numbers of a process's threads; none when it is gone.
fn threads(pid: u32) -> impl Iterator<Item = u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    tasks.filter_map(|task| task.file_name().to_str()?.parse().ok())
}

/// The environment that a process was started with; empty for one that has none any more.
///
/// # Errors
///
/// `PermissionDenied` for a process of another user; what says that this process is out of
/// descriptors or memory, and so saw nothing.
pub(super) fn environ(pid: u32) -> io::Result<Vec<u8>> {
    let read = |path: String| match fs::read(path) {
        // Gone, or a zombie, as some kernels say.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => {
            Ok(Vec::new())
        }
        result => result,
    };
    let own = read(format!("/proc/{pid}/environ"))?;
    if !own.is_empty() {
        return Ok(own);
    }
    // Its first thread has ended; of the others each has it.
    for thread in threads(pid).filter(|&thread| thread != pid) {
        let environ = read(format!("/proc/{pid}/task/{thread}/environ"))?;
        if !environ.is_empty() {
            return Ok(environ);
        }
    }
    Ok(Vec::new())
}

fn parse_stat(raw: &[u8]) -> Option<Stat> {
    // The second field is the program's name: it may hold spaces, parentheses and any bytes.
    let name_start = raw.iter().position(|&byte| byte == b'(')? + 1;
    let name_end = raw.iter().rposition(|&byte| byte == b')')?;
    let name = raw.get(name_start..name_end)?.to_vec();
    let rest = std::str::from_utf8(&raw[name_end + 1..]).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let has_ended = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    let flags: u64 = fields.nth(4)?.parse().ok()?;
    let threads: u64 = fields.nth(10)?.parse().ok()?;
    let start_time = fields.nth(1)?.parse().ok()?;
    let is_zombie = has_ended && threads <= 1;
    Some(Stat { name, is_zombie, is_leaving: flags & ENDING != 0, parent, start_time })
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
    for thread in threads(pid) {
        if let Ok(list) = fs::read_to_string(format!("/proc/{pid}/task/{thread}/children")) {
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
        assert!(!stat.is_leaving, "4194304 is PF_RANDOMIZE");
        let of = |threads| format!("42 (a) Z 7 42 42 0 -1 4 1 0 0 0 5 6 0 0 20 0 {threads} 0 9 0");
        let is_zombie = |threads| parse_stat(of(threads).as_bytes()).unwrap().is_zombie;
        assert!(is_zombie(1) && !is_zombie(2), "its first thread alone has ended");
        assert!(parse_stat(b"42 (cut) S 7").is_none());
        assert!(parse_stat(b"").is_none());
    }

    #[test]
    fn this_process_has_a_name_and_an_age() {
        assert!(program().contains("snakepit"), "{}", program());
        let age = process_age().unwrap();
        assert!(age < Duration::from_secs(24 * 3600), "{age:?}");
        std::thread::sleep(Duration::from_millis(30));
        assert!(process_age().unwrap() > age);
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
        assert!(!is_ending(me));
        child.kill().unwrap();
        while !stat(child.id()).unwrap().is_zombie {
            std::thread::yield_now();
        }
        assert!(is_ending(child.id()) && environ(child.id()).unwrap().is_empty());
        child.wait().unwrap();
        assert!(stat(child.id()).is_none() && is_ending(child.id()));
    }
}
