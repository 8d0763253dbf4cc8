//! Items of a stream, as a simulated worker sends and its reader takes them.

use super::World;
use super::world::WINDOW;
use crate::id::CallId;

impl World {
    /// The worker sends an item of the stream that it is running, where the window has room.
    pub(crate) fn part(&mut self, slot: usize) {
        let Some(&frame) = self.workers[slot].running.front() else { return };
        let call = self.record_mut(frame.id);
        if !call.spec.streaming || call.parts - call.taken >= u64::from(WINDOW.items) {
            return;
        }
        call.parts += 1;
        if self.workers[slot].outlawed {
            return;
        }
        let said = self.state.partly_answered(slot, frame.id, [1].into_iter());
        let wanted = said.expect("its stream, within the window").is_some();
        let call = self.record_mut(frame.id);
        assert_eq!(wanted, call.outcome.is_none());
        call.partly |= wanted;
        self.state.progressed(slot, 0, self.now, &mut self.out);
        self.fill(slot);
    }

    /// The reader of a stream takes what is there.
    pub(crate) fn take(&mut self, id: CallId) {
        let call = self.record_mut(id);
        if call.partly && call.taken < call.parts {
            call.taken = call.parts;
            let taken = call.taken;
            self.state.grant(id, taken, taken, &mut self.out);
            self.carry_out();
        }
    }
}
