//! When a slot is filled again after its worker ended.
//!
//! ```text
//! Starting ──ready──▶ Healthy ──died──▶ Starting at once
//!    │  ▲                (a second one in a row that answered no call: after 50 ms, 100 ms … 2 s)
//!  failed start
//!    │  └── after 50 ms, 100 ms, 200 ms, 400 ms
//!    ▼
//! Degraded ──every `retry`──▶ one more try
//! ```
//!
//! The budget counts *consecutive failed starts*; a permanent failure (the adapter cannot be
//! found) or the end of `start_timeout` spends it at once. That time is the tries' own: what passes
//! between the moment from which a try may begin and its beginning (a place among those that start
//! at once, the end of the worker before) is nobody's failure.

use std::time::Duration;

use tokio::time::Instant;

const FIRST_BACKOFF: Duration = Duration::from_millis(50);

/// Workers that become ready and die before they answer anything must not spin the machine.
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);

/// A start timeout beyond this is cut, so that adding it to a moment cannot overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// What to do about an empty slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Start a worker after this long.
    Start(Duration),
    /// The slot counts as unable to start; try again after this long.
    Degrade(Duration),
}

/// The start history of one slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Restart {
    failed: u32,
    /// Workers in a row that were ready and died before they had answered a call.
    fruitless: u32,
    /// When the present run of tries began; moved on by what its tries had to wait.
    since: Instant,
    /// From when on the next try may begin.
    from: Instant,
    timeout: Duration,
    /// Failed starts in a row that degrade a slot.
    budget: u32,
    /// Between tries of a degraded slot.
    retry: Duration,
}

impl Restart {
    pub(crate) fn new(timeout: Duration, budget: u32, retry: Duration, now: Instant) -> Self {
        let timeout = timeout.min(LONGEST);
        Self { failed: 0, fruitless: 0, since: now, from: now, timeout, budget, retry }
    }

    /// The worker came up.
    pub(crate) fn ready(&mut self) {
        self.failed = 0;
    }

    /// A worker that had been ready ended, or is to be replaced. `fruitful`: it had answered a
    /// call, or somebody wanted it to go. The next one starts after this long.
    pub(crate) fn died(&mut self, fruitful: bool, now: Instant) -> Duration {
        self.failed = 0;
        self.fruitless = if fruitful { 0 } else { self.fruitless.saturating_add(1) };
        let pause = match self.fruitless {
            0 | 1 => Duration::ZERO,
            more => backoff(more - 2),
        };
        self.since = now + pause;
        self.from = self.since;
        pause
    }

    /// A worker ended before it was ready.
    pub(crate) fn failed(&mut self, permanent: bool, now: Instant) -> Next {
        self.failed += 1;
        let late = now.saturating_duration_since(self.since) >= self.timeout;
        if permanent || late || self.failed >= self.budget {
            self.failed = self.budget;
            return Next::Degrade(self.retry);
        }
        let pause = backoff(self.failed - 1);
        self.from = now + pause;
        Next::Start(pause)
    }

    /// When a try that begins now must be ready: what is left of the slot's start timeout, or a
    /// whole one for a degraded slot that is tried again.
    pub(crate) fn limit(&mut self, now: Instant) -> Instant {
        if self.is_spent() {
            self.since = now;
        } else {
            self.since += now.saturating_duration_since(self.from);
        }
        self.from = now;
        self.since + self.timeout
    }

    /// Too many starts in a row have failed.
    pub(crate) fn is_spent(&self) -> bool {
        self.failed >= self.budget
    }
}

