//! The folder of a pool's socket: private, short, removed with the pool by the process that made it.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

/// Longest path that fits `sockaddr_un` everywhere, with room to spare.
const MAX_PATH: usize = 100;

const SOCKET: &str = "line.sock";

const PREFIX: &str = "snakepit-";

/// A folder younger than this may be one whose socket is not bound yet.
const YOUNG: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct RunDir {
    path: PathBuf,
    owner: u32,
}

impl RunDir {
    /// Makes a folder of mode 0700 under `$XDG_RUNTIME_DIR`, the temporary folder or `/tmp`: the
    /// first where it can be made and the socket's path is short enough.
    pub(super) fn create() -> io::Result<Self> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let bases = runtime.into_iter().chain([std::env::temp_dir(), PathBuf::from("/tmp")]);
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for base in bases.filter(|base| base.is_absolute()) {
            match Self::create_in(&base) {
                Ok(dir) if dir.socket().as_os_str().len() <= MAX_PATH => return Ok(dir),
                Ok(_) => last = io::Error::from(io::ErrorKind::InvalidFilename),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn create_in(base: &Path) -> io::Result<Self> {
        static SWEPT: Once = Once::new();
        SWEPT.call_once(|| sweep(base));
        let mode = std::fs::Permissions::from_mode(0o700);
        let made = tempfile::Builder::new().prefix(PREFIX).permissions(mode).tempdir_in(base)?;
        Ok(Self { path: made.keep(), owner: std::process::id() })
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.path.join(SOCKET)
    }
}

/// Removes the folders that killed hosts have left in `base`: those with nothing in them but a socket
/// of ours that nobody listens at. A living host's socket answers, also from another container.
fn sweep(base: &Path) {
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && is_abandoned(&entry.path()) {
            let _ = std::fs::remove_file(entry.path().join(SOCKET));
            // Fails where something else has appeared in it, which is as well.
            let _ = std::fs::remove_dir(entry.path());
        }
    }
}

fn is_abandoned(dir: &Path) -> bool {
    let age = std::fs::metadata(dir).and_then(|dir| dir.modified()).ok().map(|time| time.elapsed());
    if !matches!(age, Some(Ok(age)) if age > YOUNG) {
        return false;
    }
    // Of another user: not readable.
    let Ok(inside) = std::fs::read_dir(dir) else { return false };
    let mut names = inside.map(|entry| entry.map(|entry| entry.file_name()));
    let only_ours =
        matches!((names.next(), names.next()), (Some(Ok(name)), None) if name == SOCKET);
    let answer = UnixStream::connect(dir.join(SOCKET));
    only_ours && answer.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

impl Drop for RunDir {
    fn drop(&mut self) {
        // A forked child drops its copy; the folder is still the parent's.
        if self.owner == std::process::id()
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::debug!(path = %self.path.display(), %error, "run folder not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_private_and_goes_with_its_owner() {
        let dir = RunDir::create().expect("a temporary folder");
        let path = dir.path.clone();
        let mode = std::fs::metadata(&path).expect("it exists").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        drop(dir);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_killed_host_left_is_swept_and_nothing_else() {
        use std::os::unix::net::UnixListener;

        let base = tempfile::tempdir().expect("a temporary folder");
        let make = |name: &str, old: bool| {
            let dir = base.path().join(name);
            std::fs::create_dir(&dir).expect("a folder");
            let listener = UnixListener::bind(dir.join(SOCKET)).expect("a socket");
            (dir, listener, old)
        };
        let left = make("snakepit-left", true);
        let live = make("snakepit-live", true);
        let young = make("snakepit-young", false);
        let others = make("snakepit-project", true);
        std::fs::write(others.0.join("notes"), "").expect("a file");
        for (dir, _, old) in [&left, &live, &young, &others] {
            if *old {
                let hour = std::time::SystemTime::now() - Duration::from_secs(3600);
                let dir = std::fs::File::open(dir).expect("the folder");
                dir.set_modified(hour).expect("an older folder");
            }
        }
        drop((left.1, young.1, others.1));
        sweep(base.path());
        let remain = [&left.0, &live.0, &young.0, &others.0].map(|dir| dir.exists());
        assert_eq!(remain, [false, true, true, true]);
    }

    #[test]
    fn a_forked_copy_does_not_remove_it() {
        let dir = RunDir::create().expect("a temporary folder");
        let copy = RunDir { path: dir.path.clone(), owner: dir.owner.wrapping_add(1) };
        drop(copy);
        assert!(dir.path.exists());
    }
}
