//! Shared memory itself: the one place that maps it, touches it and counts in it.
//!
//! # Invariants behind the `unsafe` of this module
//!
//! 1. A [`Mapping`] is `len` bytes of a file that can neither shrink nor grow: of ours, since we
//!    sealed it; of somebody else's, since the seals and the length were looked at before it was
//!    mapped. So every byte of it can be touched, by anybody, for as long as it lives.
//! 2. Pages of ours are allocated before they are written: where memory is missing that is an error
//!    of a system call, and not SIGBUS.
//! 3. A mapping of ours is written through raw pointers alone, and by one [`super::Region`] at a
//!    time; a reader may see a write half done, never one outside.
//! 4. The words of a [`Board`] are atomic on both sides, and any bits are a valid word.

mod board;
mod private;

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, mmap_anonymous, munmap};
use nix::sys::stat::fstat;
use nix::unistd::ftruncate;

use crate::policy::arena::GRANULE;
use crate::process::limits;

pub(super) use board::Board;
pub(super) use private::Known;
pub use private::Private;

/// Copies of at least this go past the caches: they would leave nothing of use there.
const STREAMED: usize = 32 << 20;

/// Of `asm-generic/mman-common.h`, since Linux 6.1; libc's table of this target may lack it.
const MADV_COLLAPSE: libc::c_int = 25;

const GRANULE_SIZE: usize = GRANULE as usize;

/// So long a page is where it matters: for allocating the first one of a granule.
const PAGE: libc::off_t = 4096;

/// A file of memory, mapped. Unmapped when the last owner of this drops it.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is not tied to a thread; see invariant 3 for what is done to it.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// A new segment of ours, with no page behind it yet, and the descriptor to hand on.
    pub(super) fn create(len: u64) -> io::Result<(Self, OwnedFd)> {
        let size = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        limits::may_write(len)?;
        let fd = memory_file(c"snakepit-arena")?;
        ftruncate(&fd, len as libc::off_t)?;
        let mapping = Self::map(&fd, size, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE)?;
        // From here on nobody but this mapping writes, and nothing changes the length. (A seal
        // against all writing is refused as long as a mapping can write.)
        let seals = fixed_size() | SealFlag::F_SEAL_FUTURE_WRITE | SealFlag::F_SEAL_SEAL;
        fcntl(&fd, FcntlArg::F_ADD_SEALS(seals))?;
        Ok((mapping, fd))
    }

    /// Maps a segment of somebody else, to be read.
    ///
    /// # Errors
    ///
    /// `InvalidData` for what is no segment of that length, or could change it; else what the system
    /// says.
    pub(super) fn receive(fd: BorrowedFd<'_>, len: u64) -> io::Result<Self> {
        let refuse = |why| Err(io::Error::new(io::ErrorKind::InvalidData, why));
        match fcntl(fd, FcntlArg::F_GET_SEALS) {
            Ok(seals) if SealFlag::from_bits_retain(seals).contains(fixed_size()) => {}
            _ => return refuse("a segment is not sealed: its length could change"),
        }
        let size = match usize::try_from(len) {
            Ok(size) if size > 0 && fstat(fd)?.st_size == len as libc::off_t => size,
            _ => return refuse("a segment is not as long as it was said to be"),
        };
        Self::map(fd, size, ProtFlags::PROT_READ)
    }

    /// Maps at an address that leaves huge pages whole.
    fn map(fd: impl AsFd, len: usize, access: ProtFlags) -> io::Result<Self> {
        let nowhere = || io::Error::from(io::ErrorKind::OutOfMemory);
        let reserved = len.checked_add(GRANULE_SIZE).and_then(NonZeroUsize::new);
        let reserved = reserved.ok_or_else(nowhere)?;
        let size = NonZeroUsize::new(len).ok_or_else(nowhere)?;
        // SAFETY: a new mapping at an address of the kernel's choice; nothing is replaced.
        let room =
            unsafe { mmap_anonymous(None, reserved, ProtFlags::PROT_NONE, MapFlags::MAP_PRIVATE) }?;
        let address = room.as_ptr() as usize;
        let aligned = address.next_multiple_of(GRANULE_SIZE);
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_FIXED;
        let fixed = NonZeroUsize::new(aligned);
        // SAFETY: replaces a part of what was reserved a moment ago and is known to nobody else.
        let mapped = unsafe { mmap(fixed, size, access, flags, fd, 0) };
        let unmap = |from: usize, to: usize| {
            if let Some(start) = NonNull::new(from as *mut libc::c_void).filter(|_| to > from) {
                // SAFETY: a part of the reservation that was not replaced; nobody refers to it.
                let _ = unsafe { munmap(start, to - from) };
            }
        };
        let end = address + reserved.get();
        let start = match mapped {
            Ok(start) => start,
            Err(error) => {
                unmap(address, end);
                return Err(error.into());
            }
        };
        unmap(address, aligned);
        unmap(aligned + len.next_multiple_of(PAGE as usize), end);
        // Core files would hold all of it. Where it cannot be left out, they do.
        // SAFETY: advice about the mapping that was just made.
        let _ = unsafe { madvise(start, len, MmapAdvise::MADV_DONTDUMP) };
        Ok(Self { start: start.cast(), len })
    }

    /// Puts pages behind `from..to`, granules of a mapping of ours: huge ones where the system has
    /// them, which is several times as fast. True: it had.
    ///
    /// # Errors
    ///
    /// Where memory is missing; then nothing of it may be written.
    pub(super) fn warm(&self, fd: BorrowedFd<'_>, from: u64, to: u64) -> io::Result<bool> {
        let (from, to) = (from.min(self.len as u64), to.min(self.len as u64));
        if from >= to {
            return Ok(true);
        }
        // One page in each granule: what is empty is not collapsed. By a system call, and not by
        // writing to it, which would be SIGBUS where there is no memory.
        for granule in (from..to).step_by(GRANULE_SIZE) {
            fallocate(fd, FallocateFlags::empty(), granule as libc::off_t, PAGE)?;
        }
        // SAFETY: inside of the mapping; it changes which pages are behind it, and no byte.
        let collapsed = unsafe {
            let start = self.start.as_ptr().add(from as usize);
            libc::madvise(start.cast(), (to - from) as usize, MADV_COLLAPSE) == 0
        };
        if !collapsed {
            fallocate(
                fd,
                FallocateFlags::empty(),
                from as libc::off_t,
                (to - from) as libc::off_t,
            )?;
        }
        Ok(collapsed)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The byte at `offset`, which may be the end. Whoever writes there keeps to invariant 3.
    pub(super) fn at(&self, offset: usize) -> *mut u8 {
        debug_assert!(offset <= self.len);
        self.start.as_ptr().wrapping_add(offset)
    }

    /// A part of it, to be read.
    ///
    /// # Panics
    ///
    /// Where it is not inside.
    pub(super) fn part(&self, offset: usize, len: usize) -> &[u8] {
        assert!(offset.checked_add(len).is_some_and(|end| end <= self.len), "inside the segment");
        // SAFETY: inside of a mapping that lives as long as `self`; every byte of it can be read
        // (invariant 1).
        unsafe { std::slice::from_raw_parts(self.at(offset), len) }
    }
}

