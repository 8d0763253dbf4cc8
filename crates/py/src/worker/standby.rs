//! Drives the line in the main thread's place while a tool runs long and something is unsent.
//!
//! The main thread does the I/O, and cannot while it runs a tool. Quick tools wait for no I/O: what
//! they say goes out in batches. Without this thread a reply or a chunk that was queued just before
//! a slow tool (or a slow item of a generator) would reach its caller only after that.
//!
//! ```text
//! asleep ──main thread enters Python with something unsent──▶ ticking ──quiet for a while──▶ asleep
//!                       a tool that runs through a whole tick ─▶ driving ─tool returned─▶ ticking
//! ```
//!
//! tokio lets several threads `block_on` one current-thread runtime: the first drives it, another
//! waits for its future or for the core. So being wrong for a moment here costs time, not
//! correctness.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::{self, Thread};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::Notify;

use super::outbox::Outbox;

/// How long a tool may run before somebody else sends what is unsent: at most two ticks.
const TICK: Duration = Duration::from_millis(2);

/// After so many ticks with nothing unsent the thread sleeps until it is woken.
const QUIET_TICKS: u32 = 25;

/// Shared by the main thread and the standby.
pub(super) struct Standby {
    outbox: Arc<Outbox>,
    /// Odd while the main thread is in Python, and another number each time.
    turn: AtomicU64,
    unsent: AtomicBool,
    awake: AtomicBool,
    driving: AtomicBool,
    leave: Notify,
}

impl Standby {
    pub(super) fn new(outbox: Arc<Outbox>) -> Arc<Self> {
        Arc::new(Self {
            outbox,
            turn: AtomicU64::new(0),
            unsent: AtomicBool::new(false),
            awake: AtomicBool::new(false),
            driving: AtomicBool::new(false),
            leave: Notify::new(),
        })
    }

    /// Starts the thread, asleep.
    pub(super) fn spawn(self: &Arc<Self>, runtime: Arc<Runtime>) -> std::io::Result<Thread> {
        let standby = Arc::clone(self);
        let builder = thread::Builder::new().name("snakepit-standby".into());
        let handle = builder.spawn(move || standby.run(&runtime))?;
        Ok(handle.thread().clone())
    }

    /// Something was queued.
    pub(super) fn mark_unsent(&self) {
        self.unsent.store(true, SeqCst);
    }

    /// The kernel has all that was said, and no chunk is open. Told by the main thread.
    pub(super) fn mark_sent(&self) {
        self.unsent.store(false, SeqCst);
    }

    /// The main thread goes into Python. True: the thread sleeps and must be unparked.
    pub(super) fn enter_python(&self) -> bool {
        self.turn.fetch_add(1, SeqCst);
        // Dekker: we have stored `unsent` and load `awake`; the thread does it the other way round.
        self.unsent.load(SeqCst) && !self.awake.load(SeqCst) && !self.awake.swap(true, SeqCst)
    }

    /// The main thread is back and wants the core.
    pub(super) fn leave_python(&self) {
        self.turn.fetch_add(1, SeqCst);
        if self.driving.load(SeqCst) {
            self.leave.notify_one();
        }
    }

    fn run(&self, runtime: &Runtime) {
        loop {
            while !self.awake.load(SeqCst) {
                thread::park();
            }
            self.tick(runtime);
            self.awake.store(false, SeqCst);
            if self.unsent.load(SeqCst) {
                self.awake.store(true, SeqCst);
            }
        }
    }

    /// Looks at the main thread now and then, until nothing is unsent for a while.
    fn tick(&self, runtime: &Runtime) {
        let (mut seen, mut quiet) = (0, 0);
        while quiet < QUIET_TICKS {
            thread::sleep(TICK);
            let turn = self.turn.load(SeqCst);
            quiet = if self.unsent.load(SeqCst) { 0 } else { quiet + 1 };
            if quiet == 0 && turn == seen && turn % 2 == 1 {
                self.drive(runtime, turn);
            }
            seen = turn;
        }
    }

    fn drive(&self, runtime: &Runtime, turn: u64) {
        self.driving.store(true, SeqCst);
        // A stale permit of `leave` only ends this early; the next tick tries again.
        if self.turn.load(SeqCst) == turn {
            self.outbox.seal();
            runtime.block_on(async {
                self.outbox.hand_over();
                self.leave.notified().await;
            });
        }
        self.driving.store(false, SeqCst);
    }
}
