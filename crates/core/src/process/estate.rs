//! Ends what a dead host has left running: first by its shims, then by number, then by mark.

use std::collections::BTreeSet;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::group::Groups;
use super::ledger::{Estate, Named};
use super::pidfd::Pidfd;
use super::run::Mark;
use super::sweep::{Spare, sweep};

/// Shims that run have so long to do their work: they leave nothing.
const SHIMS: Duration = Duration::from_secs(1);

/// What a cleanup did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleanup {
    /// Process numbers that the dead hosts had.
    pub hosts: Vec<u32>,
    /// Processes that had outlived them, and are gone.
    pub ended: BTreeSet<u32>,
    /// Processes that this user may not signal, or that this process had no descriptor left for.
    pub refused: BTreeSet<u32>,
    /// Run folders removed.
    pub folders: usize,
}

/// Ends all that `estate` names or marks.
pub(super) fn settle(estate: &Estate, groups: Option<&Groups>, done: &mut Cleanup) {
    done.hosts.push(estate.host.pid);
    if !estate.is_of_this_boot {
        return;
    }
    let alive = |named: &&Named| named.is_alive();
    let left: Vec<Named> =
        estate.shims.iter().chain(&estate.workers).filter(alive).copied().collect();
    // A stopped one is the likeliest reason why something is left.
    for shim in &estate.shims {
        let _its_end_is_asked_for_below = signal(*shim, libc::SIGCONT);
    }
    let until = Instant::now() + SHIMS;
    while estate.shims.iter().any(|shim| shim.is_alive()) && Instant::now() < until {
        thread::sleep(Duration::from_millis(2));
    }
    for named in &left {
        match signal(*named, libc::SIGKILL) {
            Ok(()) => done.ended.insert(named.pid),
            Err(_) => done.refused.insert(named.pid),
        };
    }
    let swept = sweep(&Mark::Run(estate.run.clone()), Spare::Me);
    done.refused.retain(|pid| !swept.killed.contains(pid));
    done.refused.extend(&swept.refused);
    done.ended.extend(&swept.killed);
    for group in groups.into_iter().flat_map(|groups| groups.of_run(&estate.run)) {
        let ended = group.end();
        done.refused.retain(|pid| !ended.contains(pid));
        done.ended.extend(ended);
    }
    done.ended.retain(|pid| !done.refused.contains(pid));
}

/// One that is gone is a success.
fn signal(named: Named, signal: i32) -> io::Result<()> {
    match Pidfd::open_started(named.pid, named.start_time) {
        Ok(pidfd) => pidfd.signal(signal),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
