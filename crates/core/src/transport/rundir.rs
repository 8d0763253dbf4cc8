//! The folder of a pool's socket: private, short, removed with the pool by the process that made it.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Longest path that fits `sockaddr_un` everywhere, with room to spare.
const MAX_PATH: usize = 100;

const SOCKET: &str = "line.sock";

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
        let mode = std::fs::Permissions::from_mode(0o700);
        let made =
            tempfile::Builder::new().prefix("snakepit-").permissions(mode).tempdir_in(base)?;
        Ok(Self { path: made.keep(), owner: std::process::id() })
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.path.join(SOCKET)
    }
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
    fn a_forked_copy_does_not_remove_it() {
        let dir = RunDir::create().expect("a temporary folder");
        let copy = RunDir { path: dir.path.clone(), owner: dir.owner.wrapping_add(1) };
        drop(copy);
        assert!(dir.path.exists());
    }
}
