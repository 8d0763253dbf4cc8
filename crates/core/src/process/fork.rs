//! What must happen when the host process forks: its copy owns nothing.
//!
//! A forked child holds copies of every descriptor and of every object, but none of the threads. It
//! must not answer for the pools it inherited: an [`Owner`] tells the two processes apart, and
//! registered descriptors are closed in the child before `fork()` returns there, so that the child
//! cannot keep a worker's control socket open.
//!
//! Seen are children of `fork()`; not those of a raw `clone`, nor of `vfork` and `posix_spawn`,
//! which exec at once.

use std::os::fd::RawFd;
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};

use super::sys;

/// Forks between the first process and this one.
static GENERATION: AtomicU32 = AtomicU32::new(0);
static HOOKED: OnceLock<bool> = OnceLock::new();

/// Descriptors plus one; 0 is a free slot. Fixed, since a child's handler must not lock or
/// allocate.
static TO_CLOSE: [AtomicI32; 4096] = [const { AtomicI32::new(0) }; 4096];
/// No slot at or above this was ever taken: it bounds what the handler looks at.
static HIGH_WATER: AtomicUsize = AtomicUsize::new(0);

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::SeqCst);
    for slot in &TO_CLOSE[..HIGH_WATER.load(Ordering::SeqCst)] {
        let fd = slot.swap(0, Ordering::SeqCst) - 1;
        if fd >= 0 {
            sys::close(fd);
        }
    }
}

/// False where the C library had no memory for the handler; process ids must tell then.
fn hooked() -> bool {
    *HOOKED.get_or_init(|| sys::run_in_forked_child(in_child).is_ok())
}

/// A value of the whole process, such as behind a `static`: a forked child starts with a fresh one.
/// The parent's may be locked for ever there, by a thread that does not exist in the child.
#[derive(Debug)]
pub struct PerProcess<T>(OnceLock<Mine<T>>);

#[derive(Debug)]
struct Mine<T> {
    owner: Owner,
    value: T,
    in_fork: OnceLock<Box<Self>>,
}

impl<T> PerProcess<T> {
    /// Nothing yet.
    #[expect(clippy::new_without_default, reason = "a default cannot be const")]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// This process's value, made at the first need.
    #[inline]
    pub fn get(&self, make: impl Fn() -> T) -> &T {
        if let Some(mine) = self.0.get().filter(|mine| mine.owner.is_here()) {
            return &mine.value;
        }
        self.made(make)
    }

    #[cold]
    fn made(&self, make: impl Fn() -> T) -> &T {
        let new = || Mine { owner: owner(), value: make(), in_fork: OnceLock::new() };
        let mut mine = self.0.get_or_init(new);
        while !mine.owner.is_here() {
            mine = mine.in_fork.get_or_init(|| Box::new(new()));
        }
        &mine.value
    }
}

/// Remembers in which process it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    generation: u32,
    pid: u32,
}

/// The process that runs now.
pub fn owner() -> Owner {
    hooked();
    Owner { generation: GENERATION.load(Ordering::SeqCst), pid: process::id() }
}

impl Owner {
    /// Whether this process is the one that made the token, not a fork of it. One atomic load.
    #[inline]
    pub fn is_here(self) -> bool {
        self.generation == GENERATION.load(Ordering::Relaxed)
            && (HOOKED.get() == Some(&true) || self.pid == process::id())
    }
}

/// Keeps a descriptor registered for closing in forked children.
#[derive(Debug)]
pub struct CloseInChild {
    slot: Option<usize>,
    owner: Owner,
}

/// Has `fd` closed in every child that this process forks while the guard lives.
///
/// Whoever owns `fd` must not close it in such a child again: by then the number may belong to
/// something else. [`HostFd`](super::HostFd) sees to that. Drop the guard before closing `fd`. At
/// most 4096 descriptors are remembered; a child keeps the rest open.
pub fn close_in_child(fd: RawFd) -> CloseInChild {
    let owner = owner();
    let slot = TO_CLOSE.iter().position(|slot| {
        slot.compare_exchange(0, fd + 1, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    });
    if let Some(index) = slot {
        HIGH_WATER.fetch_max(index + 1, Ordering::SeqCst);
    }
    CloseInChild { slot, owner }
}

impl CloseInChild {
    /// Whether the process that registered the descriptor is this one: only then it is still open.
    pub fn is_here(&self) -> bool {
        self.owner.is_here()
    }
}

impl Drop for CloseInChild {
    fn drop(&mut self) {
        // In a child the handler has freed the slot, and the child may have taken it for itself.
        if let (Some(index), true) = (self.slot, self.owner.is_here()) {
            TO_CLOSE[index].store(0, Ordering::SeqCst);
        }
    }
}
