//! The standby: the thread that drives when no caller does.
//!
//! It costs nothing while nothing happens: then it sleeps inside the runtime or, while one long
//! call drives, on its bell. Ticks exist only in the 50 ms after a call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::driver::Inside;
use super::token::Token;

/// How long after a call the standby leaves the core free for the next one.
const WARM: Duration = Duration::from_millis(50);
/// How often a standby inside the runtime looks whether it may leave.
const WATCH: Duration = Duration::from_millis(1);
/// Longest pause outside the runtime while callers may come.
const LONGEST_PAUSE: Duration = Duration::from_millis(8);

/// The thread's body; returns once the token is stopped.
pub(super) fn run(runtime: Arc<Runtime>, token: Arc<Token>) {
    let retire = Retire { runtime: Some(runtime), token };
    let runtime = retire.runtime.as_ref().expect("taken by drop only");
    let token = &*retire.token;
    let inside = Inside::enter();
    let mut calls = Calls { seen: token.calls(), crowded: token.crowded(), last: None };
    let mut pause = token.tick;
    while !token.is_stopped() {
        let settled = calls.are_over();
        if (settled || token.wants_standby())
            && let Some(_claim) = token.claim()
        {
            runtime.block_on(attend(token, &mut calls));
            pause = token.tick;
            // Again from the top: somebody may have parked while the claim was given back.
            continue;
        }
        if settled && token.is_with_callers() {
            token.end_crowd();
            token.doze();
        } else {
            token.listen(pause);
        }
        let crowded = token.crowded();
        if calls.look(token) {
            if calls.crowded == crowded && !token.has_parked() {
                token.end_crowd();
            }
            calls.crowded = crowded;
            pause = token.tick;
        } else if !token.wants_standby()
            && let Some(_claim) = token.claim()
        {
            runtime.block_on(look_in());
            pause = (pause * 2).min(LONGEST_PAUSE.max(token.tick));
        }
    }
    drop(inside);
}

/// Drives until a caller takes the token, or until nothing is in flight while calls are frequent.
async fn attend(token: &Token, calls: &mut Calls) {
    let mut crowded = token.crowded();
    loop {
        let watches = !calls.are_over() || token.is_crowd();
        // Only a whole watch says anything: `leave` may hold a permit from an earlier take, and
        // then this returns before the runtime has polled a single task.
        let mut has_watched = false;
        if watches {
            has_watched = timeout(WATCH, token.leave.notified()).await.is_err();
        } else {
            token.leave.notified().await;
        }
        calls.look(token);
        if !token.is_with_standby() || token.is_stopped() {
            return;
        }
        if !has_watched {
            continue;
        }
        let now = token.crowded();
        if now == crowded {
            token.end_crowd();
            // A kick is over only now: a caller may have taken the token before anything ran.
            if !token.take_kick() && !calls.are_over() && !token.wants_standby() {
                return;
            }
        }
        crowded = now;
    }
}

/// Runs what is ready, polls I/O and timers, waits for nothing.
async fn look_in() {
    // Twice: what the first pass reads may make tasks ready.
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
}

/// When callers were last about.
struct Calls {
    seen: u64,
    crowded: u64,
    last: Option<Instant>,
}

impl Calls {
    /// Whether there were calls since it was last asked.
    fn look(&mut self, token: &Token) -> bool {
        let now = token.calls();
        let is_new = now != self.seen;
        if is_new {
            self.seen = now;
            self.last = Some(Instant::now());
        }
        is_new
    }

    fn are_over(&self) -> bool {
        self.last.is_none_or(|last| last.elapsed() >= WARM)
    }
}

/// Whatever ends the thread, callers must learn that they are on their own.
struct Retire {
    runtime: Option<Arc<Runtime>>,
    token: Arc<Token>,
}

impl Drop for Retire {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("blocking driver: the standby thread panicked; callers drive alone");
        }
        self.token.stop();
        if let Some(runtime) = self.runtime.take() {
            super::driver::release(runtime);
        }
    }
}
