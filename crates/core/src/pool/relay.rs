//! What adapters tell, from their workers to whoever listens; and to the workers, what is wanted.
//!
//! ```text
//! worker ── Telemetry ──▶ one_frame ── answer, outside of the lock ──▶ Sink: `snakepit.python.NAME`
//!    ▲                                                              └▶ the handler of spans
//!    └── TelemetryControl ◀── somebody began or ceased to listen; other filters
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Pool;
use super::job::Job;
use super::shared::Shared;
use super::state::State;
use crate::config::TelemetryFilter;
use crate::error::Error;
use crate::id::WorkerRef;
use crate::policy::allowance::Allowance;
use crate::telemetry::{AdapterTelemetry, Event, Interest, SpanRecord, interest};

/// Events of one worker at once, and a second in the long run: far more than anybody reads, and far
/// less than would keep the runtime from its calls.
const MOST: u32 = 32_768;
const FILLS_IN: Duration = Duration::from_secs(1);

/// Receives what there is to tell of the spans of traced calls: what workers tell, in the order in which
/// they told it beside all else that they said (the beginning of a span comes before a host tool that is
/// called inside of it, its end before the answer of its call), and last, before its caller has the
/// answer, the call's own. Called on the runtime's thread, or where a call is refused on the caller's; must
/// not block.
pub type SpanHandler = Arc<dyn Fn(Vec<SpanRecord>) + Send + Sync>;

/// What a pool keeps for it. A leaf lock: taken under the pool's, never the other way.
pub(super) struct Relay {
    kept: Mutex<Kept>,
    spans: OnceLock<SpanHandler>,
}

struct Kept {
    /// For workers without one of their own.
    filter: TelemetryFilter,
    /// By number.
    own: BTreeMap<usize, TelemetryFilter>,
    /// By slot.
    workers: Vec<Heard>,
}

/// What was heard of the present worker of a slot, and what it knows.
struct Heard {
    allowance: Allowance,
    /// It dropped so many.
    dropped: u64,
    /// What it was told last.
    sent: Option<(bool, TelemetryFilter)>,
}

/// What a frame tells, ready to be passed on.
pub(super) struct Told {
    slot: usize,
    worker: WorkerRef,
    told: AdapterTelemetry,
    /// Of the events' calls, in their order; shorter where nobody listens.
    sessions: Vec<Option<Arc<str>>>,
}

impl Relay {
    pub(super) fn new(filter: TelemetryFilter, slots: usize) -> Self {
        let workers = (0..slots).map(|_| Heard::new()).collect();
        let kept = Kept { filter, own: BTreeMap::new(), workers };
        Self { kept: Mutex::new(kept), spans: OnceLock::new() }
    }

