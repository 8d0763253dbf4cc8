//! A socket with an echo at its far end, and what the cases need to look at a driver.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs;
use std::future::Future;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc as std_mpsc};
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::super::{Driver, Hold, Interrupt, Waited};

const LONG_TICK: Duration = Duration::from_secs(3);
/// Far above what a loaded machine adds, far below `LONG_TICK`.
pub(super) const PROMPT: Duration = Duration::from_millis(1500);
pub(super) const HANG: Duration = Duration::from_secs(60);
pub(super) const UNASKED: Option<Interrupt<'static, Infallible>> = None;

pub(super) type Reply = oneshot::Receiver<u64>;
pub(super) type Pending = Arc<Mutex<HashMap<u64, (oneshot::Sender<u64>, Option<Hold>)>>>;

pub(super) fn driver(name: &str) -> Arc<Driver> {
    Driver::start_with_tick(name, LONG_TICK).unwrap()
}

pub(super) fn ready<F: Future, E: std::fmt::Debug>(waited: Result<Waited<F>, E>) -> F::Output {
    match waited.unwrap() {
        Waited::Ready(output) => output,
        Waited::TimedOut(_) => panic!("the wait timed out"),
    }
}

/// Fails instead of hanging for ever.
pub(super) fn bounded<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = std_mpsc::channel();
    let thread = thread::spawn(move || drop(done.send(body())));
    match result.recv_timeout(HANG) {
        Ok(value) => value,
        Err(std_mpsc::RecvTimeoutError::Timeout) => panic!("hung"),
        Err(_) => std::panic::resume_unwind(thread.join().unwrap_err()),
    }
}

pub(super) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < HANG, "never: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Lines of eight bytes to a thread that echoes them; the runtime's end tells replies apart.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) driver: Arc<Driver>,
    send: mpsc::UnboundedSender<u64>,
    pub(super) pending: Pending,
    next: Arc<AtomicU64>,
}

impl Link {
    pub(super) fn new(driver: &Arc<Driver>) -> Self {
        let (near, mut far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        thread::spawn(move || -> io::Result<()> {
            let mut line = [0; 8];
            loop {
                far.read_exact(&mut line)?;
                far.write_all(&line)?;
            }
        });
        let (send, mut outgoing) = mpsc::unbounded_channel::<u64>();
        let pending = Pending::default();
        let calls = Arc::clone(&pending);
        driver.handle().spawn(async move {
            let near = tokio::net::UnixStream::from_std(near).unwrap();
            let (mut read, mut write) = near.into_split();
            tokio::spawn(async move {
                while let Some(call) = outgoing.recv().await {
                    write.write_all(&call.to_le_bytes()).await.unwrap();
                }
            });
            while let Ok(call) = read.read_u64_le().await {
                let sink = calls.lock().unwrap().remove(&call);
                if let Some((reply, hold)) = sink {
                    let _ = reply.send(call);
                    drop(hold);
                }
            }
        });
        driver.kick();
        Self { driver: Arc::clone(driver), send, pending, next: Arc::default() }
    }

    pub(super) fn submit(&self, hold: Option<Hold>) -> (u64, Reply) {
        let call = self.next.fetch_add(1, SeqCst);
        let (reply, receiver) = oneshot::channel();
        self.pending.lock().unwrap().insert(call, (reply, hold));
        self.send.send(call).unwrap();
        (call, receiver)
    }

    pub(super) fn call(&self) {
        let mut sent = 0;
        let submit = || {
            let (call, reply) = self.submit(None);
            sent = call;
            reply
        };
        assert_eq!(ready(self.driver.wait(submit, None, UNASKED)), Ok(sent));
    }

    pub(super) fn call_interruptible(&self) {
        let ask: Interrupt<'_, Infallible> = &mut || Ok(());
        ready(self.driver.wait(|| self.submit(None).1, None, Some(ask))).unwrap();
    }

    /// A future that no caller drives for.
    pub(super) fn future(&self) -> (u64, Reply) {
        self.submit(Some(self.driver.hold()))
    }
}

/// What makes a wait park: this thread is in another runtime's context.
pub(super) fn as_guest<T>(body: impl FnOnce() -> T) -> T {
    let other = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _context = other.enter();
    body()
}

pub(super) fn in_both_seats(body: impl Fn()) {
    body();
    as_guest(body);
}

/// The standby's thread, asked while nothing but it can drive.
pub(super) struct Standby(PathBuf);

impl Standby {
    pub(super) fn of(driver: &Driver) -> Self {
        let (send, id) = std_mpsc::channel();
        driver.handle().spawn(async move { send.send(nix::unistd::gettid()).unwrap() });
        driver.kick();
        Self(format!("/proc/self/task/{}/status", id.recv().unwrap()).into())
    }

    /// How often it went to sleep so far; `None` once it has ended.
    pub(super) fn sleeps(&self) -> Option<u64> {
        let status = fs::read_to_string(&self.0).ok()?;
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        Some(count.unwrap().trim().parse().unwrap())
    }

    /// Whether a second passes in which it sleeps through.
    pub(super) fn settles(&self) -> bool {
        let passes = |_| {
            let before = self.sleeps().unwrap();
            thread::sleep(Duration::from_secs(1));
            self.sleeps().unwrap() - before <= 1
        };
        (0..5).any(passes)
    }
}
