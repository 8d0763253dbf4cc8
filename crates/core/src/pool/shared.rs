//! The pool's one mutex, and what happens when an event went through it.
//!
//! Effects are carried out under the lock, answers are given to callers after it. The lock is never
//! held across an await or anything that could run a caller's code.

mod effects;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};

use super::answers::Answers;
use super::crashes::Crashes;
use super::gate::Gate;
use super::hosting::Hosting;
use super::inquiry::Inquiries;
use super::job::Job;
use super::lines::LineHandler;
use super::ports::Ports;
use super::relay::Relay;
use super::state::{Effect, Limits, State};
use super::telling::Teller;
use crate::breaker::CircuitBreaker;
use crate::config::PoolConfig;
use crate::error::{Cause, Error, ExitReport, StartFailure};
use crate::id::CallId;
use crate::policy::session as sessions;
use crate::process::arena::Arena;
use crate::process::{Owner, owner};
use crate::transport::{PythonInfo, ToolInfo};
use crate::worker::{Locator, Order};

/// How the last worker of a slot fared.
#[derive(Clone, Default)]
pub(super) struct Record {
    pub(super) pid: Option<u32>,
    /// To ask it where it is, once it has dialled in.
    pub(super) locator: Option<Locator>,
    /// When the start of the present one began.
    pub(super) started: Option<Instant>,
    pub(super) exit: Arc<ExitReport>,
    /// Whose exit that is.
    pub(super) exited: u64,
    /// Of which generation, and why: by the time it is told, the slot's next one has its number.
    pub(super) start_failure: Option<(u64, Arc<StartFailure>)>,
    /// What the present worker runs in, where that is Python.
    pub(super) python: Option<PythonInfo>,
    /// What it reported.
    pub(super) reports: Vec<Arc<str>>,
}

pub(super) struct Inner {
    pub(super) state: State<Box<Job>>,
    pub(super) ports: Ports,
    pub(super) records: Vec<Record>,
    /// As the last worker that became ready told them; None before the first.
    pub(super) tools: Option<Arc<[ToolInfo]>>,
    /// Ends of workers, by reason.
    pub(super) restarts: BTreeMap<Arc<str>, u64>,
    /// Kept between events, so that one costs no allocation.
    effects: Vec<Effect<Box<Job>>>,
    due: Option<Instant>,
    /// To each slot's keeper; empty once the pool lets them go.
    orders: Vec<mpsc::UnboundedSender<Order>>,
}

impl Inner {
    fn order(&self, slot: usize, order: Order) {
        if let Some(orders) = self.orders.get(slot) {
            // A keeper that ended has no worker to do this to.
            let _ = orders.send(order);
        }
    }
}

/// What handles, keepers and the timer of a pool share.
pub(crate) struct Shared {
    pub(super) config: Arc<PoolConfig>,
    inner: Mutex<Inner>,
    /// The timer must look again.
    timer: Notify,
    /// Something changed that waiting for readiness or idleness depends on.
    pub(super) changed: Notify,
    pub(super) lines: Option<LineHandler>,
    /// Lines that were not passed on.
    pub(super) lines_dropped: AtomicU64,
    /// Who hears of crashes.
    pub(super) crashes: Crashes,
    pub(super) gate: Gate,
    /// Where large arguments are; none: in frames.
    pub(super) arena: Option<Arena>,
    pub(super) hosting: Arc<Hosting>,
    pub(super) events: Teller,
    /// What operators ask of workers.
    pub(super) inquiries: Inquiries,
    pub(super) relay: Relay,
    /// That a limit of memory is too low is told once.
    pub(super) heavy: Once,
    owner: Owner,
}

impl Shared {
    pub(super) fn new(
        config: Arc<PoolConfig>,
        orders: Vec<mpsc::UnboundedSender<Order>>,
        lines: Option<LineHandler>,
    ) -> Self {
        let limits = Limits {
            size: config.size,
            capacity: config.worker.capacity,
            max_queue: config.max_queue,
            max_queue_bytes: config.max_queue_bytes,
            start_timeout: config.start_timeout,
            grace: config.grace,
            life: config.life,
            guards: config.guards.clone(),
            sessions: sessions::Limits { ttl: config.session_ttl, max: config.max_sessions },
            // Without a source of randomness pauses are not spread, which harms no call.
            seed: getrandom::u64().unwrap_or_default(),
        };
        let gate = Gate::new(config.guards.circuit_breaker.and_then(|rule| {
            let breaker = CircuitBreaker::new(rule.limits).ok()?; // checked with the rest
            Some((breaker, rule.count_remote_errors))
        }));
        let hosting = Arc::new(Hosting::new(config.slots(), config.max_message));
        let inner = Inner {
            state: State::new(limits, Instant::now()),
            ports: Ports(orders.iter().map(|_| None).collect()),
            records: vec![Record::default(); orders.len()],
            restarts: BTreeMap::new(),
            tools: None,
            effects: Vec::new(),
            due: None,
            orders,
        };
        let (timer, changed) = (Notify::new(), Notify::new());
        let (inner, crashes) = (Mutex::new(inner), Crashes::default());
        let (heavy, owner) = (Once::new(), owner());
        let arena = config.shared_memory.map(Arena::new);
        let relay = Relay::new(config.worker.telemetry.clone(), config.slots());
        let events = Teller::new(&config);
        Self {
            config,
            inner,
            timer,
            changed,
            lines,
            lines_dropped: AtomicU64::new(0),
            crashes,
            gate,
            arena,
            hosting,
            events,
            inquiries: Inquiries::default(),
            relay,
            heavy,
            owner,
        }
    }

