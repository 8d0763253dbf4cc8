//! The page that a host shares with one worker: who owns each prefetched call, without a round
//! trip.
//!
//! ```text
//!             ┌─ worker: start() ──▶ STARTED ─┬─ worker: finish() ──▶ DONE
//! QUEUED ─────┤  (one wins, always)           │  (one wins, always)
//!             └─ host: revoke() ───▶ REVOKED  └─ host: condemn() ───▶ CONDEMNED
//! ```
//!
//! The worker starts a call here *before* it looks at the call's arguments; so what is still QUEUED
//! after its death certainly did not run, and a revoked call never will. A host that is about to kill
//! the worker for a call condemns it first: a worker that finds its call condemned starts none after
//! it, so the kill meets that call or none. Not a channel: arguments and results travel on the line.
//!
//! Both sides may write any word at any time. Neither trusts what it reads: a word that does not
//! name the expected call is `Unknown`, and nothing is ever indexed or sized by it.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::stat::fstat;

use super::limits;

/// Calls that can wait in one worker at a time.
pub const WORDS: usize = 64;
const SIZE: usize = 4096;

/// A word is `call << 3 | state`; 0 is a free word.
const STATE_BITS: u32 = 3;
/// Call ids must be below this.
pub const CALL_LIMIT: u64 = 1 << (u64::BITS - STATE_BITS);

const QUEUED: u64 = 1;
const STARTED: u64 = 2;
const REVOKED: u64 = 3;
const DONE: u64 = 4;
const CONDEMNED: u64 = 5;

/// Where a call stands, as its word tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordState {
    /// Sent, and certainly not started.
    Queued,
    /// It may have run in part.
    Started,
    /// Taken back; it never starts.
    Revoked,
    /// It ran to its end; the reply may or may not have left the worker.
    Done,
    /// The worker is killed for it, and starts nothing more.
    Condemned,
    /// The word speaks of another call, of none, or of nonsense.
    Unknown,
}

/// One word a cache line: two sides that work on neighbours do not slow each other down.
#[repr(C, align(64))]
struct Word(AtomicU64);

const _: () = assert!(size_of::<[Word; WORDS]>() == SIZE);

/// One side's mapping of the page.
#[derive(Debug)]
pub struct Page {
    words: NonNull<[Word; WORDS]>,
    fd: OwnedFd,
}

// SAFETY: the mapping is not tied to a thread, and all access to it is atomic.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    /// Makes a page, all words free: the host's side.
    pub fn create() -> io::Result<Self> {
        #[cfg(feature = "failpoints")]
        crate::failpoint::check(crate::failpoint::Point::Page)?;
        // Some systems refuse memory files that could be executed; kernels before 6.3 know no flag
        // that promises it.
        let no_exec = MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL);
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let fd = match memfd_create(c"snakepit-page", flags | no_exec) {
            Err(Errno::EINVAL) => memfd_create(c"snakepit-page", flags),
            made => made,
        }?;
        limits::may_write(SIZE as u64)?;
        // Not only as long as it has to be, but there: memory that is missing at the first touch
        // would be SIGBUS.
        fallocate(&fd, FallocateFlags::empty(), 0, SIZE as libc::off_t)?;
        // Neither side can shrink it any more, which would turn the other's access into SIGBUS.
        fcntl(&fd, FcntlArg::F_ADD_SEALS(fixed_size() | SealFlag::F_SEAL_SEAL))?;
        Self::map(fd)
    }

    /// Maps the page that a start message carried: the worker's side.
    ///
    /// # Errors
    ///
    /// `InvalidData` for a descriptor that is no page or could change its size.
    pub fn map(fd: OwnedFd) -> io::Result<Self> {
        let refuse = |why| Err(io::Error::new(io::ErrorKind::InvalidData, why));
        match fcntl(&fd, FcntlArg::F_GET_SEALS) {
            Ok(seals) if SealFlag::from_bits_retain(seals).contains(fixed_size()) => {}
            _ => return refuse("the shared page is not sealed"),
        }
        if fstat(&fd)?.st_size != SIZE as libc::off_t {
            return refuse("the shared page has a wrong size");
        }
        let size = NonZeroUsize::new(SIZE).expect("a constant above zero");
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice; nothing is replaced.
        let start = unsafe { mmap(None, size, access, MapFlags::MAP_SHARED, &fd, 0) }?;
        Ok(Self { words: start.cast(), fd })
    }

    /// To be sent with the start message.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Host: marks the call as waiting in the worker, before its frame is sent. The word must not
    /// be in use by another call.
    ///
    /// False when there is no such word or the id does not fit: then send the call without one.
    pub fn queue(&self, index: u32, call: u64) -> bool {
        let Some(word) = self.word(index).filter(|_| call < CALL_LIMIT) else { return false };
        word.store(pack(call, QUEUED), Ordering::Release);
        true
    }

    /// Host: takes the call back. True: it will never start. False: it may have.
    pub fn revoke(&self, index: u32, call: u64) -> bool {
        self.change(index, call, QUEUED, REVOKED)
    }

    /// Host: the worker is to be killed for this call. False: it has ended already, and whatever the
    /// worker runs now is another one. True: it runs, and the worker starts nothing after it; or the
    /// word makes no sense, and nothing can be expected of the worker.
    pub fn condemn(&self, index: u32, call: u64) -> bool {
        self.change(index, call, STARTED, CONDEMNED) || self.state(index, call) != WordState::Done
    }

    /// Host: where the call stands, also after the worker's death.
    pub fn state(&self, index: u32, call: u64) -> WordState {
        let Some(word) = self.word(index).filter(|_| call < CALL_LIMIT) else {
            return WordState::Unknown;
        };
        let word = word.load(Ordering::Acquire);
        match word & !(!0 << STATE_BITS) {
            _ if word >> STATE_BITS != call => WordState::Unknown,
            QUEUED => WordState::Queued,
            STARTED => WordState::Started,
            REVOKED => WordState::Revoked,
            DONE => WordState::Done,
            CONDEMNED => WordState::Condemned,
            _ => WordState::Unknown,
        }
    }

    /// Worker: claims the call. False: it was revoked, and must be forgotten without a reply.
    pub fn start(&self, index: u32, call: u64) -> bool {
        self.change(index, call, QUEUED, STARTED)
    }

    /// Worker: the call has ended. False when it was condemned, as [`Self::state`] tells then, or when
    /// the word no longer speaks of it.
    pub fn finish(&self, index: u32, call: u64) -> bool {
        self.change(index, call, STARTED, DONE)
    }

    fn change(&self, index: u32, call: u64, from: u64, to: u64) -> bool {
        let Some(word) = self.word(index).filter(|_| call < CALL_LIMIT) else { return false };
        let (from, to) = (pack(call, from), pack(call, to));
        word.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn word(&self, index: u32) -> Option<&AtomicU64> {
        // SAFETY: `words` is a live mapping of exactly this array, of a file that cannot shrink;
        // any bytes are valid words, and both sides access them atomically only.
        let words = unsafe { self.words.as_ref() };
        words.get(usize::try_from(index).ok()?).map(|word| &word.0)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: `map` made this mapping, and no reference into it outlives `self`.
        let _ = unsafe { munmap(self.words.cast(), SIZE) };
    }
}

