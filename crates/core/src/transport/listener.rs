//! Lets workers in: one Unix socket a pool, one token a worker.
//!
//! A peer is believed only when its uid is ours and its first frame carries a token that was given
//! to one worker through its control socket. A token works once.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use snakepit_proto::v1;
use snakepit_proto::v1::host_server::{Host, HostServer};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::server::UdsConnectInfo;
use tonic::{Request, Response, Status, Streaming};

use super::rundir::RunDir;
use super::{Inbox, Outbox, PROTOCOL, http2, wire};

/// Length of a token.
pub(crate) const TOKEN_BYTES: usize = 32;

/// Proof that a peer is the worker that it says it is. Never shown.
pub(crate) type Token = [u8; TOKEN_BYTES];

/// How long a peer may take to say who it is.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// A worker that dialled in and said hello.
pub(crate) struct Attached {
    /// As the kernel tells it; 0 where it does not.
    pub(crate) pid: u32,
    /// This end takes cancels and grants from its control socket.
    pub(crate) control: bool,
    /// This end honours the shared words.
    pub(crate) words: bool,
    /// Why the line is of no use although the worker is ours.
    pub(crate) refused: Option<String>,
    pub(crate) inbox: Inbox,
    pub(crate) outbox: Outbox,
}

type Expected = Arc<Mutex<HashMap<Token, oneshot::Sender<Attached>>>>;

/// The listening end of a pool; dropping it ends every line and removes the socket.
pub(crate) struct Listener {
    path: PathBuf,
    expected: Expected,
    server: tokio::task::JoinHandle<()>,
    _dir: RunDir,
}

impl Listener {
    /// Binds a fresh socket and serves it on the current runtime.
    pub(crate) fn bind(max_message: usize) -> io::Result<Self> {
        let dir = RunDir::create()?;
        let path = dir.socket();
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        let expected = Expected::default();
        let uid = std::fs::metadata(&path)?.uid();
        let limit = http2::frame_limit(max_message);
        let service = HostServer::new(Service { expected: expected.clone(), uid })
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit);
        let serve = http2::server()
            .add_service(service)
            .serve_with_incoming(UnixListenerStream::new(listener));
        let server = tokio::spawn(async move {
            if let Err(error) = serve.await {
                tracing::error!(%error, "the listener for workers ended");
            }
        });
        Ok(Self { path, expected, server, _dir: dir })
    }

    /// Path of the socket.
    pub(crate) fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Waits for the worker that was given `token`. Dropping the receiver takes the token back.
    pub(crate) fn expect(&self, token: Token) -> oneshot::Receiver<Attached> {
        let (sender, receiver) = oneshot::channel();
        let mut expected = lock(&self.expected);
        expected.retain(|_, sender| !sender.is_closed());
        expected.insert(token, sender);
        receiver
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Service {
    expected: Expected,
    uid: u32,
}

#[tonic::async_trait]
impl Host for Service {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<v1::HostFrame, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<v1::WorkerFrame>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let peer = request.extensions().get::<UdsConnectInfo>().and_then(|info| info.peer_cred);
        if peer.is_some_and(|peer| peer.uid() != self.uid) {
            return Err(Status::permission_denied("another user's process"));
        }
        let pid = peer.and_then(|peer| peer.pid()).and_then(|pid| u32::try_from(pid).ok());
        let mut inbound = request.into_inner();
        let first = tokio::time::timeout(HELLO_TIMEOUT, inbound.message())
            .await
            .map_err(|_| Status::deadline_exceeded("no Hello"))??;
        let Some(v1::worker_frame::Frame::Hello(hello)) = first.and_then(|first| first.frame)
        else {
            return Err(Status::invalid_argument("the first frame must be Hello"));
        };
        let waiting = Token::try_from(&hello.token[..])
            .ok()
            .and_then(|token| lock(&self.expected).remove(&token));
        let Some(waiting) = waiting else {
            return Err(Status::permission_denied("unknown token"));
        };
        let refused = (hello.protocol != PROTOCOL).then(|| {
            format!(
                "the worker's snakepit-bridge {} speaks protocol {}, this host speaks {PROTOCOL}; \
                 install the same version of both: pip install --upgrade snakepit-bridge",
                hello.bridge_version, hello.protocol
            )
        });
        let (frames, outbound) = mpsc::unbounded_channel();
        let (reading, read_to_end) = oneshot::channel();
        let attached = Attached {
            pid: pid.unwrap_or(0),
            control: hello.control,
            words: hello.words,
            refused,
            inbox: wire::Inbox::new(inbound, reading),
            outbox: wire::Outbox::new(frames),
        };
        // The supervisor may have given up meanwhile; the stream then ends at once.
        let _ = waiting.send(attached);
        Ok(Response::new(Box::pin(Outbound { frames: outbound, read_to_end })))
    }
}

/// Frames to a worker, until its own have been read to the end: a worker that has said its last
/// word waits for us to hang up.
struct Outbound {
    frames: mpsc::UnboundedReceiver<Result<v1::HostFrame, Status>>,
    read_to_end: oneshot::Receiver<Infallible>,
}

impl Stream for Outbound {
    type Item = Result<v1::HostFrame, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.frames.poll_recv(cx) {
            Poll::Pending => Pin::new(&mut self.read_to_end).poll(cx).map(|_| None),
            frame => frame,
        }
    }
}

fn lock(expected: &Expected) -> MutexGuard<'_, HashMap<Token, oneshot::Sender<Attached>>> {
    // A map of senders is whole after any panic.
    expected.lock().unwrap_or_else(PoisonError::into_inner)
}
