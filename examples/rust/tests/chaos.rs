//! Chaos from Rust, over real Python workers: random calls, while workers and shims are killed and
//! stopped. Every call ends rightly, or in an error that its own worker's fault explains.
//!
//! Smaller than `tests/chaos`, with the same tools. `SNAKEPIT_TEST_SEED` repeats a run,
//! `SNAKEPIT_CHAOS_SECONDS` says how long.

mod common;

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteBuf, Bytes};
use snakepit::{Env, Error, OutputMode, Pool, WorkerRef};
use snakepit_testkit::{Mark, Random, soon, until};

/// Directory of the package `chaos`, whose adapter this runs.
const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests");
const CALLERS: u64 = 8;
const SIZE: usize = 3;
/// Descriptors that may come with use: what is opened once, at the first need.
const SPARE_DESCRIPTORS: usize = 8;

#[derive(Clone, Default, Serialize)]
struct Args<'a> {
    number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upto: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

/// What `bump` answers: number, worker, count, whether the session is new.
type Bump = (u64, (usize, u64), u64, bool);

#[derive(Deserialize)]
struct Echo(u64, ByteBuf);

#[derive(Deserialize)]
struct Chunk(u64, u64, ByteBuf);

fn any_bytes(random: &mut Random) -> Vec<u8> {
    let most = [1, 100, 5000, 1 << 20][random.below(4) as usize];
    let fill = random.below(256) as u8;
    vec![fill; random.below(most) as usize]
}

/// Which workers were harmed: by slot and generation.
#[derive(Default)]
struct Harms(Mutex<Vec<(usize, u64)>>);

impl Harms {
    fn add(&self, slot: usize, generation: u64) {
        self.0.lock().expect("nobody panics with it").push((slot, generation));
    }

    fn has(&self, slot: usize, generation: u64) -> bool {
        self.0.lock().expect("nobody panics with it").contains(&(slot, generation))
    }
}

/// Why sessions lost their homes, judged when all is known: which workers a tool had ended by then,
/// and who came after them.
#[derive(Default)]
struct Losses {
    /// Ended by `leave`.
    left: Harms,
    told: Mutex<Vec<(WorkerRef, String)>>,
}

impl Losses {
    fn add(&self, home: WorkerRef, cause: String) {
        self.told.lock().expect("nobody panics with it").push((home, cause));
    }

    /// Each home has ended, and for a reason.
    fn judge(&self, pool: &Pool, harms: &Harms) {
        let present = pool.workers();
        for (home, cause) in &*self.told.lock().expect("nobody panics with it") {
            let now = present.iter().find(|it| it.worker.slot == home.slot).expect("its slot");
            assert!(now.worker.generation > home.generation, "{home:?} serves on, told: {cause}");
            let by_somebody = [harms, &self.left];
            let ended = by_somebody.iter().any(|ends| ends.has(home.slot, home.generation));
            // Which call it was that did not stop, the session is not told.
            let outlived = cause.contains("a call outlived its deadline or cancel");
            assert!(ended || outlived || cause == "its worker is gone", "{home:?}: {cause}");
        }
    }
}

struct Caller {
    pool: Arc<Pool>,
    harms: Arc<Harms>,
    losses: Arc<Losses>,
    random: Random,
    name: u64,
    calls: u64,
    failed: u64,
}

impl Caller {
    async fn act(&mut self) {
        self.calls += 1;
        let number = self.name << 32 | self.calls;
        match self.random.below(10) {
            0..4 => self.echo(number).await,
            4 => self.hurry(number).await,
            5 => self.give_up(number).await,
            6..8 => self.stream(number).await,
            8 => self.session(number).await,
            _ => self.leave(number).await,
        }
    }

    async fn echo(&mut self, number: u64) {
        let data = any_bytes(&mut self.random);
        let args = Args { number, data: Some(Bytes::new(&data)), ..Args::default() };
        match soon("an echo", self.pool.execute::<Echo>("echo", &args)).await {
            Ok(Echo(told, back)) => assert!(told == number && back == data, "another's echo"),
            Err(error) => self.explain(&error),
        }
    }

