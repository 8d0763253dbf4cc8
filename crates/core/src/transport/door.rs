//! Connections before Hello: nobody knows whose they are, so they cost little, and not for long.
//!
//! A connection of another user, or one that says what [`super::opening`] refuses, is closed at once;
//! one that does not say Hello in time is closed then. Of those that may still say it, only the newest
//! are kept: twice as many as the pool has workers, and at least [`LEAST_WAITING`]. After Hello nothing here costs more than a comparison.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep};
use tokio_stream::Stream;
use tonic::transport::server::Connected;

use super::admission::Guests;
use super::opening::Opening;
use crate::error::Violation;

/// How long a peer may take to say who it is.
pub(super) const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// So many connections may always be without a Hello.
const LEAST_WAITING: usize = 256;

/// A peer that reads nothing any more may so long say more before its connection ends.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// After an accept that failed, most likely because the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections that have not said Hello, oldest first.
#[derive(Clone)]
pub(super) struct Waiting {
    most: usize,
    waiters: Arc<Mutex<VecDeque<Waiter>>>,
}

struct Waiter {
    pid: u32,
    /// Dropping it closes the connection.
    stays: oneshot::Sender<Infallible>,
}

impl Waiting {
    /// Room for all workers of a pool at once, and as many that they replace.
    pub(super) fn of_pool(size: usize) -> Self {
        let most = size.saturating_mul(2).max(LEAST_WAITING);
        Self { most, waiters: Arc::default() }
    }

    /// Whether a process has connected and not said Hello.
    pub(super) fn has(&self, pid: u32) -> bool {
        self.lock().iter().any(|waiter| waiter.pid == pid && !waiter.stays.is_closed())
    }

