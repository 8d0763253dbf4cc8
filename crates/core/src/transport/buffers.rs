//! Buffers beside values: what frames tell of them.

use bytes::Bytes;
use snakepit_proto::v1;

use crate::config::WhenFull;
use crate::payload::{Buffer, Buffers, Payload, Told};
use crate::process::arena::Arena;

/// Buffers of one frame.
const MAX_BUFFERS: usize = 4096;

/// Finds the buffers that frames name beside themselves.
pub(crate) trait ReadBuffers: Send + Sync {
    /// All of them, or what is wrong with them.
    fn read(&self, told: &[Told]) -> Result<Buffers, String>;
}

/// Bytes of buffers that are in the frame itself.
pub(crate) fn inline_bytes(told: &[Told]) -> u64 {
    told.iter().fold(0, |sum, told| match told {
        Told::Inline(bytes) => sum + bytes.len() as u64,
        Told::Shared { .. } => sum,
    })
}

/// The items of a stream.
pub(super) fn items(
    chunks: v1::Chunks,
    buffers: Option<&dyn ReadBuffers>,
) -> Result<Vec<Payload>, String> {
    if chunks.buffers.is_empty() {
        return Ok(chunks.items.into_iter().map(Payload::from).collect());
    }
    let Ok([bytes]) = <[Bytes; 1]>::try_from(chunks.items) else {
        return Err("buffers of more or less than one item".into());
    };
    Ok(vec![Payload { bytes, buffers: named(chunks.buffers, buffers)? }])
}

/// The buffers that a frame names; what is wrong with them.
pub(super) fn named(
    table: Vec<v1::Buffer>,
    buffers: Option<&dyn ReadBuffers>,
) -> Result<Buffers, String> {
    if table.is_empty() {
        return Ok(Buffers::default());
    }
    if table.len() > MAX_BUFFERS {
        return Err(format!("{} buffers; {MAX_BUFFERS} may be in a frame", table.len()));
    }
    let told: Vec<_> = table.into_iter().map(read_buffer).collect();
    match buffers {
        Some(buffers) => buffers.read(&told),
        None => inline(told),
    }
}

/// The buffers of an end that has no segments.
fn inline(told: Vec<Told>) -> Result<Buffers, String> {
    let bytes = |told| match told {
        Told::Inline(bytes) => Ok(Buffer::from(bytes)),
        Told::Shared { segment, .. } => Err(format!("segment {segment}, and it has none")),
    };
    Ok(told.into_iter().map(bytes).collect::<Result<Vec<_>, _>>()?.into())
}

/// What a frame tells of a buffer.
pub fn read_buffer(buffer: v1::Buffer) -> Told {
    let v1::Buffer { segment, offset, length, word, inline } = buffer;
    match segment {
        0 => Told::Inline(inline),
        segment => Told::Shared { segment, offset, length, word },
    }
}

/// The same, to be sent.
pub fn write_buffer(told: Told) -> v1::Buffer {
    match told {
        Told::Inline(inline) => v1::Buffer { inline, ..v1::Buffer::default() },
        Told::Shared { segment, offset, length, word } => {
            v1::Buffer { segment, offset, length, word, inline: Bytes::new() }
        }
    }
}

/// What a worker is told of its pool's shared memory.
pub(super) fn told_of_arenas(arena: &Arena) -> v1::SharedMemory {
    let settings = arena.settings();
    v1::SharedMemory {
        max_bytes: arena.max_bytes(),
        threshold: settings.threshold as u64,
        wait_us: u64::try_from(settings.wait.as_micros()).unwrap_or(u64::MAX),
        error_when_full: settings.when_full == WhenFull::Error,
    }
}
