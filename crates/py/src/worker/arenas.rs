//! Large buffers of calls and results: in memory that the host has, too.
//!
//! The watcher hears of segments, the main thread reads and writes in them. A call whose buffers cannot
//! be mapped here is parked until the host has sent their bytes over the line.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pyo3::prelude::*;
use snakepit::line::{Told, tell, told};
use snakepit::process::arena::{Aside, Exchange, Unreadable};
use snakepit::process::{ArenaMessage, FromWorker};
use snakepit::{Arena, Buffer, Buffers, SharedMemory, WhenFull};
use snakepit_proto::v1;

use super::boot::Side;
use crate::memory::{self, Room};

/// What was sent before a frame is on its way at least: longer takes only a watcher that is not let run.
const ON_ITS_WAY: Duration = Duration::from_secs(10);

/// There is one host of a process.
static EXCHANGE: OnceLock<Arc<Exchange>> = OnceLock::new();

/// The arena of this worker's results, where its pool has shared memory.
pub(crate) fn arena() -> Option<&'static Arena> {
    exchange().map(Exchange::arena)
}

/// Room for a result; None: what is made here travels in frames.
#[pyfunction]
#[pyo3(name = "worker_room")]
pub(super) fn room(py: Python<'_>, nbytes: usize) -> PyResult<Option<Room>> {
    arena().map(|arena| memory::room(py, arena, nbytes, || {})).transpose()
}

struct ToHost(&'static Side);

impl Aside for ToHost {
    fn tell(&self, message: ArenaMessage, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        self.0.control.send_with(&FromWorker::Arena(message), fd.as_slice())
    }
}

/// What passes between this process and the host, where the pool has shared memory.
fn exchange() -> Option<&'static Exchange> {
    EXCHANGE.get().map(|exchange| &**exchange)
}

/// As the host wants it; None: it wants none.
pub(super) fn open(side: &'static Side, told: Option<&v1::SharedMemory>) -> Option<Arc<Exchange>> {
    let told = told?;
    let settings = SharedMemory {
        max_bytes: Some(told.max_bytes),
        threshold: usize::try_from(told.threshold).unwrap_or(usize::MAX),
        wait: Duration::from_micros(told.wait_us),
        when_full: if told.error_when_full { WhenFull::Error } else { WhenFull::Inline },
    };
    // A result is sent once: the host must have the segment before it is named.
    let new = || Arc::new(Exchange::new(&Arena::new(settings), Arc::new(ToHost(side)), true));
    Some(Arc::clone(EXCHANGE.get_or_init(new)))
}

/// The buffers of a call.
pub(super) enum Found {
    All(Buffers),
    /// Not these: the host is asked for their bytes.
    Missing(Vec<Told>),
    /// What no host of this protocol says.
    Wrong(String),
}

/// Finds what a call names beside its frame. Waits for what is on its way, not attached: the watcher
/// maps it without an interpreter's leave.
pub(super) fn find(py: Python<'_>, table: Vec<v1::Buffer>) -> Found {
    match table.is_empty() {
        true => Found::All(Buffers::default()),
        false => py.detach(|| found(table)),
    }
}

fn found(table: Vec<v1::Buffer>) -> Found {
    let table: Vec<_> = table.into_iter().map(told).collect();
    match read(&table, ON_ITS_WAY) {
        Ok(buffers) => Found::All(buffers),
        Err(Unreadable::Refused { .. } | Unreadable::Unknown { .. }) => Found::Missing(table),
        Err(wrong) => Found::Wrong(wrong.to_string()),
    }
}

/// What an answer of the host names: in segments that this end has said it took, so nothing is waited
/// for. What nobody takes of it is counted back when it is dropped.
///
/// # Errors
/// What no host of this protocol names.
pub(super) fn taken(table: Vec<v1::Buffer>) -> Result<Buffers, String> {
    if table.is_empty() {
        return Ok(Buffers::default());
    }
    read(&table.into_iter().map(told).collect::<Vec<_>>(), Duration::ZERO)
        .map_err(|unreadable| unreadable.to_string())
}

/// Has the host map what it has not mapped yet of these; [`lend`] waits for nothing then.
pub(super) fn offer(py: Python<'_>, buffers: &Buffers) {
    if let Some(exchange) = exchange().filter(|_| !buffers.is_empty()) {
        py.detach(|| exchange.offer(buffers));
    }
}

/// Buffers as a frame tells them; each is counted back by the host.
pub(super) fn lend(buffers: &Buffers) -> Vec<v1::Buffer> {
    let told = match exchange() {
        _ if buffers.is_empty() => return Vec::new(),
        Some(exchange) => exchange.lend(buffers),
        None => buffers.iter().map(|buffer| Told::Inline(buffer.bytes().clone())).collect(),
    };
    told.into_iter().map(tell).collect()
}

/// They were named by [`lend`], in a frame that is not sent.
pub(super) fn take_back(buffers: &Buffers, table: &[v1::Buffer]) {
    if let Some(exchange) = exchange().filter(|_| table.iter().any(|named| named.segment != 0)) {
        exchange.take_back(buffers);
    }
}

/// Bytes of buffers that go in the frame.
pub(super) fn inline_bytes(table: &[v1::Buffer]) -> usize {
    table.iter().fold(0, |sum, buffer| sum.saturating_add(buffer.inline.len()))
}

fn read(table: &[Told], limit: Duration) -> Result<Buffers, Unreadable> {
    match exchange() {
        Some(exchange) => exchange.read(table, limit),
        None => table.iter().map(inline).collect::<Result<Vec<_>, _>>().map(Buffers::from),
    }
}

fn inline(told: &Told) -> Result<Buffer, Unreadable> {
    match told {
        Told::Inline(bytes) => Ok(Buffer::from(bytes.clone())),
        Told::Shared { segment, .. } => Err(Unreadable::Unknown { segment: *segment }),
    }
}
