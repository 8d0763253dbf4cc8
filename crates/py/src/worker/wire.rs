//! The line's socket, which remembers when something last left this process.

use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use snakepit::process::{CloseInChild, close_in_child};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

/// Tells whether something is still on its way out. HTTP/2 does not say when it has sent what it
/// was given; that nothing moves any more, although the socket has room, does.
#[derive(Clone)]
pub(super) struct Flow(Arc<State>);

struct State {
    began: Instant,
    last_write_us: AtomicU64,
    blocked: AtomicBool,
}

impl Flow {
    pub(super) fn new() -> Self {
        Self(Arc::new(State {
            began: Instant::now(),
            last_write_us: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
        }))
    }

    /// Nothing waits for the socket, and nothing was written for so long.
    pub(super) fn is_still(&self, duration: Duration) -> bool {
        let last_write = Duration::from_micros(self.0.last_write_us.load(Relaxed));
        let quiet = self.0.began.elapsed().saturating_sub(last_write);
        quiet >= duration && !self.0.blocked.load(Relaxed)
    }

    fn note<T>(&self, written: Poll<T>) -> Poll<T> {
        self.0.blocked.store(written.is_pending(), Relaxed);
        self.0.last_write_us.store(self.0.began.elapsed().as_micros() as u64, Relaxed);
        written
    }
}

/// A Unix stream that notes its writes, and that a tool's forks do not keep open.
pub(super) struct Wire {
    _closed_in_forks: CloseInChild,
    socket: UnixStream,
    flow: Flow,
}

impl Wire {
    pub(super) fn new(socket: UnixStream, flow: Flow) -> Self {
        Self { _closed_in_forks: close_in_child(socket.as_raw_fd()), socket, flow }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.flow.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.flow.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
