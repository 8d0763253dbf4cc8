//! Looks for run folders whose hosts are dead, ends what these left, and removes them.
//!
//! Whose a folder is, its ledger says; a name alone proves nothing, and costs nobody a file. A
//! living host has its folder locked, and the ledger in it as well: what cleans temporary folders
//! by age skips locked ones, and might have removed the ledger of an old host.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::unistd::geteuid;

use super::doorway::OPERATOR;
use super::estate::{self, Cleanup};
use super::group::{self, Groups};
use super::ledger::{self, Found};
use super::rundir::{PREFIX, SOCKET, UNFINISHED, bases};

/// An unfinished folder younger than this may be one that is being made.
const YOUNG: Duration = Duration::from_secs(60);

/// Ends what killed hosts of this user have left, and removes their run folders.
///
/// Looks in `$XDG_RUNTIME_DIR`, `/run/user/UID`, the temporary folder and `/tmp`. What belongs to a
/// living host is not touched, nor what another container has left, nor anything without a ledger
/// of ours. Blocks: a few milliseconds where there is nothing to do, at most some four seconds a
/// dead host. Every host does this by itself, in the background, with its first pool.
pub fn cleanup() -> Cleanup {
    let mut folders = bases();
    // A login sets the variable; a service, or a job of cron, does not have it.
    let of_user = PathBuf::from(format!("/run/user/{}", geteuid()));
    if !folders.contains(&of_user) {
        folders.push(of_user);
    }
    cleanup_in(&folders)
}

/// As [`cleanup`], looking in these folders only: for hosts whose environment named others.
pub fn cleanup_in(folders: &[PathBuf]) -> Cleanup {
    let mut done = Cleanup::default();
    for folder in folders {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(PREFIX) || name.starts_with(UNFINISHED) && is_old(&entry.path()) {
                see_to(&entry.path(), &mut done);
            }
        }
    }
    done
}

fn see_to(folder: &Path, done: &mut Cleanup) {
    // Not through a link: that could lead to somebody else's.
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let opened = File::options().read(true).custom_flags(flags).open(folder);
    let Ok(opened) = opened else { return };
    if !opened.metadata().is_ok_and(|it| it.uid() == geteuid().as_raw()) {
        return;
    }
    // Held to the end. Some file systems have no locks on folders; the ledger has its own proofs.
    let lock = Flock::lock(opened, FlockArg::LockExclusiveNonblock);
    if matches!(&lock, Err((_, errno)) if io::Error::from(*errno).kind() == io::ErrorKind::WouldBlock)
    {
        return;
    }
    match ledger::open(&folder.join(ledger::FILE)) {
        Ok(Found::Dead(left)) => {
            let groups = Groups::noted(folder);
            estate::settle(&left, groups.as_ref(), done);
            done.folders += usize::from(remove(folder));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let is_unfinished = folder
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes()));
            // Its host was killed in the moment of making it. Not removed unless it is empty.
            done.folders += usize::from(is_unfinished && fs::remove_dir(folder).is_ok());
        }
        _ => {}
    }
}

fn is_old(path: &Path) -> bool {
    let changed = fs::symlink_metadata(path).and_then(|folder| folder.modified());
    changed.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > YOUNG))
}

/// Removes a run folder, unless something else has appeared in it. True: it is gone.
///
/// Whoever is killed meanwhile leaves a ledger, by which a later host finds the folder, or an empty
/// folder with the name of an unfinished one, which is removed as such.
pub(super) fn remove(dir: &Path) -> bool {
    let mut is_ours_alone = true;
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(SOCKET));
        if number.is_some_and(|number| number.parse::<u64>().is_ok()) || name == OPERATOR {
            let _ = fs::remove_file(entry.path());
        } else {
            is_ours_alone &= name == group::FILE || name == ledger::FILE;
        }
    }
    let _ = fs::remove_file(dir.join(group::FILE));
    let hidden = is_ours_alone.then(|| hidden(dir)).flatten();
    let hidden = hidden.filter(|hidden| fs::rename(dir, hidden).is_ok());
    let dir = hidden.as_deref().unwrap_or(dir);
    let _ = fs::remove_file(dir.join(ledger::FILE));
    fs::remove_dir(dir).is_ok()
}