    /// Whoever takes spans.
    pub(super) fn spans(&self) -> Option<&SpanHandler> {
        self.spans.get()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Every section here leaves it whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heard {
    fn new() -> Self {
        let allowance = Allowance::new(MOST, FILLS_IN, Instant::now());
        Self { allowance, dropped: 0, sent: None }
    }
}

impl Kept {
    fn wanted(&self, number: usize, enabled: bool) -> (bool, TelemetryFilter) {
        (enabled, self.own.get(&number).unwrap_or(&self.filter).clone())
    }
}

impl Shared {
    /// What a worker that starts is told: whether anybody listens, and which events are wanted.
    pub(super) fn first_telemetry(&self, slot: usize) -> (bool, TelemetryFilter) {
        let number = self.read(|state| state.number(slot));
        let mut kept = self.relay.lock();
        let wanted = kept.wanted(number, self.events.sink.hears(Interest::ADAPTERS));
        kept.workers[slot] = Heard { sent: Some(wanted.clone()), ..Heard::new() };
        wanted
    }

    /// Tells workers what is wanted now, where they do not know.
    pub(super) fn update_telemetry(&self) {
        let inner = self.lock();
        let enabled = self.events.sink.hears(Interest::ADAPTERS);
        let mut kept = self.relay.lock();
        for (slot, port) in inner.ports.0.iter().enumerate() {
            let Some(port) = port.as_ref().filter(|port| port.tells()) else { continue };
            let wanted = kept.wanted(inner.state.number(slot), enabled);
            if kept.workers[slot].sent.as_ref() != Some(&wanted) {
                port.control_telemetry(wanted.0, &wanted.1);
                kept.workers[slot].sent = Some(wanted);
            }
        }
    }

    /// Sees to it that workers know who listens, for as long as the pool lives.
    pub(super) async fn keep_listening(self: Arc<Self>) {
        let mut process = interest();
        loop {
            process.mark_unchanged();
            self.update_telemetry();
            self.events.sink.changed(&mut process).await;
        }
    }

    /// A frame of telemetry, under the pool's lock.
    pub(super) fn relayed(
        &self,
        slot: usize,
        mut told: AdapterTelemetry,
        state: &mut State<Box<Job>>,
    ) -> Told {
        if !told.spans.is_empty() {
            told.spans = Self::with_what_came_before(told.spans, state);
        }
        let worker = self.worker(state.number(slot), state.generation(slot));
        let mut last = None;
        let heard = self.events.sink.hears(Interest::ADAPTERS);
        let sessions = told.events.iter().filter(|_| heard).map(|event| {
            let call = event.call?;
            if last.as_ref().is_none_or(|(id, _)| *id != call) {
                last = Some((call, state.job(call).and_then(|job| job.session.clone())));
            }
            last.as_ref().and_then(|(_, session)| session.clone())
        });
        let sessions = sessions.collect();
        Told { slot, worker, told, sessions }
    }

    /// Where the execution of a call begins, the spans of its wait for it go first.
    fn with_what_came_before(
        spans: Vec<SpanRecord>,
        state: &mut State<Box<Job>>,
    ) -> Vec<SpanRecord> {
        let mut all = Vec::with_capacity(spans.len());
        for span in spans {
            let traced = span.call.and_then(|call| state.job(call)?.traced());
            all.extend(traced.and_then(|traced| traced.begins(&span)).into_iter().flatten());
            all.push(span);
        }
        all
    }
}

impl Told {
    /// Passes it on, outside of the lock.
    pub(super) fn give(self, shared: &Shared) {
        let Self { slot, worker, told, sessions } = self;
        let AdapterTelemetry { mut events, mut spans, dropped } = told;
        if !spans.is_empty()
            && let Some(handler) = shared.relay.spans()
        {
            for span in &mut spans {
                span.attributes.push(("snakepit.worker".into(), worker.to_string().into()));
            }
            handler(spans);
        }
        if !shared.events.sink.hears(Interest::ADAPTERS) {
            return;
        }
        let lost = {
            let mut kept = shared.relay.lock();
            let heard = &mut kept.workers[slot];
            let granted = heard.allowance.take(events.len(), Instant::now());
            let lost = dropped.saturating_sub(heard.dropped) + heard.allowance.take_dropped();
            heard.dropped = heard.dropped.max(dropped);
            events.truncate(granted);
            lost
        };
        for (event, session) in events.into_iter().zip(sessions) {
            shared.events.sink.tell(event.into_event(&worker, session));
        }
        if lost > 0 {
            let event = Event::of_adapter("dropped").count("count", lost).now();
            shared.events.sink.tell(event.of_worker(&worker));
        }
    }
}

impl Pool {
    /// Which events of adapters are wanted from now on: of one worker, by its number, or of all,
    /// whatever was wanted of each. A worker hears of it between two calls, or at once where it runs
    /// several. It counts for the workers that come after it, too. Nothing is sent where nobody listens.
    ///
    /// # Errors
    /// [`Error::Config`]: the filter cannot be, or there is no such worker.
    pub fn set_telemetry(
        &self,
        worker: Option<usize>,
        filter: TelemetryFilter,
    ) -> Result<(), Error> {
        filter.validate()?;
        if let Some(error) = self.shared.forked() {
            return Err(error);
        }
        {
            let mut kept = self.shared.relay.lock();
            match worker {
                None => {
                    kept.own.clear();
                    kept.filter = filter;
                }
                Some(number) if number < self.config().size => {
                    kept.own.insert(number, filter);
                }
                Some(number) => {
                    let size = self.config().size;
                    let message = format!("there is no worker {number}; the pool has {size}");
                    return Err(Error::Config { field: "worker", message });
                }
            }
        }
        self.shared.update_telemetry();
        Ok(())
    }

    /// Has `handler` called with the spans of traced calls from now on. False: another one is.
    pub fn on_spans(&self, handler: SpanHandler) -> bool {
        self.shared.relay.spans.set(handler).is_ok()
    }
}
