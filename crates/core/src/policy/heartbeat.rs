//! Whether one worker's interpreter makes progress.
//!
//! ```text
//! Quiet ──interval without progress──▶ Asked ──answer, or any progress──▶ Quiet
//!                                       │ ▲
//!                                   timeout └── asked again; from `missed` of them on: stalled
//! ```
//!
//! Whoever makes progress is not asked. A timer that fires later than one interval tells that this
//! process did not run either (stopped, suspended): what was waited for gets a fresh timeout.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::Heartbeat;

/// What is to be done about a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pulse {
    /// Nothing yet.
    Wait,
    /// Send it this probe.
    Ask(u64),
    /// Send it this probe; from now on it counts as stalled.
    Stalled(u64),
    /// It has been stalled for longer than it may.
    Kill,
}

/// One worker that can be asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beat {
    config: Heartbeat,
    /// When the timer should fire.
    due: Instant,
    /// The probes that wait for an answer: the first one's number, and when it was sent.
    asked: Option<(u64, Instant)>,
    /// Number of the last probe.
    last: u64,
    missed: u32,
    stalled: Option<Instant>,
    /// It may be stalled for so long.
    patience: Option<Duration>,
}

impl Beat {
    /// The worker became ready. `patience`: it is to be killed when it has been stalled for so long.
    pub(crate) fn new(config: Heartbeat, patience: Option<Duration>, now: Instant) -> Self {
        let due = now + config.initial_delay + config.interval;
        Self { config, due, asked: None, last: 0, missed: 0, stalled: None, patience }
    }

    /// When [`Self::tick`] is due.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    pub(crate) fn is_stalled(&self) -> bool {
        self.stalled.is_some()
    }

    /// Time has passed. `progress`: when the worker last did anything that only Python does.
    pub(crate) fn tick(&mut self, progress: Instant, now: Instant) -> Pulse {
        if now < self.due {
            return Pulse::Wait;
        }
        let late = now.saturating_duration_since(self.due) > self.config.interval;
        match self.asked {
            Some((_, since)) if progress > since => {
                self.calm(progress, now);
                Pulse::Wait
            }
            Some(_) if late => {
                self.stalled = self.stalled.map(|_| now);
                self.due = self.next(now);
                Pulse::Wait
            }
            Some(_) if self.mercy().is_some_and(|until| until <= now) => {
                // The kill has a second of its own; what comes then is a new worker.
                self.due = now + self.config.timeout;
                Pulse::Kill
            }
            Some(_) => {
                self.missed = self.missed.saturating_add(1);
                let newly = self.missed >= self.config.missed && self.stalled.is_none();
                if newly {
                    self.stalled = Some(now);
                }
                // A probe may be lost where the worker's end reads nothing for long.
                let probe = self.ask(now);
                if newly { Pulse::Stalled(probe) } else { Pulse::Ask(probe) }
            }
            None if progress + self.config.interval > now => {
                self.due = progress + self.config.interval;
                Pulse::Wait
            }
            None => Pulse::Ask(self.ask(now)),
        }
    }

    /// A probe was answered. Forged and stale answers change nothing.
    pub(crate) fn answered(&mut self, probe: u64, now: Instant) -> bool {
        let right = self.asked.is_some_and(|(first, _)| (first..=self.last).contains(&probe));
        if right {
            self.calm(now, now);
        }
        right
    }

    /// The worker did something that only Python does.
    pub(crate) fn progressed(&mut self, now: Instant) {
        if self.is_stalled() {
            // Whoever tells this sets no timer: the one that is set will do.
            let due = self.due.max(now);
            self.calm(now, now);
            self.due = due;
        }
    }

    fn ask(&mut self, now: Instant) -> u64 {
        self.last += 1;
        self.asked.get_or_insert((self.last, now));
        self.due = self.next(now);
        self.last
    }

    /// When to look again at one that was asked.
    fn next(&self, now: Instant) -> Instant {
        let next = now + self.config.timeout;
        self.mercy().map_or(next, |until| next.min(until.max(now)))
    }

    fn mercy(&self) -> Option<Instant> {
        Some(self.stalled? + self.patience?)
    }

    fn calm(&mut self, progress: Instant, now: Instant) {
        self.asked = None;
        (self.missed, self.stalled) = (0, None);
        self.due = (progress + self.config.interval).max(now);
    }
}

