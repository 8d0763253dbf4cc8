//! The way to the present worker of each slot: to its line, and to the words of its page.

use super::state::Words;
use crate::id::CallId;
use crate::worker::Port;

/// The present worker of each slot.
#[derive(Default)]
pub(super) struct Ports(pub(super) Vec<Option<Port>>);

impl Ports {
    pub(super) fn tell(&self, slot: usize, say: impl FnOnce(&Port)) {
        self.0[slot].as_ref().map(say);
    }
}

impl Words for Ports {
    fn revoke(&self, slot: usize, word: u8, id: CallId) -> bool {
        self.0[slot].as_ref().is_some_and(|port| port.revoke(word, id))
    }

    fn condemn(&self, slot: usize, word: u8, id: CallId) -> bool {
        self.0[slot].as_ref().is_none_or(|port| port.condemn(word, id))
    }

    fn runs(&self, slot: usize, word: u8, id: CallId) -> bool {
        self.0[slot].as_ref().is_some_and(|port| port.runs(word, id))
    }

    fn untouched(&self, slot: usize, word: u8, id: CallId) -> bool {
        self.0[slot].as_ref().is_some_and(|port| port.untouched(word, id))
    }
}
