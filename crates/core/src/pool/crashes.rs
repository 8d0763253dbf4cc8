//! Ends of workers, by reason, and who is told of those that nobody asked for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::shared::Shared;
use super::state::Parting;
use crate::error::{Cause, ExitReport};
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
        let parting = self.read(|state| state.parting(slot));
        let Some((reason, crashed)) = reason(parting, end) else { return };
        *self.lock().restarts.entry(Arc::from(&*reason)).or_default() += 1;
        if crashed {
            self.crashes.record(&self.present(slot).to_string(), &reason);
        }
    }
}

/// Why a worker ended, in one word, and whether that was a crash: an end that came out of the worker,
/// not one that the pool brought about. None: the pool is being closed.
///
/// A start that failed is no crash: starts have a budget of their own.
fn reason(parting: Parting, end: &Ending) -> Option<(String, bool)> {
    let report = match end {
        Ending::NeverReady(_) if parting == Parting::Closing => return None,
        Ending::NeverReady(_) => return Some(("start".into(), false)),
        Ending::Died(report) => report,
    };
    Some(match parting {
        Parting::Closing => return None,
        Parting::Recycled(wear) => (wear.reason().into(), false),
        Parting::Condemned if report.cause == Cause::Cancel => ("cancel".into(), false),
        Parting::Condemned => ("deadline".into(), false),
        Parting::Stalled => ("stall".into(), false),
        Parting::Outlawed => ("protocol".into(), true),
        Parting::NeverReady | Parting::Unasked => (own_reason(report), true),
    })
}

fn own_reason(report: &ExitReport) -> String {
    match (report.signal, report.exit_code) {
        _ if report.violation.is_some() => "protocol".into(),
        _ if report.cause == Cause::Oom => "oom".into(),
        (Some(signal), _) => format!("signal_{signal}"),
        (None, Some(code)) => format!("exit_{code}"),
        (None, None) => "unknown".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::recycle::Wear;

    #[test]
    fn only_what_came_out_of_the_worker_is_a_crash() {
        let died = |exit_code, signal| {
            Ending::Died(ExitReport { exit_code, signal, ..ExitReport::default() })
        };
        let told = |parting, end: &Ending| reason(parting, end);
        let crash = |text: &str| Some((text.to_owned(), true));
        let other = |text: &str| Some((text.to_owned(), false));
        let by_signal = died(None, Some(9));
        assert_eq!(told(Parting::Unasked, &by_signal), crash("signal_9"));
        assert_eq!(told(Parting::Unasked, &died(Some(3), None)), crash("exit_3"));
        assert_eq!(told(Parting::Unasked, &died(None, None)), crash("unknown"));
        assert_eq!(told(Parting::Outlawed, &by_signal), crash("protocol"));
        let ended =
            |cause| Ending::Died(ExitReport { signal: Some(9), cause, ..Default::default() });
        assert_eq!(told(Parting::Unasked, &ended(Cause::Oom)), crash("oom"));
        assert_eq!(told(Parting::Condemned, &ended(Cause::Cancel)), other("cancel"));
        assert_eq!(told(Parting::Condemned, &by_signal), other("deadline"));
        assert_eq!(told(Parting::Stalled, &by_signal), other("stall"));
        assert_eq!(told(Parting::Recycled(Wear::Age), &by_signal), other("recycle_age"));
        assert_eq!(told(Parting::Closing, &by_signal), None);
        let failed = Ending::NeverReady(Default::default());
        assert_eq!(told(Parting::NeverReady, &failed), other("start"));
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