    /// Starts every slot.
    pub(super) fn open(&self) {
        self.event(|state, _, effects, _| state.open(effects));
    }

    /// Whether this process made the pool. In a fork of it nothing here may be touched: the lock may
    /// be held for ever by a thread that does not exist there.
    pub(super) fn is_here(&self) -> bool {
        self.owner.is_here()
    }

    pub(super) fn forked(&self) -> Option<Error> {
        (!self.is_here()).then(|| Error::ForkedPool { pool: self.config.name.clone() })
    }

    pub(super) fn cancel(&self, id: CallId) -> bool {
        if !self.is_here() {
            return false;
        }
        let now = Instant::now();
        self.event(|state, ports, effects, _| state.cancel(id, now, ports, effects))
    }

    pub(super) fn expire(&self, id: CallId, limit: Duration) -> bool {
        if !self.is_here() {
            return false;
        }
        let now = Instant::now();
        self.event(|state, ports, effects, _| state.expire(id, limit, now, ports, effects))
    }

    /// The reader of a stream has taken so much in all.
    pub(super) fn grant(&self, id: CallId, items: u64, bytes: u64) {
        if self.is_here() {
            self.event(|state, _, effects, _| state.grant(id, items, bytes, effects));
        }
    }

    pub(super) fn recycle(&self, number: usize, generation: Option<u64>) -> bool {
        let now = Instant::now();
        self.event(|state, ports, effects, _| {
            state.recycle(state.slot_of(number), generation, now, ports, effects)
        })
    }

    pub(super) fn drain(&self) {
        self.event(|state, _, _, _| state.drain());
    }

    pub(super) fn close(&self) {
        let now = Instant::now();
        self.event(|state, ports, effects, _| state.close(now, ports, effects));
        if let Some(arena) = &self.arena {
            arena.close();
        }
    }

    /// Ends every worker that is left, without asking it.
    pub(super) fn kill_all(&self, at_once: bool) {
        for orders in &self.lock().orders {
            let _ = orders.send(if at_once { Order::End } else { Order::Kill(Cause::Close) });
        }
    }

    /// Lets go of keepers and workers: a keeper without orders ends, and so does its worker.
    pub(super) fn dismiss(&self) {
        let mut inner = self.lock();
        inner.orders.clear();
        inner.ports.0.fill_with(|| None);
    }

    /// Reads from the state.
    pub(super) fn read<R>(&self, look: impl FnOnce(&State<Box<Job>>) -> R) -> R {
        look(&self.lock().state)
    }

    pub(super) fn pid(&self, slot: usize) -> Option<u32> {
        self.lock().records[slot].pid
    }

    /// Waits until `done` finds what it looks for.
    pub(super) async fn wait_until<R>(
        &self,
        mut done: impl FnMut(&State<Box<Job>>) -> Option<R>,
    ) -> R {
        self.wait_for(|inner| done(&inner.state)).await
    }

    /// As [`Shared::wait_until`], where the state alone does not tell.
    pub(super) async fn wait_for<R>(&self, mut done: impl FnMut(&Inner) -> Option<R>) -> R {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed, also one between the look and the wait.
            changed.as_mut().enable();
            if let Some(found) = done(&self.lock()) {
                return found;
            }
            changed.await;
        }
    }

    /// Why no worker can start.
    pub(super) fn start_error(&self) -> Error {
        self.no_worker(&self.lock())
    }

    /// One event: through the state under the lock, then its effects, then the answers.
    pub(super) fn event<R>(
        &self,
        event: impl FnOnce(&mut State<Box<Job>>, &Ports, &mut Vec<Effect<Box<Job>>>, &mut Answers) -> R,
    ) -> R {
        let mut answers = Answers::new();
        let (result, closing) = {
            let mut guard = self.lock();
            let inner = &mut *guard;
            let result = event(&mut inner.state, &inner.ports, &mut inner.effects, &mut answers);
            if !inner.effects.is_empty() {
                self.carry_out(inner, &mut answers);
            }
            (result, !inner.state.is_open())
        };
        let mut told = None;
        for answer in answers {
            answer.give(self, &mut told);
        }
        if closing {
            self.changed.notify_waiters();
        }
        result
    }

    /// Sleeps until the next deadline, for as long as the pool lives.
    pub(super) async fn keep_time(self: Arc<Self>) {
        loop {
            let due = self.lock().due;
            let sleep = async {
                match due {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep => {
                    self.lock().due = None;
                    let now = Instant::now();
                    self.event(|state, ports, effects, _| state.tick(now, ports, effects));
                }
                () = self.timer.notified() => {}
            }
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic inside is a bug of ours; going on with what is there beats losing every worker.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
