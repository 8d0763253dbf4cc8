//! The pool as embedders hold it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::job::{Job, Sink};
use super::lines::LineHandler;
use super::reply::{Cell, Hold, Reply};
use super::shared::Shared;
use super::state::NewCall;
use super::stats::{PoolStats, WorkerInfo};
use super::stream::{Channel, ChunkStream};
use crate::call::{CallSpec, HostContext, Lineage};
use crate::config::{Access, CallDefaults, PoolConfig};
use crate::error::Error;
use crate::operator::{self, Registration};
use crate::process::arena::Arena;
use crate::process::{limits::beyond_system, shortage_of};
use crate::transport::Listener;
use crate::worker::{Keeper, Order};

/// After the last call, workers have so long to exit by themselves before they are killed.
const EXIT_LIMIT: Duration = Duration::from_secs(2);

/// A close waits no longer than this for calls that were cancelled, whatever the grace.
const LONGEST_GRACE: Duration = Duration::from_secs(5);

/// After a kill, the trees have so long to be gone.
const KILL_LIMIT: Duration = Duration::from_secs(2);

/// A running pool. Cheap to clone; the last handle's drop ends its workers at once, without
/// waiting: call [`Pool::close`] for an orderly end.
#[derive(Clone)]
pub struct Pool {
    pub(super) shared: Arc<Shared>,
    tasks: Arc<Tasks>,
    pub(super) defaults: CallDefaults,
}

/// The tasks that make a pool run; they end with it.
struct Tasks {
    keepers: std::sync::Mutex<Vec<JoinHandle<()>>>,
    timer: JoinHandle<()>,
    /// Tells workers who listens.
    interest: JoinHandle<()>,
    scales: Option<JoinHandle<()>>,
    /// Gives memory back.
    attic: Option<JoinHandle<()>>,
    /// Tells what is wrong with that memory.
    troubles: Option<JoinHandle<()>>,
    /// To operators, until it is closed.
    known: std::sync::Mutex<Option<Registration>>,
    shared: Arc<Shared>,
    runtime: Handle,
}

impl Tasks {
    fn known(&self) -> std::sync::MutexGuard<'_, Option<Registration>> {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let config = self.config();
        f.debug_struct("Pool").field("name", &config.name).field("size", &config.size).finish()
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        if !self.shared.is_here() {
            return;
        }
        // Whoever still waits for a call is told; keepers without orders end their workers at once
        // and go by themselves when all is reaped.
        self.shared.close();
        self.shared.dismiss();
        self.timer.abort();
        self.interest.abort();
        for task in [&self.scales, &self.attic, &self.troubles].into_iter().flatten() {
            task.abort();
        }
        self.shared.tell_closed();
    }
}

impl Pool {
    /// Starts a pool on `runtime` and does not wait for its workers.
    ///
    /// # Errors
    /// [`Error::Config`] for a configuration that makes no sense, [`Error::Start`] when the socket
    /// for workers cannot be made.
    pub fn start_on(
        runtime: &Handle,
        config: PoolConfig,
        lines: Option<LineHandler>,
    ) -> Result<Self, Error> {
        config.validate()?;
        #[cfg(feature = "failpoints")]
        crate::failpoint::arm_from_environment()
            .and_then(|()| crate::failpoint::check_workers(!config.worker.bridge_path.is_empty()))
            .map_err(|message| Error::Config { field: crate::failpoint::VARIABLE, message })?;
        beyond_system(&config.worker.limits)
            .map_or(Ok(()), |message| Err(Error::Config { field: "limits", message }))?;
        let config = Arc::new(config);
        let _entered = runtime.enter();
        let listener = Listener::bind(config.max_message, config.size).map_err(|error| {
            let shortage = shortage_of(&error);
            let remedy = shortage.as_ref().map(|(_, remedy)| format!("; {remedy}"));
            let remedy = remedy.unwrap_or_default();
            let failure = crate::error::StartFailure {
                reason: format!("cannot listen for workers: {error}{remedy}"),
                permanent: true,
                shortage: shortage.map(|(shortage, _)| shortage),
                ..Default::default()
            };
            Error::Start { pool: config.name.clone(), worker: None, failure: failure.into() }
        })?;
        let listener = Arc::new(listener);
        let keep = |office: &Arc<Shared>, slot, orders| {
            let (office, config, listener) = (office.clone(), config.clone(), listener.clone());
            runtime.spawn(Keeper { office, config, listener, slot, orders }.run())
        };
        let pool = Self::open(runtime, config.clone(), lines, keep);
        pool.admit_operators();
        Ok(pool)
    }

