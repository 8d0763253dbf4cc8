//! Which workers may start now: a few at a time, so that a large pool does not take the machine
//! down with it, neither when it opens nor when all its workers died at once.
//!
//! ```text
//! want ──▶ waiting ──a place is free──▶ starting ──through──▶ the place rests for `delay` ──▶ free
//! ```
//!
//! Whoever wants a place could start at once: nobody holds one for the pause before a start, or for
//! the end of the worker before.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Starts that wait, and those under way.
#[derive(Debug)]
pub(crate) struct Startup {
    /// None: as many as want to.
    places: Option<usize>,
    delay: Duration,
    /// In the order in which they asked.
    waiting: VecDeque<usize>,
    starting: Vec<usize>,
    /// Until when places rest.
    resting: Vec<Instant>,
}

impl Startup {
    pub(crate) fn new(places: Option<usize>, delay: Duration) -> Self {
        let (waiting, starting, resting) = Default::default();
        Self { places, delay, waiting, starting, resting }
    }

    /// Whether a worker may start now. Else it waits for [`Self::next`] to name it.
    pub(crate) fn may_start(&mut self, who: usize) -> bool {
        let granted = self.places.is_none() || self.starting.contains(&who);
        if !granted && !self.waiting.contains(&who) {
            self.waiting.push_back(who);
        }
        granted
    }

    /// A start that was under way is through, or off.
    pub(crate) fn through(&mut self, who: usize, now: Instant) {
        if let Some(at) = self.starting.iter().position(|&other| other == who) {
            self.starting.swap_remove(at);
            if !self.delay.is_zero() {
                self.resting.push(now + self.delay);
            }
        }
        self.waiting.retain(|&other| other != who);
    }

    /// The next one that starts now.
    pub(crate) fn next(&mut self, now: Instant) -> Option<usize> {
        self.resting.retain(|&until| until > now);
        if self.free() == 0 {
            return None;
        }
        let who = self.waiting.pop_front()?;
        self.starting.push(who);
        Some(who)
    }

    /// When [`Self::next`], which has none now, may have one if nothing else happens.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.waiting.front().and_then(|_| self.resting.iter().copied().min())
    }

    fn free(&self) -> usize {
        let used = self.starting.len() + self.resting.len();
        self.places.unwrap_or(usize::MAX).saturating_sub(used)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_batch_and_then_the_next_after_its_pause() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut startup = Startup::new(Some(2), second);
        (0..5).for_each(|who| assert!(!startup.may_start(who), "nobody before its turn"));
        let all = |startup: &mut Startup, now| -> Vec<_> {
            std::iter::from_fn(|| startup.next(now)).collect()
        };
        assert_eq!(all(&mut startup, start), [0, 1]);
        assert!(startup.may_start(0) && startup.may_start(1) && !startup.may_start(2));
        assert_eq!(startup.due(), None, "nothing happens before a start is through");
        startup.through(1, start + second);
        assert_eq!(startup.next(start + second), None);
        assert_eq!(startup.due(), Some(start + second * 2));
        assert_eq!(all(&mut startup, start + second * 2), [2], "0 hangs, and holds nobody else up");
    }

    #[test]
    fn without_a_limit_everybody_may() {
        let mut startup = Startup::new(None, Duration::ZERO);
        assert!((0..100).all(|who| startup.may_start(who)));
    }

    proptest! {
        /// Never more than the batch at once, however many die and want to start again; and
        /// everybody comes up in the end.
        #[test]
        fn never_more_at_once(
            places in 1..5usize,
            delay in 0u64..3,
            events in prop::collection::vec((0..12usize, 0u64..3, any::<bool>()), 0..120),
        ) {
            let mut now = Instant::now();
            let mut startup = Startup::new(Some(places), Duration::from_secs(delay));
            let mut under_way: Vec<usize> = Vec::new();
            for (who, passed, wants) in events {
                now += Duration::from_secs(passed);
                if wants {
                    if !under_way.contains(&who) {
                        startup.may_start(who);
                    }
                } else if let Some(at) = under_way.iter().position(|&other| other == who) {
                    under_way.swap_remove(at);
                    startup.through(who, now);
                }
                while let Some(who) = startup.next(now) {
                    prop_assert!(!under_way.contains(&who));
                    under_way.push(who);
                }
                prop_assert!(under_way.len() <= places);
            }
            for _ in 0..100 {
                under_way.drain(..).for_each(|who| startup.through(who, now));
                while let Some(who) = startup.next(now) {
                    under_way.push(who);
                }
                prop_assert!(under_way.len() <= places);
                now = startup.due().unwrap_or(now).max(now);
            }
            prop_assert!(startup.waiting.is_empty());
        }
    }
}
