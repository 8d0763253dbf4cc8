//! What a pool tells, as events of the catalogue.
//!
//! ```text
//! state ──Note──┐
//! answers ──────┼──▶ Event, where somebody wants it ──▶ Sink     when no lock is held
//! keepers ──────┘                                        ▲
//! calls that begin and end ── what they say of it ───────┘
//! ```

mod call;
mod host_tool;
mod note;
mod pool;
mod recent;
mod worker;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::time::Instant;

pub(super) use call::ToldCall;
pub(super) use host_tool::ToldAsk;
use recent::Recent;

use super::Pool;
use super::shared::Shared;
use crate::config::PoolConfig;
use crate::telemetry::{Event, Events, Sink, Spec};

/// Where the events of a pool go, and what nearly all of them say.
pub(super) struct Teller {
    pub(super) sink: Arc<Sink>,
    pool: Arc<str>,
    /// `pool/slot`, by number.
    workers: Box<[Arc<str>]>,
    /// What is said when calls begin.
    begun: Recent,
    /// What is said when they end, by the worker that had them.
    ended: Box<[Recent]>,
    since: Instant,
    initialized: AtomicBool,
    closed: AtomicBool,
}

impl Teller {
    pub(super) fn new(config: &PoolConfig) -> Self {
        let name = config.name.as_str();
        Self {
            sink: Arc::default(),
            pool: name.into(),
            workers: (0..config.size).map(|number| format!("{name}/{number}").into()).collect(),
            begun: Recent::default(),
            ended: (0..config.size).map(|_| Recent::default()).collect(),
            since: Instant::now(),
            initialized: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    /// Tells an event, which is made where somebody wants it. No lock may be held.
    pub(super) fn tell(&self, spec: &Spec, make: impl FnOnce(Event) -> Event) {
        if let Some(event) = self.event(spec, make) {
            self.sink.tell(event);
        }
    }

    /// An event of this pool, where somebody wants it: to be told when no lock is held.
    pub(super) fn event(&self, spec: &Spec, make: impl FnOnce(Event) -> Event) -> Option<Event> {
        self.sink
            .hears(spec.interest())
            .then(|| make(Event::new(spec).with("pool", self.pool.clone())))
    }

    /// What a worker is called, by its number.
    pub(super) fn worker(&self, number: usize) -> Arc<str> {
        self.workers[number].clone()
    }
}

impl Pool {
    /// What the pool tells from now on, by the names of [`crate::telemetry::CATALOGUE`].
    ///
    /// ```no_run
    /// # async fn run(pool: snakepit::Pool) {
    /// let mut events = pool.events();
    /// tokio::spawn(async move {
    ///     while let Some(event) = events.next().await {
    ///         if event.name == "snakepit.worker.crash" {
    ///             eprintln!("{:?}: {:?}", event.text("worker_id"), event.text("reason"));
    ///         }
    ///     }
    /// });
    /// # }
    /// ```
    #[must_use]
    pub fn events(&self) -> Events {
        self.shared.events.sink.listen()
    }
}

impl Shared {
    /// What a worker is called that is in a slot now.
    fn name_of(&self, slot: usize) -> (Arc<str>, u64) {
        let (number, generation) = self.read(|state| (state.number(slot), state.generation(slot)));
        (self.events.worker(number), generation)
    }
}