    /// Makes the pool known to the operator socket of this process, if it may be.
    fn admit_operators(&self) {
        if self.config().control > Access::Off {
            let subject: Weak<Shared> = Arc::downgrade(&self.shared);
            *self.tasks.known() = Some(operator::register(subject));
        }
    }

    /// Opens a pool whose slots are kept by the tasks that `keep` starts.
    pub(super) fn open(
        runtime: &Handle,
        config: Arc<PoolConfig>,
        lines: Option<LineHandler>,
        keep: impl Fn(&Arc<Shared>, usize, mpsc::UnboundedReceiver<Order>) -> JoinHandle<()>,
    ) -> Self {
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..config.slots()).map(|_| mpsc::unbounded_channel()).unzip();
        let shared = Arc::new(Shared::new(config, senders, lines));
        let keepers = receivers.into_iter().enumerate();
        let keepers = keepers.map(|(slot, orders)| keep(&shared, slot, orders)).collect();
        let keepers = std::sync::Mutex::new(keepers);
        let timer = runtime.spawn(shared.clone().keep_time());
        let interest = runtime.spawn(shared.clone().keep_listening());
        let weighs = shared.weighs();
        let scales = weighs.then(|| runtime.spawn(shared.clone().keep_weighing()));
        let attic = shared.arena.clone().map(|arena| runtime.spawn(arena.keep_small()));
        let troubles =
            shared.arena.is_some().then(|| runtime.spawn(shared.clone().keep_telling_memory()));
        shared.open();
        let tasks = Tasks {
            keepers,
            timer,
            interest,
            scales,
            attic,
            troubles,
            known: std::sync::Mutex::default(),
            shared: shared.clone(),
            runtime: runtime.clone(),
        };
        Self { shared, tasks: Arc::new(tasks), defaults: CallDefaults::default() }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The runtime that the pool lives on.
    pub(super) fn runtime(&self) -> &Handle {
        &self.tasks.runtime
    }

    /// The configuration.
    pub fn config(&self) -> &PoolConfig {
        &self.shared.config
    }

    /// Sends a call on its way.
    ///
    /// # Errors
    /// What refuses a call at the door; see [`Error`].
    pub fn submit(&self, spec: CallSpec) -> Result<Reply, Error> {
        self.submit_holding(spec, None)
    }

    /// As [`Pool::submit`]; `hold` is dropped when the call ends, however it ends.
    ///
    /// # Errors
    /// As there.
    #[doc(hidden)]
    pub fn submit_holding(&self, spec: CallSpec, hold: Option<Hold>) -> Result<Reply, Error> {
        let cell = Arc::new(Cell::new(hold));
        let id = self.admit(spec, Sink::Reply(cell.clone()))?;
        Ok(Reply::new(cell, self.shared.clone(), id))
    }

    /// Starts a streaming call.
    ///
    /// # Errors
    /// As [`Pool::submit`].
    pub fn stream(&self, spec: CallSpec) -> Result<ChunkStream, Error> {
        self.stream_holding(spec, None)
    }

    /// As [`Pool::stream`]; `hold` is dropped when the call ends, however it ends.
    ///
    /// # Errors
    /// As there.
    #[doc(hidden)]
    pub fn stream_holding(&self, spec: CallSpec, hold: Option<Hold>) -> Result<ChunkStream, Error> {
        let channel = Arc::new(Channel::new(hold));
        let id = self.admit(spec, Sink::Stream(channel.clone()))?;
        Ok(ChunkStream::new(channel, self.shared.clone(), id))
    }

    fn admit(&self, spec: CallSpec, sink: Sink) -> Result<crate::id::CallId, Error> {
        if !self.shared.is_here() {
            return Err(Error::ForkedPool { pool: self.shared.config.name.clone() });
        }
        if let Err(error) = spec.check(self.shared.config.max_message) {
            if let Some(trace) = spec.lineage.and_then(|lineage| lineage.trace) {
                self.abandon(trace, &spec.tool, error.to_string());
            }
            return Err(error);
        }
        let CallSpec { tool, arguments, session, timeout, idempotent, retry, lineage } = spec;
        let id = session.as_ref().map(|session| session.id.clone());
        // Buffers are bounded by the arena that they are in.
        let bytes = u32::try_from(arguments.bytes.len()).unwrap_or(u32::MAX);
        let job = Box::new(Job {
            tool,
            arguments,
            session: id,
            sink,
            pass: None,
            told: None,
            retries: 0,
            lineage: None,
        });
        let place = Default::default();
        let new =
            NewCall { job, session, timeout, idempotent, retry, bytes, place, ancestors: None };
        let within = || HostContext::current().map(Lineage::from);
        match lineage.or_else(within) {
            None => self.shared.submit(new),
            Some(lineage) => self.admit_nested(lineage, new),
        }
    }

