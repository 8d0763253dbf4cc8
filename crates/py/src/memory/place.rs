//! What is large of a value goes to where both ends see it.

use std::slice;
use std::time::Duration;

use bytes::Bytes;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyByteArray;
use snakepit::{Arena, Buffer, NoRoom, Payload, Region};

use super::room::Room;
use crate::codec::{self, Bulk, Encoded};

/// A copy that takes no longer than to detach and attach again where another thread wants to run.
const SHORT_COPY: usize = 1 << 20;

/// Where it goes.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// None: all stays in the message, or goes in its frame.
    pub(crate) arena: Option<&'a Arena>,
    /// The longest that it may wait for room; the arena's own limit counts too.
    pub(crate) limit: Option<Duration>,
    /// What a detached thread does before it attaches again.
    pub(crate) come_back: fn(),
    /// Raise where there is no room, whatever the pool says of calls: this value is to be kept there.
    pub(crate) insist: bool,
}

impl Place<'_> {
    /// Bytes from which on a body is left outside of its message.
    pub(crate) fn threshold(&self) -> Option<usize> {
        self.arena.map(Arena::threshold)
    }

    fn room(&self, len: usize) -> Result<Option<Region>, NoRoom> {
        let Some(arena) = self.arena else { return Ok(None) };
        match self.insist {
            true => arena.allocate(len, arena.settings().wait).map(Some),
            false => arena.place(len, self.limit),
        }
    }
}

/// A message with its bulk as it travels. `root`: how error paths start.
///
/// # Errors
///
/// `EncodeError` where there is no room and the pool wants that; what a value raises that writes
/// itself.
pub(crate) fn payload(
    py: Python<'_>,
    encoded: Encoded<'_>,
    place: Place<'_>,
    root: &str,
) -> PyResult<Payload> {
    let Encoded { message, outside } = encoded;
    if outside.is_empty() {
        return Ok(message.into());
    }
    let put = |bulk: &Bulk<'_>| match bulk {
        Bulk::Memory(memory) => put_memory(py, memory.address(), memory.len(), place, root),
        Bulk::Writes(writes, len) => put_written(writes, *len, place, root),
        Bulk::Kept(buffer) => put_kept(py, buffer, place, root),
    };
    let buffers = outside.iter().map(put).collect::<PyResult<Vec<_>>>()?;
    Ok(Payload { bytes: message.into(), buffers: buffers.into() })
}

/// `start`: of memory that is kept while this runs.
fn put_memory(
    py: Python<'_>,
    start: usize,
    len: usize,
    place: Place<'_>,
    root: &str,
) -> PyResult<Buffer> {
    if let Some(found) = place.arena.and_then(|arena| arena.find(start as *const u8, len)) {
        return Ok(found);
    }
    // SAFETY: invariant 3 of this module.
    let bytes = unsafe { slice::from_raw_parts(start as *const u8, len) };
    if len < SHORT_COPY
        && let Some(arena) = place.arena
        && let Ok(mut region) = arena.allocate(len, Duration::ZERO)
    {
        region.write(0, bytes);
        return Ok(region.seal());
    }
    let put = py.detach(|| {
        let put = place.room(len).map(|region| match region {
            Some(mut region) => {
                region.write(0, bytes);
                region.seal()
            }
            None => Bytes::copy_from_slice(bytes).into(),
        });
        (place.come_back)();
        put
    });
    put.map_err(|error| no_room(py, &error, root))
}

fn put_written(
    writes: &Bound<'_, PyAny>,
    len: usize,
    place: Place<'_>,
    root: &str,
) -> PyResult<Buffer> {
    let py = writes.py();
    let region = py.detach(|| {
        let region = place.room(len);
        (place.come_back)();
        region
    });
    let write_into = intern!(py, "write_into");
    match region.map_err(|error| no_room(py, &error, root))? {
        Some(region) => {
            let room = Bound::new(py, Room::new(region))?;
            writes.call_method1(write_into, (&room,))?;
            Ok(room.get().buffer().clone())
        }
        None => {
            let room = PyByteArray::new_with(py, len, |_| Ok(()))?;
            writes.call_method1(write_into, (&room,))?;
            Ok(Bytes::from(room.to_vec()).into())
        }
    }
}

/// A part of a value that was put, perhaps into another pool's memory.
fn put_kept(py: Python<'_>, kept: &Buffer, place: Place<'_>, root: &str) -> PyResult<Buffer> {
    put_memory(py, kept.as_ptr() as usize, kept.len(), place, root)
}

fn no_room(py: Python<'_>, error: &NoRoom, root: &str) -> PyErr {
    codec::refuse(py, root, error.to_string())
}
