//! Both ends of a worker's control socket: what must get through while a tool runs, and
//! descriptors.
//!
//! The host's end is async and never blocks; the worker's end is blocking and served by a thread
//! that needs no interpreter. The shim holds the worker's end too, but only ever writes to it.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, Shutdown, SockFlag, SockType, sendmsg, setsockopt,
    shutdown, socketpair, sockopt,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::descriptor::HostFd;
use super::message::{FromWorker, MAX_STACK, MAX_START, ToWorker};
use super::sys;

/// Makes a control socket: the host's end, then the worker's. Both are close-on-exec.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (host, worker) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    // Before anything is sent: each message then names its true sender, shim or worker.
    setsockopt(&host, sockopt::PassCred, &true)?;
    // Room for a start message and some hundred cancels that a stopped worker has not read. The
    // system's limit may cut it; the default holds one start message.
    let _ = setsockopt(&host, sockopt::SndBuf, &(2 * MAX_START));
    Ok((host, worker))
}

/// One message, as the host received it.
#[derive(Debug)]
pub struct Received {
    pub message: FromWorker,
    /// Close-on-exec. May lack what was sent when this process has no descriptors left.
    pub fds: Vec<OwnedFd>,
    /// Who really sent it; 0 if the kernel did not say.
    pub sender_pid: u32,
}

/// The host's end.
#[derive(Debug)]
pub struct Control {
    socket: AsyncFd<HostFd>,
    /// Received while something else was looked for.
    early: Mutex<VecDeque<Received>>,
}

impl Control {
    /// Takes the end that [`spawn`](super::spawn()) returned; needs a tokio runtime around it.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self { socket: sys::readable(HostFd::new(fd))?, early: Mutex::default() })
    }

    /// Sends a message with descriptors; never blocks.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the worker has not read for long (some hundred messages); `BrokenPipe` or
    /// `ConnectionReset` when it and its shim are gone; `InvalidInput` for a start message above
    /// 128 KiB.
    pub fn send(&self, message: &ToWorker, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        send(self.socket.as_fd(), &message.encode()?, fds, MsgFlags::MSG_DONTWAIT)
    }

    /// Waits for the next message; `None` when nobody holds the other end. Cancel-safe.
    ///
    /// A worker's death alone does not end the stream: its shim, and what it forked, hold the end.
    ///
    /// # Errors
    ///
    /// `InvalidData` for a malformed message; the next one can still be received.
    pub async fn recv(&self) -> io::Result<Option<Received>> {
        let early = self.early().pop_front();
        if early.is_some() {
            return Ok(early);
        }
        let receive_next = |fd: &HostFd| match receive(fd.as_fd()) {
            // The other end was closed with something unread. That is told once, and before what
            // it said last: how the worker ended.
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => receive(fd.as_fd()),
            other => other,
        };
        let received = self.socket.async_io(Interest::READABLE, receive_next).await;
        match received {
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => Ok(None),
            other => other,
        }
    }

    /// The next message, where it is here already: what was sent before something that came over the
    /// line is. Not one that was put aside.
    pub fn try_recv(&self) -> io::Result<Option<Received>> {
        receive(self.socket.get_ref().as_fd())
    }

    /// Has [`Control::recv`] return this before anything else, in the order of such messages.
    pub fn put_aside(&self, received: Received) {
        self.early().push_back(received);
    }

    fn early(&self) -> MutexGuard<'_, VecDeque<Received>> {
        self.early.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the shim to end the whole tree now, as if the host had died.
    ///
    /// Dropping does the same, unless somebody else holds a copy of this end (a child forked in an
    /// unlucky moment); this works then, too.
    pub fn hang_up(&self) {
        if !self.socket.get_ref().is_here() {
            return;
        }
        // Fails only when the other side is gone: then there is nobody to tell.
        let _ = shutdown(self.socket.as_raw_fd(), Shutdown::Both);
    }
}

fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<Received>> {
    let mut buffer = vec![0; 1 + MAX_STACK];
    let got = sys::receive(socket, &mut buffer, libc::MSG_DONTWAIT)?;
    // An empty message names its sender; the end of the stream has none.
    let Some(sender_pid) = got.sender.or((got.len > 0).then_some(0)) else { return Ok(None) };
    let message = FromWorker::decode(&buffer[..got.len])?;
    let is_text = matches!(
        message,
        FromWorker::BootError(_) | FromWorker::Stack(_) | FromWorker::Located { .. }
    );
    if got.truncated && !is_text {
        return Err(too_long());
    }
    Ok(Some(Received { message, fds: got.fds, sender_pid }))
}

/// The worker's end. Knows neither tokio nor Python.
#[derive(Debug)]
pub struct WorkerControl {
    fd: OwnedFd,
    // One reader at a time. Made once: most messages are tiny, but the first may be 128 KiB.
    buffer: Mutex<Vec<u8>>,
}

impl WorkerControl {
    pub fn new(fd: OwnedFd) -> Self {
        Self { fd, buffer: Mutex::new(vec![0; 1 + MAX_START]) }
    }

    /// Blocks until the next message is there, with its descriptors; `None`: the host is gone.
    ///
    /// # Errors
    ///
    /// `InvalidData` for a malformed message.
    pub fn recv(&self) -> io::Result<Option<(ToWorker, Vec<OwnedFd>)>> {
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match sys::receive(self.fd.as_fd(), &mut buffer, 0) {
                Ok(got) if got.len == 0 => return Ok(None),
                Ok(got) if got.truncated => return Err(too_long()),
                Ok(got) => return Ok(Some((ToWorker::decode(&buffer[..got.len])?, got.fds))),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(e) => return Err(e),
            }
        }
    }

    /// Sends a message; blocks while the host's end is full.
    pub fn send(&self, message: &FromWorker) -> io::Result<()> {
        self.send_with(message, &[])
    }

    /// Sends a message with descriptors; blocks as [`WorkerControl::send`] does.
    pub fn send_with(&self, message: &FromWorker, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let raw = message.encode();
        loop {
            match send(self.fd.as_fd(), &raw, fds, MsgFlags::empty()) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

impl WorkerControl {
    /// Whether the host hangs up within `limit`. Reads nothing.
    pub fn is_hung_up_within(&self, limit: Duration) -> bool {
        let mut ready =
            [PollFd::new(self.fd.as_fd(), PollFlags::from_bits_retain(libc::POLLRDHUP))];
        let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
        matches!(poll(&mut ready, limit), Ok(1))
    }
}

impl AsFd for WorkerControl {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Says something to the host from the shim, which must never wait for it.
pub(super) fn tell(control: BorrowedFd<'_>, message: &FromWorker, fd: Option<BorrowedFd<'_>>) {
    let fds = fd.as_slice();
    // A host that does not read learns the same from the shim's exit code.
    let _ = send(control, &message.encode(), fds, MsgFlags::MSG_DONTWAIT);
}

fn send(
    socket: BorrowedFd<'_>,
    raw: &[u8],
    fds: &[BorrowedFd<'_>],
    flags: MsgFlags,
) -> io::Result<()> {
    let numbers: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let attached = if numbers.is_empty() { &[][..] } else { &rights[..] };
    let flags = flags | MsgFlags::MSG_NOSIGNAL;
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(raw)], attached, flags, None)?;
    Ok(())
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "control message is too long for its kind")
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use bytes::Bytes;
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};

    use super::*;

    fn ends() -> (Control, WorkerControl) {
        let (host, worker) = pair().unwrap();
        (Control::new(host).unwrap(), WorkerControl::new(worker))
    }

    #[tokio::test]
    async fn carries_messages_and_descriptors_both_ways() {
        let (host, worker) = ends();
        let file = File::open("/dev/null").unwrap();
        let start = ToWorker::Start(Bytes::from(vec![7; MAX_START]));
        host.send(&start, &[file.as_fd()]).unwrap();
        let (message, fds) = worker.recv().unwrap().unwrap();
        assert_eq!((message, fds.len()), (start, 1));
        let flags = fcntl(&fds[0], FcntlArg::F_GETFD).unwrap();
        assert!(FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC));

        worker.send(&FromWorker::ProbeAnswer { nonce: 5 }).unwrap();
        tell(
            worker.as_fd(),
            &FromWorker::WorkerExited { code: 1, status: 3 },
            Some(fds[0].as_fd()),
        );
        let first = host.recv().await.unwrap().unwrap();
        assert_eq!(first.message, FromWorker::ProbeAnswer { nonce: 5 });
        assert_eq!(first.sender_pid, std::process::id());
        let second = host.recv().await.unwrap().unwrap();
        assert_eq!(second.message, FromWorker::WorkerExited { code: 1, status: 3 });
        assert_eq!(second.fds.len(), 1);
    }

    #[tokio::test]
    async fn the_end_of_either_side_is_none() {
        let (host, worker) = ends();
        drop(worker);
        assert!(host.recv().await.unwrap().is_none());

        let (host, worker) = ends();
        assert!(!worker.is_hung_up_within(Duration::ZERO));
        worker.send(&FromWorker::ProbeAnswer { nonce: 1 }).unwrap();
        drop(host); // with a message unread: the worker sees ECONNRESET
        assert!(worker.is_hung_up_within(Duration::from_secs(10)));
        assert!(worker.recv().unwrap().is_none());
        assert!(worker.send(&FromWorker::ProbeAnswer { nonce: 2 }).is_err());
    }

    #[tokio::test]
    async fn what_was_said_before_an_end_with_something_unread_arrives() {
        let (host, worker) = ends();
        host.send(&ToWorker::Cancel { call: 1 }, &[]).unwrap();
        let last = FromWorker::WorkerExited { code: 1, status: 3 };
        worker.send(&last).unwrap();
        drop(worker);
        assert_eq!(host.recv().await.unwrap().unwrap().message, last);
        assert!(host.recv().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn hanging_up_works_although_a_copy_is_open() {
        let (host, worker) = pair().unwrap();
        let _copy = host.try_clone().unwrap();
        Control::new(host).unwrap().hang_up();
        assert!(WorkerControl::new(worker).recv().unwrap().is_none());
    }

    #[tokio::test]
    async fn malformed_messages_are_errors_and_the_next_one_arrives() {
        let (host, worker) = ends();
        for raw in [&b""[..], b"?", b"X12", &[b'A'; 70_000]] {
            send(worker.as_fd(), raw, &[], MsgFlags::empty()).unwrap();
            let error = host.recv().await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{} bytes", raw.len());
        }
        // Python's boot code writes this one by hand.
        let raw = [&b"E"[..], &[b'x'; 70_000]].concat();
        send(worker.as_fd(), &raw, &[], MsgFlags::empty()).unwrap();
        let FromWorker::BootError(text) = host.recv().await.unwrap().unwrap().message else {
            panic!("not a boot error");
        };
        assert_eq!(text.len(), MAX_STACK);
    }

    #[tokio::test]
    async fn a_full_socket_does_not_block_the_host() {
        let (host, worker) = ends();
        let full = (0..1_000_000).find_map(|call| host.send(&ToWorker::Cancel { call }, &[]).err());
        assert_eq!(full.unwrap().kind(), io::ErrorKind::WouldBlock);
        assert!(worker.recv().unwrap().is_some());
    }

    #[tokio::test]
    async fn waiting_can_be_given_up_without_losing_a_message() {
        let (host, worker) = ends();
        let given_up = tokio::time::timeout(Duration::ZERO, host.recv()).await;
        assert!(given_up.is_err());
        worker.send(&FromWorker::ProbeAnswer { nonce: 9 }).unwrap();
        assert_eq!(
            host.recv().await.unwrap().unwrap().message,
            FromWorker::ProbeAnswer { nonce: 9 }
        );
    }
}
