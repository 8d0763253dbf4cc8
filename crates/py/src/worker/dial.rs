//! Dialling the host: connect, say hello, be told what to be.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyConnectionError;
use pyo3::prelude::*;
use snakepit::line::{self, Counted, Delivered};
use snakepit::process::close_in_child;
use snakepit_proto::v1::host_client::HostClient;
use snakepit_proto::v1::host_frame::Frame as FromHost;
use snakepit_proto::v1::worker_frame::Frame as ToHost;
use snakepit_proto::v1::{Hello, HostFrame, Initialize, Start, WorkerFrame};
use tokio::net::UnixStream;
use tokio_stream::Stream;
use tonic::{Status, Streaming};

use super::arenas;
use super::attendant::Attendant;
use super::boot;
use super::engine::Engine;
use super::inbox::Inbox;
use super::line::Line;
use super::outbox::Outbox;
use super::telemetry::Wanted;
use super::watch;

/// A line that is refused because its host is going leaves so long for the news of that.
const HANG_UP: Duration = Duration::from_secs(1);

/// Dial the host, say hello, wait for Initialize.
///
/// The thread that calls it is the one that must serve: it drives the line.
#[pyfunction]
pub(crate) fn attach(py: Python<'_>, bridge_version: String) -> PyResult<Py<Line>> {
    let side = boot::side()?;
    let start = side.start()?;
    let hello = Hello {
        token: start.token.clone(),
        protocol: line::PROTOCOL,
        pid: std::process::id(),
        bridge_version,
        python_version: py.version().split(' ').next().unwrap_or_default().to_owned(),
        control: true,
        words: side.page().is_some(),
        arenas: true,
        telemetry: true,
    };
    let attendant = Attendant::new(py, side)?;
    let dialled = py.detach(|| {
        dial(start, hello, attendant).inspect_err(|_| {
            // A pool that is closed while its workers start hangs up on them: no news to anybody.
            if side.control.is_hung_up_within(HANG_UP) {
                boot::exit_now();
            }
        })
    });
    let (engine, initialize, wanted) = dialled.map_err(|status| {
        let path = &start.socket_path;
        PyConnectionError::new_err(format!("no line to the host at {path}: {}", status.message()))
    })?;
    let exchange = arenas::open(side, initialize.shared_memory.as_ref());
    if let Some(exchange) = &exchange {
        engine.runtime.spawn(exchange.arena().clone().keep_small());
    }
    watch::start(py, side, Arc::clone(&engine.running), exchange)?;
    let max_message = usize::try_from(start.max_message).unwrap_or(usize::MAX);
    let line = Py::new(py, Line::new(initialize, max_message, side.page(), engine, wanted))?;
    let closed = line.clone_ref(py);
    boot::at_exit(py, move |py| closed.get().close(py))?;
    Ok(line)
}

fn dial(
    start: &Start,
    hello: Hello,
    attendant: Attendant,
) -> Result<(Engine, Initialize, Arc<Wanted>), Status> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let delivered = Delivered::default();
    let (outbox, frames) = Outbox::new(delivered.clone());
    // Queued before the call is opened: the host answers nobody it does not know.
    outbox.push(ToHost::Hello(hello));
    runtime
        .block_on(async {
            let socket = UnixStream::connect(&start.socket_path).await?;
            let closed_in_forks = close_in_child(socket.as_raw_fd());
            outbox.hand_over();
            let mut incoming =
                open(Counted::new(socket, delivered), frames, start.max_message).await?;
            let initialize = match incoming.message().await? {
                Some(HostFrame { frame: Some(FromHost::Initialize(initialize)) }) => initialize,
                Some(_) => return Err(Status::internal("the first frame is not Initialize")),
                None => return Err(Status::aborted("the host closed the line after Hello")),
            };
            Ok((incoming, closed_in_forks, initialize))
        })
        .map(|(incoming, closed_in_forks, initialize)| {
            let max_message = usize::try_from(start.max_message).unwrap_or(usize::MAX);
            let wanted = Arc::new(Wanted::new(initialize.telemetry.clone().unwrap_or_default()));
            let inbox = Inbox::new(incoming, attendant, max_message, Arc::clone(&wanted));
            let engine = Engine::new(runtime, outbox, inbox, max_message, closed_in_forks);
            (engine, *initialize, wanted)
        })
}

async fn open(
    socket: Counted<UnixStream>,
    frames: impl Stream<Item = WorkerFrame> + Send + 'static,
    max_message: u64,
) -> Result<Streaming<HostFrame>, Status> {
    let channel = line::channel(socket).await?;
    let limit = usize::try_from(max_message).unwrap_or(usize::MAX);
    let limit = line::frame_limit(limit);
    let mut client =
        HostClient::new(channel).max_decoding_message_size(limit).max_encoding_message_size(limit);
    Ok(client.attach(frames).await?.into_inner())
}
