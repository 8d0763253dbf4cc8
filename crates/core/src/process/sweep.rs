//! Ends processes by the mark in their environment: those that no shim has below it any more.
//!
//! A look at `/proc` sees no instant of it: what forks meanwhile may be missed, and a program that
//! is just being loaded shows no environment. So it is looked until two looks have found nothing.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgrp, getpid, getppid};

use super::group::WorkerGroup;
use super::run::{Mark, RunToken};
use super::{procfs, sys, tree, watch};

/// What will not go is given up after this.
const LIMIT: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(1);
/// What dies hands its children over, in reach of the next pass.
const TREE_PASSES: usize = 3;

/// What a sweep did, by process number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Sent SIGKILL.
    pub killed: BTreeSet<u32>,
    /// May not be signalled by this user.
    pub refused: BTreeSet<u32>,
}

/// Whom a sweep leaves alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spare {
    /// This process.
    Me,
    /// This process and that one.
    And(u32),
    /// This process, all shims of the mark, and what is below them: they see to it, and more
    /// thoroughly. Not so the shims of others: a worker may be host to pools of its own, and its
    /// shim, above all of them, does nothing as long as that worker lives.
    Shims,
}

/// Kills all processes that carry `mark`, until none is left or three seconds have passed.
pub(super) fn sweep(mark: &Mark, spare: Spare) -> Swept {
    let mut swept = Swept::default();
    let until = Instant::now() + LIMIT;
    let mut clean_looks = 0;
    while clean_looks < 2 && Instant::now() < until {
        clean_looks = if look(mark, spare, &mut swept) { 0 } else { clean_looks + 1 };
        thread::sleep(PAUSE);
    }
    swept
}

/// For a shim whose host died: ends what siblings of it have left that were killed, unless another
/// sibling is at it. Of thousands, each would look at all the others.
pub(super) fn sweep_for_siblings(token: &RunToken, group: Option<&WorkerGroup>) {
    // A name that one process at a time can have; nobody listens at it.
    let turn = SocketAddr::from_abstract_name(format!("snakepit-sweep-{}", token.run()))
        .and_then(|name| UnixDatagram::bind_addr(&name));
    if !matches!(&turn, Err(error) if error.kind() == io::ErrorKind::AddrInUse) {
        sweep(&Mark::Run(token.run().clone()), Spare::Shims);
        // Shims are in none of them.
        for left in
            group.and_then(WorkerGroup::parent).iter().flat_map(|all| all.of_run(token.run()))
        {
            left.end();
        }
    }
}

/// Ends what a worker has left whose shim was killed.
///
/// Blocks, some milliseconds as a rule and three seconds at most.
pub fn sweep_worker(token: &RunToken, group: Option<&WorkerGroup>) -> Swept {
    let mut swept = sweep(&Mark::Worker(token.clone()), Spare::Me);
    swept.killed.extend(group.into_iter().flat_map(WorkerGroup::end));
    swept.refused.retain(|pid| !swept.killed.contains(pid));
    swept
}

/// One look; true if there was something to end, or if there may be: this process was out of
/// descriptors or memory, and could not see it.
fn look(mark: &Mark, spare: Spare, swept: &mut Swept) -> bool {
    let mut found = false;
    let all = procfs::processes();
    if all.is_empty() {
        return true;
    }
    for pid in all {
        if pid == std::process::id() || spare == Spare::And(pid) {
            continue;
        }
        let pidfd = match find(pid, mark, spare) {
            Ok(Some(pidfd)) => pidfd,
            Ok(None) => continue,
            Err(error) => {
                found |= is_blinding(&error);
                continue;
            }
        };
        match sys::pidfd_signal(pidfd.as_fd(), libc::SIGKILL) {
            Ok(()) => {
                swept.killed.insert(pid);
                found = true;
            }
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                swept.refused.insert(pid);
            }
            Err(_) => {}
        }
    }
    found
}

/// A process to be ended, held on to.
fn find(pid: u32, mark: &Mark, spare: Spare) -> io::Result<Option<OwnedFd>> {
    if !is_marked(pid, mark)? || spare == Spare::Shims && is_guarded(pid, mark) {
        return Ok(None);
    }
    let pidfd = sys::pidfd_open(pid)?;
    // Again, now that the number cannot be reused.
    Ok(is_marked(pid, mark)?.then_some(pidfd))
}

/// Of other users nothing can be read; of zombies there is nothing.
fn is_marked(pid: u32, mark: &Mark) -> io::Result<bool> {
    Ok(mark.is_in(&procfs::environ(pid)?))
}

/// Whether it says nothing of the process that was looked at.
fn is_blinding(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM))
}

fn is_guarded(mut pid: u32, mark: &Mark) -> bool {
    while pid > 1 {
        let Some(stat) = procfs::stat(pid) else { return false };
        if stat.name == watch::NAME.to_bytes() && is_marked(pid, mark).unwrap_or(false) {
            return true;
        }
        pid = stat.parent;
    }
    false
}

/// For a worker whose host is gone and whose shim has not ended it: the shim is stopped, or dead,
/// or too slow. Ends all that this worker started, then its own group, this process included.
///
/// Blocks for `patience` first: the shim does it better. Returns where this process leads no group.
pub fn end_in_place_of_shim(shim_pid: u32, token: Option<&RunToken>, patience: Duration) {
    let shim = Pid::from_raw(shim_pid as i32);
    let is_parent = || getppid() == shim;
    if is_parent() {
        // One that was stopped then does its work.
        let _ = kill(shim, Signal::SIGCONT);
    }
    thread::sleep(patience);
    // Before they are below nobody; what has left this tree already carries the token.
    for _ in 0..TREE_PASSES {
        tree::kill_descendants();
    }
    if let Some(token) = token {
        // Not the shim: its end is ours, and there is work left.
        sweep(&Mark::Worker(token.clone()), Spare::And(shim_pid));
    }
    if is_parent() {
        let _ = kill(shim, Signal::SIGKILL);
    }
    if let Some(group) = token.and_then(WorkerGroup::of_process) {
        let _unless_we_are_dead = group.kill();
    }
    // Only a group of our own: an adapter may have joined another.
    if getpgrp() == getpid() {
        let _unless_we_are_dead = killpg(getpgrp(), Signal::SIGKILL);
    }
}