impl Mapping {
    /// Copies bytes to where a region of ours is being filled. Not attached to an interpreter, where
    /// they are many.
    ///
    /// # Panics
    ///
    /// Where they do not fit.
    pub(super) fn write(&self, offset: usize, bytes: &[u8]) {
        let end = offset.checked_add(bytes.len());
        assert!(end.is_some_and(|end| end <= self.len), "inside the segment");
        let (to, from) = (self.at(offset), bytes.as_ptr());
        let apart = (to as usize).abs_diff(from as usize) >= bytes.len();
        // SAFETY: inside of a mapping of ours, which is written by one at a time (invariant 3). What
        // is copied may lie in it, too, where somebody sends what he was given room for.
        unsafe {
            if apart {
                copy(to, from, bytes.len());
            } else {
                std::ptr::copy(from, to, bytes.len());
            }
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: made by `map`, and no reference into it outlives `self`.
        let _ = unsafe { munmap(self.start.cast(), self.len) };
    }
}

/// Copies memory, past the caches where it is so much that they are of no use.
///
/// # Safety
///
/// `len` bytes can be read at `from` and written at `to`, and the two do not overlap.
pub(super) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    #[cfg(target_arch = "x86_64")]
    if len >= STREAMED && std::arch::is_x86_feature_detected!("avx") {
        // SAFETY: the caller's promise, and the processor has these instructions.
        return unsafe { stream(to, from, len) };
    }
    // SAFETY: the caller's promise.
    unsafe { std::ptr::copy_nonoverlapping(from, to, len) }
}

