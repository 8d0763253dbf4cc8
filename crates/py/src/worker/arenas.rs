//! Large buffers of calls and results: in memory that the host has, too.
//!
//! The watcher hears of segments, the main thread reads and writes in them. A call whose buffers cannot
//! be mapped here is parked until the host has sent their bytes over the line.

use std::collections::HashMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pyo3::prelude::*;
use snakepit::line::{Told, told};
use snakepit::process::arena::{Aside, Exchange};
use snakepit::process::{ArenaMessage, FromWorker};
use snakepit::{Arena, Buffer, Buffers, SharedMemory, WhenFull};
use snakepit_proto::v1::{self, BufferBytes, StartCall};

use super::boot::Side;
use crate::memory::{self, Room};

/// What was sent before a frame is on its way at least: longer takes only a watcher that is not let run.
const ON_ITS_WAY: Duration = Duration::from_secs(10);

/// There is one host of a process.
static EXCHANGE: OnceLock<Arc<Exchange>> = OnceLock::new();

/// The arena of this worker's results, where its pool has shared memory.
pub(crate) fn arena() -> Option<&'static Arena> {
    EXCHANGE.get().map(|exchange| exchange.arena())
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

/// Finds what a call names beside its frame.
pub(super) fn find(exchange: Option<&Exchange>, table: Vec<v1::Buffer>) -> Found {
    use snakepit::process::arena::Unreadable;
    let table: Vec<_> = table.into_iter().map(told).collect();
    let read = match exchange {
        Some(exchange) => exchange.read(&table, ON_ITS_WAY),
        None => inline(&table),
    };
    match read {
        Ok(buffers) => Found::All(buffers),
        Err(Unreadable::Refused { .. } | Unreadable::Unknown { .. }) => Found::Missing(table),
        Err(wrong) => Found::Wrong(wrong.to_string()),
    }
}

fn inline(table: &[Told]) -> Result<Buffers, snakepit::process::arena::Unreadable> {
    let buffer = |told: &Told| match told {
        Told::Inline(bytes) => Ok(Buffer::from(bytes.clone())),
        Told::Shared { segment, .. } => {
            Err(snakepit::process::arena::Unreadable::Unknown { segment: *segment })
        }
    };
    Ok(table.iter().map(buffer).collect::<Result<Vec<_>, _>>()?.into())
}

/// Calls that wait for the bytes of their buffers.
#[derive(Default)]
pub(super) struct Parked(HashMap<u64, Waiting>);

struct Waiting {
    start: StartCall,
    table: Vec<Told>,
    parts: Vec<Vec<u8>>,
}

impl Parked {
    /// The host has been told that this cannot be read.
    pub(super) fn add(&mut self, start: StartCall, table: Vec<Told>) {
        let parts = vec![Vec::new(); table.len()];
        self.0.insert(start.call_id, Waiting { start, table, parts });
    }

    /// More of a buffer. Some: the call can go on; without its buffers where nobody waits for it.
    pub(super) fn more(&mut self, part: &BufferBytes) -> Option<(StartCall, Option<Buffers>)> {
        let waiting = self.0.get_mut(&part.call_id)?;
        let index = part.index as usize;
        if let (Some(Told::Shared { length, .. }), Some(bytes)) =
            (waiting.table.get(index), waiting.parts.get_mut(index))
            && bytes.len() as u64 + part.bytes.len() as u64 <= *length
        {
            if bytes.is_empty() {
                bytes.reserve_exact(usize::try_from(*length).unwrap_or_default());
            }
            bytes.extend_from_slice(&part.bytes);
        }
        let whole = |(told, bytes): (&Told, &Vec<u8>)| match told {
            Told::Shared { length, .. } => bytes.len() as u64 == *length,
            Told::Inline(_) => true,
        };
        if !part.gone && !waiting.table.iter().zip(&waiting.parts).all(whole) {
            return None;
        }
        let Waiting { start, table, parts } = self.0.remove(&part.call_id)?;
        let buffer = |(told, bytes)| match told {
            Told::Shared { .. } => Buffer::from(bytes),
            Told::Inline(bytes) => Buffer::from(bytes),
        };
        let buffers: Vec<_> = table.into_iter().zip(parts).map(buffer).collect();
        Some((start, (!part.gone).then(|| buffers.into())))
    }
}
