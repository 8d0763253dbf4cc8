//! Starts a worker's process and holds on to it until it is reaped.
//!
//! The process that is spawned becomes the shim and forks the worker (see [`super::shim`]). Nothing
//! of the host is forked, whatever its threads hold, and which thread spawns does not matter: no
//! signal hangs on its life.

use std::ffi::{CString, OsStr, OsString};
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use nix::fcntl::{FcntlArg, fcntl};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::SigSet;
use nix::unistd::Pid;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;

use super::descriptor::HostFd;
use super::exit::ExitStatus;
use super::pidfd::Pidfd;
use super::{control, pidfd, sys};
#[cfg(feature = "failpoints")]
use crate::failpoint::{self, Point};

/// Room for a burst of output: a worker waits only when the host has not read for this many bytes.
const PIPE_BYTES: i32 = 1 << 20;

/// What to run.
#[derive(Clone, Debug)]
pub struct Command {
    /// Absolute path; `PATH` is not searched.
    pub program: PathBuf,
    /// Without the program's own name.
    pub args: Vec<OsString>,
    /// The whole environment: nothing is inherited.
    pub env: Vec<(OsString, OsString)>,
}

/// A process that was just spawned: the shim to be. All descriptors are close-on-exec.
#[derive(Debug)]
pub struct Child {
    pub pid: u32,
    pub pidfd: Pidfd,
    /// The host's end; dropping it ends the whole tree.
    pub control: OwnedFd,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
}

/// Spawns `command` with the control socket at descriptor 0 and pipes at 1 and 2, no signal blocked
/// or ignored, in the host's working directory.
///
/// # Errors
///
/// Of the kind that the system gave, with the program named: `NotFound` (also when the interpreter
/// of a `#!` line is missing), `PermissionDenied`, `Unsupported` for a file that is no program of
/// this system; `InvalidInput` for a NUL inside an argument.
pub fn spawn(command: &Command) -> io::Result<Child> {
    #[cfg(feature = "failpoints")]
    failpoint::check(Point::Spawn).map_err(|error| cannot("start", command, error))?;
    let program = c_string(command.program.as_os_str())?;
    let mut args = vec![program.clone()];
    for arg in &command.args {
        args.push(c_string(arg)?);
    }
    let mut env = Vec::with_capacity(command.env.len());
    for (name, value) in &command.env {
        let mut entry = name.clone();
        entry.push("=");
        entry.push(value);
        env.push(c_string(&entry)?);
    }

    let (control, control_end) = control::pair()?;
    let (stdout, stdout_end) = pipe()?;
    let (stderr, stderr_end) = pipe()?;
    // At 3 or above: a host that closed its standard streams gets their numbers for our ends, and
    // putting one in its place would close another.
    let ends = [
        sys::duplicate(control_end.as_fd())?,
        sys::duplicate(stdout_end.as_fd())?,
        sys::duplicate(stderr_end.as_fd())?,
    ];
    let mut actions = PosixSpawnFileActions::init()?;
    for (place, end) in (0..).zip(&ends) {
        actions.add_dup2(end.as_raw_fd(), place)?;
    }
    let mut attributes = PosixSpawnAttr::init()?;
    // A host that ignores SIGCHLD or blocks signals must not hand that on.
    attributes.set_sigmask(&SigSet::empty())?;
    attributes.set_sigdefault(&SigSet::all())?;
    attributes.set_flags(
        PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF,
    )?;
    let pid = posix_spawn(program.as_c_str(), &actions, &attributes, &args, &env)
        .map_err(|errno| cannot("start", command, errno.into()))?;
    let pidfd = Pidfd::open(pid.as_raw() as u32).map_err(|error| {
        // Without a handle nobody could end it: the closing control socket does, and it is reaped.
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        let _ = nix::sys::wait::waitpid(pid, None);
        cannot("watch", command, error)
    })?;
    Ok(Child {
        pid: Pid::as_raw(pid) as u32,
        pidfd,
        control,
        stdout: stdout.into(),
        stderr: stderr.into(),
    })
}

fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    // Refused to users with many pipes already: then 64 KiB must do.
    let _ = fcntl(&reader, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
    Ok((reader, writer))
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{text:?} contains a NUL byte"))
    })
}

fn cannot(what: &str, command: &Command, error: io::Error) -> io::Error {
    let program = command.program.display();
    // Keeps the kind, by which callers tell a missing interpreter from a system out of processes.
    let kind = match error.raw_os_error() {
        // The standard library has no kind for it.
        Some(libc::ENOEXEC) => io::ErrorKind::Unsupported,
        _ => error.kind(),
    };
    io::Error::new(kind, Cannot { told: format!("cannot {what} {program}: {error}"), error })
}

/// Keeps what the system said, which tells the limit that was reached.
#[derive(Debug, thiserror::Error)]
#[error("{told}")]
struct Cannot {
    told: String,
    #[source]
    error: io::Error,
}

/// A spawned process until it is reaped.
///
/// Dropping it neither ends nor awaits the process: close its control socket for the former. It is
/// reaped when it ends, if a runtime is there to wait for that.
#[derive(Debug)]
pub struct Shim {
    pid: u32,
    /// None only in `drop`.
    pidfd: Option<AsyncFd<HostFd>>,
}

impl Shim {
    /// Takes over what [`spawn`] returned; needs a tokio runtime around it.
    pub fn new(pid: u32, pidfd: Pidfd) -> io::Result<Self> {
        Ok(Self { pid, pidfd: Some(sys::readable(pidfd.into())?) })
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until the process has ended and reaps it. Cancel-safe.
    ///
    /// The shim ends last: then the whole tree is gone, and its memory and devices are free. `None`
    /// when somebody else has reaped it (or SIGCHLD is ignored), or when this is asked again.
    pub async fn exited(&self) -> io::Result<Option<ExitStatus>> {
        exit_of(self.pidfd()).await
    }

    /// Kills this process alone. The worker dies with it; what the worker started does not: prefer
    /// [`Control::hang_up`](super::Control::hang_up).
    pub fn kill(&self) -> io::Result<()> {
        pidfd::signal(self.pidfd().get_ref(), libc::SIGKILL)
    }

    fn pidfd(&self) -> &AsyncFd<HostFd> {
        self.pidfd.as_ref().expect("taken by drop only")
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        let Some(pidfd) = self.pidfd.take().filter(|pidfd| pidfd.get_ref().is_here()) else {
            return;
        };
        // An ended process that nobody reaps stays a zombie as long as the host lives.
        let running = matches!(sys::wait_pidfd(pidfd.as_fd()), Ok(sys::Waited::Running));
        if let (true, Ok(runtime)) = (running, Handle::try_current()) {
            runtime.spawn(async move { exit_of(&pidfd).await });
        }
    }
}

async fn exit_of(pidfd: &AsyncFd<HostFd>) -> io::Result<Option<ExitStatus>> {
    pidfd
        .async_io(Interest::READABLE, |pidfd| match sys::wait_pidfd(pidfd.as_fd())? {
            sys::Waited::Ended { code, status, .. } => Ok(ExitStatus::from_wait(code, status)),
            sys::Waited::NoChild => Ok(None),
            sys::Waited::Running => Err(io::ErrorKind::WouldBlock.into()),
        })
        .await
}
