//! Large buffers: what the host lends, and what this worker has itself.
//!
//! | tool | arguments | does |
//! |---|---|---|
//! | `sum` | … | answers length and checksum of each buffer |
//! | `keep` | | keeps its buffers when it has ended |
//! | `let-go` | | drops what was kept, and says how much that was; answers the checksums |
//! | `make` | `N SEED` | answers with a buffer of so many bytes; in a stream, as its only item |
//! | `mirror` | | answers with copies of its buffers |
//! | `lie-buffer` | `WHAT` | answers with a buffer that cannot be |
//! | `exhaust` | | opens files until the system has no more for it |

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use snakepit::line::{Told, tell, told};
use snakepit::process::arena::{Aside, Exchange, Unreadable};
use snakepit::process::{ArenaMessage, FromWorker, WorkerControl};
use snakepit::{Arena, Buffer, Buffers, SharedMemory, WhenFull};
use snakepit_proto::v1;
use snakepit_proto::v1::worker_frame::Frame;

use super::boot::Side;
use super::line::Line;

/// What was sent before a frame is here soon.
const ON_ITS_WAY: Duration = Duration::from_secs(60);

/// What there is once the host has said that it wants it.
#[derive(Clone, Default)]
pub struct Memory(Arc<OnceLock<Exchange>>);

/// What tools keep between calls.
static KEPT: Mutex<Vec<Buffer>> = Mutex::new(Vec::new());
static OPEN: Mutex<Vec<File>> = Mutex::new(Vec::new());

struct ToHost(Arc<WorkerControl>);

impl Aside for ToHost {
    fn tell(&self, message: ArenaMessage, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        self.0.send_with(&FromWorker::Arena(message), fd.as_slice())
    }
}

impl Memory {
    /// The host's Initialize tells whether there is to be any.
    pub fn open(&self, control: &Arc<WorkerControl>, told: Option<&v1::SharedMemory>) {
        let Some(told) = told else { return };
        let settings = SharedMemory {
            max_bytes: Some(told.max_bytes),
            threshold: told.threshold as usize,
            wait: Duration::from_micros(told.wait_us),
            when_full: if told.error_when_full { WhenFull::Error } else { WhenFull::Inline },
        };
        let aside = Arc::new(ToHost(control.clone()));
        let _ = self.0.set(Exchange::new(&Arena::new(settings), aside, true));
    }

    /// What the host said beside the line.
    pub fn heard(&self, message: ArenaMessage, fds: Vec<OwnedFd>) {
        if let Some(exchange) = self.0.get() {
            exchange.heard(message, fds);
        }
    }

    /// The buffers of a call; or what the host must send of them.
    pub fn read(&self, table: Vec<v1::Buffer>) -> Result<Buffers, Vec<Told>> {
        let table: Vec<_> = table.into_iter().map(told).collect();
        let inline = |told: &Told| match told {
            Told::Inline(bytes) => Ok(Buffer::from(bytes.clone())),
            Told::Shared { segment, .. } => Err(Unreadable::Unknown { segment: *segment }),
        };
        let read = match self.0.get() {
            Some(exchange) => exchange.read(&table, ON_ITS_WAY),
            None => table.iter().map(inline).collect::<Result<Vec<_>, _>>().map(Buffers::from),
        };
        read.map_err(|_| table)
    }

    /// Buffers as a frame tells them.
    pub fn lend(&self, buffers: &Buffers) -> Vec<v1::Buffer> {
        let told = match self.0.get() {
            Some(exchange) => exchange.lend(buffers),
            None => buffers.iter().map(|it| Told::Inline(it.bytes().clone())).collect(),
        };
        told.into_iter().map(tell).collect()
    }

    fn store(&self, bytes: &[u8]) -> Buffer {
        let room = self.0.get().and_then(|it| it.arena().place(bytes.len(), None).ok().flatten());
        match room {
            Some(mut region) => {
                region.write(0, bytes);
                region.seal()
            }
            None => bytes.to_vec().into(),
        }
    }

    /// What the arena of this worker says of itself.
    pub fn stats(&self) -> String {
        self.0.get().map_or_else(|| "none".into(), |it| format!("{:?}", it.arena().stats()))
    }
}