    async fn hurry(&mut self, number: u64) {
        let seconds = Some(self.random.below(200) as f64 / 1000.0);
        let limit = Duration::from_millis(self.random.below(200) + 1);
        let begun = Instant::now();
        let call = self.pool.call("work").args(Args { number, seconds, ..Args::default() });
        match soon("a hurried call", call.timeout(limit).execute::<(u64,)>()).await {
            Ok((told,)) => assert_eq!(told, number),
            Err(Error::Timeout { .. }) => assert!(begun.elapsed() >= limit, "too early"),
            Err(error) => self.explain(&error),
        }
    }

    /// Drops the future of a call that waits, runs, or is through.
    async fn give_up(&mut self, number: u64) {
        let seconds = Some([0.01, 0.1, 60.0][self.random.below(3) as usize]);
        let tool = ["work", "heed", "seize"][self.random.below(3) as usize];
        let patience = Duration::from_millis(self.random.below(120));
        let args = Args { number, seconds, ..Args::default() };
        let call = self.pool.execute::<(u64,)>(tool, args);
        match tokio::time::timeout(patience, call).await {
            Ok(Ok((told,))) => assert_eq!(told, number),
            Ok(Err(error)) => self.explain(&error),
            Err(_) => {}
        }
    }

    async fn stream(&mut self, number: u64) {
        let (upto, size) = (self.random.below(500), [0, 10, 50_000][self.random.below(3) as usize]);
        let taken = if self.random.below(3) == 0 { self.random.below(upto + 1) } else { upto };
        let args = Args { number, upto: Some(upto), size: Some(size), ..Args::default() };
        let mut chunks = match self.pool.execute_stream::<Chunk>("count", &args) {
            Ok(chunks) => chunks,
            Err(error) => return self.explain(&error),
        };
        for next in 0..taken {
            match soon("a chunk", chunks.next()).await.expect("not the end yet") {
                Ok(Chunk(told, count, data)) => {
                    assert_eq!((told, count, data.len() as u64), (number, next, size));
                }
                Err(error) => return self.explain(&error),
            }
        }
        if taken == upto {
            match soon("the end", chunks.next()).await {
                None => {}
                Some(Ok(_)) => panic!("more chunks than there are"),
                Some(Err(error)) => self.explain(&error),
            }
        }
    }

    /// A session keeps its worker, and what it left there, or it is lost.
    async fn session(&mut self, number: u64) {
        let name = format!("{number}");
        let session = self.pool.session(&*name);
        let mut home = None;
        for count in 1..=self.random.below(8) + 1 {
            let call = session.call("bump").args(Args { number, ..Args::default() });
            match soon("a bump", call.execute::<Bump>()).await {
                Ok((told, worker, counted, is_new)) => {
                    assert_eq!((told, counted, is_new), (number, count, count == 1));
                    assert_eq!(*home.get_or_insert(worker), worker, "the session moved");
                }
                Err(Error::SessionLost { worker, cause, .. }) => {
                    let place = (worker.slot, worker.generation);
                    assert!(
                        home.is_none_or(|home| home == place),
                        "it lived in {home:?}: {place:?}"
                    );
                    return self.losses.add(worker, cause);
                }
                Err(error) => return self.explain(&error),
            }
        }
    }

    async fn leave(&mut self, number: u64) {
        let args = Args { number, code: Some(7), ..Args::default() };
        let ended = soon("an exit", self.pool.execute::<()>("leave", args)).await;
        match ended.expect_err("it leaves") {
            Error::WorkerDied { worker, exit, .. } if exit.exit_code == Some(7) => {
                self.losses.left.add(worker.slot, worker.generation);
            }
            error => self.explain(&error),
        }
    }

