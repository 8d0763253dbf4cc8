//! Connections before Hello: nobody knows whose they are, so they cost little, and not for long.
//!
//! A connection of another user, or one that does not even begin as HTTP/2, is closed at once; one
//! that does not say Hello in time is closed then. Of those that may still say it, only the newest
//! [`MAX_WAITING`] are kept. After Hello nothing here costs more than a comparison.

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
use tokio::time::{Sleep, sleep};
use tokio_stream::Stream;
use tonic::transport::server::Connected;

use super::admission::Guests;
use super::http2::MAX_FRAME;
use crate::error::Violation;

/// How long a peer may take to say who it is.
pub(super) const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections that have not said Hello; more than a machine has workers starting at a moment.
const MAX_WAITING: usize = 256;

/// After an accept that failed, most likely because the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How every HTTP/2 connection begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Connections that have not said Hello, oldest first.
#[derive(Clone, Default)]
pub(super) struct Waiting(Arc<Mutex<VecDeque<Waiter>>>);

struct Waiter {
    pid: u32,
    /// Dropping it closes the connection.
    stays: oneshot::Sender<Infallible>,
}

impl Waiting {
    /// Whether a process has connected and not said Hello.
    pub(super) fn has(&self, pid: u32) -> bool {
        self.lock().iter().any(|waiter| waiter.pid == pid && !waiter.stays.is_closed())
    }

    /// One more. What it is given ends when it must go.
    fn join(&self, pid: u32) -> oneshot::Receiver<Infallible> {
        let mut waiters = self.lock();
        if waiters.len() >= MAX_WAITING {
            waiters.retain(|waiter| !waiter.stays.is_closed());
            if waiters.len() >= MAX_WAITING {
                waiters.pop_front();
            }
        }
        let (stays, evicted) = oneshot::channel();
        waiters.push_back(Waiter { pid, stays });
        evicted
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiter>> {
        // A queue of waiters is whole after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        if peer.uid() != self.uid {
            return None;
        }
        let pid = peer.pid().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
        let visitor = Visitor { pid, known: Arc::default() };
        let stranger = Stranger {
            deadline: Box::pin(sleep(HELLO_TIMEOUT)),
            evicted: self.waiting.join(pid),
            opening: Opening::default(),
            guests: self.guests.clone(),
        };
        Some(Connection { stream, visitor, stranger: Some(stranger) })
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
}

struct Stranger {
    deadline: Pin<Box<Sleep>>,
    evicted: oneshot::Receiver<Infallible>,
    opening: Opening,
    guests: Guests,
}

impl Stranger {
    /// Err: its time is over.
    fn may_stay(&mut self, pid: u32, cx: &mut Context<'_>) -> io::Result<()> {
        if Pin::new(&mut self.evicted).poll(cx).is_ready() {
            return Err(io::Error::other("too many connections without a Hello"));
        }
        if self.deadline.as_mut().poll(cx).is_ready() {
            self.guests.broke(pid, Violation::NoHello { waited: HELLO_TIMEOUT });
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    /// Err: that is not HTTP/2.
    fn heard(&mut self, pid: u32, bytes: &[u8]) -> io::Result<()> {
        self.opening.read(bytes).map_err(|detail| {
            self.guests.broke(pid, Violation::MalformedFrame { detail });
            io::ErrorKind::InvalidData.into()
        })
    }
}

/// The first bytes of a connection: HTTP/2's preface, then frames, each with its length before it.
/// Whatever is wrong beyond that, HTTP/2 itself finds.
#[derive(Default)]
struct Opening {
    /// Bytes of the preface that are here.
    preface: usize,
    /// Bytes of a frame's length that are here, and the length so far.
    length: (usize, usize),
    /// Bytes to the next frame.
    rest: usize,
}

impl Opening {
    /// Err: what is wrong with it.
    fn read(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        let expected = &PREFACE[self.preface..];
        let both = expected.len().min(bytes.len());
        if bytes[..both] != expected[..both] {
            return Err("it does not begin as HTTP/2 does".into());
        }
        self.preface += both;
        bytes = &bytes[both..];
        while let Some((&byte, after)) = bytes.split_first() {
            if self.rest > 0 {
                let skipped = self.rest.min(bytes.len());
                self.rest -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            self.length = (self.length.0 + 1, self.length.1 << 8 | usize::from(byte));
            bytes = after;
            if let (3, length) = self.length {
                if length > MAX_FRAME as usize {
                    return Err(format!("an HTTP/2 frame of {length} bytes, {MAX_FRAME} may be"));
                }
                // Kind, flags and stream stand between the length and what it counts.
                (self.length, self.rest) = ((0, 0), 6 + length);
            }
        }
        Ok(())
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
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        };
        if this.visitor.is_known() {
            this.stranger = None;
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        }
        stranger.may_stay(this.visitor.pid, cx)?;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        Poll::Ready(stranger.heard(this.visitor.pid, &buffer.filled()[before..]))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
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
    use super::*;

    fn opening(parts: &[&[u8]]) -> Result<(), String> {
        let mut opening = Opening::default();
        parts.iter().try_for_each(|part| opening.read(part))
    }

    #[test]
    fn what_begins_as_http2_is_passed_on_however_it_is_cut() {
        let settings = [0, 0, 6, 4, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6];
        let ping = [0, 0, 0, 6, 0, 0, 0, 0, 0];
        let whole = [PREFACE, &settings, &ping, &settings].concat();
        for size in 1..=whole.len() {
            let parts: Vec<_> = whole.chunks(size).collect();
            assert_eq!(opening(&parts), Ok(()), "in parts of {size}");
        }
    }

    #[test]
    fn what_does_not_is_refused_at_its_first_wrong_byte() {
        for text in ["GET / HTTP/1.1", "PRI * HTTP/1", "\0"] {
            assert!(opening(&[text.as_bytes()]).is_err(), "{text}");
        }
        assert!(opening(&[b"PRI * ", b"HTTP/3"]).is_err());
        let too_long = (MAX_FRAME + 1).to_be_bytes();
        assert_eq!(opening(&[PREFACE, &too_long[1..3]]), Ok(()));
        let told = opening(&[PREFACE, &too_long[1..]]).unwrap_err();
        assert!(told.contains("131073 bytes"), "{told}");
    }
}
