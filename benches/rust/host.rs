//! A Rust host as one contender of `benches/side_by_side.py`: runs one workload in a process of its
//! own and prints its figures as JSON.
//!
//! ```console
//! bench-host flight warm=500 calls=4000 seconds=2 items=100000
//! ```
//!
//! What the figures mean is said there, in `workloads.py`; the sizes come from there too.

mod workers;

use std::collections::HashMap;
use std::hint::black_box;
use std::process::exit;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use snakepit::Pool;
use snakepit_testkit::{call, loopback};
use tokio::task::JoinSet;

const IN_FLIGHT: usize = 64;

/// Names and values, in the order in which they are printed.
type Figures = Vec<(String, f64)>;

/// How much is measured.
struct Sizes(HashMap<String, f64>);

impl Sizes {
    fn get(&self, name: &str) -> f64 {
        *self.0.get(name).unwrap_or_else(|| fail(&format!("a size is missing: {name}=NUMBER")))
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let workload = arguments.next().unwrap_or_default();
    let sizes = arguments.map(|argument| {
        let (name, value) = argument.split_once('=')?;
        Some((name.to_owned(), value.parse().ok()?))
    });
    let Some(sizes) = sizes.collect::<Option<HashMap<_, _>>>().map(Sizes) else {
        fail("sizes are given as NAME=NUMBER");
    };
    let figures = workers::runtime().block_on(async {
        match &*workload {
            "noop" => on(2, async |pool| noop(pool, &sizes).await).await,
            "flight" => on(2, async |pool| flight(pool, &sizes).await).await,
            "stream" => on(1, async |pool| stream(pool, &sizes).await).await,
            "dispatch" => dispatch(&sizes).await,
            _ => fail("which workload? one of: noop flight stream dispatch"),
        }
    });
    let figures: Vec<_> = figures.iter().map(|(name, n)| format!("\"{name}\": {n}")).collect();
    println!("{{{}}}", figures.join(", "));
}

fn fail(why: &str) -> ! {
    eprintln!("{why}");
    exit(2)
}

/// Measures with a pool of `size` Python workers.
async fn on(size: usize, measure: impl AsyncFnOnce(&Pool) -> Figures) -> Figures {
    let pool = workers::start(size).await.unwrap_or_else(|why| fail(&why));
    let figures = measure(&pool).await;
    pool.close(Duration::ZERO).await;
    figures
}

fn figures<const N: usize>(named: [(&str, f64); N]) -> Figures {
    named.map(|(name, value)| (name.to_owned(), value)).into()
}

/// One caller, one call at a time; microseconds.
async fn noop(pool: &Pool, sizes: &Sizes) -> Figures {
    for _ in 0..sizes.get("warm") as usize {
        workers::noop(pool).await;
    }
    let mut times = Vec::new();
    for _ in 0..sizes.get("calls") as usize {
        let start = Instant::now();
        black_box(workers::noop(pool).await);
        times.push(start.elapsed().as_nanos() as f64 / 1e3);
    }
    times.sort_by(f64::total_cmp);
    let at = |quantile: f64| times[(times.len() as f64 * quantile) as usize];
    figures([("p50", at(0.5)), ("p99", at(0.99))])
}

/// 64 callers: calls a second, and this process's CPU time for one.
async fn flight(pool: &Pool, sizes: &Sizes) -> Figures {
    let seconds = Duration::from_secs_f64(sizes.get("seconds"));
    let caller = |until| call_workers(pool.clone(), until);
    in_flight(seconds / 10, caller).await;
    let cpu = cpu_time();
    let (calls, took) = in_flight(seconds, caller).await;
    let host = (cpu_time() - cpu).as_secs_f64() * 1e6 / calls;
    figures([("calls_s", calls / took.as_secs_f64()), ("host_cpu", host)])
}

/// Has 64 callers call until that much time has passed; how many calls ended, and in what time.
async fn in_flight<F>(time: Duration, caller: impl Fn(Instant) -> F) -> (f64, Duration)
where
    F: Future<Output = u64> + Send + 'static,
{
    let start = Instant::now();
    let callers: JoinSet<u64> = (0..IN_FLIGHT).map(|_| caller(start + time)).collect();
    let calls: u64 = callers.join_all().await.into_iter().sum();
    (calls as f64, start.elapsed())
}

async fn call_workers(pool: Pool, until: Instant) -> u64 {
    let mut calls = 0;
    while Instant::now() < until {
        black_box(workers::noop(&pool).await);
        calls += 1;
    }
    calls
}

/// As [`call_workers`], with nothing to encode or decode.
async fn call_core(pool: Pool, until: Instant) -> u64 {
    let noop = call("noop", "");
    let mut calls = 0;
    while Instant::now() < until {
        black_box(pool.submit(noop.clone()).expect("room").await.expect("an answer"));
        calls += 1;
    }
    calls
}

/// User and system time of this process, its children excepted.
fn cpu_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("always allowed");
    [usage.user_time(), usage.system_time()]
        .map(|time| {
            Duration::from_secs(time.tv_sec() as u64) + Duration::from_micros(time.tv_usec() as u64)
        })
        .iter()
        .sum()
}

/// A generator of small dicts in the worker; items a second.
async fn stream(pool: &Pool, sizes: &Sizes) -> Figures {
    let count = sizes.get("items") as u64;
    workers::read(pool, 100).await;
    let start = Instant::now();
    let came = workers::read(pool, count).await;
    assert_eq!(came, count, "every item arrives");
    figures([("items_s", count as f64 / start.elapsed().as_secs_f64())])
}

/// The core without processes: microseconds a call by the number of workers, the worst of them, and
/// how much 64 workers cost above one.
async fn dispatch(sizes: &Sizes) -> Figures {
    let mut found = Figures::new();
    let time = Duration::from_secs_f64(sizes.get("seconds") / 6.0);
    for workers in [1, 8, 64] {
        let pool = loopback(workers).start().await;
        let caller = |until| call_core(pool.clone(), until);
        in_flight(time / 10, caller).await;
        let (calls, took) = in_flight(time, caller).await;
        found.push((format!("flight_{workers}"), took.as_secs_f64() * 1e6 / calls));

        let start = Instant::now();
        let calls = caller(start + time).await;
        let each = start.elapsed().as_secs_f64() * 1e6 / calls as f64;
        found.push((format!("single_{workers}"), each));
    }
    let worst = found.iter().map(|(_, each)| *each).fold(0.0, f64::max);
    let of = |name: &str| found.iter().find(|(known, _)| known == name).map_or(0.0, |(_, n)| *n);
    let growth = of("single_64") / of("single_1");
    found.extend(figures([("worst", worst), ("growth", growth)]));
    found
}
