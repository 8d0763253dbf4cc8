//! Raw system calls that nix does not wrap, or wraps with a loss. The only `unsafe` of the process
//! module beside the page; nothing here knows what a worker is.

use std::ffi::{CString, c_int};
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::descriptor::HostFd;

/// Opens a pidfd; `ENOSYS` before Linux 5.3.
pub(super) fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: no pointer is passed.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us alone (always close-on-exec).
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Signals the very process behind a pidfd, whoever has its number now.
pub(super) fn pidfd_signal(pidfd: BorrowedFd<'_>, signal: c_int) -> io::Result<()> {
    let no_info: *const libc::siginfo_t = std::ptr::null();
    // SAFETY: a null siginfo is allowed and means what kill() sends.
    let rc = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, no_info, 0)
    };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// What a look at one's children found.
pub(super) enum Waited {
    /// This child has ended and is reaped now; `code` and `status` are waitid's.
    Ended { pid: u32, code: i32, status: i32 },
    /// Children there are, none has ended.
    Running,
    /// No such child: proof that nothing is left, or somebody else reaped it.
    NoChild,
}

/// Reaps any one child, adopted ones and threads' clones included, without waiting.
///
/// Not nix's `waitid`: that reaps a child that a real-time signal ended and then loses its status.
pub(super) fn wait_any() -> io::Result<Waited> {
    waitid(libc::P_ALL, 0)
}

/// Reaps the child behind `pidfd` without waiting.
pub(super) fn wait_pidfd(pidfd: BorrowedFd<'_>) -> io::Result<Waited> {
    waitid(libc::P_PIDFD, pidfd.as_raw_fd() as libc::id_t)
}

fn waitid(kind: libc::idtype_t, id: libc::id_t) -> io::Result<Waited> {
    // SAFETY: siginfo_t is plain data; all zeros is a valid value and reads as "no child".
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::__WALL;
    // SAFETY: `info` lives through the call.
    if unsafe { libc::waitid(kind, id, &mut info, flags) } < 0 {
        let error = io::Error::last_os_error();
        return match error.raw_os_error() {
            Some(libc::ECHILD) => Ok(Waited::NoChild),
            _ => Err(error),
        };
    }
    // SAFETY: waitid filled in the SIGCHLD form of siginfo, or left the zeros.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if pid == 0 {
        return Ok(Waited::Running);
    }
    Ok(Waited::Ended { pid: pid as u32, code: info.si_code, status })
}

/// Which side of a fork this is.
pub(super) enum Fork {
    Child,
    Parent { child: u32 },
}

/// # Safety
///
/// The child runs with this thread alone. The caller vouches that no other thread holds what the
/// child goes on to use, or that the child uses async-signal-safe calls only.
pub(super) unsafe fn fork() -> io::Result<Fork> {
    // SAFETY: the caller's promise above.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        child => Ok(Fork::Parent { child: child as u32 }),
    }
}

/// Of `linux/sched.h`; the C library's name for it is too narrow a number.
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// As [`fork`], but the child begins its life in a control group. It is fit for a [`fork`] of its
/// own and nothing else: the C library has not been told that this is another process.
///
/// # Safety
///
/// As of [`fork`].
pub(super) unsafe fn clone_into(group: BorrowedFd<'_>) -> io::Result<Fork> {
    // SAFETY: clone_args is plain data, and all zeros is a valid value; without CLONE_VM and with
    // no stack the child goes on with copies of ours, as after fork.
    let child = unsafe {
        let mut args: libc::clone_args = mem::zeroed();
        args.flags = CLONE_INTO_CGROUP;
        args.exit_signal = libc::SIGCHLD as u64;
        args.cgroup = group.as_raw_fd() as u64;
        libc::syscall(libc::SYS_clone3, &raw mut args, mem::size_of::<libc::clone_args>())
    };
    match child {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        child => Ok(Fork::Parent { child: child as u32 }),
    }
}

/// Whether a file has an extended attribute that this user may see.
pub(super) fn has_xattr(path: &Path, name: &str) -> bool {
    let (Ok(path), Ok(name)) = (CString::new(path.as_os_str().as_bytes()), CString::new(name))
    else {
        return false;
    };
    // SAFETY: both texts end with a NUL and live through the call; no buffer is passed.
    unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), std::ptr::null_mut(), 0) >= 0 }
}

/// Has this thread handle `signal` now; false where nobody has asked for that and it would end the
/// process, or be ignored.
pub(super) fn raise_handled(signal: c_int) -> bool {
    // SAFETY: plain data, filled in by the calls below; all pointers live through them.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        let asked = libc::sigaction(signal, std::ptr::null(), &mut action) == 0;
        if !asked || matches!(action.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) {
            return false;
        }
        let mut set: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
        // To this very thread: the handler has run when this returns.
        libc::raise(signal) == 0
    }
}

/// Ends this process as the default action of `signal` does; returns where that does not end it.
pub(super) fn end_by(signal: c_int) {
    // SAFETY: SIG_DFL runs no code of ours; plain data as above.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        let mut set: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
        libc::raise(signal);
    }
}

/// Ends this process at once: no destructors, no exit handlers of an interpreter it never ran.
pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit has no precondition.
    unsafe { libc::_exit(code) }
}

