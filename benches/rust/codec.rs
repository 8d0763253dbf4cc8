//! What a frame costs beside the value that it carries: prost alone, by the size of the value.
//!
//! Values are opaque bytes here; their own codec is measured where it is.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use prost::Message;
use snakepit_proto::v1::host_frame::Frame as ToWorker;
use snakepit_proto::v1::result::Outcome;
use snakepit_proto::v1::worker_frame::Frame as ToHost;
use snakepit_proto::v1::{HostFrame, Result as CallResult, StartCall, WorkerFrame};

const SIZES: [usize; 4] = [64, 1 << 10, 16 << 10, 60_000];

fn start_call(arguments: Bytes) -> HostFrame {
    let frame = ToWorker::StartCall(StartCall {
        call_id: 7 << 20 | 3,
        tool: "generate".into(),
        arguments,
        time_left_us: 300_000_000,
        word: 4,
        ..StartCall::default()
    });
    HostFrame { frame: Some(frame) }
}

fn result(value: Bytes) -> WorkerFrame {
    let outcome = Some(Outcome::Value(value));
    let frame = ToHost::Result(CallResult { call_id: 7 << 20 | 3, outcome });
    WorkerFrame { frame: Some(frame) }
}

/// Encodes as the transport does, into a buffer that is used again; decodes from shared bytes.
fn frame<M: Message + Default>(c: &mut Criterion, name: &str, make: impl Fn(Bytes) -> M) {
    let mut group = c.benchmark_group(format!("codec {name}"));
    for size in SIZES {
        let message = make(Bytes::from(vec![7; size]));
        let encoded = Bytes::from(message.encode_to_vec());
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("encode", size), |b| {
            let mut buffer = BytesMut::with_capacity(2 * SIZES[3]);
            b.iter(|| {
                buffer.clear();
                black_box(&message).encode(&mut buffer).expect("room");
                black_box(&buffer);
            });
        });
        group.bench_function(BenchmarkId::new("decode", size), |b| {
            b.iter(|| M::decode(black_box(encoded.clone())).expect("a frame"));
        });
    }
}

fn codec(c: &mut Criterion) {
    frame(c, "StartCall", start_call);
    frame(c, "Result", result);
}

criterion_group!(benches, codec);
criterion_main!(benches);