    /// One more. What it is given ends when it must go.
    fn join(&self, pid: u32) -> oneshot::Receiver<Infallible> {
        let mut waiters = self.lock();
        if waiters.len() >= self.most {
            waiters.retain(|waiter| !waiter.stays.is_closed());
            if waiters.len() >= self.most {
                waiters.pop_front();
            }
        }
        let (stays, evicted) = oneshot::channel();
        waiters.push_back(Waiter { pid, stays });
        evicted
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiter>> {
        // A queue of waiters is whole after any panic.
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts connections for as long as it is polled; never an error, which would end the server.
pub(super) struct Door {
    listener: UnixListener,
    uid: u32,
    guests: Guests,
    waiting: Waiting,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Door {
    /// Lets in processes of this user.
    pub(super) fn new(listener: UnixListener, uid: u32, guests: Guests, waiting: Waiting) -> Self {
        Self { listener, uid, guests, waiting, pause: None }
    }

    fn let_in(&self, stream: UnixStream) -> Option<Connection> {
        let peer = stream.peer_cred().ok()?;
        let pid = peer.pid().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
        if peer.uid() != self.uid {
            tracing::warn!(uid = peer.uid(), pid, "refused: a connection of another user");
            return None;
        }
        let visitor = Visitor { pid, known: Arc::default() };
        let stranger = Stranger {
            deadline: Box::pin(sleep(HELLO_TIMEOUT)),
            prolonged: false,
            evicted: self.waiting.join(pid),
            opening: Opening::default(),
            guests: self.guests.clone(),
        };
        Some(Connection { stream, visitor, stranger: Some(stranger), deaf: None })
    }
}

impl Stream for Door {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match ready!(self.listener.poll_accept(cx)) {
                Ok((stream, _)) => {
                    if let Some(connection) = self.let_in(stream) {
                        return Poll::Ready(Some(Ok(connection)));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted; trying again");
                    self.pause = Some(Box::pin(sleep(ACCEPT_PAUSE)));
                }
            }
        }
    }
}

/// Who is at the other end of a connection.
#[derive(Clone)]
pub(super) struct Visitor {
    /// As the kernel tells it; 0 where it does not.
    pub(super) pid: u32,
    known: Arc<AtomicBool>,
}

impl Visitor {
    /// It said Hello, and it is a worker of ours.
    pub(super) fn introduce(&self) {
        self.known.store(true, Ordering::Release);
    }

    fn is_known(&self) -> bool {
        self.known.load(Ordering::Acquire)
    }
}

/// A connection, and what is asked of it before Hello.
pub(super) struct Connection {
    stream: UnixStream,
    visitor: Visitor,
    /// None: it has said Hello.
    stranger: Option<Stranger>,
    /// Its peer reads nothing any more, and has until then to say more.
    deaf: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    /// A peer that is gone reads nothing, and what it said before is here, unread: an error now would
    /// lose that. So the end is left to whoever reads.
    fn wrote(
        &mut self,
        written: Poll<io::Result<usize>>,
        bytes: usize,
        cx: &Context<'_>,
    ) -> Poll<io::Result<usize>> {
        use io::ErrorKind::{BrokenPipe, ConnectionReset};
        match written {
            Poll::Ready(Err(error)) if matches!(error.kind(), BrokenPipe | ConnectionReset) => {
                self.deaf.get_or_insert_with(|| {
                    // Whoever reads has to wait for that, too.
                    cx.waker().wake_by_ref();
                    Box::pin(sleep(LAST_WORDS))
                });
                Poll::Ready(Ok(bytes))
            }
            written => written,
        }
    }

    fn hear(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        match &mut self.deaf {
            Some(until) if read.is_pending() => {
                until.as_mut().poll(cx).map(|()| Err(io::ErrorKind::BrokenPipe.into()))
            }
            _ => read,
        }
    }
}

struct Stranger {
    deadline: Pin<Box<Sleep>>,
    /// Once only, or one that speaks whenever its time is over would stay for ever.
    prolonged: bool,
    evicted: oneshot::Receiver<Infallible>,
    opening: Opening,
    guests: Guests,
}

impl Stranger {
    /// Err: others have taken its place.
    fn may_stay(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match Pin::new(&mut self.evicted).poll(cx).is_ready() {
            true => Err(io::Error::other("too many connections without a Hello")),
            false => Ok(()),
        }
    }

    /// It has nothing to say at present. Err: its time is over.
    fn may_think(&mut self, pid: u32, cx: &mut Context<'_>) -> io::Result<()> {
        if self.deadline.as_mut().poll(cx).is_ready() {
            self.guests.broke(pid, Violation::NoHello { waited: HELLO_TIMEOUT });
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    /// Err: no worker says that before Hello.
    fn heard(&mut self, pid: u32, bytes: &[u8]) -> io::Result<()> {
        let now = Instant::now();
        if now >= self.deadline.deadline() && !std::mem::replace(&mut self.prolonged, true) {
            // This process was stopped, or very busy; what was said in time has yet to be dealt with.
            self.deadline.as_mut().reset(now + HELLO_TIMEOUT);
        }
        self.opening.read(bytes).map_err(|violation| {
            self.guests.broke(pid, violation);
            io::ErrorKind::InvalidData.into()
        })
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(stranger) = &mut this.stranger else {
            return this.hear(cx, buffer);
        };
        if this.visitor.is_known() {
            this.stranger = None;
            return this.hear(cx, buffer);
        }
        stranger.may_stay(cx)?;
        let before = buffer.filled().len();
        // What is here already is heard before it is asked how late it is.
        match Pin::new(&mut this.stream).poll_read(cx, buffer)? {
            Poll::Ready(()) => {
                Poll::Ready(stranger.heard(this.visitor.pid, &buffer.filled()[before..]))
            }
            Poll::Pending => {
                stranger.may_think(this.visitor.pid, cx)?;
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(written, bytes.len(), cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.wrote(written, parts.iter().map(|part| part.len()).sum(), cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Connected for Connection {
    type ConnectInfo = Visitor;

    fn connect_info(&self) -> Visitor {
        self.visitor.clone()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;
    use tokio_stream::StreamExt;

    use super::super::opening::PREFACE;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_came_in_time_is_heard_by_a_host_that_was_stopped_meanwhile() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("line.sock");
        let listener = UnixListener::bind(&path).expect("a fresh socket");
        let mut client = UnixStream::connect(&path).await.expect("it listens");
        let uid = client.peer_cred().expect("credentials").uid();
        let mut door = Door::new(listener, uid, Guests::default(), Waiting::of_pool(1));
        let mut connection = door.next().await.expect("endless").expect("one");
        client.write_all(PREFACE).await.expect("room");
        tokio::time::advance(HELLO_TIMEOUT * 2).await;

        let mut buffer = [0; 64];
        let heard = connection.read(&mut buffer).await.expect("it was said in time");
        assert_eq!(&buffer[..heard], PREFACE);
        let soon = timeout(HELLO_TIMEOUT / 2, connection.read(&mut buffer)).await;
        assert!(soon.is_err(), "what was heard has yet to be dealt with");
        // Once: whoever speaks whenever its time is over would else stay for ever.
        client.write_all(&[0]).await.expect("room");
        tokio::time::advance(HELLO_TIMEOUT).await;
        assert_eq!(connection.read(&mut buffer).await.expect("bytes"), 1);
        let over = connection.read(&mut buffer).await.expect_err("its time is over");
        assert_eq!(over.kind(), io::ErrorKind::TimedOut);
    }

    async fn a_known_peer() -> (UnixStream, Connection) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("line.sock");
        let listener = UnixListener::bind(&path).expect("a fresh socket");
        let client = UnixStream::connect(&path).await.expect("it listens");
        let uid = client.peer_cred().expect("credentials").uid();
        let mut door = Door::new(listener, uid, Guests::default(), Waiting::of_pool(1));
        let connection = door.next().await.expect("endless").expect("one");
        connection.visitor.introduce();
        (client, connection)
    }

    #[tokio::test]
    async fn what_a_peer_said_is_read_though_it_is_gone_when_something_is_written_to_it() {
        let (mut client, mut connection) = a_known_peer().await;
        connection.write_all(b"unread, which resets the connection").await.expect("room");
        client.write_all(&[7; 100_000]).await.expect("room");
        drop(client);
        for _ in 0..2 {
            connection.write_all(b"nobody hears this").await.expect("no error of the writer");
        }
        let mut said = Vec::new();
        let end = connection.read_to_end(&mut said).await;
        assert!(
            said.iter().all(|byte| *byte == 7) && said.len() == 100_000,
            "{end:?}: {}",
            said.len()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_only_reads_nothing_is_gone_soon_too() {
        let (client, mut connection) = a_known_peer().await;
        let client = client.into_std().expect("a socket");
        client.shutdown(std::net::Shutdown::Read).expect("connected");
        connection.write_all(b"nobody hears this").await.expect("no error of the writer");
        let error = connection.read(&mut [0; 8]).await.expect_err("it says nothing either");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn all_workers_of_a_large_pool_may_dial_at_once() {
        for (size, kept) in [(1, 256), (128, 256), (300, 600), (4096, 8192)] {
            let waiting = Waiting::of_pool(size);
            let mut joined: Vec<_> = (0..9000).map(|pid| waiting.join(pid)).collect();
            let stays = |evicted: &mut oneshot::Receiver<Infallible>| {
                matches!(evicted.try_recv(), Err(oneshot::error::TryRecvError::Empty))
            };
            assert_eq!(joined.iter_mut().filter_map(|one| stays(one).then_some(())).count(), kept);
            assert!(waiting.has(8999), "the newest");
        }
    }
}
