//! What is large of a value of Rust goes to an arena while the value is encoded.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use super::owner::Arena;
use super::region::Region;
use crate::payload::{Buffer, Payload};
use crate::value::{CodecError, Outside};

impl Arena {
    /// A value as it travels: its message, as `encode` makes it, and here what that leaves out of it.
    ///
    /// # Errors
    /// As `encode`.
    pub(crate) fn beside(
        &self,
        encode: impl FnOnce(Box<dyn Outside>) -> Result<Bytes, CodecError>,
    ) -> Result<Payload, CodecError> {
        let buffers = Rc::<RefCell<Vec<Buffer>>>::default();
        let beside = Beside { arena: self.clone(), buffers: buffers.clone(), begun: None };
        let bytes = encode(Box::new(beside))?;
        Ok(Payload { bytes, buffers: buffers.take().into() })
    }
}

struct Beside {
    arena: Arena,
    buffers: Rc<RefCell<Vec<Buffer>>>,
    /// One that comes in pieces, and how much of it is there.
    begun: Option<(Region, usize)>,
}

impl Beside {
    /// None: it is to be in the message.
    fn room(&self, len: usize) -> Result<Option<Region>, String> {
        if len == 0 || len < self.arena.threshold() {
            return Ok(None);
        }
        // Room is not waited for: whoever runs this may be needed to make it.
        self.arena.place(len, Some(Duration::ZERO)).map_err(|full| full.to_string())
    }
}

impl Outside for Beside {
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
