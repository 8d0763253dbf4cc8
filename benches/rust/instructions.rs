//! Instructions of the paths that every call takes, counted by callgrind: the same figure on a busy
//! machine and an idle one, so two commits can be compared. What they cost in time is measured by
//! the criterion benchmarks beside this.
//!
//! Run by `make bench-instructions`; names and what they mean are stable, for the comparison.

mod frames;

use std::hint::black_box;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gungraun::{library_benchmark, library_benchmark_group, main};
use prost::Message;
use serde::{Deserialize, Serialize};
use snakepit::process::{FromWorker, ToWorker};
use snakepit::rehearsal::{self, Rehearsal};
use snakepit::telemetry::{Interest, Subscription};
use snakepit::{Affinity, CallSpec, Pool, SessionKey, Value, value};
use snakepit_proto::v1::worker_frame::Frame;
use snakepit_proto::v1::{Chunks, HostFrame, WorkerFrame};
use snakepit_testkit::{call, loopback};
use tokio::runtime::Runtime;
use tokio::time::Instant;

const CALLS: usize = 1000;
const IN_FLIGHT: usize = 64;

// --- the pool's decisions -------------------------------------------------------------------------

fn workers(count: usize) -> Rehearsal {
    Rehearsal::new(count, Instant::now())
}

fn busy(count: usize) -> Rehearsal {
    let mut pool = workers(count);
    for _ in 0..IN_FLIGHT {
        pool.submit(None, None);
    }
    pool
}

// A call finds its worker idle.
#[library_benchmark(setup = workers)]
#[bench::workers_1(1)]
#[bench::workers_8(8)]
#[bench::workers_64(64)]
fn one_at_a_time(mut pool: Rehearsal) -> Rehearsal {
    for _ in 0..CALLS {
        pool.submit(None, None);
        black_box(pool.answer());
    }
    pool
}

// Calls wait in workers and, where these are full, in the queue.
#[library_benchmark(setup = busy)]
#[bench::workers_1(1)]
#[bench::workers_8(8)]
#[bench::workers_64(64)]
fn in_flight(mut pool: Rehearsal) -> Rehearsal {
    for _ in 0..CALLS {
        black_box(pool.answer());
        pool.submit(None, None);
    }
    pool
}

// As in flight, every call with a deadline.
#[library_benchmark(setup = busy)]
#[bench::workers_8(8)]
fn deadline(mut pool: Rehearsal) -> Rehearsal {
    let timeout = Some(Duration::from_secs(300));
    for _ in 0..CALLS {
        black_box(pool.answer());
        pool.submit(None, timeout);
    }
    pool
}

// As in flight, the calls of 16 sessions.
#[library_benchmark(setup = busy)]
#[bench::workers_8(8)]
fn session(mut pool: Rehearsal) -> Rehearsal {
    let affinity = Affinity::StrictQueue;
    let key = |n| SessionKey { id: format!("session {n}").into(), affinity, object: None };
    let sessions: Vec<_> = (0..16).map(key).collect();
    for call in 0..CALLS {
        black_box(pool.answer());
        pool.submit(Some(&sessions[call % sessions.len()]), None);
    }
    pool
}

/// A busy pool with so many sessions that have a home, and their keys.
fn with_sessions(count: usize) -> (Rehearsal, Vec<SessionKey>) {
    let mut pool = busy(8);
    let affinity = Affinity::StrictQueue;
    let key = |n| SessionKey { id: format!("session {n}").into(), affinity, object: None };
    let sessions: Vec<_> = (0..count).map(key).collect();
    for session in &sessions {
        pool.answer();
        pool.submit(Some(session), None);
    }
    (pool, sessions)
}

// As session, in one of as many as may be open.
#[library_benchmark(setup = with_sessions)]
#[bench::open_10000(10_000)]
fn many_sessions((mut pool, sessions): (Rehearsal, Vec<SessionKey>)) -> Rehearsal {
    for call in 0..CALLS {
        black_box(pool.answer());
        pool.submit(Some(&sessions[call * 4_093 % sessions.len()]), None);
    }
    pool
}

#[library_benchmark]
#[bench::slots_8(8)]
#[bench::slots_64(64)]
fn queue(slots: usize) -> usize {
    rehearsal::queue(slots, CALLS as u64)
}

#[library_benchmark]
#[bench::short(Duration::from_micros(5))]
#[bench::long(Duration::from_millis(5))]
fn prefetch(each: Duration) -> usize {
    rehearsal::prefetch(CALLS, black_box(each))
}

library_benchmark_group!(
    name = state,
    benchmarks = [one_at_a_time, in_flight, deadline, session, many_sessions, queue, prefetch]
);

// --- the pool around them -------------------------------------------------------------------------

/// A pool that is answered inside this process. Its clock stands still: it decides about
/// prefetching, and would count the slowness of callgrind.
fn pool(workers: usize) -> (Runtime, Pool) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().expect("a runtime");
    let pool = runtime.block_on(loopback(workers).start());
    runtime.block_on(round(&pool, &call("noop", ""), 4 * workers));
    (runtime, pool)
}

/// Sends `calls` at once and waits for all.
async fn round(pool: &Pool, spec: &CallSpec, calls: usize) {
    let replies: Vec<_> = (0..calls).map(|_| pool.submit(spec.clone()).expect("room")).collect();
    for reply in replies {
        black_box(reply.await.expect("an answer"));
    }
}

