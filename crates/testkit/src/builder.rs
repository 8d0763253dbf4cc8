//! Pools of scripted workers.

use std::ffi::OsString;
use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use snakepit::{
    AdapterSource, Affinity, Error, Guards, Life, Limits, OutputMode, Pool, PoolConfig, Profile,
    SharedMemory, SourceKind, WorkerConfig,
};
use tokio::runtime::Handle;

use super::{Mark, PATIENCE, soon};

/// A pool of `size` scripted workers, to be started. Grace is 200 ms unless said otherwise, so that
/// tests of what comes after it are quick; nothing may depend on its being longer or shorter.
pub fn pool(size: usize) -> Builder {
    let worker = WorkerConfig {
        program: scripted_worker(),
        args: Vec::new(),
        env: Vec::new(),
        env_by_slot: Vec::new(),
        devices: Vec::new(),
        limits: Default::default(),
        sys_path: Vec::new(),
        bridge_path: String::new(),
        adapter: AdapterSource {
            kind: SourceKind::Module,
            location: "scripted".into(),
            qualname: "Scripted".into(),
        },
        adapter_args: Default::default(),
        output: OutputMode::Drop,
        profile: Profile::Process,
        capacity: 1,
        thread_safety_checks: false,
        results: None,
        telemetry: snakepit::TelemetryFilter::default(),
        errors: Vec::new(),
    };
    let mut config = PoolConfig::new("test", size, worker);
    config.grace = Duration::from_millis(200);
    Builder { config, mark: Mark::new() }
}

/// The binary of this package: beside the folder of the test or benchmark that asks.
pub fn scripted_worker() -> PathBuf {
    let mut path = std::env::current_exe().expect("the path of this program");
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    path.push("scripted-worker");
    assert!(
        path.exists(),
        "{} is not built; tests and benches of snakepit-testkit build it",
        path.display()
    );
    path
}

/// See [`pool`].
pub struct Builder {
    config: PoolConfig,
    mark: Mark,
}

impl Builder {
    /// How workers start: `src/bin/scripted-worker/script.rs` lists the ways.
    pub fn start_as(mut self, how: &str) -> Self {
        self.config.worker.args = how.split_whitespace().map(OsString::from).collect();
        self
    }

    /// What the pool takes its worker for.
    pub fn source(mut self, kind: SourceKind) -> Self {
        self.config.worker.adapter.kind = kind;
        self
    }

    /// Between the cancel of a running call and SIGTERM.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.config.grace = grace;
        self
    }

    /// For the first start of a slot.
    pub fn start_timeout(mut self, limit: Duration) -> Self {
        self.config.start_timeout = limit;
        self
    }

    /// So many calls may wait.
    pub fn max_queue(mut self, calls: usize) -> Self {
        self.config.max_queue = calls;
        self
    }

    /// So many bytes of arguments may wait.
    pub fn max_queue_bytes(mut self, bytes: u64) -> Self {
        self.config.max_queue_bytes = bytes;
        self
    }

    /// What the pool does while workers fail.
    pub fn guards(mut self, guards: Guards) -> Self {
        self.config.guards = guards;
        self
    }

    /// Largest value in bytes.
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.config.max_message = bytes;
        self
    }

    /// How large buffers travel.
    pub fn shared_memory(mut self, settings: Option<SharedMemory>) -> Self {
        self.config.shared_memory = settings;
        self
    }

    /// What a worker may take of the machine.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.config.worker.limits = limits;
        self
    }

    /// How sessions bind.
    pub fn affinity(mut self, affinity: Affinity) -> Self {
        self.config.affinity = affinity;
        self
    }

    /// How workers are probed, replaced and started.
    pub fn life(mut self, life: Life) -> Self {
        self.config.life = life;
        self
    }

    /// Another program than the scripted worker.
    pub fn program(mut self, path: impl Into<PathBuf>) -> Self {
        self.config.worker.program = path.into();
        self
    }

    /// Workers in which the SDK of this folder is to run.
    pub fn sdk(mut self, folder: &str) -> Self {
        self.config.worker.bridge_path = folder.into();
        self
    }

    /// Starts the pool on the current runtime and waits until every worker is ready.
    pub async fn start(self) -> TestPool {
        let pool = self.open();
        pool.await_ready(Some(PATIENCE)).await.expect("scripted workers start");
        pool
    }

    /// Starts the pool and does not wait.
    pub fn open(self) -> TestPool {
        self.try_open().expect("a configuration that makes sense")
    }

    /// The same, where it may be refused.
    ///
    /// # Errors
    /// As [`Pool::start_on`].
    pub fn try_open(mut self) -> Result<TestPool, Error> {
        let (name, value) = self.mark.variable();
        self.config.worker.env.push((name.into(), value.into()));
        let pool = Pool::start_on(&Handle::current(), self.config, None)?;
        Ok(TestPool { pool, mark: self.mark })
    }
}

/// A pool that knows its processes.
pub struct TestPool {
    pool: Pool,
    mark: Mark,
}

impl TestPool {
    /// Process ids of shims, workers and all they made.
    pub fn alive(&self) -> Vec<u32> {
        self.mark.alive()
    }

    /// Runs one call to its end.
    ///
    /// # Errors
    /// As [`Pool::submit`] and its reply.
    pub async fn run(&self, tool: &str, words: &str) -> Result<String, Error> {
        let reply = self.pool.submit(super::call(tool, words))?;
        let value = soon("the answer of a call", reply).await?;
        Ok(String::from_utf8_lossy(&value.bytes).into_owned())
    }

    /// Generation of the worker in a slot; it starts at 1.
    pub fn generation(&self, slot: usize) -> u64 {
        self.pool.workers()[slot].worker.generation
    }

    /// Waits until every slot is ready, the first in at least that generation.
    pub async fn refilled(&self, generation: u64) {
        super::until("the slot is refilled", || self.generation(0) >= generation).await;
        self.pool.await_ready(Some(PATIENCE)).await.expect("the slot is refilled");
    }

    /// Closes the pool at once and asserts that nothing of it is left.
    pub async fn finish(self) {
        soon("the pool closes", self.pool.close(Duration::ZERO)).await;
        self.assert_nothing_left().await;
    }

    /// Lets go of the pool without closing it, and asserts the same.
    pub async fn abandon(self) {
        let Self { pool, mark } = self;
        drop(pool);
        mark.assert_nothing_left().await;
    }

    /// Waits until no process of the pool is left; panics if that does not come about.
    pub async fn assert_nothing_left(&self) {
        self.mark.assert_nothing_left().await;
    }
}

impl Deref for TestPool {
    type Target = Pool;

    fn deref(&self) -> &Pool {
        &self.pool
    }
}
