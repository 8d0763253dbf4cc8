//! The core alone: admission, routing, lease, reply. Workers are tasks of the same thread that
//! answer at once, so a call costs two task switches beside what the pool does.
//!
//! The budget is 2 µs a call, the same for any number of workers.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use snakepit::{CallSpec, Pool, SessionHandle};
use snakepit_testkit::{call, loopback};
use tokio::runtime::{Builder, Runtime};

const WORKERS: [usize; 3] = [1, 8, 64];
const IN_FLIGHT: usize = 64;

/// Open at once; one is that of the benchmark before.
const SESSIONS: usize = 9_999;

/// From one session to the next, so that no two that follow each other are neighbours.
const STRIDE: usize = 4_093;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("tokio runtime")
}

/// Runs `calls` calls, `IN_FLIGHT` of them at any time, answers taken in order.
async fn keep_in_flight(pool: &Pool, spec: &CallSpec, calls: u64) {
    let mut under_way = VecDeque::with_capacity(IN_FLIGHT);
    for _ in 0..calls {
        if under_way.len() == IN_FLIGHT
            && let Some(oldest) = under_way.pop_front()
        {
            one(oldest).await;
        }
        under_way.push_back(pool.submit(black_box(spec.clone())).expect("room"));
    }
    for reply in under_way {
        one(reply).await;
    }
}

async fn one(reply: snakepit::Reply) {
    black_box(reply.await.expect("an answer"));
}

fn dispatch(c: &mut Criterion) {
    let rt = runtime();
    let mut group = c.benchmark_group("dispatch");
    group.throughput(Throughput::Elements(1));
    let noop = call("noop", "");
    for workers in WORKERS {
        let pool = rt.block_on(loopback(workers).start());
        group.bench_function(BenchmarkId::new("one at a time", workers), |b| {
            b.to_async(&rt).iter(|| one(pool.submit(black_box(noop.clone())).expect("room")));
        });
        group.bench_function(BenchmarkId::new("64 in flight", workers), |b| {
            let (pool, noop) = (&pool, &noop);
            b.to_async(&rt).iter_custom(|calls| async move {
                let start = Instant::now();
                keep_in_flight(pool, noop, calls).await;
                start.elapsed()
            });
        });
    }
}

/// What a deadline and a session cost beside that.
fn extras(c: &mut Criterion) {
    let rt = runtime();
    let mut group = c.benchmark_group("dispatch extras");
    group.throughput(Throughput::Elements(1));
    let pool = rt.block_on(loopback(8).start());
    let session = pool.session_handle("s", None);
    let timeout = Some(std::time::Duration::from_secs(300));
    let specs = [
        ("deadline", CallSpec { timeout, ..call("noop", "") }),
        ("session", CallSpec { session: Some(session.key()), ..call("noop", "") }),
    ];
    for (name, spec) in specs {
        group.bench_function(name, |b| {
            b.to_async(&rt).iter(|| one(pool.submit(black_box(spec.clone())).expect("room")));
        });
    }
    // Each call in another one of as many sessions as may be open: found by its object, or by id.
    let handles: Vec<_> = (0..SESSIONS)
        .map(|n| pool.session_handle(format!("session {n}"), None))
        .inspect(|session| pool.open_session(session).expect("room"))
        .collect();
    let kinds = [("1 of 10,000 sessions", false), ("1 of 10,000 sessions by id", true)];
    for (name, by_id) in kinds {
        let key = |session: &SessionHandle| match by_id {
            true => session.key_of_id(),
            false => session.key(),
        };
        let spec = |session| CallSpec { session: Some(key(session)), ..call("noop", "") };
        let specs: Vec<_> = handles.iter().map(spec).collect();
        let mut turn = 0;
        group.bench_function(name, |b| {
            b.to_async(&rt).iter(|| {
                turn = (turn + STRIDE) % specs.len();
                one(pool.submit(black_box(specs[turn].clone())).expect("room"))
            });
        });
    }
}

criterion_group!(benches, dispatch, extras);
criterion_main!(benches);
