//! Calls from Rust to real Python workers and back: everything that a user waits for, but the codec
//! of the values. Which interpreter: see [`workers`].
//!
//! Workers start when the first figure needs them, so `--list` starts none. Without an interpreter
//! nothing is measured, and the exit code is 1.

mod workers;

use std::cell::OnceCell;
use std::process::exit;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput};
use snakepit::{CallSpec, Pool};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const WORKERS: usize = 2;
const IN_FLIGHT: u64 = 64;
const ITEMS: u32 = 10_000;

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

/// `{"data": bytes}` there, the bytes back.
fn echo(size: u32) -> CallSpec {
    let mut arguments = b"\x81\xa4data\xc6".to_vec();
    arguments.extend_from_slice(&size.to_be_bytes());
    arguments.resize(arguments.len() + size as usize, 7);
    CallSpec::new("echo", arguments)
}

/// Runs `calls` calls, by as many callers as may be in flight.
async fn in_flight(pool: &Pool, spec: &CallSpec, calls: u64) {
    let mut callers = JoinSet::new();
    for caller in 0..IN_FLIGHT {
        let (pool, spec) = (pool.clone(), spec.clone());
        callers.spawn(async move {
            for _ in (caller..calls).step_by(IN_FLIGHT as usize) {
                workers::run(&pool, &spec).await;
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.expect("a caller that ends");
    }
}

fn end_to_end(c: &mut Criterion, lazy: &Lazy) {
    let mut group = c.benchmark_group("end to end");
    let noop = workers::noop();
    group.throughput(Throughput::Elements(1));
    group.bench_function("no-op, one at a time", |b| {
        let pool = lazy.pool();
        b.to_async(&lazy.runtime).iter(|| workers::run(pool, &noop));
    });
    group.bench_function("no-op, 64 in flight", |b| {
        let (pool, noop) = (lazy.pool(), &noop);
        b.to_async(&lazy.runtime).iter_custom(|calls| async move {
            let start = Instant::now();
            in_flight(pool, noop, calls).await;
            start.elapsed()
        });
    });
    for size in [16 << 10, 1 << 20] {
        let echo = echo(size);
        group.throughput(Throughput::Bytes(2 * u64::from(size)));
        group.bench_function(BenchmarkId::new("echo", size), |b| {
            let pool = lazy.pool();
            b.to_async(&lazy.runtime).iter(|| workers::run(pool, &echo));
        });
    }
    let items = workers::items(ITEMS);
    group.throughput(Throughput::Elements(ITEMS.into()));
    group.bench_function("stream of small items", |b| {
        let pool = lazy.pool();
        b.to_async(&lazy.runtime).iter(|| workers::read(pool, &items));
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
