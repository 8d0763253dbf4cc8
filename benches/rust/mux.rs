//! The line alone: frames through gRPC over a Unix socket and back, both ends on one thread.
//!
//! Settings and the channel are the product's own; the far end answers each call with its arguments.

use std::hint::black_box;
use std::pin::Pin;
use std::sync::Mutex;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use snakepit::line;
use snakepit_proto::v1::host_client::HostClient;
use snakepit_proto::v1::host_frame::Frame as ToWorker;
use snakepit_proto::v1::host_server::{Host, HostServer};
use snakepit_proto::v1::result::Outcome;
use snakepit_proto::v1::worker_frame::Frame as ToHost;
use snakepit_proto::v1::{HostFrame, Result as CallResult, StartCall, WorkerFrame};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Status, Streaming};

type Outgoing = mpsc::UnboundedSender<Result<HostFrame, Status>>;

/// The host's end of a line.
struct Line {
    outgoing: Outgoing,
    incoming: Streaming<WorkerFrame>,
}

/// Hands its first line out.
struct Service(Mutex<Option<oneshot::Sender<Line>>>);

#[tonic::async_trait]
impl Host for Service {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<HostFrame, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<WorkerFrame>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let (outgoing, frames) = mpsc::unbounded_channel();
        let line = Line { outgoing, incoming: request.into_inner() };
        let waiting = self.0.lock().expect("no panic").take();
        let waiting = waiting.ok_or_else(|| Status::already_exists("one line"))?;
        waiting.send(line).map_err(|_| Status::cancelled("nobody waits"))?;
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(frames))))
    }
}

/// A line whose far end is served by a task of the current runtime.
async fn open() -> Line {
    let (near, far) = UnixStream::pair().expect("a socket pair");
    let (sender, receiver) = oneshot::channel();
    let service = HostServer::new(Service(Mutex::new(Some(sender))));
    let server = line::server().add_service(service);
    let incoming = tokio_stream::once(std::io::Result::Ok(near));
    tokio::spawn(server.serve_with_incoming(incoming));
    tokio::spawn(answer_all(far));
    receiver.await.expect("a line")
}

async fn answer_all(far: UnixStream) {
    let channel = line::channel(far).await.expect("a channel");
    let (answers, frames) = mpsc::unbounded_channel();
    let response = HostClient::new(channel).attach(UnboundedReceiverStream::new(frames)).await;
    let mut calls = response.expect("attached").into_inner();
    while let Ok(Some(HostFrame { frame: Some(ToWorker::StartCall(call)) })) = calls.message().await
    {
        let outcome = Some(Outcome::Value(call.arguments));
        let result = CallResult { call_id: call.call_id, outcome, buffers: Vec::new() };
        if answers.send(WorkerFrame { frame: Some(ToHost::Result(result)) }).is_err() {
            return;
        }
    }
}

impl Line {
    /// Sends `calls` calls at once and waits for all answers.
    async fn batch(&mut self, calls: usize, arguments: &Bytes) {
        for call_id in 0..calls {
            let call = StartCall {
                call_id: call_id as u64,
                tool: "echo".into(),
                arguments: arguments.clone(),
                ..StartCall::default()
            };
            let frame = HostFrame { frame: Some(ToWorker::StartCall(call)) };
            self.outgoing.send(Ok(frame)).expect("an open line");
        }
        for _ in 0..calls {
            black_box(self.incoming.message().await.expect("an open line").expect("an answer"));
        }
    }
}

fn mux(c: &mut Criterion) {
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let mut group = c.benchmark_group("mux");
    for (calls, size) in [(1, 64), (64, 64), (1, 16 << 10), (16, 16 << 10), (1, 60_000)] {
        // One line a measurement: its buffers have grown to what that one needs.
        let line = tokio::sync::Mutex::new(rt.block_on(open()));
        let arguments = Bytes::from(vec![7; size]);
        // A call and its answer are two frames.
        group.throughput(Throughput::Elements(2 * calls as u64));
        group.bench_function(BenchmarkId::new(format!("{calls} calls"), size), |b| {
            let (line, arguments) = (&line, &arguments);
            b.to_async(&rt).iter(|| async move { line.lock().await.batch(calls, arguments).await });
        });
    }
}

criterion_group!(benches, mux);
criterion_main!(benches);
