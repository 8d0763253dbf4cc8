//! Which workers one session lives in.
//!
//! ```text
//! (no home) ──first call──▶ home in slot, binding N ──its worker ends──▶ (no home)
//!     ▲                       │ │ ends, and no call has begun: the binding never was
//!     └───────────────────────┼─┘
//!                             │ a call goes elsewhere
//!                             ▼
//!                           guest in another slot, with a binding of its own
//! ```
//!
//! A binding has a number. A caller that holds a session object remembers the number of its first
//! binding; when the home is gone that number never comes back, so the object stays lost, while a
//! caller who only names the session is bound anew. A worker knows what it keeps for a session by
//! the number of the binding, so what one life of an id left there is never taken for the next's.

/// Where a session lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Home {
    pub(crate) slot: usize,
    /// Number of this binding, unique in the pool, from 1.
    pub(crate) binding: u64,
    /// Calls that were sent there, if not more than a counter holds.
    pub(crate) sent: u32,
}

/// All bindings of one session.
#[derive(Debug, Default)]
pub(crate) struct Homes {
    home: Option<Home>,
    /// Where calls that only prefer their home went while it was busy.
    guest_in: Vec<Home>,
}

impl Homes {
    pub(crate) fn home(&self) -> Option<Home> {
        self.home
    }

    /// The session's binding to that slot.
    pub(crate) fn in_slot(&self, slot: usize) -> Option<Home> {
        self.iter().find(|home| home.slot == slot)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Home> {
        self.home.iter().chain(&self.guest_in).copied()
    }

    /// Whether a caller that relies on `bound` has lost its state.
    pub(crate) fn is_lost(&self, bound: u64) -> bool {
        self.home.is_none_or(|home| home.binding != bound)
    }

    /// Binds the session to a slot where it is not bound; its home, where it has none.
    pub(crate) fn bind(&mut self, slot: usize, binding: u64) {
        debug_assert!(self.in_slot(slot).is_none(), "bound twice");
        let here = Home { slot, binding, sent: 0 };
        match self.home {
            None => self.home = Some(here),
            Some(_) => self.guest_in.push(here),
        }
    }

    /// A call of the session is sent to a slot where it is bound.
    pub(crate) fn count(&mut self, slot: usize) -> Home {
        let mut all = self.home.iter_mut().chain(&mut self.guest_in);
        let home = all.find(|home| home.slot == slot).expect("it is bound there");
        home.sent = home.sent.saturating_add(1);
        *home
    }

    /// A session without a home moves in where it has been a guest.
    pub(crate) fn settle(&mut self, slot: usize) {
        if self.home.is_none() {
            self.home = self.guest_in.iter().copied().find(|home| home.slot == slot);
            self.guest_in.retain(|home| home.slot != slot);
        }
    }

    /// Ends the bindings to `slot`.
    pub(crate) fn evict(&mut self, slot: usize) {
        self.home = self.home.filter(|home| home.slot != slot);
        self.guest_in.retain(|home| home.slot != slot);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_lost_binding_never_comes_back() {
        let mut homes = Homes::default();
        homes.bind(0, 1);
        assert!(!homes.is_lost(1));
        homes.evict(0);
        assert!(homes.is_lost(1));
        homes.bind(0, 2);
        assert!(homes.is_lost(1), "the old object stays lost");
        assert!(!homes.is_lost(2));
    }

    #[test]
    fn a_guest_has_a_binding_of_its_own_and_stays_where_it_is() {
        let mut homes = Homes::default();
        homes.bind(0, 1);
        homes.bind(1, 2);
        assert_eq!(homes.home(), Some(Home { slot: 0, binding: 1, sent: 0 }));
        homes.evict(0);
        let guest = Some(Home { slot: 1, binding: 2, sent: 0 });
        assert_eq!((homes.home(), homes.in_slot(1)), (None, guest));
        homes.settle(1);
        assert_eq!((homes.home(), homes.iter().count()), (guest, 1));
    }

    proptest! {
        /// A slot has one binding at most, and none after its worker ended.
        #[test]
        fn one_binding_a_slot(ops in prop::collection::vec((any::<bool>(), 0usize..3), 0..50)) {
            let (mut homes, mut last) = (Homes::default(), 0);
            for (bind, slot) in ops {
                match homes.in_slot(slot) {
                    None if bind => {
                        last += 1;
                        homes.bind(slot, last);
                    }
                    Some(_) if bind => homes.settle(slot),
                    Some(_) if !bind => homes.evict(slot),
                    _ => {}
                }
                prop_assert_eq!(homes.in_slot(slot).is_some(), bind);
                for slot in 0..3 {
                    prop_assert!(homes.iter().filter(|home| home.slot == slot).count() <= 1);
                }
            }
        }
    }
}