/// Bytes that follow from a number.
pub fn pattern(bytes: usize, seed: u64) -> Vec<u8> {
    (0..bytes).map(|at| (at as u64).wrapping_mul(seed | 1).wrapping_shr(3) as u8).collect()
}

/// `length:checksum` of each, between spaces.
pub fn sums(buffers: &[Buffer]) -> String {
    let sum = |buffer: &Buffer| {
        let sum = buffer.iter().fold(7u32, |sum, byte| sum.rotate_left(5) ^ u32::from(*byte));
        format!("{}:{sum}", buffer.len())
    };
    buffers.iter().map(sum).collect::<Vec<_>>().join(" ")
}

/// What one of the tools answers: a text, and buffers.
pub fn run(tool: &str, words: &[&str], buffers: &Buffers, memory: &Memory) -> (String, Buffers) {
    let kept = || KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    match tool {
        "keep" => {
            kept().extend(buffers.iter().cloned());
            ("kept".into(), Buffers::default())
        }
        "let-go" => {
            let kept = std::mem::take(&mut *kept());
            (sums(&kept), Buffers::default())
        }
        "make" => {
            let number = |at: usize| words[at].parse::<u64>().expect("a number");
            let buffer = memory.store(&pattern(number(0) as usize, number(1)));
            ("made".into(), vec![buffer].into())
        }
        "mirror" => {
            let copies: Vec<_> = buffers.iter().map(|buffer| memory.store(buffer)).collect();
            ("mirrored".into(), copies.into())
        }
        "exhaust" => {
            let open = std::iter::from_fn(|| File::open("/dev/null").ok());
            let mut files = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
            files.extend(open.take(100_000));
            (files.len().to_string(), Buffers::default())
        }
        "memory" => (memory.stats(), Buffers::default()),
        _ => (sums(buffers), Buffers::default()),
    }
}

/// Answers with what no honest worker names, and flushes that.
pub async fn lie(what: &str, call: u64, side: &Side, line: &Line) {
    let size = 2 << 20;
    let honest = v1::Buffer { segment: 1, offset: 0, length: 1000, ..v1::Buffer::default() };
    let offer = |file: &OwnedFd, length| {
        let message = |message| FromWorker::Arena(message);
        let board = raw_file(16 << 10, true);
        side.control.send_with(&message(ArenaMessage::Board), &[board.as_fd()]).expect("sent");
        let segment = ArenaMessage::Segment { segment: 1, length };
        side.control.send_with(&message(segment), &[file.as_fd()]).expect("sent");
    };
    let file = raw_file(size, what != "unsealed");
    let named = match what {
        "unknown" => honest,
        "unsealed" => {
            offer(&file, size);
            nix::unistd::ftruncate(&file, 0).expect("a file that can shrink");
            honest
        }
        "short" => {
            offer(&file, 2 * size);
            honest
        }
        "outside" => {
            offer(&file, size);
            v1::Buffer { offset: size - 999, ..honest }
        }
        "huge" => {
            offer(&file, size);
            v1::Buffer { offset: u64::MAX - 10, ..honest }
        }
        "word" => {
            offer(&file, size);
            v1::Buffer { word: 1 << 20, ..honest }
        }
        "uncalled" => {
            line.say(Frame::Unread(v1::Unread { call_id: u64::MAX / 2 }));
            return line.flush().await;
        }
        "asked" => {
            let (id, name, buffers) = (1, "any".into(), vec![honest]);
            let ask = v1::CallHostTool { id, call_id: call, name, buffers, ..Default::default() };
            line.say(Frame::CallHostTool(ask));
            return line.flush().await;
        }
        other => panic!("no such lie: {other}"),
    };
    line.answer_with(call, super::tool::value("lie"), vec![named]);
    line.flush().await;
}

fn raw_file(size: u64, sealed: bool) -> OwnedFd {
    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    use nix::sys::memfd::{MFdFlags, memfd_create};
    let file = memfd_create(c"lie", MFdFlags::MFD_ALLOW_SEALING).expect("a file");
    nix::unistd::ftruncate(&file, size as i64).expect("a length");
    if sealed {
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).expect("sealed");
    }
    file
}
