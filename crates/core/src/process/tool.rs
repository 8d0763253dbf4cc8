//! Asks a program one question: runs it, takes what it prints, and is rid of it in any case.
//!
//! Drivers hang, and with them the tools that ask them. So whatever the program does, or what it
//! starts, this is over at the deadline: its process group is killed and reaped. Where the kernel
//! does not let it go, it is reaped by a thread that is left behind.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::pidfd::Pidfd;

/// For a process that was killed to be gone.
const REAP: Duration = Duration::from_millis(200);

/// What `program` prints to its standard output, if that is all by `deadline`, no more than `most`
/// bytes, and the program ends well.
pub fn ask(program: &Path, args: &[&str], deadline: Instant, most: usize) -> Option<Vec<u8>> {
    let mut child = Command::new(program)
        .args(args)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .ok()?;
    let said = child.stdout.take().and_then(|mut pipe| listen(&mut pipe, deadline, most));
    match said {
        Some(said) if ended_well(&mut child, deadline) => Some(said),
        _ => {
            end(child);
            None
        }
    }
}

/// All that is said; none: too late, too much, or a pipe that broke.
fn listen(pipe: &mut (impl Read + AsFd), deadline: Instant, most: usize) -> Option<Vec<u8>> {
    let mut said = Vec::new();
    let mut part = [0; 16 << 10];
    while is_ready(pipe.as_fd(), deadline) {
        match pipe.read(&mut part) {
            Ok(0) => return Some(said),
            Ok(read) if said.len() + read <= most => said.extend_from_slice(&part[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => return None,
        }
    }
    None
}

/// Whether there is something to read, or an end, by the deadline.
fn is_ready(fd: impl AsFd, deadline: Instant) -> bool {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Rounded up: below a millisecond it would ask without a pause.
        let left =
            PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        let mut asked = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
        match poll(&mut asked, left) {
            Ok(0) => return false,
            Err(nix::errno::Errno::EINTR) if Instant::now() < deadline => {}
            Err(_) => return false,
            Ok(_) => return true,
        }
    }
}

fn ended_well(child: &mut Child, deadline: Instant) -> bool {
    let ended = Pidfd::open(child.id()).map(|pidfd| is_ready(pidfd, deadline));
    if matches!(ended, Ok(false)) {
        return false;
    }
    match child.try_wait() {
        Ok(status) => status.is_some_and(|status| status.success()),
        // A host that ignores SIGCHLD, or reaps whatever it can: then nobody knows.
        Err(_) => true,
    }
}

/// Kills what is left of its group, and reaps it.
fn end(mut child: Child) {
    let pidfd = Pidfd::open(child.id());
    if matches!(child.try_wait(), Ok(None)) {
        // Not reaped yet, so the number is still its own.
        let _ = killpg(Pid::from_raw(child.id() as i32), Signal::SIGKILL);
        let _ = child.kill();
    }
    if let Ok(pidfd) = pidfd {
        is_ready(pidfd, Instant::now() + REAP);
    }
    if matches!(child.try_wait(), Ok(None)) {
        let reaper = thread::Builder::new().name("snakepit-reaper".into());
        drop(reaper.spawn(move || child.wait()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> (Option<Vec<u8>>, Duration) {
        let begun = Instant::now();
        let said = ask(Path::new("/bin/sh"), &["-c", script], begun + limit, 1 << 16);
        (said, begun.elapsed())
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_it_prints_is_told_if_it_ends_well() {
        assert_eq!(sh("echo out; echo err >&2", LONG).0.unwrap(), b"out\n");
        assert_eq!(sh("printf '\\377\\0'", LONG).0.unwrap(), b"\xff\0");
        assert_eq!(sh("true", LONG).0.unwrap(), b"");
        assert_eq!(sh("echo out; exit 9", LONG).0, None);
        assert_eq!(sh("echo out; kill -9 $$", LONG).0, None);
        assert_eq!(ask(Path::new("/no/such"), &[], Instant::now() + LONG, 9), None);
    }

    #[test]
    fn one_that_hangs_is_killed_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pids = folder.path().join("pids");
        let script = format!("sleep 600 & echo $$ $! > {}; wait", pids.display());
        let (said, took) = sh(&script, Duration::from_secs(1));
        assert!(said.is_none() && took < Duration::from_secs(20), "{took:?}");
        let text = std::fs::read_to_string(pids).unwrap();
        let told: Vec<_> = text.split_ascii_whitespace().collect();
        let is_alive = |pid: &&&str| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // A grandchild is its new parent's to reap.
            !stat.is_empty() && !stat.contains(") Z ")
        };
        for _ in 0..100 {
            if !told.iter().any(|pid| is_alive(&pid)) {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(told.iter().filter(is_alive).count(), 0);
        assert!(std::fs::metadata(format!("/proc/{}", told[0])).is_err(), "the child is reaped");
    }

    #[test]
    fn one_that_floods_or_keeps_its_pipe_open_is_killed() {
        let (said, took) = sh("while :; do echo flood; done", LONG);
        assert!(said.is_none() && took < LONG / 2);
        assert_eq!(sh("sleep 600 & echo out", Duration::from_millis(500)).0, None);
        assert_eq!(sh("exec >&-; sleep 600", Duration::from_millis(500)).0, None);
    }
}
