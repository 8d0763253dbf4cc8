//! A simulated pool: carries out what the state wants and records what becomes of each call.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::spec::Spec;
use super::worker::{Life, Page, Worker};
use crate::call::{Binding, SessionKey};
use crate::config::{self, Guards};
use crate::error::Violation;
use crate::id::CallId;
use crate::policy::session as sessions;
use crate::pool::state::{Effect, End, Limits, NewCall, Note, Refusal, Said, State, Window};

/// Of every stream.
pub(super) const WINDOW: Window = Window { items: 3, bytes: 30 };

/// That may wait.
pub(super) const MAX_QUEUE_BYTES: u64 = 1000;

/// Of every session.
pub(super) const TTL: Duration = Duration::from_secs(60);

/// That may be open.
pub(super) const MAX_SESSIONS: usize = 5;

/// What the state owns of a call; the number of its record.
#[derive(Debug)]
pub(crate) struct Job(pub(super) usize);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered,
    Ended(End),
}

/// The truth about an admitted call.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: CallId,
    pub(super) spec: Spec,
    pub(super) deadline: Option<Instant>,
    /// Slot and generation of every worker it was sent to, and of those that began it. Where a
    /// worker has no words, what was sent counts as begun.
    pub(super) sent: Vec<(usize, u64)>,
    pub(super) begun: Vec<(usize, u64)>,
    pub(super) partly: bool,
    /// Items that its worker sent, and those that the reader took.
    pub(super) parts: u64,
    pub(super) taken: u64,
    pub(super) outcome: Option<Outcome>,
    /// Number of its session's binding to the worker it was sent to last.
    pub(super) visit: Option<u64>,
}

pub(crate) struct World {
    pub(super) state: State<Job>,
    pub(super) limits: Limits,
    pub(super) now: Instant,
    pub(super) page: Page,
    pub(super) workers: Vec<Worker>,
    pub(super) calls: Vec<Record>,
    pub(super) by_id: HashMap<CallId, usize>,
    /// Earliest moment for which a tick was asked.
    pub(super) timer: Option<Instant>,
    pub(super) closed: bool,
    /// Where each binding of a session has run.
    pub(super) bindings: HashMap<u64, (usize, u64)>,
    /// Those that are over.
    pub(super) over: HashSet<u64>,
    /// Sessions that were closed or have expired, as the pool was told.
    pub(super) sessions_over: Vec<Arc<str>>,
    /// What happened, in order.
    pub(super) notes: Vec<Note>,
    /// Last session-less call that was sent for the first time.
    pub(super) last_plain: Option<CallId>,
    pub(super) out: Vec<Effect<Job>>,
}

impl World {
    /// Workers are planned, none is started.
    pub(crate) fn new(size: usize, max_queue: usize) -> Self {
        Self::guarded(size, max_queue, Guards::default())
    }

    /// As `new`, with workers that are looked after like that.
    pub(crate) fn living(size: usize, max_queue: usize, life: config::Life) -> Self {
        Self::with(size, max_queue, life, Guards::default())
    }

    /// As `new`, with guards that are not the usual ones.
    pub(crate) fn guarded(size: usize, max_queue: usize, guards: Guards) -> Self {
        let life = config::Life { heartbeat: None, ..Default::default() };
        Self::with(size, max_queue, life, guards)
    }

    pub(super) fn with(size: usize, max_queue: usize, life: config::Life, guards: Guards) -> Self {
        Self::with_capacity(1, size, max_queue, life, guards)
    }

    /// As `with`, of workers that run so many calls at once.
    pub(super) fn with_capacity(
        capacity: usize,
        size: usize,
        max_queue: usize,
        life: config::Life,
        guards: Guards,
    ) -> Self {
        let now = Instant::now();
        let limits = Limits {
            size,
            capacity,
            max_queue,
            max_queue_bytes: MAX_QUEUE_BYTES,
            start_timeout: Duration::from_secs(20),
            grace: Duration::from_secs(2),
            life,
            guards,
            sessions: sessions::Limits { ttl: Some(TTL), max: MAX_SESSIONS },
            seed: 1,
        };
        let state = State::new(limits.clone(), now);
        let slots = state.slots.len();
        let mut world = Self {
            state,
            limits,
            now,
            page: Page::new(slots),
            workers: (0..slots).map(|_| Worker::new(Life::None, 0)).collect(),
            calls: Vec::new(),
            by_id: HashMap::new(),
            timer: None,
            closed: false,
            bindings: HashMap::new(),
            over: HashSet::new(),
            sessions_over: Vec::new(),
            notes: Vec::new(),
            last_plain: None,
            out: Vec::new(),
        };
        world.state.open(&mut world.out);
        world.carry_out();
        world
    }

