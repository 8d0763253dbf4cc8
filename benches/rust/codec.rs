//! What a frame costs beside the value that it carries: prost alone, by the size of the value.

mod frames;

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use prost::Message;

use frames::{result, start_call};

const SIZES: [usize; 4] = [64, 1 << 10, 16 << 10, 60_000];

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
