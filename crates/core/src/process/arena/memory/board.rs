//! Words that two processes count in.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::stat::fstat;

use super::{fixed_size, memory_file};
use crate::policy::arena::WORDS;
use crate::process::limits;

/// The words in which a borrower counts back what it was lent, shared with the owner.
#[derive(Debug)]
pub(in crate::process::arena) struct Board {
    words: NonNull<[AtomicU32; WORDS]>,
}

// SAFETY: the mapping is not tied to a thread, and all access to it is atomic.
unsafe impl Send for Board {}
// SAFETY: as above.
unsafe impl Sync for Board {}

const BOARD: usize = size_of::<[AtomicU32; WORDS]>();

impl Board {
    /// A new one, all words zero, and the descriptor to hand on.
    pub(in crate::process::arena) fn create() -> io::Result<(Self, OwnedFd)> {
        limits::may_write(BOARD as u64)?;
        let fd = memory_file(c"snakepit-board")?;
        fallocate(&fd, FallocateFlags::empty(), 0, BOARD as libc::off_t)?;
        fcntl(&fd, FcntlArg::F_ADD_SEALS(fixed_size() | SealFlag::F_SEAL_SEAL))?;
        Ok((Self::map(fd.as_fd())?, fd))
    }

    /// Maps the board of an owner.
    ///
    /// # Errors
    ///
    /// `InvalidData` for what is no board.
    pub(in crate::process::arena) fn map(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let refuse = |why| Err(io::Error::new(io::ErrorKind::InvalidData, why));
        match fcntl(fd, FcntlArg::F_GET_SEALS) {
            Ok(seals) if SealFlag::from_bits_retain(seals).contains(fixed_size()) => {}
            _ => return refuse("a board is not sealed"),
        }
        if fstat(fd)?.st_size != BOARD as libc::off_t {
            return refuse("a board has a wrong size");
        }
        let size = NonZeroUsize::new(BOARD).ok_or(io::ErrorKind::InvalidInput)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice; nothing is replaced.
        let start = unsafe { mmap(None, size, access, MapFlags::MAP_SHARED, fd, 0) }?;
        Ok(Self { words: start.cast() })
    }

    pub(in crate::process::arena) fn returned(&self, word: u32) -> u32 {
        self.word(word).map_or(0, |word| word.load(Ordering::Acquire))
    }

    /// Counts a region back. Whatever was read of it was read before.
    pub(in crate::process::arena) fn give_back(&self, word: u32) {
        if let Some(word) = self.word(word) {
            word.fetch_add(1, Ordering::Release);
        }
    }

    /// Whether there is such a word.
    pub(in crate::process::arena) fn has(word: u32) -> bool {
        (word as usize) < WORDS
    }

    fn word(&self, word: u32) -> Option<&AtomicU32> {
        // SAFETY: a live mapping of exactly this array, of a file that cannot shrink (invariant 4).
        let words = unsafe { self.words.as_ref() };
        words.get(word as usize)
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        // SAFETY: made by `map`, and no reference into it outlives `self`.
        let _ = unsafe { munmap(self.words.cast(), BOARD) };
    }
}
