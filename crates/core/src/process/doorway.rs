//! The socket on which a host hears operators: bound in the run folder, for its own user alone.

use std::fs;
use std::io;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{self, MsgFlags, Shutdown, getsockopt, shutdown};
use nix::unistd::geteuid;

use super::fork::{CloseInChild, close_in_child};
use super::rundir::RunDir;

/// Name of the socket in a run folder.
pub(super) const OPERATOR: &str = "operator.sock";

/// Is there, in the run folder, until it is closed or dropped.
#[derive(Debug)]
pub struct Doorway {
    door: Arc<Door>,
    path: PathBuf,
    dir: Arc<RunDir>,
}

/// Lets in who comes.
#[derive(Debug)]
pub struct Door(Ours<UnixListener>);

/// Who came in.
#[derive(Debug)]
pub struct Caller {
    /// The connection; it blocks.
    pub stream: Ours<UnixStream>,
    /// Whose process it is.
    pub uid: u32,
}

impl Caller {
    /// Whether it is of the user whose process this is. Root is another one: it can become that
    /// user.
    pub fn is_ours(&self) -> bool {
        self.uid == geteuid().as_raw()
    }
}

impl Doorway {
    /// Binds the socket of this process, mode 0600.
    ///
    /// # Errors
    /// What the system says.
    pub fn bind() -> io::Result<Self> {
        let dir = RunDir::of_process()?;
        let path = dir.path().join(OPERATOR);
        // Of this very process, whose folder it is, if there is one.
        let _ = fs::remove_file(&path);
        let door = Arc::new(Door(Ours::new(UnixListener::bind(&path)?)));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(Self { door, path, dir })
    }

    /// Where people come in; without a hold on the folder, which goes with this.
    pub fn door(&self) -> Arc<Door> {
        self.door.clone()
    }

    /// The folder that it is in.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Doorway {
    fn drop(&mut self) {
        // In a fork it is still the parent's.
        if self.door.0.is_here() {
            let _ = fs::remove_file(&self.path);
            let _ = shutdown(self.door.0.as_raw_fd(), Shutdown::Both);
        }
    }
}

impl Door {
    /// Waits for somebody; none once the doorway is gone.
    ///
    /// # Errors
    /// What the system says, such as that this process has no descriptor left.
    pub fn accept(&self) -> io::Result<Option<Caller>> {
        match self.0.accept() {
            Ok((stream, _)) => {
                let stream = Ours::new(stream);
                let uid = getsockopt(&*stream, PeerCredentials)?.uid();
                Ok(Some(Caller { stream, uid }))
            }
            // What the kernel says of a listener that was shut down.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Writes to a connection what there is room for. A client that has gone is an error and no SIGPIPE,
/// whatever the program does with that.
///
/// # Errors
/// What the system says.
pub fn send(stream: &UnixStream, bytes: &[u8]) -> io::Result<usize> {
    Ok(socket::send(stream.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL)?)
}

/// A socket of this process alone: closed in its forks, and never closed there twice.
#[derive(Debug)]
pub struct Ours<S: AsRawFd> {
    closing: Option<CloseInChild>,
    // None only in `drop`.
    socket: Option<S>,
}

impl<S: AsRawFd> Ours<S> {
    fn new(socket: S) -> Self {
        let closing = Some(close_in_child(socket.as_raw_fd()));
        Self { closing, socket: Some(socket) }
    }

    fn is_here(&self) -> bool {
        self.closing.as_ref().is_some_and(CloseInChild::is_here)
    }
}

impl<S: AsRawFd> Deref for Ours<S> {
    type Target = S;

    fn deref(&self) -> &S {
        self.socket.as_ref().expect("taken by drop only")
    }
}

impl<S: AsRawFd> Drop for Ours<S> {
    fn drop(&mut self) {
        let here = self.is_here();
        // First: once the number is free, a fork might close a stranger's.
        self.closing = None;
        if !here {
            std::mem::forget(self.socket.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::thread;

    use super::*;

    #[test]
    fn who_waits_at_a_door_is_let_go_when_the_doorway_is_gone() {
        let doorway = Doorway::bind().unwrap();
        let path = doorway.path.clone();
        let mode = fs::symlink_metadata(&path).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert_eq!(fs::metadata(doorway.folder()).unwrap().mode() & 0o777, 0o700);
        let door = doorway.door();
        let waiting = thread::spawn(move || {
            let first = door.accept().unwrap().expect("somebody");
            assert!(first.is_ours());
            door.accept().unwrap().is_none()
        });
        drop(UnixStream::connect(&path).unwrap());
        drop(doorway);
        assert!(waiting.join().unwrap() && !path.exists());
    }
}