// Lock, effects, outbox, shared words, reply and two task switches, beside the decisions.
#[library_benchmark(setup = pool)]
#[bench::workers_1(1)]
#[bench::workers_8(8)]
#[bench::workers_64(64)]
fn whole((runtime, pool): (Runtime, Pool)) -> (Runtime, Pool) {
    let noop = call("noop", "");
    runtime.block_on(async {
        for _ in 0..CALLS / IN_FLIGHT {
            round(&pool, &noop, IN_FLIGHT).await;
        }
    });
    (runtime, pool)
}

/// The same, of whose calls somebody hears everything.
fn heard(workers: usize) -> (Runtime, Pool, Subscription) {
    let (runtime, pool) = pool(workers);
    let heard = Subscription::new(4 * IN_FLIGHT);
    heard.want(Interest::ALL);
    (runtime, pool, heard)
}

/// As `round`, of so many calls after each other; apart, since the counter looks at names.
async fn rounds_heard(pool: &Pool, heard: &Subscription) {
    let noop = call("noop", "");
    for _ in 0..CALLS / IN_FLIGHT {
        round(pool, &noop, IN_FLIGHT).await;
        let events = heard.next_batch(Duration::ZERO).expect("events");
        assert_eq!(events.map(black_box).count(), 2 * IN_FLIGHT);
    }
}

// As whole; two events a call are made, told, taken and dropped.
#[library_benchmark(setup = heard)]
#[bench::workers_8(8)]
fn whole_heard(it: (Runtime, Pool, Subscription)) -> (Runtime, Pool, Subscription) {
    let (runtime, pool, heard) = &it;
    runtime.block_on(rounds_heard(pool, heard));
    it
}

library_benchmark_group!(name = pool, benchmarks = [whole, whole_heard]);

// --- what travels ---------------------------------------------------------------------------------

fn opaque(size: usize) -> Bytes {
    Bytes::from(vec![7; size])
}

fn start_call(size: usize) -> (HostFrame, BytesMut) {
    (frames::start_call(opaque(size)), BytesMut::with_capacity(2 * size + 1024))
}

fn result(size: usize) -> Bytes {
    frames::result(opaque(size)).encode_to_vec().into()
}

fn chunks(items: usize) -> Bytes {
    let items = vec![opaque(16); items];
    let frame = Some(Frame::Chunks(Chunks { call_id: 7, items, ..Chunks::default() }));
    WorkerFrame { frame }.encode_to_vec().into()
}

#[library_benchmark(setup = start_call)]
#[bench::bytes_64(64)]
#[bench::bytes_16384(16 << 10)]
fn encode_call((frame, mut buffer): (HostFrame, BytesMut)) -> BytesMut {
    for _ in 0..CALLS {
        buffer.clear();
        black_box(&frame).encode(&mut buffer).expect("room");
    }
    buffer
}

#[library_benchmark(setup = result)]
#[bench::bytes_64(64)]
#[bench::bytes_16384(16 << 10)]
fn decode_result(encoded: Bytes) {
    for _ in 0..CALLS {
        black_box(WorkerFrame::decode(black_box(encoded.clone())).expect("a frame"));
    }
}

#[library_benchmark(setup = chunks)]
#[bench::items_64(64)]
fn decode_chunks(encoded: Bytes) {
    for _ in 0..CALLS {
        black_box(WorkerFrame::decode(black_box(encoded.clone())).expect("a frame"));
    }
}

#[derive(Serialize, Deserialize)]
struct Arguments {
    name: String,
    score: f64,
    flag: bool,
    none: Option<u64>,
    items: Vec<u64>,
}

fn arguments() -> Arguments {
    let items = (1..=10).collect();
    Arguments { name: "alpha beta".into(), score: 0.25, flag: true, none: None, items }
}

fn encoded() -> Bytes {
    value::encode_arguments(&arguments()).expect("a struct")
}

#[library_benchmark]
#[bench::five_keys(setup = arguments)]
fn encode_struct(arguments: Arguments) {
    for _ in 0..CALLS {
        black_box(value::encode_arguments(black_box(&arguments)).expect("a struct"));
    }
}

#[library_benchmark]
#[bench::five_keys(setup = encoded)]
fn decode_struct(encoded: Bytes) {
    for _ in 0..CALLS {
        black_box(value::decode::<Arguments>(black_box(&encoded)).expect("the same struct"));
    }
}

// What a caller gets who does not know the shape of a result.
#[library_benchmark]
#[bench::five_keys(setup = encoded)]
fn decode_any(encoded: Bytes) {
    for _ in 0..CALLS {
        black_box(value::decode::<Value>(black_box(&encoded)).expect("a dict"));
    }
}

library_benchmark_group!(name = codec, benchmarks = [encode_struct, decode_struct, decode_any]);

library_benchmark_group!(name = frame, benchmarks = [encode_call, decode_result, decode_chunks]);

// Cancels and grants, as they go beside the line.
#[library_benchmark]
fn to_worker() {
    for call in 0..CALLS as u64 {
        for message in [ToWorker::Cancel { call }, ToWorker::Grant { call, items: 512, bytes: 9 }] {
            let raw = black_box(message).encode().expect("short");
            black_box(ToWorker::decode(&raw).expect("a message"));
        }
    }
}

#[library_benchmark]
fn from_worker() {
    for nonce in 0..CALLS as u64 {
        for message in
            [FromWorker::ProbeAnswer { nonce }, FromWorker::WorkerIs { pid: 7, start_time: nonce }]
        {
            let raw = black_box(message).encode();
            black_box(FromWorker::decode(&raw).expect("a message"));
        }
    }
}

library_benchmark_group!(name = control, benchmarks = [to_worker, from_worker]);

main!(library_benchmark_groups = [state, pool, codec, frame, control]);
