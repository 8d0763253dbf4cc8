//! Arguments of calls with Rust types, on their way out: what is large goes to the pool's memory.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;

use super::Pool;
use crate::payload::{Buffer, Payload};
use crate::process::arena::{Arena, Region};
use crate::value::{self, CodecError, Outside};

/// Arguments as they travel: what is large of them lies in the pool's memory, where it has any.
pub(super) fn encoded(pool: &Pool, arguments: &impl Serialize) -> Result<Payload, CodecError> {
    let Some(arena) = pool.arena() else {
        return value::encode_arguments(arguments).map(Payload::from);
    };
    let buffers = Rc::<RefCell<Vec<Buffer>>>::default();
    let outside = InArena { arena: arena.clone(), buffers: buffers.clone(), begun: None };
    let bytes = value::encode_arguments_beside(arguments, Box::new(outside))?;
    Ok(Payload { bytes, buffers: buffers.take().into() })
}

struct InArena {
    arena: Arena,
    buffers: Rc<RefCell<Vec<Buffer>>>,
    /// One that comes in pieces, and how much of it is there.
    begun: Option<(Region, usize)>,
}

impl InArena {
    /// None: it is to be in the message.
    fn room(&self, len: usize) -> Result<Option<Region>, String> {
        if len == 0 || len < self.arena.threshold() {
            return Ok(None);
        }
        // Room is not waited for: whoever runs this may be needed to make it.
        self.arena.place(len, Some(Duration::ZERO)).map_err(|full| full.to_string())
    }
}

impl Outside for InArena {
    fn leave(&mut self, bulk: &[u8]) -> Result<bool, String> {
        if bulk.len() < self.arena.threshold() {
            return Ok(false);
        }
        // Perhaps it came from there, or was born there.
        if let Some(found) = self.arena.find(bulk.as_ptr(), bulk.len()) {
            self.buffers.borrow_mut().push(found);
            return Ok(true);
        }
        let begun = self.begin(bulk.len())?;
        if begun {
            self.write(bulk);
        }
        Ok(begun)
    }

    fn begin(&mut self, len: usize) -> Result<bool, String> {
        self.begun = self.room(len)?.map(|region| (region, 0));
        Ok(self.begun.is_some())
    }

    fn write(&mut self, piece: &[u8]) {
        let Some((mut region, filled)) = self.begun.take() else { return };
        region.write(filled, piece);
        match filled + piece.len() {
            all if all == region.len() => self.buffers.borrow_mut().push(region.seal()),
            filled => self.begun = Some((region, filled)),
        }
    }
}
