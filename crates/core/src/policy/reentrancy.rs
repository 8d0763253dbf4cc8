//! May a call that was made from inside others wait for a worker, or would it wait for itself?
//!
//! A host tool runs because a call asked for it, and that call holds its worker until the tool has
//! answered. When the tool makes a call of its own, that one may need the very worker:
//!
//! ```text
//! call A (holds slot 0) ──host tool──▶ call B, waits for slot 0 ──▶ for A ──▶ for B …
//! ```
//!
//! The same circle may close over several chains: A waits for B, which waits for the slot of X, which
//! waits for Y, which waits for the slot of A. So all that waits from inside other calls is looked
//! at: whoever may get a place that no chain of the stuck ones holds will run, end, and let go of
//! what its ancestors hold. What is left after that is stuck.
//!
//! Pure. A slot that only plain calls hold is no obstacle: they end by themselves, or by their
//! deadlines.

use std::collections::BTreeSet;

use crate::id::CallId;

/// A call that waits for a worker and was made from inside others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiter {
    /// The only slot that it may run in; None: any.
    pub(crate) needs: Option<usize>,
    /// The ancestors that are in workers, with their slots.
    pub(crate) holds: Vec<(usize, CallId)>,
}

/// Whether `new` would never get a place. `capacity`: how many calls each slot can run at once; zero
/// where nothing can be expected of it.
pub(crate) fn is_stuck(new: &Waiter, waiting: &[Waiter], capacity: &[u32]) -> bool {
    let mut stuck: Vec<&Waiter> = waiting.iter().chain([new]).collect();
    loop {
        let held: BTreeSet<(usize, CallId)> =
            stuck.iter().flat_map(|waiter| waiter.holds.iter().copied()).collect();
        let is_full = |slot: usize| {
            let holders = held.iter().filter(|(at, _)| *at == slot).count();
            capacity.get(slot).is_none_or(|&places| holders >= places as usize)
        };
        let before = stuck.len();
        let is_new_free = !may_never_run(new, capacity.len(), is_full);
        stuck.retain(|waiter| may_never_run(waiter, capacity.len(), is_full));
        if is_new_free {
            return false;
        }
        if stuck.len() == before {
            return true;
        }
    }
}

fn may_never_run(waiter: &Waiter, slots: usize, is_full: impl Fn(usize) -> bool) -> bool {
    match waiter.needs {
        Some(slot) => is_full(slot),
        None => (0..slots).all(is_full),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(number: u64) -> CallId {
        CallId::new(number, 0)
    }

    fn waiter(needs: Option<usize>, holds: &[(usize, u64)]) -> Waiter {
        Waiter { needs, holds: holds.iter().map(|&(slot, call)| (slot, id(call))).collect() }
    }

    #[test]
    fn a_pool_of_one_worker_has_no_place_for_a_call_from_inside() {
        assert!(is_stuck(&waiter(None, &[(0, 1)]), &[], &[1]));
        assert!(!is_stuck(&waiter(None, &[(0, 1)]), &[], &[2]), "the worker has another place");
    }

    #[test]
    fn a_slot_of_plain_calls_is_waited_for() {
        assert!(!is_stuck(&waiter(None, &[(0, 1)]), &[], &[1, 1]));
        assert!(is_stuck(&waiter(None, &[(0, 1)]), &[], &[1, 0]), "nothing comes of the other");
    }

    #[test]
    fn the_home_of_the_ancestors_is_not_waited_for() {
        assert!(is_stuck(&waiter(Some(0), &[(0, 1)]), &[], &[1, 1]));
        assert!(!is_stuck(&waiter(Some(1), &[(0, 1)]), &[], &[1, 1]));
    }

    #[test]
    fn two_chains_that_wait_for_one_another_are_a_circle() {
        let first = waiter(None, &[(0, 1)]);
        let second = waiter(None, &[(1, 2)]);
        assert!(!is_stuck(&first, &[], &[1, 1]));
        assert!(is_stuck(&second, std::slice::from_ref(&first), &[1, 1]));
        assert!(!is_stuck(&second, &[first], &[1, 1, 1]));
    }

    #[test]
    fn who_gets_a_place_frees_what_its_ancestors_hold() {
        // The first one runs in slot 1, and its ancestor then leaves slot 0 to the second.
        let first = waiter(Some(1), &[(0, 1)]);
        let second = waiter(Some(0), &[(2, 2)]);
        assert!(!is_stuck(&second, std::slice::from_ref(&first), &[1, 1, 1]));
        assert!(is_stuck(&second, &[first], &[1, 0, 1]), "it never gets one");
    }

    fn any_waiter() -> impl Strategy<Value = Waiter> {
        let holds = prop::collection::vec((0usize..4, 1u64..8), 1..4);
        (prop::option::of(0usize..4), holds).prop_map(|(needs, holds)| waiter(needs, &holds))
    }

    /// Lets calls run one by one, in the order in which they are given, until none can.
    fn left_over(mut waiting: Vec<Waiter>, capacity: &[u32]) -> Vec<Waiter> {
        loop {
            let can_run = waiting.iter().position(|waiter| {
                let open = |slot: usize| {
                    let mut holders: Vec<_> = waiting
                        .iter()
                        .flat_map(|other| other.holds.iter().filter(|(at, _)| *at == slot))
                        .collect();
                    holders.sort_unstable();
                    holders.dedup();
                    (holders.len() as u32) < capacity[slot]
                };
                waiter.needs.map_or_else(|| (0..capacity.len()).any(open), open)
            });
            match can_run {
                Some(at) => drop(waiting.remove(at)),
                None => return waiting,
            }
        }
    }

    proptest! {
        /// Stuck is exactly who is left when all others ran, whatever their order.
        #[test]
        fn stuck_is_who_can_never_run(
            new in any_waiter(),
            waiting in prop::collection::vec(any_waiter(), 0..6),
            capacity in prop::collection::vec(0u32..3, 4),
        ) {
            let all: Vec<_> = waiting.iter().cloned().chain([new.clone()]).collect();
            let left = left_over(all, &capacity);
            prop_assert_eq!(is_stuck(&new, &waiting, &capacity), left.contains(&new));
        }

        /// A slot that no chain holds is always enough for a call that may run anywhere.
        #[test]
        fn a_slot_without_chains_is_enough(
            mut new in any_waiter(),
            waiting in prop::collection::vec(any_waiter(), 0..6),
        ) {
            new.needs = None;
            prop_assert!(!is_stuck(&new, &waiting, &[1, 1, 1, 1, 1]));
        }
    }
}