    /// Panics unless the very worker of the call was harmed.
    fn explain(&mut self, error: &Error) {
        self.failed += 1;
        match error {
            Error::WorkerDied { worker, .. } if self.harms.has(worker.slot, worker.generation) => {}
            _ => panic!("a bystander: {error:?}"),
        }
    }
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Puts a fault on a worker, or on its shim. What was stopped, and must go on.
fn strike(pool: &Pool, harms: &Harms, random: &mut Random) -> Option<Pid> {
    let worker = &pool.workers()[random.below(SIZE as u64) as usize];
    let (of_shim, stops) = (random.below(4) == 0, random.below(3) == 0);
    let pid = worker.pid?;
    let shim = parent(pid).filter(|shim| parent(*shim) == Some(std::process::id()))?;
    let target = Pid::from_raw((if of_shim { shim } else { pid }) as i32);
    if stops {
        return kill(target, Signal::SIGSTOP).is_ok().then_some(target);
    }
    let lethal = [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGSEGV][random.below(3) as usize];
    harms.add(worker.worker.slot, worker.worker.generation);
    // It may be gone by now, which harms nobody.
    let _ = kill(target, if of_shim { Signal::SIGKILL } else { lethal });
    None
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("a system with /proc").count()
}

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[tokio::test]
async fn every_call_ends_rightly_or_with_its_own_worker() {
    let Some(python) = common::python() else { return };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    let seed = number_of("SNAKEPIT_TEST_SEED").unwrap_or(now.subsec_nanos().into());
    let seconds = number_of("SNAKEPIT_CHAOS_SECONDS").unwrap_or(15);
    println!("SNAKEPIT_TEST_SEED={seed} SNAKEPIT_CHAOS_SECONDS={seconds}");

    let mark = Mark::new();
    let (name, value) = mark.variable();
    let builder = Pool::builder("chaos.adapter:Chaos")
        .size(SIZE)
        .name("chaos")
        .python(python)
        .pythonpath(TESTS)
        .env(Env::inherit().set(name, value))
        .grace(Duration::from_millis(300))
        .max_failed_starts(50_u32)
        .degraded_retry(Duration::from_millis(500))
        .worker_output(OutputMode::Drop);
    let pool = Arc::new(builder.start().await.expect("a pool"));
    pool.await_ready(None).await.expect("workers");
    let before = descriptors();

    let (harms, losses) = (Arc::new(Harms::default()), Arc::new(Losses::default()));
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let callers: Vec<_> = (0..CALLERS)
        .map(|name| {
            let (pool, harms, stopped) = (pool.clone(), harms.clone(), stopped.clone());
            let losses = losses.clone();
            let random = Random::new(seed ^ (name + 1) << 32);
            let mut caller = Caller { pool, harms, losses, random, name, calls: 0, failed: 0 };
            tokio::spawn(async move {
                while !*stopped.borrow() {
                    caller.act().await;
                }
                (caller.calls, caller.failed)
            })
        })
        .collect();

    let end = Instant::now() + Duration::from_secs(seconds);
    let mut random = Random::new(seed);
    // A caller that has panicked is told at the end of the storm at once.
    while Instant::now() < end && !callers.iter().any(tokio::task::JoinHandle::is_finished) {
        let halted = strike(&pool, &harms, &mut random);
        tokio::time::sleep(Duration::from_millis(random.below(400))).await;
        if let Some(halted) = halted {
            let _ = kill(halted, Signal::SIGCONT);
        }
    }
    stop.send(true).expect("callers that listen");
    let (mut calls, mut failed) = (0, 0);
    for caller in callers {
        let told = soon("the last call of a caller", caller).await;
        let (made, lost) = told.unwrap_or_else(|panic| panic!("seed {seed}: {panic}"));
        (calls, failed) = (calls + made, failed + lost);
    }
    println!("{calls} calls, {failed} ended with their workers");
    assert!(calls > 20, "seed {seed}: {calls} calls are no storm");

    let rest = || {
        let stats = pool.stats();
        (stats.ready, stats.queued, stats.running) == (SIZE, 0, 0)
    };
    until("all slots are refilled, and no call is left", rest).await;
    losses.judge(&pool, &harms);
    let flat = || descriptors() <= before + SPARE_DESCRIPTORS;
    until("no descriptor is left", flat).await;
    let counters = pool.stats().counters;
    let ends = counters.completed + counters.errors + counters.cancelled + counters.timeouts;
    assert_eq!(ends, counters.requests, "seed {seed}: each call has one end");
    let pool = Arc::into_inner(pool).expect("callers are gone");
    common::finish(pool, mark).await;
}
