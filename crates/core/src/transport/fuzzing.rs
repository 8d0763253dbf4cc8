//! What this module reads of others, as functions of bytes: see [`crate::fuzzing`].

use std::cell::RefCell;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use snakepit_proto::v1;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::buffers::read_buffer;
use super::opening::{BEFORE_HELLO, Opening};
use super::{FromWorker, Listener, News, TOKEN_BYTES, wire};
use crate::config::SharedMemory;
use crate::error::Violation;
use crate::process::arena::{Arena, Exchange};
use crate::process::fuzzing as lies;
use crate::process::{ArenaMessage, FromWorker as Aside};

/// The token that a line of the corpus says.
const TOKEN: [u8; TOKEN_BYTES] = [7; TOKEN_BYTES];

const MAX_MESSAGE: usize = 1024;

/// Bytes in front of each message on a line: whether it is compressed, and its length.
const MESSAGE_HEAD: usize = 5;

/// Nothing takes so long that works.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a worker says of its arena, on its socket and in frames: whatever that is, what is found can be
/// read from its first to its last byte, and nothing of it stays.
pub(crate) fn buffers(bytes: &[u8]) {
    /// This instead of a file: not the socket's.
    const FRAME: u8 = 255;
    let arena = Arena::new(SharedMemory { max_bytes: Some(16 << 20), ..SharedMemory::default() });
    let exchange = Exchange::new(&arena, Arc::new(Nobody), false);
    let mut kept = Vec::new();
    let mut rest = bytes;
    while let [kind, length, more @ ..] = rest {
        let (content, after) = more.split_at(more.len().min(usize::from(*length)));
        rest = after;
        if *kind != FRAME {
            if let Ok(Aside::Arena(message)) = Aside::decode(content) {
                exchange.heard(message, lies::file(*kind).into_iter().collect());
            }
        } else if let Ok(frame) = v1::Chunks::decode(Bytes::copy_from_slice(content)) {
            let told: Vec<_> = frame.buffers.into_iter().map(read_buffer).collect();
            let Ok(found) = exchange.read(&told, Duration::ZERO) else { continue };
            assert_eq!(found.len(), told.len());
            let ends = found.iter().map(|buffer| (buffer.first().copied(), buffer.last().copied()));
            std::hint::black_box(ends.collect::<Vec<_>>());
            kept.push(found);
        }
    }
    drop(exchange);
    kept.iter().flat_map(|found| found.iter()).for_each(|buffer| {
        std::hint::black_box(buffer.first());
    });
    drop(kept);
    assert_eq!(arena.stats().borrowed, 0, "all is unmapped");
}

/// Where answers go.
struct Nobody;

impl crate::process::arena::Aside for Nobody {
    fn tell(&self, _: ArenaMessage, _: Option<BorrowedFd<'_>>) -> std::io::Result<()> {
        Ok(())
    }
}

/// A frame is refused, or it is one of the core's words.
pub(crate) fn frame(bytes: &[u8]) {
    if let Ok(frame) = v1::WorkerFrame::decode(Bytes::copy_from_slice(bytes)) {
        let word = wire::read(frame, None);
        assert!(!word.name().is_empty());
    }
    if let Ok(frame) = v1::HostFrame::decode(Bytes::copy_from_slice(bytes)) {
        let _ = frame.encode_to_vec();
    }
    let _ = v1::Start::decode(Bytes::copy_from_slice(bytes));
}

/// Whether a connection may go on does not depend on how its bytes are cut, and what it may say
/// before Hello is bounded.
pub(crate) fn opening(bytes: &[u8]) {
    let whole = Opening::default().read(bytes).is_ok();
    let mut opening = Opening::default();
    let one_by_one = bytes.chunks(1).all(|byte| opening.read(byte).is_ok());
    assert_eq!(whole, one_by_one);
    let size = bytes.first().map_or(1, |byte| usize::from(*byte) + 1);
    let mut opening = Opening::default();
    assert_eq!(whole, bytes.chunks(size).all(|part| opening.read(part).is_ok()));
    assert!(!whole || bytes.len() <= 2 * BEFORE_HELLO, "it would never have to wait");
}

thread_local! {
    /// One listener for all inputs: that is what strangers meet.
    static HOST: RefCell<Option<(Runtime, Listener)>> = const { RefCell::new(None) };
}

/// A connection says the bytes and hangs up: the listener ends it, and lets in only who knows the
/// token. What a worker says behind Hello is read to its end.
pub(crate) fn line(bytes: &[u8]) {
    HOST.with_borrow_mut(|host| {
        let (runtime, listener) = host.get_or_insert_with(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            let listener = runtime.block_on(async { Listener::bind(MAX_MESSAGE, 1) });
            (runtime, listener.expect("a socket"))
        });
        let talk = async { timeout(PATIENCE, say(listener, bytes)).await };
        runtime.block_on(talk).expect("the host lets go of a connection that has ended");
    });
}

async fn say(listener: &Listener, bytes: &[u8]) {
    let mut admission = listener.expect(TOKEN);
    admission.is_process(std::process::id());
    let stream = UnixStream::connect(listener.path()).await.expect("it listens");
    let (mut from_host, mut to_host) = stream.into_split();
    let speak = async {
        // A host that has heard enough hangs up.
        let _ = to_host.write_all(bytes).await;
        let _ = to_host.shutdown().await;
    };
    let hear = async {
        let mut said = [0; 1024];
        while from_host.read(&mut said).await.is_ok_and(|length| length > 0) {}
    };
    tokio::join!(speak, hear);
    while let Some(news) = admission.try_next() {
        let News::Attached(mut worker) = news else { continue };
        assert!(bytes.windows(TOKEN_BYTES).any(|part| part == TOKEN), "let in without its token");
        let mut frames = Vec::new();
        while worker.inbox.next_batch(&mut frames).await {}
        // The last one may tell why the line ended.
        assert!(frames.len() <= bytes.len() / MESSAGE_HEAD + 1, "frames out of nothing");
        let ends_the_line = |frame: &FromWorker| {
            let FromWorker::Violation(violation) = frame else { return false };
            matches!(violation, Violation::MalformedFrame { .. } | Violation::TooLarge { .. })
        };
        let end = frames.iter().position(ends_the_line);
        assert!(end.is_none_or(|end| end + 1 == frames.len()), "read on behind what is no frame");
    }
}
