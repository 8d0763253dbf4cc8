//! Drives the line in the main thread's place while a tool runs long and something is unsent.
//!
//! The main thread does the I/O, and cannot while it runs a tool. Quick tools wait for no I/O: what
//! they say goes out in batches. Without this thread a reply or a chunk that was queued just before
//! a slow tool (or a slow item of a generator) would reach its caller only after that.
//!
//! ```text
//! asleep ──main thread is in Python with something unsent───▶ ticking ──quiet for a while──▶ asleep
//!                       a tool that runs through a whole tick ─▶ driving ─tool returned─▶ ticking
//! ```
//!
//! tokio lets several threads `block_on` one current-thread runtime: the first drives it, another
//! waits for its future or for the core. So being wrong for a moment here costs time, not
//! correctness.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::{self, Thread};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::Notify;

use super::lock;
use super::outbox::Outbox;

/// How long a tool may run before somebody else sends what is unsent: at most two ticks.
const TICK: Duration = Duration::from_millis(2);

/// After so many ticks with nothing unsent the thread sleeps until it is woken.
const QUIET_TICKS: u32 = 25;

/// Shared by the main thread and the standby.
pub(super) struct Standby {
    outbox: Arc<Outbox>,
    runtime: Arc<Runtime>,
    thread: Mutex<Option<Thread>>,
    /// Odd while the main thread is in Python, and another number each time.
    turn: AtomicU64,
    unsent: AtomicBool,
    awake: AtomicBool,
    driving: AtomicBool,
    leave: Notify,
}

impl Standby {
    pub(super) fn new(outbox: Arc<Outbox>, runtime: Arc<Runtime>) -> Arc<Self> {
        Arc::new(Self {
            outbox,
            runtime,
            thread: Mutex::default(),
            turn: AtomicU64::new(0),
            unsent: AtomicBool::new(false),
            awake: AtomicBool::new(false),
            driving: AtomicBool::new(false),
            leave: Notify::new(),
        })
    }

    /// Wakes the thread, which there may not be yet.
    fn wake(self: &Arc<Self>) {
        let mut thread = lock(&self.thread);
        if thread.is_none() {
            let standby = Arc::clone(self);
            let builder = thread::Builder::new().name("snakepit-standby".into());
            // Where no thread can be had, replies wait for a slow tool; nothing else is lost.
            let handle = builder.spawn(move || standby.run());
            *thread = handle.ok().map(|handle| handle.thread().clone());
        }
        if let Some(thread) = &*thread {
            thread.unpark();
        }
    }

    /// Something waits beside what the main thread has queued. Called by any thread.
    pub(super) fn nudge(self: &Arc<Self>) {
        // It looks itself when it goes into Python.
        let is_in_python = self.turn.load(SeqCst) % 2 == 1;
        if is_in_python && !self.awake.load(SeqCst) && !self.awake.swap(true, SeqCst) {
            self.wake();
        }
    }

    /// Something was queued.
    pub(super) fn mark_unsent(&self) {
        self.unsent.store(true, SeqCst);
    }

    /// The kernel has all that was said, and no chunk is open. Told by the main thread.
    pub(super) fn mark_sent(&self) {
        self.unsent.store(false, SeqCst);
    }

    /// The main thread goes into Python.
    pub(super) fn enter_python(self: &Arc<Self>) {
        self.turn.fetch_add(1, SeqCst);
        // Dekker: we have stored `unsent` and load `awake`; the thread does it the other way round.
        if self.is_unsent() && !self.awake.load(SeqCst) && !self.awake.swap(true, SeqCst) {
            self.wake();
        }
    }

    fn is_unsent(&self) -> bool {
        self.unsent.load(SeqCst) || self.outbox.telemetry.waits()
    }

    /// The main thread is back and wants the core.
    pub(super) fn leave_python(&self) {
        self.turn.fetch_add(1, SeqCst);
        if self.driving.load(SeqCst) {
            self.leave.notify_one();
        }
    }

    fn run(&self) {
        loop {
            while !self.awake.load(SeqCst) {
                thread::park();
            }
            self.tick();
            self.awake.store(false, SeqCst);
            if self.is_unsent() {
                self.awake.store(true, SeqCst);
            }
        }
    }

    /// Looks at the main thread now and then, until nothing is unsent for a while.
    fn tick(&self) {
        let (mut seen, mut quiet) = (0, 0);
        while quiet < QUIET_TICKS {
            thread::sleep(TICK);
            let turn = self.turn.load(SeqCst);
            quiet = if self.is_unsent() { 0 } else { quiet + 1 };
            if quiet == 0 && turn == seen && turn % 2 == 1 {
                self.drive(turn);
            }
            seen = turn;
        }
    }

    fn drive(&self, turn: u64) {
        self.driving.store(true, SeqCst);
        // A stale permit of `leave` only ends this early; the next tick tries again.
        if self.turn.load(SeqCst) == turn {
            self.outbox.seal();
            self.runtime.block_on(async {
                self.outbox.hand_over();
                self.leave.notified().await;
            });
        }
        self.driving.store(false, SeqCst);
    }
}