/// After so many pauses before it.
fn backoff(before: u32) -> Duration {
    (FIRST_BACKOFF * (1 << before.min(6))).min(LONGEST_BACKOFF)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);
    const BUDGET: u32 = 5;
    const RECOVERY: Duration = Duration::from_secs(30);

    fn restart(now: Instant) -> Restart {
        Restart::new(TIMEOUT, BUDGET, RECOVERY, now)
    }

    #[test]
    fn five_failed_starts_in_a_row_degrade_the_slot() {
        let now = Instant::now();
        let mut restart = restart(now);
        let waits: Vec<_> = (0..BUDGET).map(|_| restart.failed(false, now)).collect();
        let ms = |n| Next::Start(Duration::from_millis(n));
        assert_eq!(waits, [ms(50), ms(100), ms(200), ms(400), Next::Degrade(RECOVERY)]);
    }

    #[test]
    fn a_worker_that_was_ready_restarts_at_once_and_clears_the_count() {
        let now = Instant::now();
        let mut restart = restart(now);
        for _ in 0..20 {
            assert!(matches!(restart.failed(false, now), Next::Start(_)));
            restart.ready();
            assert_eq!(restart.died(true, now), Duration::ZERO);
        }
    }

    #[test]
    fn workers_that_die_without_an_answer_come_back_slower_and_slower_but_always() {
        let now = Instant::now();
        let mut restart = restart(now);
        let waits: Vec<_> = (0..9).map(|_| restart.died(false, now)).collect();
        let ms = Duration::from_millis;
        assert_eq!(waits, [0, 50, 100, 200, 400, 800, 1600, 2000, 2000].map(ms));
        assert_eq!(restart.died(true, now), ms(0));
        assert_eq!(restart.died(false, now), ms(0), "one answer clears it");
    }

    #[test]
    fn a_permanent_failure_or_a_spent_timeout_degrades_at_once() {
        let now = Instant::now();
        assert_eq!(restart(now).failed(true, now), Next::Degrade(RECOVERY));
        let late = now + TIMEOUT;
        assert_eq!(restart(now).failed(false, late), Next::Degrade(RECOVERY));
    }

    #[test]
    fn waiting_for_a_place_is_no_part_of_a_start() {
        let created = Instant::now();
        let mut restart = restart(created);
        let first = created + TIMEOUT * 3;
        assert_eq!(restart.limit(first), first + TIMEOUT, "it waited for its place");
        let failed = first + TIMEOUT / 2;
        let Next::Start(pause) = restart.failed(false, failed) else { panic!("within its time") };
        let second = failed + pause + TIMEOUT * 3;
        assert_eq!(restart.limit(second), second + TIMEOUT / 2 - pause, "what the first one left");
        assert_eq!(restart.failed(false, second + TIMEOUT), Next::Degrade(RECOVERY));
    }

    #[test]
    fn an_endless_timeout_does_not_overflow() {
        let now = Instant::now();
        assert!(Restart::new(Duration::MAX, BUDGET, RECOVERY, now).limit(now) > now + TIMEOUT);
    }

    #[test]
    fn a_degraded_slot_is_tried_again_with_a_whole_timeout() {
        let now = Instant::now();
        let mut restart = restart(now);
        restart.failed(true, now);
        let later = now + RECOVERY;
        assert_eq!(restart.limit(later), later + TIMEOUT);
    }

    proptest! {
        /// Whatever happens to a slot's workers: it is degraded exactly when its budget is spent, a
        /// start that counts leaves that state, and no pause is longer than it may be.
        #[test]
        fn the_budget_is_kept(events in prop::collection::vec((0u8..4, 0u64..3_000), 0..80)) {
            let mut now = Instant::now();
            let mut restart = restart(now);
            let mut failed = 0;
            for (event, passed) in events {
                now += Duration::from_millis(passed);
                match event {
                    0 => {
                        restart.ready();
                        failed = 0;
                    }
                    1 => {
                        prop_assert!(restart.died(passed % 2 == 0, now) <= LONGEST_BACKOFF);
                        failed = 0;
                    }
                    _ => {
                        let permanent = event == 3 && passed % 7 == 0;
                        let late = now.saturating_duration_since(restart.since) >= TIMEOUT;
                        failed += 1;
                        let spent = permanent || late || failed >= BUDGET;
                        match restart.failed(permanent, now) {
                            Next::Degrade(pause) => prop_assert!(spent && pause == RECOVERY),
                            Next::Start(pause) => prop_assert!(!spent && pause < RECOVERY),
                        }
                        if spent {
                            failed = BUDGET;
                        }
                    }
                }
                prop_assert!(restart.limit(now) <= now + TIMEOUT + LONGEST_BACKOFF);
            }
        }
    }
}