/// What a slot may wait for longest without a tick: for tests of the pool's timer.
#[cfg(test)]
pub(crate) fn longest(config: Heartbeat) -> Duration {
    config.interval.max(config.timeout) + config.initial_delay
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONFIG: Heartbeat = Heartbeat {
        interval: Duration::from_secs(2),
        timeout: Duration::from_secs(10),
        missed: 1,
        initial_delay: Duration::ZERO,
    };

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_silent_worker_is_asked_and_stalls_until_it_answers() {
        let start = Instant::now();
        let mut beat = Beat::new(CONFIG, None, start);
        assert_eq!(beat.tick(start, start + s(1)), Pulse::Wait);
        assert_eq!(beat.tick(start, start + s(2)), Pulse::Ask(1));
        assert_eq!(beat.tick(start, start + s(11)), Pulse::Wait);
        assert_eq!(beat.tick(start, start + s(12)), Pulse::Stalled(2));
        assert!(beat.is_stalled());
        assert_eq!(beat.tick(start, start + s(22)), Pulse::Ask(3), "it is told once");
        assert!(!beat.answered(4, start + s(23)), "it was never asked that");
        assert!(beat.is_stalled());
        assert!(beat.answered(1, start + s(23)), "the first answer comes first");
        assert!(!beat.is_stalled());
        assert!(!beat.answered(1, start + s(24)), "and only once");
        assert_eq!(beat.due(), start + s(25));
    }

    #[test]
    fn whoever_makes_progress_is_not_asked() {
        let start = Instant::now();
        let mut beat = Beat::new(CONFIG, None, start);
        assert_eq!(beat.tick(start + s(1), start + s(2)), Pulse::Wait);
        assert_eq!(beat.due(), start + s(3));
        assert_eq!(beat.tick(start + s(1), start + s(3)), Pulse::Ask(1));
        assert_eq!(beat.tick(start + s(4), start + s(13)), Pulse::Wait, "that was an answer");
        assert_eq!(beat.tick(start + s(4), start + s(13)), Pulse::Ask(2));
    }

    #[test]
    fn as_many_must_be_missed_as_was_said() {
        let start = Instant::now();
        let mut beat = Beat::new(Heartbeat { missed: 3, ..CONFIG }, None, start);
        let told: Vec<_> =
            [2, 12, 22, 32].iter().map(|&at| beat.tick(start, start + s(at))).collect();
        assert_eq!(told, [Pulse::Ask(1), Pulse::Ask(2), Pulse::Ask(3), Pulse::Stalled(4)]);
    }

    #[test]
    fn a_host_that_was_stopped_grants_a_fresh_timeout() {
        let start = Instant::now();
        let mut beat = Beat::new(CONFIG, None, start);
        assert_eq!(beat.tick(start, start + s(2)), Pulse::Ask(1));
        let late = start + s(2 + 10 + 30);
        assert_eq!(beat.tick(start, late), Pulse::Wait);
        assert_eq!(beat.tick(start, late + s(9)), Pulse::Wait);
        assert!(beat.answered(1, late + s(9)));
    }

    #[test]
    fn a_stalled_worker_is_killed_only_where_that_was_asked_for_and_not_for_the_hosts_sleep() {
        let start = Instant::now();
        let mut beat = Beat::new(CONFIG, Some(s(5)), start);
        assert_eq!(beat.tick(start, start + s(2)), Pulse::Ask(1));
        assert_eq!(beat.tick(start, start + s(12)), Pulse::Stalled(2));
        assert_eq!(beat.due(), start + s(17));
        let slept = start + s(60);
        assert_eq!(beat.tick(start, slept), Pulse::Wait);
        assert_eq!(beat.due(), slept + s(5));
        assert_eq!(beat.tick(start, slept + s(5)), Pulse::Kill);
    }

    proptest! {
        /// A worker that answers each probe within the timeout never stalls, whatever else happens
        /// and however late timers fire; one that does nothing stalls, and not before its time.
        #[test]
        fn who_answers_never_stalls(
            missed in 1..4u32,
            steps in prop::collection::vec((0u64..40, any::<bool>(), any::<bool>()), 0..100),
            deaf in any::<bool>(),
        ) {
            let start = Instant::now();
            let mut beat = Beat::new(Heartbeat { missed, ..CONFIG }, None, start);
            let (mut now, mut progress) = (start, start);
            let mut asked: Option<Instant> = None;
            for (passed, works, waits) in steps {
                now += s(passed);
                // As soon as this process runs, what arrived meanwhile is read, or the tick is.
                if !deaf && !waits && asked.take().is_some() {
                    beat.answered(beat.last, now);
                }
                if works && !deaf {
                    progress = now;
                    beat.progressed(now);
                }
                match beat.tick(progress, now) {
                    Pulse::Wait => {}
                    Pulse::Kill => prop_assert!(false, "nobody asked for that"),
                    Pulse::Ask(probe) => {
                        prop_assert_eq!(probe, beat.last);
                        asked.get_or_insert(now);
                    }
                    Pulse::Stalled(_) => {
                        let silent = now - progress.max(asked.unwrap_or(start));
                        prop_assert!(silent >= CONFIG.timeout * missed, "after {silent:?}");
                        asked.get_or_insert(now);
                    }
                }
                prop_assert!(beat.due() <= now + longest(beat.config));
                prop_assert!(!beat.is_stalled() || beat.asked.is_some());
            }
            if deaf {
                for _ in 0..=missed + 1 {
                    now = beat.due();
                    beat.tick(progress, now);
                }
                prop_assert!(beat.is_stalled());
            }
        }
    }
}