fn fixed_size() -> SealFlag {
    SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW
}

fn pack(call: u64, state: u64) -> u64 {
    call << STATE_BITS | state
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;
    use std::time::Duration;

    use nix::unistd::ftruncate;
    use proptest::prelude::*;

    use super::*;

    fn both_sides() -> (Page, Page) {
        let host = Page::create().unwrap();
        let worker = Page::map(host.fd().try_clone_to_owned().unwrap()).unwrap();
        (host, worker)
    }

    #[test]
    fn a_call_goes_its_way_and_both_sides_see_it() {
        let (host, worker) = both_sides();
        assert_eq!(host.state(3, 0), WordState::Unknown);
        assert!(!worker.start(3, 70), "not queued");
        assert!(host.queue(3, 70));
        assert_eq!(host.state(3, 70), WordState::Queued);
        assert!(worker.start(3, 70));
        assert!(!worker.start(3, 70), "only once");
        assert!(!host.revoke(3, 70));
        assert_eq!(host.state(3, 70), WordState::Started);
        assert!(worker.finish(3, 70));
        assert_eq!(host.state(3, 70), WordState::Done);
        assert_eq!(host.state(3, 71), WordState::Unknown);

        assert!(host.queue(3, 71));
        assert!(!worker.finish(3, 70), "a late finish must not touch the next call");
        assert!(host.revoke(3, 71));
        assert!(!worker.start(3, 71));
        assert_eq!(host.state(3, 71), WordState::Revoked);
    }

    #[test]
    fn a_call_is_condemned_while_it_runs_and_only_then() {
        let (host, worker) = both_sides();
        assert!(host.queue(3, 70) && worker.start(3, 70));
        assert!(host.condemn(3, 70));
        assert_eq!(
            (host.state(3, 70), worker.state(3, 70)),
            (WordState::Condemned, WordState::Condemned)
        );
        assert!(!worker.finish(3, 70), "that is how the worker hears of it");
        assert!(host.condemn(3, 70), "it still is");

        assert!(host.queue(3, 71) && worker.start(3, 71) && worker.finish(3, 71));
        assert!(!host.condemn(3, 71), "it has ended");
        assert_eq!(host.state(3, 71), WordState::Done);
        assert!(host.condemn(3, 72) && host.condemn(WORDS as u32, 1), "nonsense saves no worker");
    }

    /// What two sides can do to one call, in any order.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Start,
        Finish,
        Revoke,
        Condemn,
    }

    fn any_steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            Just(Step::Start),
            Just(Step::Finish),
            Just(Step::Revoke),
            Just(Step::Condemn)
        ];
        prop::collection::vec(step, 0..10)
    }

    proptest! {
        /// Whatever the two do, and in whatever order: what each was told agrees with the word, and a
        /// call that was started ended in one way.
        #[test]
        fn both_sides_are_told_the_same_whatever_they_do(steps in any_steps(), call in 0..CALL_LIMIT) {
            let (host, worker) = both_sides();
            prop_assert!(host.queue(9, call));
            let (mut started, mut ended, mut revoked, mut condemned) = (false, false, false, false);
            for step in steps {
                match step {
                    Step::Start => started |= worker.start(9, call),
                    Step::Finish => ended |= worker.finish(9, call),
                    Step::Revoke => revoked |= host.revoke(9, call),
                    Step::Condemn => {
                        let kills = host.condemn(9, call);
                        prop_assert_eq!(kills, !ended);
                        condemned |= kills && started;
                    }
                }
                prop_assert!(!(started && revoked || ended && condemned));
                prop_assert!(started || !(ended || condemned));
                let expected = match (started, ended, revoked, condemned) {
                    (_, true, ..) => WordState::Done,
                    (.., true) => WordState::Condemned,
                    (true, ..) => WordState::Started,
                    (_, _, true, _) => WordState::Revoked,
                    _ => WordState::Queued,
                };
                prop_assert_eq!((host.state(9, call), worker.state(9, call)), (expected, expected));
            }
        }
    }

    #[test]
    fn what_the_peer_made_up_is_refused() {
        let (host, worker) = both_sides();
        for index in [WORDS as u32, u32::MAX] {
            assert!(!host.queue(index, 1) && !host.revoke(index, 1) && !worker.start(index, 1));
            assert_eq!(host.state(index, 1), WordState::Unknown);
        }
        assert!(!host.queue(0, CALL_LIMIT));
        assert!(host.queue(0, CALL_LIMIT - 1) && worker.start(0, CALL_LIMIT - 1));
        host.word(1).unwrap().store(5 << STATE_BITS | 7, Ordering::Relaxed);
        assert_eq!(host.state(1, 5), WordState::Unknown);
    }

    #[test]
    fn only_a_sealed_page_is_mapped() {
        let file = || memfd_create(c"test", MFdFlags::MFD_ALLOW_SEALING).unwrap();
        let unsealed = file();
        ftruncate(&unsealed, SIZE as libc::off_t).unwrap();
        let short = file();
        fcntl(&short, FcntlArg::F_ADD_SEALS(fixed_size())).unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        for fd in [unsealed, short, null.into()] {
            assert_eq!(Page::map(fd).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn of_start_and_revoke_exactly_one_wins() {
        race(|_, _, _| (), Page::start, Page::revoke, (WordState::Started, WordState::Revoked));
    }

    #[test]
    fn of_finish_and_condemn_exactly_one_wins() {
        let start = |worker: &Page, index, call| assert!(worker.start(index, call));
        race(start, Page::finish, Page::condemn, (WordState::Done, WordState::Condemned));
    }

    /// The worker does one thing and the host the other, at about the same time, again and again.
    fn race(
        before: impl Fn(&Page, u32, u64),
        worker_does: impl Fn(&Page, u32, u64) -> bool + Sync,
        host_does: impl Fn(&Page, u32, u64) -> bool,
        (workers, hosts): (WordState, WordState),
    ) {
        const ROUNDS: u64 = 20_000;
        let (host, worker) = both_sides();
        let (go, end) = (Barrier::new(2), Barrier::new(2));
        // Each side comes late at times: where there is one processor for both, one is always first.
        let lag = |late: bool| {
            if late {
                thread::sleep(Duration::from_millis(1));
            }
        };
        let mut won_by_worker = 0;
        thread::scope(|scope| {
            let worker_side = scope.spawn(|| {
                let mut won = Vec::new();
                for call in 1..=ROUNDS {
                    go.wait();
                    lag(call % 100 == 50);
                    won.push(worker_does(&worker, call as u32 % 64, call));
                    end.wait();
                }
                won
            });
            let mut won_by_host = Vec::new();
            for call in 1..=ROUNDS {
                let index = call as u32 % 64;
                assert!(host.queue(index, call));
                before(&worker, index, call);
                go.wait();
                // Who comes first varies with this delay, so that both do, often.
                (0..call % 50).for_each(|_| std::hint::spin_loop());
                lag(call % 100 == 0);
                let mine = host_does(&host, index, call);
                end.wait();
                let expected = if mine { hosts } else { workers };
                assert_eq!(host.state(index, call), expected);
                won_by_host.push(mine);
            }
            for (workers, hosts) in worker_side.join().unwrap().into_iter().zip(won_by_host) {
                assert!(workers ^ hosts);
                won_by_worker += u64::from(workers);
            }
        });
        let won = won_by_worker;
        assert!(won > 0 && won < ROUNDS, "one side won always: {won} of {ROUNDS}");
    }
}
