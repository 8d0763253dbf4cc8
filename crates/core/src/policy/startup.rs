//! Which workers may start now: a few at a time, so that a large pool does not take the machine
//! down with it, neither when it opens nor when all its workers died at once.
//!
//! ```text
//! want ──▶ waiting ──a place is free──▶ starting ──through──▶ the place rests for `delay` ──▶ free
//! ```

use std::time::Duration;

use tokio::time::Instant;

/// Starts that wait, and those under way.
#[derive(Debug)]
pub(crate) struct Startup {
    /// None: as many as want to.
    places: Option<usize>,
    delay: Duration,
    /// Whom it is for and from when, in the order in which they asked.
    waiting: Vec<(usize, Instant)>,
    starting: Vec<usize>,
    /// Until when places rest.
    resting: Vec<Instant>,
}

impl Startup {
    pub(crate) fn new(places: Option<usize>, delay: Duration) -> Self {
        let (waiting, starting, resting) = Default::default();
        Self { places, delay, waiting, starting, resting }
    }

    /// Whether starts are held back at all.
    pub(crate) fn is_limited(&self) -> bool {
        self.places.is_some()
    }

    /// A worker is to be started, not before `from`.
    pub(crate) fn want(&mut self, who: usize, from: Instant) {
        self.waiting.retain(|&(other, _)| other != who);
        self.waiting.push((who, from));
    }

    /// A start that was under way is through, or off.
    pub(crate) fn through(&mut self, who: usize, now: Instant) {
        if let Some(at) = self.starting.iter().position(|&other| other == who) {
            self.starting.swap_remove(at);
            if !self.delay.is_zero() {
                self.resting.push(now + self.delay);
            }
        }
        self.waiting.retain(|&(other, _)| other != who);
    }

    /// The next one that starts now.
    pub(crate) fn next(&mut self, now: Instant) -> Option<usize> {
        self.resting.retain(|&until| until > now);
        if self.free() == 0 {
            return None;
        }
        let at = self.waiting.iter().position(|&(_, from)| from <= now)?;
        let (who, _) = self.waiting.remove(at);
        self.starting.push(who);
        Some(who)
    }

    /// When [`Self::next`] may have one, if nothing else happens.
    pub(crate) fn due(&self) -> Option<Instant> {
        let first = self.waiting.iter().map(|&(_, from)| from).min()?;
        match self.free() {
            0 => self.resting.iter().copied().min().map(|rested| rested.max(first)),
            _ => Some(first),
        }
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
        (0..5).for_each(|who| startup.want(who, start));
        let all = |startup: &mut Startup, now| -> Vec<_> {
            std::iter::from_fn(|| startup.next(now)).collect()
        };
        assert_eq!(all(&mut startup, start), [0, 1]);
        assert_eq!(startup.due(), None, "nothing happens before a start is through");
        startup.through(1, start + second);
        assert_eq!(startup.next(start + second), None);
        assert_eq!(startup.due(), Some(start + second * 2));
        assert_eq!(all(&mut startup, start + second * 2), [2], "0 hangs, and holds nobody else up");
    }

    #[test]
    fn who_has_to_wait_longer_holds_nobody_up() {
        let now = Instant::now();
        let mut startup = Startup::new(Some(1), Duration::ZERO);
        startup.want(0, now + Duration::from_secs(9));
        startup.want(1, now);
        assert_eq!(startup.next(now), Some(1));
        startup.through(1, now);
        assert_eq!((startup.next(now), startup.due()), (None, Some(now + Duration::from_secs(9))));
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
                        startup.want(who, now);
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
