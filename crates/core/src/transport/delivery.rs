//! How much of what a worker has said the kernel has: that its host will read, whatever becomes of
//! the worker.
//!
//! ```text
//! outbox ─▶ tonic ─▶ h2's buffers and windows ─▶ Counted ─▶ socket
//!                                                   └─ messages of gRPC in the bytes that it took
//! ```
//!
//! Counted where the bytes leave the process: each of the buffers before it may hold some back, for
//! its own reasons. What is read of HTTP/2 and gRPC is where their messages end, and no more.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use super::opening::{DATA, FRAME_HEAD, LENGTH, MESSAGE_HEAD, PREFACE, fill};

/// The number of messages that the kernel has taken whole. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Delivered(Arc<Count>);

#[derive(Debug, Default)]
struct Count {
    messages: AtomicU64,
    /// Somebody waits for more.
    awaited: AtomicBool,
    more: Notify,
}

impl Delivered {
    /// Messages since the connection began.
    pub fn messages(&self) -> u64 {
        self.0.messages.load(SeqCst)
    }

    /// Waits until it is so many in all: for ever, where the line ends before. One at a time.
    pub async fn reach(&self, messages: u64) {
        // Dekker: `add` counts and then looks whether anybody waits. A permit that is left over only
        // makes the next one look once more.
        self.0.awaited.store(true, SeqCst);
        while self.messages() < messages {
            self.0.more.notified().await;
        }
        self.0.awaited.store(false, SeqCst);
    }

    fn add(&self, messages: u64) {
        self.0.messages.fetch_add(messages, SeqCst);
        if self.0.awaited.load(SeqCst) {
            self.0.more.notify_one();
        }
    }
}

/// A worker's socket. What is written through it must be one connection of HTTP/2, from its preface
/// on, with one stream that carries messages of gRPC, and nothing padded.
#[derive(Debug)]
pub struct Counted<S> {
    socket: S,
    written: Written,
    delivered: Delivered,
}

impl<S> Counted<S> {
    /// Counts into `delivered`.
    pub fn new(socket: S, delivered: Delivered) -> Self {
        Self { socket, written: Written::default(), delivered }
    }

    fn took(&mut self, bytes: &[u8]) {
        let messages = self.written.pass(bytes);
        if messages > 0 {
            self.delivered.add(messages);
        }
    }
}

/// Where in its frames and messages a connection is.
#[derive(Debug)]
struct Written {
    /// Bytes to the next frame that hold no message.
    rest: usize,
    /// Bytes to the next frame that do.
    data: usize,
    frame: Head<FRAME_HEAD>,
    message: Head<MESSAGE_HEAD>,
    /// Bytes to the end of the message.
    body: usize,
}

impl Default for Written {
    fn default() -> Self {
        let (frame, message) = (Head::default(), Head::default());
        Self { rest: PREFACE.len(), data: 0, frame, message, body: 0 }
    }
}

#[derive(Debug)]
struct Head<const LEN: usize> {
    bytes: [u8; LEN],
    known: usize,
}

impl<const LEN: usize> Default for Head<LEN> {
    fn default() -> Self {
        Self { bytes: [0; LEN], known: 0 }
    }
}

impl<const LEN: usize> Head<LEN> {
    /// Takes what it lacks from the front of `bytes`. Some: it is whole, and the next one begins.
    fn take(&mut self, bytes: &mut &[u8]) -> Option<[u8; LEN]> {
        let taken = fill(&mut self.bytes, &mut self.known, bytes);
        *bytes = &bytes[taken..];
        let whole = self.known == LEN;
        if whole {
            self.known = 0;
        }
        whole.then_some(self.bytes)
    }
}

impl Written {
    /// The messages that end in these bytes.
    fn pass(&mut self, mut bytes: &[u8]) -> u64 {
        let mut ended = 0;
        while !bytes.is_empty() {
            if self.rest > 0 {
                skip(&mut self.rest, &mut bytes);
            } else if self.data > 0 {
                let (data, behind) = bytes.split_at(self.data.min(bytes.len()));
                self.data -= data.len();
                bytes = behind;
                ended += self.pass_data(data);
            } else if let Some(head) = self.frame.take(&mut bytes) {
                let length = big_endian(&head[..LENGTH]);
                (self.rest, self.data) =
                    if head[LENGTH] == DATA { (0, length) } else { (length, 0) };
            }
        }
        ended
    }

