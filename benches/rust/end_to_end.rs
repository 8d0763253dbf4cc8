//! Calls from Rust to real Python workers and back: everything that a user waits for, values encoded
//! and decoded. Which interpreter: see [`workers`].
//!
//! Workers start when the first figure needs them, so `--list` starts none. Without an interpreter
//! nothing is measured, and the exit code is 1.

mod workers;

use std::cell::OnceCell;
use std::hint::black_box;
use std::process::exit;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput};
use snakepit::value::Map;
use snakepit::{Pool, Value};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const WORKERS: usize = 2;
const IN_FLIGHT: u64 = 64;
const ITEMS: u64 = 10_000;

/// A runtime and a pool on it, made when they are needed.
struct Lazy {
    runtime: Runtime,
    pool: OnceCell<Pool>,
}

impl Lazy {
    fn pool(&self) -> &Pool {
        self.pool.get_or_init(|| {
            self.runtime.block_on(workers::start(WORKERS)).unwrap_or_else(|why| {
                eprintln!("end to end: skipped, nothing was measured: {why}");
                exit(1)
            })
        })
    }
}

/// Runs `calls` no-ops, by as many callers as may be in flight.
async fn in_flight(pool: &Pool, calls: u64) {
    let mut callers = JoinSet::new();
    for caller in 0..IN_FLIGHT {
        let pool = pool.clone();
        callers.spawn(async move {
            for _ in (caller..calls).step_by(IN_FLIGHT as usize) {
                black_box(workers::noop(&pool).await);
            }
        });
    }
    callers.join_all().await;
}

/// Bytes there and back.
async fn echo(pool: &Pool, arguments: &Map) -> Value {
    pool.execute("echo", arguments).await.expect("an answer")
}

fn end_to_end(c: &mut Criterion, lazy: &Lazy) {
    let mut group = c.benchmark_group("end to end");
    group.throughput(Throughput::Elements(1));
    group.bench_function("no-op, one at a time", |b| {
        let pool = lazy.pool();
        b.to_async(&lazy.runtime).iter(|| workers::noop(pool));
    });
    group.bench_function("no-op, 64 in flight", |b| {
        let pool = lazy.pool();
        b.to_async(&lazy.runtime).iter_custom(|calls| async move {
            let start = Instant::now();
            in_flight(pool, calls).await;
            start.elapsed()
        });
    });
    for size in [16 << 10, 1 << 20] {
        let arguments = Map::from([("data", Value::Bytes(vec![7; size].into()))]);
        group.throughput(Throughput::Bytes(2 * size as u64));
        group.bench_function(BenchmarkId::new("echo", size), |b| {
            let pool = lazy.pool();
            b.to_async(&lazy.runtime).iter(|| echo(pool, &arguments));
        });
    }
    group.throughput(Throughput::Elements(ITEMS));
    group.bench_function("stream of small items", |b| {
        let pool = lazy.pool();
        b.to_async(&lazy.runtime).iter(|| workers::read(pool, ITEMS));
    });
}

fn main() {
    let lazy = Lazy { runtime: workers::runtime(), pool: OnceCell::new() };
    let mut criterion = Criterion::default().configure_from_args();
    end_to_end(&mut criterion, &lazy);
    criterion.final_summary();
    if let Some(pool) = lazy.pool.get() {
        lazy.runtime.block_on(pool.close(std::time::Duration::ZERO));
    }
}