/// The name of a folder as long as it was not complete.
fn hidden(dir: &Path) -> Option<PathBuf> {
    let rest = dir.file_name()?.to_str()?.strip_prefix(PREFIX)?;
    Some(dir.with_file_name(format!("{UNFINISHED}{rest}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::rundir::RunDir;

    const OLD: Duration = Duration::from_secs(120);

    fn make(base: &Path, name: &str, files: &[&str]) -> PathBuf {
        let folder = base.join(name);
        fs::create_dir(&folder).unwrap();
        for file in files {
            fs::write(folder.join(file), "").unwrap();
        }
        let time = std::time::SystemTime::now() - OLD;
        File::open(&folder).unwrap().set_modified(time).unwrap();
        folder
    }

    #[test]
    fn a_name_alone_costs_nobody_a_file() {
        let base = tempfile::tempdir().unwrap();
        let kept = [
            make(base.path(), "snakepit-work", &["app.sock", "7.sock"]),
            make(base.path(), "snakepit-output", &[]),
            make(base.path(), "snakepit-aB3xYz", &["0.sock"]),
            make(base.path(), ".snakepit-mine", &["notes"]),
        ];
        let unfinished = make(base.path(), ".snakepit-aB3xYz", &[]);
        let done = cleanup_in(&[base.path().to_owned()]);
        assert_eq!(done, Cleanup { folders: 1, ..Cleanup::default() });
        assert!(!unfinished.exists());
        assert!(kept.iter().all(|folder| folder.exists()));
        assert!(kept[0].join("app.sock").exists() && kept[0].join("7.sock").exists());
    }

    #[test]
    fn a_folder_goes_with_all_that_is_ours_or_keeps_its_name() {
        let base = tempfile::tempdir().unwrap();
        let files = ["0.sock", "12.sock", "operator.sock", "group", "ledger"];
        let ours = make(base.path(), "snakepit-aaaaaa", &files);
        assert!(remove(&ours));
        let halfway = make(base.path(), ".snakepit-bbbbbb", &["ledger"]);
        assert!(remove(&halfway));
        let shared = make(base.path(), "snakepit-cccccc", &["0.sock", "ledger", "notes"]);
        assert!(!remove(&shared));
        let left = |folder| fs::read_dir(folder).unwrap().flatten().map(|it| it.file_name());
        assert!(left(base.path()).eq(["snakepit-cccccc"]) && left(&shared).eq(["notes"]));
    }

    #[test]
    fn the_ledger_of_another_namespace_is_left_to_those_who_can_read_it() {
        let base = tempfile::tempdir().unwrap();
        let (run, boot) = ("a5".repeat(16), ledger::boot_id());
        let of = |name: &str, boot: &str| {
            let folder = make(base.path(), name, &["0.sock"]);
            let head = format!("snakepit-ledger 1 999999 5 {boot} 1 {run}\n");
            fs::write(folder.join(ledger::FILE), head).unwrap();
            folder
        };
        let container = of("snakepit-cccccc", &boot);
        let unnamed = of("snakepit-dddddd", "-");
        let of_yesterday = of("snakepit-yyyyyy", "7e57ab1e-0000-4000-8000-000000000000");
        let done = cleanup_in(&[base.path().to_owned()]);
        assert_eq!((done.hosts, done.folders), (vec![999_999], 1));
        assert!(container.join(ledger::FILE).exists() && container.join("0.sock").exists());
        assert!(unnamed.exists() && !of_yesterday.exists());
    }

    #[test]
    fn a_living_host_has_its_folder_locked() {
        let dir = RunDir::of_process().unwrap();
        let folder = File::open(dir.socket().parent().unwrap()).unwrap();
        let again = Flock::lock(folder, FlockArg::LockExclusiveNonblock);
        assert!(again.is_err(), "what cleans by age skips what is locked");
    }
}
