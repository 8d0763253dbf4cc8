//! Whether the kernel killed a worker for want of memory: what its control group counts.
//!
//! The kernel's log would say it for sure, but is not to be read by everybody. A group counts the
//! kills in it, whomever they hit: a program that a tool started, another service. So the count is
//! looked at every now and then, and only a kill that was counted lately explains a death, one each,
//! where nobody of ours sent a SIGKILL.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::fork::PerProcess;
use super::group::shared;
use super::procfs;

/// From one look to the next. A kill can explain a death until the look after the next one, and for
/// as long as a worker is going: of a large one the kernel tells when it has freed its memory.
const PERIOD: Duration = Duration::from_secs(1);

/// Of the groups of workers that live. Never locked while a group's count is.
static WINDOWS: PerProcess<Mutex<HashMap<PathBuf, Weak<Mutex<Window>>>>> = PerProcess::new();

/// The control group of one worker, shared with all others in it.
#[derive(Debug)]
pub struct OomCounter {
    file: PathBuf,
    window: Arc<Mutex<Window>>,
    pid: u32,
}

impl OomCounter {
    /// That of a process; `None` where its group's count cannot be read.
    pub fn of(pid: u32) -> Option<Self> {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let mounts = fs::read_to_string("/proc/thread-self/mountinfo").ok()?;
        let mut readable = candidates(&groups, &mounts).into_iter();
        let (count, file) = readable.find_map(|file| Some((count(&file)?, file)))?;
        Some(Self::at(pid, file, count))
    }

    fn at(pid: u32, file: PathBuf, count: u64) -> Self {
        let mut windows =
            WINDOWS.get(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        windows.retain(|_, window| window.strong_count() > 0);
        let known = windows.get(&file).and_then(Weak::upgrade);
        let window = known.unwrap_or_else(|| {
            // Nobody was there whom an earlier kill could have hit.
            let window = Arc::new(Mutex::new(Window::new(count, Instant::now())));
            windows.insert(file.clone(), Arc::downgrade(&window));
            window
        });
        let counter = Self { file, window, pid };
        counter.window().workers.insert(pid);
        counter
    }

    /// Looks, if it is time to, and says when it will be again.
    pub fn look(&self) -> Instant {
        let mut window = self.window();
        let now = Instant::now();
        if now >= window.due()
            && let Some(count) = count(&self.file)
        {
            // A worker that ends, or has ended and its host is yet to hear of it.
            window.look(count, now, procfs::is_ending);
        }
        window.due().max(now + PERIOD / 2)
    }

    /// Whether the group has lately counted a kill that explains the death of this worker; only one
    /// death is explained by each.
    pub fn claim(&self) -> bool {
        count(&self.file).is_some_and(|count| self.window().claim(count))
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        // Numbers are fit to use after any panic.
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OomCounter {
    fn drop(&mut self) {
        self.window().workers.remove(&self.pid);
    }
}

/// What a group had counted when.
#[derive(Debug)]
struct Window {
    /// Those whose deaths are to be explained.
    workers: BTreeSet<u32>,
    /// Kills that are accounted for: claimed, or too old to explain anything.
    accounted: u64,
    /// At the last look.
    seen: u64,
    at: Instant,
}

impl Window {
    fn new(count: u64, now: Instant) -> Self {
        Self { workers: BTreeSet::new(), accounted: count, seen: count, at: now }
    }

    fn due(&self) -> Instant {
        self.at + PERIOD
    }

    fn look(&mut self, count: u64, now: Instant, is_going: impl Fn(u32) -> bool) {
        self.at = now;
        if count > self.accounted && self.workers.iter().any(|&pid| is_going(pid)) {
            return;
        }
        // By looks and not by the clock: a host that was stopped hears of the deaths later, too.
        self.accounted = self.accounted.max(self.seen);
        self.seen = count;
    }

    fn claim(&mut self, count: u64) -> bool {
        let more = count > self.accounted;
        self.accounted += u64::from(more);
        more
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
pub(crate) fn mount(mounts: &str, kind: &str, option: Option<&str>) -> Option<(PathBuf, PathBuf)> {
    mounts.lines().find_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        let (mut mount, mut system) = (mount.split(' ').skip(3), system.split(' '));
        let fits = system.next()? == kind
            && option.is_none_or(|option| {
                system.next_back().is_some_and(|all| all.split(',').any(|one| one == option))
            });
        fits.then(|| Some((unescaped(mount.next()?), unescaped(mount.next()?))))?
    })
}

/// Blanks and backslashes are written as `\040`; systemd has the latter in the names of units.
fn unescaped(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = (first == b'\\').then(|| after.get(..3)).flatten();
        let octal = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = octal.and_then(|octal| u8::from_str_radix(octal, 8).ok());
        bytes.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &after[3..] } else { after };
    }
    OsString::from_vec(bytes).into()
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
    fn the_names_of_mounts_are_read_as_they_were() {
        let line =
            r"30 24 0:26 /a.slice/b\134x2dc.scope /sys/fs/my\040groups rw - cgroup2 cgroup2 rw";
        let found = mount(line, "cgroup2", None).unwrap();
        assert_eq!(found.0, Path::new(r"/a.slice/b\x2dc.scope"));
        assert_eq!(found.1, Path::new("/sys/fs/my groups"));
        assert_eq!(unescaped(r"/a\9\04"), Path::new(r"/a\9\04"), "no such number");
    }

    #[test]
    fn each_kill_explains_one_death() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("memory.events");
        let counted = |kills: u32| fs::write(&file, format!("oom 9\noom_kill {kills}\n")).unwrap();
        counted(5);
        let counter = OomCounter::at(7, file.clone(), 3);
        let other = OomCounter::at(8, file.clone(), 5);
        assert_eq!([counter.claim(), other.claim(), counter.claim()], [true, true, false]);
        counted(6);
        drop((counter, other));
        let counter = OomCounter::at(9, file.clone(), 6);
        assert!(!counter.claim(), "from before");
        fs::remove_file(&file).unwrap();
        assert!(!counter.claim());
    }

    #[test]
    fn a_kill_of_long_ago_explains_nothing() {
        let now = Instant::now();
        let mut window = Window::new(3, now);
        let nobody = |_| false;
        window.workers.extend([7, 8]);
        window.look(4, now, nobody);
        assert!(window.claim(4), "seen by one look, its death may be told after it");
        window.look(5, now, nobody);
        window.look(5, now, nobody);
        assert!(!window.claim(5), "two looks ago");
        assert!(window.claim(6));
        window.look(6, now, nobody);
        window.look(6, now, nobody);
        assert!(!window.claim(6) && window.claim(7), "claimed and seen is still one");
        for _ in 0..9 {
            window.look(8, now, |pid| pid == 8);
        }
        assert!(window.claim(8), "its memory takes long to free");
    }
}