    fn pass_data(&mut self, mut data: &[u8]) -> u64 {
        let mut ended = 0;
        while !data.is_empty() {
            if self.body > 0 {
                skip(&mut self.body, &mut data);
            } else if let Some(head) = self.message.take(&mut data) {
                self.body = big_endian(&head[1..]);
            } else {
                break; // the rest of the head is in the next frame
            }
            ended += u64::from(self.body == 0);
        }
        ended
    }
}

fn skip(left: &mut usize, bytes: &mut &[u8]) {
    let passed = bytes.len().min(*left);
    *left -= passed;
    *bytes = &bytes[passed..];
}

fn big_endian(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |value, byte| value << 8 | usize::from(*byte))
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.socket).poll_write(cx, bytes))?;
        self.took(&bytes[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.socket).poll_write_vectored(cx, parts))?;
        let mut left = written;
        for part in parts {
            let taken = left.min(part.len());
            self.took(&part[..taken]);
            left -= taken;
        }
        Poll::Ready(Ok(written))
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;

    const HEADERS: u8 = 1;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.push(kind);
        frame.extend([0, 0, 0, 0, 1]);
        frame.extend(payload);
        frame
    }

    fn message(bytes: usize) -> Vec<u8> {
        let mut message = vec![0];
        message.extend((bytes as u32).to_be_bytes());
        message.resize(MESSAGE_HEAD + bytes, 0xaa);
        message
    }

    /// The connection's bytes, and for each message the place of its last one.
    fn connection(messages: &[usize], frames: &[usize]) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = PREFACE.to_vec();
        bytes.extend(frame(4, &[0; 12]));
        let (data, ends): (Vec<u8>, Vec<usize>) =
            messages.iter().fold((Vec::new(), Vec::new()), |(mut data, mut ends), size| {
                data.extend(message(*size));
                ends.push(data.len());
                (data, ends)
            });
        let (mut at, mut places, mut sizes) = (0, Vec::new(), frames.iter().cycle());
        while at < data.len() {
            let size = (*sizes.next().expect("endless")).min(data.len() - at);
            bytes.extend(frame(HEADERS, &[7; 3]));
            bytes.extend(frame(DATA, &data[at..at + size]));
            let behind = bytes.len() - (at + size);
            places.extend(
                ends.iter().filter(|end| at < **end && **end <= at + size).map(|end| end + behind),
            );
            at += size;
        }
        bytes.extend(frame(DATA, &[]));
        (bytes, places)
    }

    proptest! {
        /// However messages lie in frames, and frames in writes: it is the messages whose last byte
        /// has passed.
        #[test]
        fn a_message_counts_when_its_last_byte_has_passed(
            messages in prop::collection::vec(prop_oneof![Just(0), 0..40usize, 0..3000usize], 0..12),
            frames in prop::collection::vec(1..600usize, 1..6),
            writes in prop::collection::vec(1..300usize, 1..6),
        ) {
            let (bytes, ends) = connection(&messages, &frames);
            let (mut written, mut at, mut counted) = (Written::default(), 0, 0);
            for size in writes.iter().cycle() {
                let next = (at + size).min(bytes.len());
                counted += written.pass(&bytes[at..next]);
                at = next;
                prop_assert_eq!(counted, ends.iter().filter(|end| **end <= at).count() as u64);
                if at == bytes.len() {
                    break;
                }
            }
            prop_assert_eq!(counted, messages.len() as u64);
        }
    }

    #[tokio::test]
    async fn a_message_that_the_socket_has_no_room_for_is_awaited() {
        let (bytes, _) = connection(&[10, 5000], &[6000]);
        let (near, mut far) = tokio::io::duplex(1000);
        let delivered = Delivered::default();
        let mut socket = Counted::new(near, delivered.clone());
        let writing = tokio::spawn(async move {
            socket.write_all(&bytes).await.expect("it is read");
            socket
        });
        delivered.reach(1).await;
        let early = timeout(Duration::from_millis(20), delivered.reach(2)).await;
        assert!(early.is_err(), "nobody has read anything");
        let mut read = vec![0; 6000];
        let mut reading = 0;
        while delivered.messages() < 2 {
            reading += far.read(&mut read).await.expect("bytes");
        }
        assert!(reading > 1000, "{reading}");
        delivered.reach(2).await;
        drop(writing.await.expect("it was written"));
    }
}
