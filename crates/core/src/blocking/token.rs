//! Who should drive: one token, a few counters, and the guards that keep them right.
//!
//! All accesses are SeqCst, because two pairs of threads each write one word and read the other's:
//!
//! - *Parker and leaver.* Who wants to be driven counts itself in, then rings if the token is FREE.
//!   Who gives the token back sets FREE, then rings if somebody is counted. In the single order of
//!   all these accesses one of the two comes second, and it sees the other.
//! - *Parker and standby.* A standby that leaves sets FREE and then looks whether it is wanted, as
//!   it does before every sleep.
//!
//! CALLER implies that some thread is between [`Caller::seat`] and the drop of its [`Seat`]: a
//! thread that sets it counts itself in `drivers` and the last one out sets FREE. The last one may
//! set FREE although another has just claimed CALLER and is about to be counted; then that thread
//! drives without the token until it leaves, and it leaves as one that rings.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize};
use std::time::Duration;

use tokio::sync::Notify;

use super::bell::Bell;

const FREE: u8 = 0;
const CALLER: u8 = 1;
const STANDBY: u8 = 2;

/// So many callers hand the core on to each other; more make a crowd, and the standby drives.
const RELAY: usize = 3;

/// Everything that decides who drives. Shared by callers, holds and the standby; knows no runtime,
/// so that a task which owns a [`Hold`] does not keep its own runtime alive.
pub(super) struct Token {
    holder: AtomicU8,
    /// Callers inside `wait`.
    callers: AtomicUsize,
    /// Of these: inside `block_on`, or about to be.
    drivers: AtomicUsize,
    /// Of these: parked, so that somebody else must drive.
    parked: AtomicUsize,
    /// Living [`Hold`]s: in flight, and no caller waits for it.
    held: AtomicUsize,
    /// Somebody kicked, and the standby has not driven for a while since.
    kicked: AtomicBool,
    /// Calls so far: how the standby learns that callers are about.
    calls: AtomicU64,
    /// Of these: came when `RELAY` callers were inside already.
    crowded: AtomicU64,
    /// Callers park. Set by one that finds `RELAY` others inside, ended by the standby.
    crowd: AtomicBool,
    /// The standby sleeps without a limit while callers drive: the last one out wakes it.
    dozing: AtomicBool,
    stopped: AtomicBool,
    /// The process was forked and this is the copy in the child.
    abandoned: AtomicBool,
    bell: Bell,
    /// Wakes a standby inside the runtime to look at the token.
    pub(super) leave: Notify,
    /// Wakes parked callers when the standby goes for good.
    pub(super) retire: Notify,
    /// First pause of the standby outside the runtime; it doubles while nothing happens.
    pub(super) tick: Duration,
}

impl Token {
    pub(super) fn new(tick: Duration) -> io::Result<Self> {
        Ok(Self {
            holder: AtomicU8::new(FREE),
            callers: AtomicUsize::new(0),
            drivers: AtomicUsize::new(0),
            parked: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            kicked: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            crowded: AtomicU64::new(0),
            crowd: AtomicBool::new(false),
            dozing: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            bell: Bell::new()?,
            leave: Notify::new(),
            retire: Notify::new(),
            tick,
        })
    }

    pub(super) fn calls(&self) -> u64 {
        self.calls.load(SeqCst)
    }

    pub(super) fn crowded(&self) -> u64 {
        self.crowded.load(SeqCst)
    }

    pub(super) fn is_crowd(&self) -> bool {
        self.crowd.load(SeqCst)
    }

    pub(super) fn end_crowd(&self) {
        self.crowd.store(false, SeqCst);
    }

    pub(super) fn is_free(&self) -> bool {
        self.holder.load(SeqCst) == FREE
    }

    pub(super) fn is_with_callers(&self) -> bool {
        self.holder.load(SeqCst) == CALLER
    }

    pub(super) fn is_with_standby(&self) -> bool {
        self.holder.load(SeqCst) == STANDBY
    }

    pub(super) fn has_parked(&self) -> bool {
        self.parked.load(SeqCst) > 0
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(SeqCst)
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(SeqCst)
    }

    pub(super) fn abandon(&self) {
        self.abandoned.store(true, SeqCst);
    }

    /// Whether something is in flight that only the standby would see through.
    pub(super) fn wants_standby(&self) -> bool {
        self.parked.load(SeqCst) > 0 || self.held.load(SeqCst) > 0 || self.kicked.load(SeqCst)
    }

    pub(super) fn ring(&self) {
        // The eventfd of a forked child is the parent's.
        if !self.is_abandoned() {
            self.bell.ring();
        }
    }