    /// Every worker is ready and honours words.
    pub(crate) fn ready(size: usize) -> Self {
        let mut world = Self::new(size, 100);
        (0..size).for_each(|slot| world.bring_up(slot));
        world
    }

    /// Every worker has answered once, fast: calls may be prefetched into it from now on.
    pub(crate) fn warm_up(&mut self) {
        self.calls(self.workers.len(), &Spec::default());
        for slot in 0..self.workers.len() {
            self.work(slot);
        }
        assert!(self.state.is_idle());
    }

    // --- events ---------------------------------------------------------------------------------

    pub(crate) fn submit(&mut self, spec: Spec) -> Result<CallId, Refusal> {
        let call = self.calls.len();
        let new = NewCall {
            job: Job(call),
            session: spec.session.clone(),
            timeout: spec.timeout,
            idempotent: spec.idempotent,
            retry: spec.retry.clone(),
            bytes: spec.bytes,
            place: Default::default(),
            ancestors: spec.ancestors.clone(),
        };
        let window = spec.streaming.then_some(WINDOW);
        let id = self.state.submit(new, window, self.now, &mut self.out).map_err(|(why, _)| why)?;
        let deadline = spec.timeout.and_then(|timeout| self.now.checked_add(timeout));
        self.calls.push(Record {
            id,
            spec,
            deadline,
            sent: Vec::new(),
            begun: Vec::new(),
            partly: false,
            parts: 0,
            taken: 0,
            outcome: None,
            visit: None,
        });
        assert!(self.by_id.insert(id, call).is_none(), "{id} was used before");
        self.carry_out();
        Ok(id)
    }

    /// As `submit`, for calls that must be admitted.
    pub(crate) fn call(&mut self, spec: Spec) -> CallId {
        self.submit(spec).expect("admitted")
    }

    pub(crate) fn calls(&mut self, count: usize, spec: &Spec) -> Vec<CallId> {
        (0..count).map(|_| self.call(spec.clone())).collect()
    }

    pub(crate) fn start(&mut self, slot: usize) {
        let generation = self.workers[slot].generation;
        let limit = self.state.starting(slot, generation, self.now, &mut self.out);
        self.workers[slot].life = match limit {
            Some(_) => Life::Starting,
            None if self.closed => Life::None,
            None => Life::Waiting,
        };
        assert!(limit.is_none() || !self.closed);
        self.carry_out();
    }

    pub(crate) fn become_ready(&mut self, slot: usize, revocable: bool) {
        self.page.reset(slot);
        let worker = &mut self.workers[slot];
        (worker.life, worker.revocable) = (Life::Ready, revocable);
        self.state.worker_ready(slot, revocable, self.now, &self.page, &mut self.out);
        // Whoever has words has a control socket.
        if revocable {
            self.state.can_be_probed(slot, self.now, &mut self.out);
        }
        self.carry_out();
    }

    /// From planned to ready.
    pub(crate) fn bring_up(&mut self, slot: usize) {
        let Life::Planned(at) = self.workers[slot].life else {
            panic!("slot {slot} is not planned")
        };
        self.now = self.now.max(at);
        while matches!(self.workers[slot].life, Life::Planned(_)) {
            self.start(slot);
        }
        self.become_ready(slot, true);
    }

    /// The worker takes its next call.
    pub(crate) fn begin(&mut self, slot: usize) -> Option<CallId> {
        let worker = &mut self.workers[slot];
        let id = worker.begin(slot, &self.page)?;
        let place = (slot, worker.generation);
        let call = self.record_mut(id);
        if let Some(outcome) = &call.outcome {
            assert!(outcome.may_have_run(), "{id} runs after it ended as {outcome:?}");
        }
        if call.begun.last() != Some(&place) {
            call.begun.push(place);
        }
        Some(id)
    }

    pub(crate) fn finish(&mut self, slot: usize) -> bool {
        self.workers[slot].finish(slot, &self.page)
    }

    /// The host reads what the worker has answered, and fills it again.
    pub(crate) fn flush(&mut self, slot: usize) {
        if self.read(slot) {
            self.fill(slot);
        }
    }

    /// The host reads what the worker has answered. False: nothing, or it does not believe it.
    pub(crate) fn read(&mut self, slot: usize) -> bool {
        if self.workers[slot].outlawed {
            return false;
        }
        let finished = std::mem::take(&mut self.workers[slot].finished);
        if finished.is_empty() {
            return false;
        }
        self.state.progressed(slot, finished.len(), self.now, &mut self.out);
        for &id in &finished {
            let said = match self.spec(id) {
                Spec { raises: true, .. } => Said::Raised,
                Spec { streaming: true, .. } => Said::End,
                _ => Said::Value,
            };
            let job = self.answered(slot, id, said);
            match job.expect("the worker has this call") {
                Some(Job(call)) => self.ended(call, Outcome::Answered),
                None => assert!(self.outcome(id).is_some(), "the job of {id} is lost"),
            }
        }
        self.workers[slot].unfilled = true;
        self.carry_out(); // a slot that is barred now asks for the timer
        true
    }

