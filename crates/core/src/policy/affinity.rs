//! Which worker is home to which session.
//!
//! ```text
//! (no home) ──first call──▶ bound to slot, binding N ──its worker ends──▶ (no home)
//! ```
//!
//! A binding has a number. A caller that holds a session object remembers the number of its first
//! binding; when the home is gone that number never comes back, so the object stays lost, while a
//! caller who only names the session is bound anew.

use std::collections::HashMap;
use std::sync::Arc;

/// Where a session lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Home {
    pub(crate) slot: usize,
    /// Number of this binding, unique in the pool, from 1.
    pub(crate) binding: u64,
}

/// All bindings of a pool.
#[derive(Debug, Default)]
pub(crate) struct Homes {
    homes: HashMap<Arc<str>, Home>,
    per_slot: Vec<u32>,
    last: u64,
}

impl Homes {
    pub(crate) fn new(slots: usize) -> Self {
        Self { homes: HashMap::new(), per_slot: vec![0; slots], last: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.homes.len()
    }

    /// Sessions that live in `slot`.
    pub(crate) fn count(&self, slot: usize) -> u32 {
        self.per_slot[slot]
    }

    pub(crate) fn get(&self, session: &str) -> Option<Home> {
        self.homes.get(session).copied()
    }

    /// Whether a caller that relies on `bound` has lost its state.
    pub(crate) fn is_lost(&self, session: &str, bound: Option<u64>) -> bool {
        bound.is_some_and(|bound| self.get(session).is_none_or(|home| home.binding != bound))
    }

    /// Binds a session that has no home to `slot`.
    pub(crate) fn bind(&mut self, session: &Arc<str>, slot: usize) -> Home {
        self.last += 1;
        let home = Home { slot, binding: self.last };
        let before = self.homes.insert(session.clone(), home);
        debug_assert!(before.is_none(), "bound twice");
        self.per_slot[slot] += 1;
        home
    }

    /// Ends every binding to `slot`.
    pub(crate) fn evict(&mut self, slot: usize) {
        if self.per_slot[slot] > 0 {
            self.homes.retain(|_, home| home.slot != slot);
            self.per_slot[slot] = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_lost_binding_never_comes_back() {
        let mut homes = Homes::new(2);
        let session: Arc<str> = "s".into();
        let first = homes.bind(&session, 0);
        assert!(!homes.is_lost("s", Some(first.binding)));
        homes.evict(0);
        assert!(homes.is_lost("s", Some(first.binding)));
        let second = homes.bind(&session, 0);
        assert!(homes.is_lost("s", Some(first.binding)), "the old object stays lost");
        assert!(!homes.is_lost("s", Some(second.binding)) && !homes.is_lost("s", None));
    }

    proptest! {
        /// The counts per slot are those of the table, whatever happens.
        #[test]
        fn counts_are_true(ops in prop::collection::vec((0u8..2, 0usize..3, 0u8..10), 0..100)) {
            let mut homes = Homes::new(3);
            for (op, slot, name) in ops {
                let name: Arc<str> = name.to_string().into();
                match (op, homes.get(&name)) {
                    (0, None) => { homes.bind(&name, slot); }
                    (1, _) => homes.evict(slot),
                    _ => {}
                }
                for slot in 0..3 {
                    let real = homes.homes.values().filter(|home| home.slot == slot).count();
                    prop_assert_eq!(homes.count(slot) as usize, real);
                }
            }
        }
    }
}
