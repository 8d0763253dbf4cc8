//! Memory that was sent to this process, mapped once more: what is written to it changes nobody else's.
//!
//! ```text
//! segment of another process ── Mapping (read) ──▶ views      all see the same
//!                            └─ Private (copy on write)       pages that are written to are its own
//! ```
//!
//! A mapping needs a descriptor, and descriptors are few: only so many segments keep theirs. Of any
//! other there is no such mapping, and whoever wants to write copies.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};

use super::Mapping;
use crate::process::{HostFd, PerProcess};

/// Segments of this process that keep their descriptors.
const MAX_KEPT: usize = 64;

/// Of fewer bytes a copy takes less than to map them and to fetch each page that is written to.
const LEAST: usize = 1 << 20;

/// Where a mapping may begin in its file.
const PAGE: usize = 4096;

/// A forked child knows none of its parent's.
static KEPT: PerProcess<Mutex<Vec<Kept>>> = PerProcess::new();

fn kept() -> MutexGuard<'static, Vec<Kept>> {
    KEPT.get(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

struct Kept {
    start: usize,
    len: usize,
    fd: Arc<HostFd>,
}

/// A segment's descriptor is known as long as this is there.
pub(in crate::process::arena) struct Known {
    start: usize,
}

impl Known {
    /// None: too many are, or a descriptor cannot be had.
    pub(in crate::process::arena) fn new(mapping: &Mapping, fd: BorrowedFd<'_>) -> Option<Self> {
        let (start, len) = (mapping.at(0) as usize, mapping.len());
        let mut kept = kept();
        if kept.len() >= MAX_KEPT {
            return None;
        }
        let fd = Arc::new(HostFd::new(fd.try_clone_to_owned().ok()?));
        kept.push(Kept { start, len, fd });
        Some(Self { start })
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        let mut kept = kept();
        let place = kept.iter().position(|kept| kept.start == self.start);
        let gone = place.map(|place| kept.swap_remove(place));
        drop(kept);
        drop(gone);
    }
}

/// Bytes that were sent to this process, to be written to.
pub struct Private {
    /// Of the mapping.
    base: NonNull<libc::c_void>,
    mapped: usize,
    /// Where the bytes begin in it.
    skipped: usize,
    len: usize,
    /// What was sent. Until this is dropped the pages that were not written to are as they were.
    _sent: Bytes,
}

// SAFETY: the mapping is not tied to a thread; whoever writes to it answers for who else does.
unsafe impl Send for Private {}
// SAFETY: as above.
unsafe impl Sync for Private {}

impl Private {
    /// None: they lie elsewhere than in a segment that was sent to us, or are too few.
    pub fn of(sent: &Bytes) -> Option<Self> {
        if sent.len() < LEAST {
            return None;
        }
        let start = sent.as_ptr() as usize;
        let (offset, fd) = {
            let kept = kept();
            let found = kept.iter().find(|kept| {
                let end = start.checked_add(sent.len());
                start >= kept.start && end.is_some_and(|end| end <= kept.start + kept.len)
            })?;
            (start - found.start, found.fd.clone())
        };
        Self::map(fd.as_fd(), offset, sent).ok()
    }

    fn map(fd: BorrowedFd<'_>, offset: usize, sent: &Bytes) -> io::Result<Self> {
        let skipped = offset % PAGE;
        let mapped = NonZeroUsize::new(skipped + sent.len()).ok_or(io::ErrorKind::InvalidInput)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // What is not written to takes no memory, so none is set aside for it.
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
        let from = libc::off_t::try_from(offset - skipped).map_err(io::Error::other)?;
        // SAFETY: a new mapping at an address of the kernel's choice; nothing is replaced. The file can
        // neither shrink nor grow, and these bytes are in it (invariant 1).
        let base = unsafe { mmap(None, mapped, access, flags, fd, from) }?;
        // SAFETY: advice about the mapping that was just made.
        let _ = unsafe { madvise(base, mapped.get(), MmapAdvise::MADV_DONTDUMP) };
        Ok(Self { base, mapped: mapped.get(), skipped, len: sent.len(), _sent: sent.clone() })
    }

    /// Bytes of it.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Where it begins. All of it may be read and written as long as this is there.
    pub fn start(&self) -> *mut u8 {
        self.base.as_ptr().cast::<u8>().wrapping_add(self.skipped)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // Before what was sent is given back: what comes next there is not for whoever wrote here.
        // SAFETY: made by `map`, and no reference into it outlives `self`.
        let _ = unsafe { munmap(self.base, self.mapped) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_ones_own() {
        let size = 4 * LEAST;
        let (ours, fd) = Mapping::create(size as u64).expect("a segment");
        ours.warm(fd.as_fd(), 0, size as u64).expect("memory");
        ours.write(0, &vec![7; size]);
        let theirs = Arc::new(Mapping::receive(fd.as_fd(), size as u64).expect("sealed"));
        let known = Known::new(&theirs, fd.as_fd()).expect("one of few");
        drop(fd);

        struct Part(Arc<Mapping>, usize);
        impl AsRef<[u8]> for Part {
            fn as_ref(&self) -> &[u8] {
                self.0.part(self.1, self.0.len() - self.1)
            }
        }
        let sent = Bytes::from_owner(Part(theirs.clone(), 100));
        let private = Private::of(&sent).expect("a part of it");
        assert_eq!(private.len(), size - 100);
        // SAFETY: inside of what may be written to, by this thread alone.
        unsafe {
            assert_eq!(
                (private.start().read(), private.start().add(private.len() - 1).read()),
                (7, 7)
            );
            private.start().write(1);
            assert_eq!(private.start().read(), 1);
        }
        assert_eq!(sent[0], 7);
        let other = Private::of(&sent).expect("another");
        // SAFETY: as above.
        assert_eq!(unsafe { other.start().read() }, 7);

        assert!(Private::of(&sent.slice(..LEAST - 1)).is_none(), "too few");
        assert!(Private::of(&Bytes::from(vec![0; LEAST])).is_none(), "of no segment");
        drop(known);
        assert!(Private::of(&sent).is_none(), "its descriptor is closed");
        // SAFETY: as above; it needs the descriptor no more.
        assert_eq!(unsafe { private.start().read() }, 1);
    }
}