    pub(super) fn listen(&self, limit: Duration) {
        self.bell.listen(Some(limit));
    }

    /// Sleeps without a limit, unless callers no longer drive.
    pub(super) fn doze(&self) {
        self.dozing.store(true, SeqCst);
        if self.is_with_callers() && !self.is_stopped() {
            self.bell.listen(None);
        }
        self.dozing.store(false, SeqCst);
    }

    pub(super) fn kick(&self) {
        self.kicked.store(true, SeqCst);
        // CALLER: the last driver will ring. STANDBY: tokio wakes it, or it looks after leaving.
        if self.is_free() {
            self.ring();
        }
    }

    /// Whether somebody kicked since the standby last asked.
    pub(super) fn take_kick(&self) -> bool {
        self.kicked.swap(false, SeqCst)
    }

    /// Ends the standby, and sends its parked callers to drive for themselves.
    pub(super) fn stop(&self) {
        self.stopped.store(true, SeqCst);
        self.leave.notify_one();
        self.ring();
        self.retire.notify_waiters();
    }

    /// The standby's claim: only a free token.
    pub(super) fn claim(&self) -> Option<StandbyClaim<'_>> {
        self.holder.compare_exchange(FREE, STANDBY, SeqCst, SeqCst).ok()?;
        Some(StandbyClaim(self))
    }

    pub(super) fn arrive(&self) -> Caller<'_> {
        self.calls.fetch_add(1, SeqCst);
        let before = self.callers.fetch_add(1, SeqCst);
        if before >= RELAY {
            self.crowded.fetch_add(1, SeqCst);
        }
        Caller(self)
    }
}

/// The token while the standby has it.
pub(super) struct StandbyClaim<'a>(&'a Token);

impl Drop for StandbyClaim<'_> {
    fn drop(&mut self) {
        // A caller may have taken it.
        let _ = self.0.holder.compare_exchange(STANDBY, FREE, SeqCst, SeqCst);
    }
}

/// One caller inside `wait`.
pub(super) struct Caller<'a>(&'a Token);

impl<'a> Caller<'a> {
    /// Decides whether this caller drives. `may_drive`: false where tokio would refuse it.
    pub(super) fn seat(&self, may_drive: bool) -> Seat<'a> {
        let token = self.0;
        let drives = may_drive && (self.claim() || token.is_stopped());
        if drives {
            token.drivers.fetch_add(1, SeqCst);
        } else {
            token.parked.fetch_add(1, SeqCst);
            if token.is_free() {
                token.ring();
            }
        }
        Seat { token, drives }
    }

    fn claim(&self) -> bool {
        let token = self.0;
        if token.is_crowd() {
            return false;
        }
        loop {
            match token.holder.load(SeqCst) {
                CALLER if token.callers.load(SeqCst) <= RELAY => return true,
                CALLER => {
                    if !token.crowd.swap(true, SeqCst) {
                        // A standby that sleeps without a limit would never see the crowd end.
                        token.leave.notify_one();
                        token.ring();
                    }
                    return false;
                }
                holder => {
                    if token.holder.compare_exchange(holder, CALLER, SeqCst, SeqCst).is_err() {
                        continue;
                    }
                    if holder == STANDBY {
                        token.leave.notify_one();
                    }
                    return true;
                }
            }
        }
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        self.0.callers.fetch_sub(1, SeqCst);
    }
}

/// What a caller does while it waits: it is inside `block_on`, or parked while others drive.
pub(super) struct Seat<'a> {
    token: &'a Token,
    pub(super) drives: bool,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let token = self.token;
        if !self.drives {
            token.parked.fetch_sub(1, SeqCst);
        } else if token.drivers.fetch_sub(1, SeqCst) == 1 {
            // Those that remain take the core from tokio and ring in their turn; this one is last.
            let _ = token.holder.compare_exchange(CALLER, FREE, SeqCst, SeqCst);
            if token.wants_standby() || token.dozing.load(SeqCst) {
                token.ring();
            }
        }
    }
}

/// Something is in flight that no caller waits for: as long as one exists, the standby drives
/// whenever no caller does. Made by [`Driver::hold`](super::Driver::hold).
///
/// May be dropped on any thread at any time, inside the runtime too: one atomic subtraction.
#[must_use = "dropping it ends the hold"]
pub struct Hold(Arc<Token>);

impl Hold {
    pub(super) fn new(token: &Arc<Token>) -> Self {
        token.held.fetch_add(1, SeqCst);
        if token.is_free() {
            token.ring();
        }
        Self(Arc::clone(token))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, SeqCst);
    }
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hold").finish_non_exhaustive()
    }
}