    /// Where large arguments are put on their way to workers; none where the pool has no shared memory.
    pub fn arena(&self) -> Option<&Arena> {
        self.shared.arena.as_ref()
    }

    /// Counts; all zero in a fork of the process that made the pool.
    pub fn stats(&self) -> PoolStats {
        if self.is_forked() { PoolStats::default() } else { self.shared.stats() }
    }

    /// One row a slot; none in a fork. Reads `/proc` for the memory.
    pub fn workers(&self) -> Vec<WorkerInfo> {
        let size = if self.is_forked() { 0 } else { self.shared.config.size };
        (0..size).map(|number| self.shared.worker_info(number)).collect()
    }

    /// Waits until every worker is ready.
    ///
    /// # Errors
    /// [`Error::Start`] as soon as a slot cannot start, [`Error::NotReady`] after `limit`,
    /// [`Error::PoolClosed`].
    pub async fn await_ready(&self, limit: Option<Duration>) -> Result<(), Error> {
        if self.is_forked() {
            return Err(Error::ForkedPool { pool: self.shared.config.name.clone() });
        }
        let size = self.shared.config.size;
        let ready = self.shared.wait_until(|state| {
            if !state.is_open() {
                let pool = self.shared.config.name.clone();
                return Some(Err(Some(Error::PoolClosed { pool, may_have_run: false })));
            }
            if state.degraded().is_some() {
                return Some(Err(None));
            }
            (state.ready() == size).then_some(Ok(()))
        });
        let ready = match limit {
            None => ready.await,
            Some(limit) => match timeout(limit, ready).await {
                Ok(ready) => ready,
                Err(_) => {
                    let pool = self.shared.config.name.clone();
                    let ready = self.shared.read(|state| state.ready());
                    return Err(Error::NotReady { pool, waited: limit, ready, size });
                }
            },
        };
        ready.map_err(|error| error.unwrap_or_else(|| self.shared.start_error()))
    }

    /// Lets a worker finish what it has and replaces it: by one that started before, where the pool
    /// has a [`crate::Recycle`], else by one that starts then. False: that worker is gone already, or
    /// being replaced.
    pub fn recycle(&self, slot: usize, generation: Option<u64>) -> bool {
        self.shared.is_here()
            && slot < self.shared.config.size
            && self.shared.recycle(slot, generation)
    }

    /// Whether calls are refused: after [`Pool::close`], and in a fork.
    pub fn is_closed(&self) -> bool {
        self.is_forked() || !self.shared.read(|state| state.is_open())
    }

    /// Whether this process is a fork of the one that made the pool.
    pub fn is_forked(&self) -> bool {
        !self.shared.is_here()
    }

    /// Ends every worker at once, without asking it; what they ran is told as a death. For a
    /// close that must not wait.
    pub fn kill(&self) {
        if !self.is_forked() {
            self.shared.close();
            self.shared.kill_all(true);
        }
    }

    /// Ends the pool: admits nothing more, lets calls end for `drain`, cancels the rest, lets
    /// workers clean up, kills what is left. Takes at most `drain`, the grace (5 s of
    /// it at most) and some four seconds.
    pub async fn close(&self, drain: Duration) {
        if self.is_forked() {
            return;
        }
        self.shared.drain();
        if !drain.is_zero() {
            let idle = self.shared.wait_until(|state| state.is_idle().then_some(()));
            let _ = timeout(drain, idle).await;
        }
        self.shared.close();
        let keepers = {
            let mut keepers =
                self.tasks.keepers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            std::mem::take(&mut *keepers)
        };
        let gone = self.shared.wait_until(|state| state.all_gone().then_some(()));
        tokio::pin!(gone);
        let limit = self.shared.config.grace.min(LONGEST_GRACE) + EXIT_LIMIT;
        if timeout(limit, &mut gone).await.is_err() {
            self.shared.kill_all(false);
            let _ = timeout(KILL_LIMIT, &mut gone).await;
        }
        self.shared.dismiss();
        self.shared.hosting.let_go();
        let until = Instant::now() + KILL_LIMIT;
        for mut keeper in keepers {
            if tokio::time::timeout_at(until, &mut keeper).await.is_err() {
                keeper.abort();
            }
        }
        self.shared.tell_closed();
        let known = self.tasks.known().take();
        drop(known);
    }
}
