//! Lets workers in: one Unix socket a pool, one token a worker.
//!
//! A peer is believed only when its uid is ours and its first frame carries a token that was given
//! to one worker through its control socket. A token works once.

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use snakepit_proto::v1;
use snakepit_proto::v1::host_server::{Host, HostServer};
use snakepit_proto::v1::worker_frame::Frame;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use super::admission::{Admission, Attached, Guests, News, Refusal, Token};
use super::door::{Door, HELLO_TIMEOUT, Visitor, Waiting};
use super::opening::MAX_STREAMS;
use super::outbox::Outbox;
use super::{PROTOCOL, http2, wire};
use crate::error::Violation;
#[cfg(feature = "failpoints")]
use crate::failpoint::{self, Point};
use crate::process::{Owner, RunDir, owner};

/// The listening end of a pool; dropping it ends every line and removes the socket.
pub(crate) struct Listener {
    path: PathBuf,
    guests: Guests,
    waiting: Waiting,
    server: tokio::task::JoinHandle<()>,
    dir: Arc<RunDir>,
    owner: Owner,
}

impl Listener {
    /// Binds a fresh socket for a pool of `size` workers and serves it on the current runtime.
    pub(crate) fn bind(max_message: usize, size: usize) -> io::Result<Self> {
        let dir = RunDir::of_process()?;
        let path = dir.socket();
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        let uid = std::fs::metadata(&path)?.uid();
        let (guests, waiting) = (Guests::default(), Waiting::of_pool(size));
        let door = Door::new(listener, uid, guests.clone(), waiting.clone());
        let limit = http2::frame_limit(max_message);
        let service = HostServer::new(Service { guests: guests.clone(), limit })
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit);
        let serve = http2::server()
            .max_concurrent_streams(MAX_STREAMS)
            .add_service(service)
            .serve_with_incoming(door);
        let server = tokio::spawn(async move {
            if let Err(error) = serve.await {
                tracing::error!(%error, "the listener for workers ended");
            }
        });
        Ok(Self { path, guests, waiting, server, dir, owner: owner() })
    }

    /// Path of the socket.
    pub(crate) fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// The folder of this process, with the ledger of its workers.
    pub(crate) fn dir(&self) -> &Arc<RunDir> {
        &self.dir
    }

    /// Lets the worker in that is given `token`, for as long as what this returns lives.
    pub(crate) fn expect(&self, token: Token) -> Admission {
        self.guests.expect(token)
    }

    /// Whether a process has connected and not said Hello.
    pub(crate) fn is_waiting(&self, pid: u32) -> bool {
        self.waiting.has(pid)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.server.abort();
        // In a forked child the socket is still the parent's.
        if self.owner.is_here() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

struct Service {
    guests: Guests,
    limit: usize,
}

impl Service {
    /// The first frame of a line, which must be Hello.
    async fn hello(
        &self,
        frames: &mut Streaming<v1::WorkerFrame>,
        pid: u32,
    ) -> Result<v1::Hello, Status> {
        let first = timeout(HELLO_TIMEOUT, frames.message()).await;
        let (violation, status) = match first {
            Ok(Ok(Some(v1::WorkerFrame { frame: Some(Frame::Hello(hello)) }))) => return Ok(hello),
            Ok(Ok(_)) => {
                let status = Status::invalid_argument("the first frame must be Hello");
                (Some(Violation::NotHello), status)
            }
            Ok(Err(status)) => (wire::violation(&status, self.limit), status),
            Err(_) => {
                let violation = Violation::NoHello { waited: HELLO_TIMEOUT };
                (Some(violation), Status::deadline_exceeded("no Hello"))
            }
        };
        if let Some(violation) = violation {
            self.guests.broke(pid, violation);
        }
        Err(status)
    }
}

#[tonic::async_trait]
impl Host for Service {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<v1::HostFrame, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<v1::WorkerFrame>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let Some(visitor) = request.extensions().get::<Visitor>().cloned() else {
            return Err(Status::internal("a connection that came by no door"));
        };
        let pid = visitor.pid;
        let mut inbound = request.into_inner();
        let hello = self.hello(&mut inbound, pid).await?;
        let keeper = self.guests.admit(&hello.token, pid).map_err(|refusal| {
            let why = match refusal {
                Refusal::UnknownToken => "unknown token",
                Refusal::UsedToken => "this token has been used; it is good for one Attach",
            };
            tracing::warn!(pid, why, "refused: a process that said Hello");
            Status::permission_denied(why)
        })?;
        if let Some(violation) = Violation::of_protocols(hello.protocol, PROTOCOL) {
            let status = Status::failed_precondition(violation.to_string());
            // A keeper that has given up has ended the worker.
            let _ = keeper.send(News::Broke(violation));
            return Err(status);
        }
        #[cfg(feature = "failpoints")]
        passed(Point::Handshake).await?;
        visitor.introduce();
        let (frames, outbound) = mpsc::unbounded_channel();
        let (reading, read_to_end) = oneshot::channel();
        let attached = Attached {
            pid,
            control: hello.control,
            words: hello.words,
            arenas: hello.arenas && hello.control,
            telemetry: hello.telemetry,
            python_version: hello.python_version,
            inbox: wire::Inbox::new(inbound, self.limit, reading),
            outbox: Outbox::new(frames),
        };
        // The keeper may have given up meanwhile; the stream then ends at once.
        let _ = keeper.send(News::Attached(Box::new(attached)));
        let outbound = Outbound { frames: outbound, read_to_end };
        #[cfg(feature = "failpoints")]
        let outbound = tokio_stream::StreamExt::then(outbound, async |frame| {
            passed(Point::Send).await?;
            frame
        });
        Ok(Response::new(Box::pin(outbound)))
    }
}

