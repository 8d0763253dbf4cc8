//! How much memory a worker holds, for the pool's table and for recycling.

use super::procfs;

/// Bytes of anonymous memory, resident and swapped, of a process and all below it.
///
/// Not the resident set: mapped arenas and shared libraries count there, once a worker. Processes
/// that end meanwhile count nothing. `None` when `pid` itself is gone.
pub fn tree_memory(pid: u32) -> Option<u64> {
    let own = procfs::private_memory(pid)?;
    let below = if procfs::lists_children() {
        listed_descendants(pid)
    } else {
        procfs::scan_descendants(pid).into_iter().map(|(pid, _)| pid).collect()
    };
    Some(own + below.into_iter().filter_map(procfs::private_memory).sum::<u64>())
}

fn listed_descendants(root: u32) -> Vec<u32> {
    let mut found = procfs::children(root);
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        found.extend(procfs::children(pid));
        next += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn counts_the_whole_tree_and_not_the_gone() {
        // A shell with a child: two processes in the tree.
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 60 & echo; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 1];
        let mut out = shell.stdout.take().unwrap();
        std::io::Read::read_exact(&mut out, &mut ready).unwrap();

        let below = listed_descendants(shell.id());
        assert_eq!(below.len(), 1);
        assert!(tree_memory(shell.id()) > procfs::private_memory(shell.id()));

        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(below[0] as i32),
            nix::sys::signal::Signal::SIGKILL,
        )
        .unwrap();
        shell.wait().unwrap();
        assert_eq!(tree_memory(shell.id()), None);
    }

    #[test]
    fn grows_by_what_is_touched() {
        let before = tree_memory(std::process::id()).unwrap();
        let block = std::hint::black_box(vec![1u8; 64 << 20]);
        let after = tree_memory(std::process::id()).unwrap();
        assert!(after > before + (32 << 20), "{before} -> {after}");
        drop(block);
    }
}