/// # Safety
///
/// As of [`copy`], and the processor has AVX.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
unsafe fn stream(mut to: *mut u8, mut from: *const u8, mut len: usize) {
    use std::arch::x86_64::{__m256i, _mm_sfence, _mm256_loadu_si256, _mm256_stream_si256};

    const LINE: usize = 64;
    const STEP: usize = 4 * LINE;
    let head = to.align_offset(LINE).min(len);
    // SAFETY: each part lies inside of what the caller vouches for; `to` is aligned to a line from
    // the end of `head` on, as the streaming stores ask for.
    unsafe {
        std::ptr::copy_nonoverlapping(from, to, head);
        (to, from, len) = (to.add(head), from.add(head), len - head);
        while len >= STEP {
            let mut parts = [std::mem::zeroed::<__m256i>(); 8];
            for (index, part) in parts.iter_mut().enumerate() {
                *part = _mm256_loadu_si256(from.add(32 * index).cast());
            }
            for (index, part) in parts.into_iter().enumerate() {
                _mm256_stream_si256(to.add(32 * index).cast(), part);
            }
            (to, from, len) = (to.add(STEP), from.add(STEP), len - STEP);
        }
        // Streamed stores are in no order with later ones, such as of the frame that names them.
        _mm_sfence();
        std::ptr::copy_nonoverlapping(from, to, len);
    }
}

fn memory_file(name: &std::ffi::CStr) -> io::Result<OwnedFd> {
    // Some systems refuse memory files that could be executed; kernels before 6.3 know no flag
    // that promises it.
    let no_exec = MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL);
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    match memfd_create(name, flags | no_exec) {
        Err(Errno::EINVAL) => Ok(memfd_create(name, flags)?),
        made => Ok(made?),
    }
}

fn fixed_size() -> SealFlag {
    SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::arena::WORDS;

    #[test]
    fn a_segment_is_written_here_and_read_there() {
        let (ours, fd) = Mapping::create(2 * GRANULE).unwrap();
        ours.warm(fd.as_fd(), 0, 2 * GRANULE).unwrap();
        let theirs = Mapping::receive(fd.as_fd(), 2 * GRANULE).unwrap();
        assert_eq!(ours.at(0) as usize % GRANULE_SIZE, 0);
        assert_eq!(theirs.at(0) as usize % GRANULE_SIZE, 0);
        let text = b"seen on the other side";
        // SAFETY: inside of the segment, and nobody else writes.
        unsafe { copy(ours.at(GRANULE_SIZE - 5), text.as_ptr(), text.len()) };
        assert_eq!(theirs.part(GRANULE_SIZE - 5, text.len()), text);
    }

    #[test]
    fn long_copies_arrive_whole_however_they_are_aligned() {
        let source: Vec<u8> = (0..STREAMED + 999).map(|at| (at / 7) as u8).collect();
        let mut target = vec![0u8; STREAMED + 2000];
        for shift in [0, 1, 63] {
            target.fill(0);
            // SAFETY: two vectors, and the ranges are inside of them.
            unsafe { copy(target.as_mut_ptr().add(shift), source.as_ptr(), source.len()) };
            assert!(target[shift..shift + source.len()] == source[..]);
            assert!(target[..shift].iter().chain(&target[shift + source.len()..]).all(|b| *b == 0));
        }
    }

    #[test]
    fn what_could_change_its_length_or_has_another_one_is_no_segment() {
        let file = memory_file(c"test").unwrap();
        ftruncate(&file, GRANULE as libc::off_t).unwrap();
        let refused = |fd: &OwnedFd, len| Mapping::receive(fd.as_fd(), len).unwrap_err().kind();
        assert_eq!(refused(&file, GRANULE), io::ErrorKind::InvalidData, "not sealed");
        let null = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        assert_eq!(refused(&null, GRANULE), io::ErrorKind::InvalidData, "no memory at all");
        assert!(Board::map(null.as_fd()).is_err());

        let (_ours, fd) = Mapping::create(GRANULE).unwrap();
        for length in [0, GRANULE - 1, GRANULE + 1, u64::MAX] {
            assert_eq!(refused(&fd, length), io::ErrorKind::InvalidData, "{length}");
        }
        assert!(ftruncate(&fd, 0).is_err(), "sealed");
        assert!(Board::map(fd.as_fd()).is_err(), "no board");
    }

    #[test]
    fn both_sides_of_a_board_see_what_is_counted() {
        let (ours, fd) = Board::create().unwrap();
        let theirs = Board::map(fd.as_fd()).unwrap();
        theirs.give_back(7);
        theirs.give_back(WORDS as u32); // no word
        assert_eq!((ours.returned(7), ours.returned(8), ours.returned(u32::MAX)), (1, 0, 0));
    }
}