/// Adds to this process's niceness; the kernel knows nobody who is nicer than 19.
pub(super) fn be_nicer(by: c_int) -> io::Result<()> {
    // SAFETY: no pointer is passed.
    unsafe {
        // -1 is a niceness, too.
        *libc::__errno_location() = 0;
        if libc::nice(by) == -1 && *libc::__errno_location() != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Gives SIGCHLD its default disposition: SIG_IGN survives exec and eats every exit status.
pub(super) fn default_sigchld() {
    // SAFETY: SIG_DFL runs no code of ours.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// Undoes what an interpreter ignores; it would survive exec, and other programs expect neither.
pub(super) fn default_write_signals() {
    for signal in [libc::SIGPIPE, libc::SIGXFSZ] {
        // SAFETY: SIG_DFL runs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Closes every descriptor from 3 up that is not in `keep`.
pub(super) fn close_all_but(keep: &mut [RawFd]) {
    keep.sort_unstable();
    let mut first = 3;
    for &mut fd in keep {
        if fd > first {
            close_range(first, fd - 1);
        }
        first = first.max(fd + 1);
    }
    close_range(first, RawFd::MAX);
}

fn close_range(first: RawFd, last: RawFd) {
    // By number: the C library has a wrapper only since glibc 2.34.
    // SAFETY: the shim owns nothing but the descriptors it keeps; no destructor runs later.
    let rc = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if rc == 0 {
        return;
    }
    let Ok(listing) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<RawFd> =
        listing.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| (first..=last).contains(fd)) {
        close(fd);
    }
}

/// Closes a descriptor by number; async-signal-safe.
pub(super) fn close(fd: RawFd) {
    // SAFETY: callers close numbers that nothing of this process will use again.
    unsafe { libc::close(fd) };
}

/// In which the kernel counts times of processes.
pub(super) fn ticks_per_second() -> Option<f64> {
    // SAFETY: no pointer is passed.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    (ticks > 0).then_some(ticks as f64)
}

/// Has `handler` run in every child that fork() makes from now on, before fork() returns there.
pub(super) fn run_in_forked_child(handler: extern "C" fn()) -> io::Result<()> {
    type Handler = Option<unsafe extern "C" fn()>;
    unsafe extern "C" {
        fn pthread_atfork(prepare: Handler, parent: Handler, child: Handler) -> c_int;
    }
    // SAFETY: a plain function of this library, which is never unloaded; it is async-signal-safe.
    match unsafe { pthread_atfork(None, None, Some(handler)) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Registers a descriptor with the runtime around, for waiting until it is readable.
pub(super) fn readable(fd: HostFd) -> io::Result<AsyncFd<HostFd>> {
    // SAFETY: a HostFd owns one open descriptor, never replaces it, and is dropped with the
    // AsyncFd. (In a fork it is closed; there the runtime does not run.)
    let registered = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    Ok(registered?)
}

/// One message as the socket delivered it.
pub(super) struct Datagram {
    pub(super) len: usize,
    /// The message was longer than the buffer.
    pub(super) truncated: bool,
    pub(super) fds: Vec<OwnedFd>,
    /// The sender, where the socket has SO_PASSCRED; never there at the end of the stream.
    pub(super) sender: Option<u32>,
}

/// Receives one message with its descriptors, which are close-on-exec.
///
/// Not nix's `recvmsg`: when descriptors did not fit, it leaks those that did.
pub(super) fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    flags: c_int,
) -> io::Result<Datagram> {
    // Room for all that the kernel can attach (253 descriptors, one ucred), aligned for cmsghdr.
    let mut space = [0u64; 160];
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: msghdr is plain data; all zeros is a valid value.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = &mut part;
    header.msg_iovlen = 1;
    header.msg_control = space.as_mut_ptr().cast();
    header.msg_controllen = mem::size_of_val(&space) as _;

    let flags = flags | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: header, iovec and both buffers live through the call and have the lengths stated.
    let len = unsafe { libc::recvmsg(socket.as_raw_fd(), &mut header, flags) };
    if len < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut got = Datagram {
        len: len as usize,
        truncated: header.msg_flags & libc::MSG_TRUNC != 0,
        fds: Vec::new(),
        sender: None,
    };
    // SAFETY: the kernel filled in `space` up to msg_controllen with well-formed records; CMSG_*
    // stay inside it, and each descriptor in it is new and ours alone.
    unsafe {
        let mut record = libc::CMSG_FIRSTHDR(&header);
        while !record.is_null() {
            let data = libc::CMSG_DATA(record);
            let bytes = (*record).cmsg_len as usize - (data as usize - record as usize);
            match ((*record).cmsg_level, (*record).cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                    for index in 0..bytes / mem::size_of::<RawFd>() {
                        let fd = data.cast::<RawFd>().add(index).read_unaligned();
                        got.fds.push(OwnedFd::from_raw_fd(fd));
                    }
                }
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS)
                    if bytes >= mem::size_of::<libc::ucred>() =>
                {
                    got.sender = Some(data.cast::<libc::ucred>().read_unaligned().pid as u32);
                }
                _ => {}
            }
            record = libc::CMSG_NXTHDR(&header, record);
        }
    }
    Ok(got)
}

/// Duplicates a descriptor to a close-on-exec one at 3 or above, clear of the standard streams.
pub(super) fn duplicate(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: no pointer is passed.
    let copy = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}
