//! Ends of workers, by reason, and who is told of those that nobody asked for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::shared::Shared;
use crate::health::HealthMonitor;
use crate::policy::health::{Health, HealthConfig};
use crate::worker::Ending;

/// Monitors of a pool. Never locked while anything else is.
pub(super) struct Crashes {
    /// The pool's own.
    own: HealthMonitor,
    others: Mutex<Vec<Weak<Mutex<Health>>>>,
}

impl Default for Crashes {
    fn default() -> Self {
        let own = HealthMonitor::new(HealthConfig::default()).expect("its defaults make sense");
        Self { own, others: Mutex::default() }
    }
}

impl Crashes {
    pub(super) fn own(&self) -> &HealthMonitor {
        &self.own
    }

    /// `monitor` hears of crashes from now on, as long as somebody holds it.
    pub(super) fn attach(&self, monitor: &HealthMonitor) {
        self.lock().push(monitor.downgrade());
    }

    fn record(&self, worker: &str, reason: &str) {
        self.own.record_crash(worker, reason);
        self.lock().retain(|monitor| {
            let monitor = HealthMonitor::upgrade(monitor);
            monitor.inspect(|monitor| monitor.record_crash(worker, reason)).is_some()
        });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Mutex<Health>>>> {
        // A list of monitors is whole after any panic.
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Counts the end of a worker; before the state is told of it.
    pub(super) fn count_end(&self, slot: usize, end: &Ending) {
        if self.read(|state| state.is_closed()) {
            return; // That is the end of the pool.
        }
        let (reason, crashed) = reason(end);
        *self.lock().restarts.entry(Arc::from(&*reason)).or_default() += 1;
        if crashed {
            self.crashes.record(&self.present(slot).to_string(), &reason);
        }
    }
}

/// Why a worker ended, in the word that its calls are told too, and whether that was a crash: an end
/// that came out of the worker, not one that the pool brought about.
///
/// A start that failed is no crash: starts have a budget of their own.
fn reason(end: &Ending) -> (String, bool) {
    match end {
        Ending::NeverReady(_) => ("start".into(), false),
        Ending::Died(report) => (report.cause.to_string(), report.cause.is_crash()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Cause, ExitReport, Recycled};

    #[test]
    fn only_what_came_out_of_the_worker_is_a_crash() {
        let died = |cause| reason(&Ending::Died(ExitReport { cause, ..ExitReport::default() }));
        let signal = Cause::Signal { number: 9, name: Some("SIGKILL") };
        for (cause, word) in [
            (signal, "signal_9"),
            (Cause::Exit(3), "exit_3"),
            (Cause::Unknown, "unknown"),
            (Cause::Protocol, "protocol"),
            (Cause::Shim, "shim"),
            (Cause::Oom, "oom"),
        ] {
            assert_eq!(died(cause), (word.to_owned(), true));
        }
        for (cause, word) in [
            (Cause::Cancel, "cancel"),
            (Cause::Deadline, "deadline"),
            (Cause::Stall, "stall"),
            (Cause::Recycle(Recycled::Age), "recycle_age"),
        ] {
            assert_eq!(died(cause), (word.to_owned(), false));
        }
        assert_eq!(reason(&Ending::NeverReady(Default::default())), ("start".to_owned(), false));
    }

    #[test]
    fn a_monitor_that_nobody_holds_is_forgotten() {
        let crashes = Crashes::default();
        let kept = HealthMonitor::new(HealthConfig::default()).unwrap();
        crashes.attach(&kept);
        crashes.attach(&HealthMonitor::new(HealthConfig::default()).unwrap());
        crashes.record("pool/0", "signal_9");
        assert_eq!(crashes.lock().len(), 1);
        assert_eq!(kept.stats().total_crashes, 1);
        assert_eq!(crashes.own().stats().total_crashes, 1);
    }
}