    pub(super) fn answered(
        &mut self,
        slot: usize,
        id: CallId,
        said: Said,
    ) -> Result<Option<Job>, Violation> {
        self.state.answered(slot, id, said, self.now, &mut self.out)
    }

    pub(crate) fn fill(&mut self, slot: usize) {
        self.workers[slot].unfilled = false;
        self.state.fill(slot, self.now, &self.page, &mut self.out);
        self.state.check_use(slot, self.now, &mut self.out);
        self.carry_out();
    }

    /// The worker runs one call to its end and answers it.
    pub(crate) fn work(&mut self, slot: usize) -> Option<CallId> {
        let id = self.begin(slot);
        self.finish(slot);
        self.flush(slot);
        id
    }

    /// The worker runs one call after the other until it gets no more.
    pub(crate) fn work_off(&mut self, slot: usize) -> Vec<CallId> {
        std::iter::from_fn(|| self.work(slot)).collect()
    }

    /// The process is gone, whatever it was doing.
    pub(crate) fn die(&mut self, slot: usize, permanent: bool) {
        let generation = self.workers[slot].generation;
        self.workers[slot] = Worker::new(Life::None, generation);
        self.state.worker_gone(slot, permanent, self.now, &self.page, &mut self.out);
        self.carry_out();
        self.state.replace_worn(self.now, &mut self.out);
        self.carry_out();
    }

    pub(crate) fn cancel(&mut self, id: CallId) -> bool {
        let alive = self.outcome(id).is_none();
        let cancelled = self.state.cancel(id, self.now, &self.page, &mut self.out);
        assert_eq!(cancelled, alive);
        self.carry_out();
        cancelled
    }

    pub(crate) fn tick(&mut self) {
        self.timer = None;
        self.state.tick(self.now, &self.page, &mut self.out);
        self.carry_out();
    }

    /// Time passes, and the timer fires where it is due.
    pub(crate) fn advance(&mut self, by: Duration) {
        self.now += by;
        if self.timer.is_some_and(|timer| timer <= self.now) {
            self.tick();
        }
    }

    pub(crate) fn recycle(&mut self, slot: usize, generation: Option<u64>) -> bool {
        let recycled = self.state.recycle(slot, generation, self.now, &self.page, &mut self.out);
        self.carry_out();
        recycled
    }

    /// Opens a session before its first call.
    pub(crate) fn open_session(&mut self, key: &SessionKey) -> Result<(), Refusal> {
        let opened = self.state.open_session(key, self.now, &mut self.out);
        self.carry_out();
        opened
    }

    pub(crate) fn close_session(&mut self, id: &str) -> bool {
        let closed = self.state.close_session(id, self.now, &mut self.out);
        self.carry_out();
        closed
    }

    pub(crate) fn close_session_of(&mut self, id: &str, object: &Binding) -> bool {
        let closed = self.state.close_session_of(id, object, self.now, &mut self.out);
        self.carry_out();
        closed
    }

    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.state.close(self.now, &self.page, &mut self.out);
        self.carry_out();
    }

    pub(crate) fn outcome(&self, id: CallId) -> Option<&Outcome> {
        self.calls[self.by_id[&id]].outcome.as_ref()
    }

    /// How a call ended that no worker answered.
    pub(crate) fn end(&self, id: CallId) -> &End {
        match self.outcome(id) {
            Some(Outcome::Ended(end)) => end,
            other => panic!("{id} has not ended: {other:?}"),
        }
    }

    /// The slots that a call was sent to so far.
    pub(crate) fn sent(&self, id: CallId) -> Vec<usize> {
        self.calls[self.by_id[&id]].sent.iter().map(|(slot, _)| *slot).collect()
    }

    /// Calls in the worker of a slot.
    pub(crate) fn load(&self, slot: usize) -> usize {
        self.state.slots[slot].lane.len()
    }

    /// Whether a call may run again where it may have run.
    pub(super) fn may_repeat(&self, spec: &Spec) -> bool {
        let policy = spec.retry.as_deref().unwrap_or(&self.limits.guards.retry);
        spec.idempotent || policy.idempotent
    }

    pub(super) fn spec(&self, id: CallId) -> &Spec {
        &self.calls[self.by_id[&id]].spec
    }

    pub(super) fn record_mut(&mut self, id: CallId) -> &mut Record {
        &mut self.calls[self.by_id[&id]]
    }
}
