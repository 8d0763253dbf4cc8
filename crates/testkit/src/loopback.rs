//! Pools that are answered inside this process.

use std::time::Duration;

use bytes::Bytes;
use snakepit::loopback::{Answer, Call, start_on};
use snakepit::{
    AdapterSource, Guards, OutputMode, Pool, PoolConfig, Profile, SourceKind, WorkerConfig,
};
use tokio::runtime::Handle;

/// A pool of `size` workers that are tasks of the current runtime, to be started.
///
/// Tools: `noop` answers nothing at once, `echo` its arguments, `after` its arguments after so many
/// milliseconds as they say, `raise`, `never`, `deaf` (to cancels, too), `exit`.
pub fn loopback(size: usize) -> Loopback {
    let worker = WorkerConfig {
        program: Default::default(),
        args: Vec::new(),
        env: Vec::new(),
        env_by_slot: Vec::new(),
        devices: Vec::new(),
        limits: Default::default(),
        sys_path: Vec::new(),
        bridge_path: String::new(),
        adapter: AdapterSource {
            kind: SourceKind::Module,
            location: String::new(),
            qualname: String::new(),
        },
        adapter_args: Bytes::new(),
        output: OutputMode::Drop,
        profile: Profile::Process,
        capacity: 1,
        thread_safety_checks: false,
        results: None,
        telemetry: snakepit::TelemetryFilter::default(),
        errors: Vec::new(),
    };
    Loopback(PoolConfig::new("loopback", size, worker))
}

/// See [`loopback`].
pub struct Loopback(PoolConfig);

impl Loopback {
    /// So many calls may wait.
    pub fn max_queue(mut self, calls: usize) -> Self {
        self.0.max_queue = calls;
        self
    }

    /// What the pool does while workers fail.
    pub fn guards(mut self, guards: Guards) -> Self {
        self.0.guards = guards;
        self
    }

    /// Between the cancel of a running call and the end of its worker.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.0.grace = grace;
        self
    }

    /// Starts the pool on the current runtime and waits until every worker is ready.
    pub async fn start(self) -> Pool {
        self.start_with(answer).await
    }

    /// The same, with workers that do as `answer` says.
    pub async fn start_with(
        self,
        answer: impl Fn(Call<'_>) -> Answer + Send + Sync + 'static,
    ) -> Pool {
        let pool = start_on(&Handle::current(), self.0, answer).expect("a fit configuration");
        pool.await_ready(None).await.expect("tasks start");
        pool
    }
}

fn answer(call: Call<'_>) -> Answer {
    let words = || String::from_utf8_lossy(call.arguments).into_owned();
    match call.tool {
        "noop" => Answer::Value(Bytes::new()),
        "echo" => Answer::Value(call.arguments.clone()),
        "after" => match words().parse() {
            Ok(millis) => Answer::After(Duration::from_millis(millis), call.arguments.clone()),
            Err(error) => Answer::Raise(format!("after {}: {error}", words())),
        },
        "raise" => Answer::Raise(words()),
        "never" => Answer::Never,
        "deaf" => Answer::Deaf,
        "exit" => Answer::Exit(words().parse().unwrap_or(1)),
        other => Answer::Raise(format!("no tool {other}")),
    }
}