#[cfg(feature = "failpoints")]
async fn passed(point: Point) -> Result<(), Status> {
    failpoint::pass(point).await.map_err(|error| Status::unavailable(error.to_string()))
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;
    use tokio::time::{Instant, sleep};

    use super::*;

    const MESSAGE: usize = 1024;

    /// Waits for the host to hang up, whatever it says before that.
    async fn hung_up(stream: &mut UnixStream) {
        let mut said = [0; 256];
        while stream.read(&mut said).await.is_ok_and(|length| length > 0) {}
    }

    async fn is_open(stream: &mut UnixStream) -> bool {
        timeout(Duration::from_millis(1), hung_up(stream)).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_or_half_of_it_is_hung_up_on_in_time() {
        let listener = Listener::bind(MESSAGE, 1).expect("a socket");
        let begun = Instant::now();
        for said in [&b""[..], b"PRI * HT", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0"] {
            let mut admission = listener.expect([7; 32]);
            admission.is_process(std::process::id());
            let mut stream = UnixStream::connect(listener.path()).await.expect("it listens");
            stream.write_all(said).await.expect("room");
            assert!(is_open(&mut stream).await);
            assert!(listener.is_waiting(std::process::id()));
            let waiting = Instant::now();
            hung_up(&mut stream).await;
            assert!(waiting.elapsed() <= HELLO_TIMEOUT);
            let told = admission.try_next();
            let Some(News::Broke(Violation::NoHello { waited })) = told else { panic!("not told") };
            assert_eq!(waited, HELLO_TIMEOUT);
        }
        assert!(begun.elapsed() >= 3 * HELLO_TIMEOUT);
        assert!(!listener.is_waiting(std::process::id()));
    }

    #[tokio::test]
    async fn who_speaks_no_http2_is_hung_up_on_at_once_and_a_worker_is_told() {
        let listener = Listener::bind(MESSAGE, 1).expect("a socket");
        let mut admission = listener.expect([7; 32]);
        let mut stream = UnixStream::connect(listener.path()).await.expect("it listens");
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("room");
        hung_up(&mut stream).await;
        assert!(admission.try_next().is_none(), "a stranger's affair");
        admission.is_process(std::process::id());
        let told = admission.try_next();
        assert!(matches!(told, Some(News::Broke(Violation::MalformedFrame { .. }))));
    }

    /// An Attach whose first message has so many bytes, none of which is sent.
    fn attach_of(length: u32) -> Vec<u8> {
        let field = |name: &[u8], text: &[u8]| [name, &[text.len() as u8], text].concat();
        // HPACK: POST and http from its table, the rest as literals.
        let headers = [
            vec![0x83, 0x86],
            field(&[0x04], b"/snakepit.v1.Host/Attach"),
            field(&[0x01], b"localhost"),
            field(&[0x0f, 0x10], b"application/grpc"),
            field(b"\0\x02te", b"trailers"),
        ]
        .concat();
        let data = [&[0][..], &length.to_be_bytes()].concat();
        let frame = |kind: u8, flags: u8, stream: u8, content: &[u8]| {
            let head = [0, 0, content.len() as u8, kind, flags, 0, 0, 0, stream];
            [&head[..], content].concat()
        };
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        [preface, frame(4, 0, 0, b""), frame(1, 4, 1, &headers), frame(0, 0, 1, &data)].concat()
    }

    /// Bytes of address space: now, or the most that ever were.
    fn address_space(which: &str) -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
        let line = status.lines().find_map(|line| line.strip_prefix(which)).expect("the field");
        let kibibytes = line.trim_matches([':', ' ', '\t', 'k', 'B']);
        kibibytes.parse::<u64>().expect("a number") * 1024
    }

    #[tokio::test(start_paused = true)]
    async fn a_stranger_gets_no_memory_for_the_large_frame_that_it_announces() {
        const GIB: u32 = 1 << 30;
        let listener = Listener::bind(GIB as usize, 1).expect("a socket");
        let mut admission = listener.expect([7; 32]);
        admission.is_process(std::process::id());
        let (begun, before) = (Instant::now(), address_space("VmSize"));
        let mut strangers = Vec::new();
        for _ in 0..8 {
            let mut stream = UnixStream::connect(listener.path()).await.expect("it listens");
            stream.write_all(&attach_of(GIB)).await.expect("room");
            strangers.push(stream);
        }
        for stream in &mut strangers {
            hung_up(stream).await;
        }
        assert!(begun.elapsed() < HELLO_TIMEOUT, "at once");
        let grown = address_space("VmPeak").saturating_sub(before);
        assert!(grown < 4 * u64::from(GIB), "{grown} bytes more");
        let told = admission.try_next();
        let Some(News::Broke(Violation::TooLarge { limit })) = told else { panic!("not told") };
        assert_eq!(limit, 64 << 10);
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_that_say_nothing_the_newest_stay() {
        let listener = Listener::bind(MESSAGE, 1).expect("a socket");
        let mut streams = Vec::new();
        for _ in 0..400 {
            streams.push(UnixStream::connect(listener.path()).await.expect("it listens"));
            tokio::task::yield_now().await;
        }
        sleep(Duration::from_millis(1)).await;
        let mut open = Vec::new();
        for stream in &mut streams {
            open.push(is_open(stream).await);
        }
        let newest = [vec![false; 400 - 256], vec![true; 256]].concat();
        assert!(open == newest, "{open:?}");
    }
}
