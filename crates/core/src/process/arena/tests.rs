use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Weak, mpsc};
use std::time::Duration;

use super::*;
use crate::config::{SharedMemory, WhenFull};
use crate::payload::{Buffer, Buffers, Told};
use crate::process::message::ArenaMessage;

const MIB: usize = 1 << 20;

/// What is on its way is here by then.
const SOON: Duration = Duration::from_secs(60);

fn settings(max_bytes: u64) -> SharedMemory {
    let max_bytes = Some(max_bytes);
    SharedMemory { max_bytes, wait: Duration::ZERO, ..SharedMemory::default() }
}

type Said = (ArenaMessage, Vec<OwnedFd>);

/// A socket between two ends of this process.
struct Wire {
    /// None: nobody takes anything.
    said: Option<mpsc::Sender<Said>>,
    /// Descriptors are lost, as with a receiver that has none left.
    loses: bool,
}

impl Aside for Wire {
    fn tell(&self, message: ArenaMessage, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let fds = fd.filter(|_| !self.loses).map(|fd| fd.try_clone_to_owned().unwrap());
        let said = self.said.as_ref().ok_or(io::ErrorKind::WouldBlock)?;
        said.send((message, fds.into_iter().collect()))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

struct Ends {
    ours: Arc<Exchange>,
    theirs: Arc<Exchange>,
    arena: Arena,
}

#[derive(Clone, Copy, PartialEq)]
enum How {
    Well,
    Loses,
    Full,
}

/// Both ends hear what the other says on threads of their own, as they do of sockets.
fn ends(how: How, waits: bool) -> Ends {
    let (arena, other) = (Arena::new(settings(64 << 20)), Arena::new(settings(64 << 20)));
    let ((said, there), (answered, back)) = (mpsc::channel(), mpsc::channel());
    let wire = Wire { said: Some(said).filter(|_| how != How::Full), loses: how == How::Loses };
    let ours = Arc::new(Exchange::new(&arena, Arc::new(wire), waits));
    let wire = Wire { said: Some(answered), loses: false };
    let theirs = Arc::new(Exchange::new(&other, Arc::new(wire), waits));
    for (hears, end) in [(there, Arc::downgrade(&theirs)), (back, Arc::downgrade(&ours))] {
        std::thread::spawn(move || {
            for (message, fds) in hears {
                let end: Option<Arc<Exchange>> = Weak::upgrade(&end);
                end.inspect(|end| end.heard(message, fds));
            }
        });
    }
    Ends { ours, theirs, arena }
}

impl Ends {
    fn store(&self, bytes: &[u8]) -> Buffers {
        let mut region = self.arena.allocate(bytes.len(), Duration::ZERO).unwrap();
        region.write(0, bytes);
        vec![region.seal()].into()
    }

    fn in_use(&self) -> u64 {
        self.arena.tend();
        self.arena.stats().in_use
    }
}

#[test]
fn what_is_lent_is_read_in_place_and_counted_back() {
    for waits in [false, true] {
        let ends = ends(How::Well, waits);
        let text = "large".repeat(100_000);
        let told = ends.ours.lend(&ends.store(text.as_bytes()));
        assert!(matches!(told[..], [Told::Shared { .. }]));
        let read = ends.theirs.read(&told, SOON).unwrap();
        let copies = (read[0].clone(), read[0].slice(5..10));
        drop(read);
        assert!(&*copies.0 == text.as_bytes() && &*copies.1 == b"large");
        drop(copies.0);
        assert!(ends.in_use() > 0, "a part is read still");
        drop(copies.1);
        assert_eq!(ends.in_use(), 0);
    }
}

#[test]
fn a_frame_that_is_not_sent_again_names_what_was_taken_alone() {
    for (how, is_shared) in [(How::Well, true), (How::Loses, false), (How::Full, false)] {
        let ends = ends(how, false);
        let buffers = ends.store(&vec![7; 3 * MIB]);
        ends.ours.offer(&buffers);
        let told = ends.ours.lend_taken(&buffers);
        assert_eq!(matches!(told[..], [Told::Shared { .. }]), is_shared);
        let read = ends.theirs.read(&told, Duration::ZERO).expect("nothing is on its way");
        assert!(read[0].iter().all(|byte| *byte == 7));
        drop((told, buffers, read));
        assert_eq!(ends.in_use(), 0);
    }
}

#[test]
fn nothing_is_lent_to_who_is_no_more() {
    for waits in [false, true] {
        let ends = ends(How::Well, waits);
        let buffers = ends.store(&vec![7; MIB]);
        ends.ours.offer(&buffers);
        ends.ours.reaped();
        for told in [ends.ours.lend(&buffers), ends.ours.lend_taken(&buffers)] {
            assert!(matches!(told[..], [Told::Inline(_)]), "nobody would count it back");
        }
        drop(buffers);
        assert_eq!(ends.in_use(), 0);
    }
}

#[test]
fn who_cannot_take_segments_is_told_the_bytes() {
    for how in [How::Loses, How::Full] {
        let ends = ends(how, true);
        let buffers = ends.store(&vec![7; 3 * MIB]);
        let told = ends.ours.lend(&buffers);
        assert!(matches!(&told[..], [Told::Inline(bytes)] if bytes.len() == 3 * MIB));
        drop((told, buffers));
        assert_eq!(ends.in_use(), 0);
        let stats = ends.arena.stats();
        assert!(stats.faults >= 1 && stats.fallbacks == 1, "{stats:?}");
    }
}

#[test]
fn who_is_not_waited_for_says_what_it_could_not_read() {
    let ends = ends(How::Loses, false);
    let buffers = ends.store(&vec![7; MIB]);
    let told = ends.ours.lend(&buffers);
    let [Told::Shared { segment, .. }] = told[..] else { panic!("it is named at once") };
    let unreadable = ends.theirs.read(&told, SOON).unwrap_err();
    assert_eq!(unreadable, Unreadable::Refused { segment });
    ends.ours.take_back(&buffers);
    drop(buffers);
    assert_eq!(ends.in_use(), 0);
}

#[test]
fn frames_that_name_one_thing_that_is_not_there_borrow_nothing() {
    let ends = ends(How::Well, false);
    let buffers = ends.store(&vec![1; MIB]);
    drop(ends.theirs.read(&ends.ours.lend(&buffers), SOON).unwrap());
    let good = ends.ours.lend(&buffers).pop().unwrap();
    let Told::Shared { segment, offset, length, word } = good else { panic!("not shared") };
    let named = |segment, offset, length, word| Told::Shared { segment, offset, length, word };
    for bad in [
        named(segment + 1, offset, length, word),
        named(segment, 2 << 20, 1, word),
        named(segment, (2 << 20) - 1, 2, word),
        named(segment, u64::MAX, 2, word),
        named(segment, 2, u64::MAX, word),
        named(segment, offset, 0, word),
        named(segment, offset, length, 4096),
        named(segment, offset, length, u32::MAX),
    ] {
        let table = [named(segment, offset, length, word), bad];
        assert!(ends.theirs.read(&table, Duration::ZERO).is_err(), "{table:?}");
    }
    drop(buffers);
    assert!(ends.in_use() > 0, "nothing was counted back");
    drop(ends.theirs.read(&[named(segment, offset, length, word)], Duration::ZERO).unwrap());
    assert_eq!(ends.in_use(), 0);
}

#[test]
fn a_reader_that_is_reaped_has_given_all_back() {
    let ends = ends(How::Well, false);
    let told = ends.ours.lend(&ends.store(&vec![1; MIB]));
    let kept = ends.theirs.read(&told, SOON).unwrap();
    assert!(ends.in_use() > 0);
    ends.ours.reaped();
    assert_eq!(ends.in_use(), 0);
    assert!(kept[0].iter().all(|byte| *byte == 1), "it can be read as long as it is mapped");
}

#[test]
fn what_lies_in_a_region_is_found_again() {
    let ends = ends(How::Well, false);
    let region = ends.arena.allocate(3 * MIB, Duration::ZERO).unwrap();
    let start = region.start().cast_const();
    assert_eq!(ends.arena.find(start, 3 * MIB).unwrap().len(), 3 * MIB);
    let inside = ends.arena.find(start.wrapping_add(5), 10).unwrap();
    for (start, len) in [
        (start.wrapping_add(5), 3 * MIB),
        (start.wrapping_add(3 * MIB), 1),
        (start.wrapping_sub(1), 2),
        (start, 0),
        (std::ptr::null(), 1),
    ] {
        assert!(ends.arena.find(start, len).is_none(), "{start:?} {len}");
    }
    drop(region);
    assert!(ends.arena.find(start, 1).is_some(), "a part keeps all of it");
    let Told::Shared { offset: 5, length: 10, .. } = ends.ours.lend(&vec![inside].into())[0] else {
        panic!("it goes by name");
    };
    // What was lent is not counted back, and nobody holds it: it cannot be written any more.
    assert!(ends.arena.find(start, 1).is_none());
}

#[test]
fn segments_of_others_share_the_bound_and_are_let_go_of() {
    let ends = ends(How::Well, true);
    let taken = |ends: &Ends| ends.theirs.arena().stats().borrowed;
    for round in 0..200u8 {
        let told = ends.ours.lend(&ends.store(&vec![round; 6 * MIB]));
        let read = ends.theirs.read(&told, SOON).unwrap();
        assert!(read[0].iter().all(|byte| *byte == round));
    }
    assert_eq!(taken(&ends), 8 << 20, "one segment for all of them");
    let full = ends.theirs.arena().allocate(60 * MIB, Duration::ZERO).err().unwrap();
    assert!(matches!(full, NoRoom::Full { asked, .. } if asked == 60 << 20), "{full}");
    ends.arena.close();
    let patience = std::time::Instant::now() + SOON;
    while taken(&ends) > 0 && std::time::Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(taken(&ends), 0, "once it has heard of it");
    assert_eq!(ends.arena.stats().segments, 0);
}

#[test]
fn a_buffer_of_another_arena_goes_in_the_frame() {
    let (one, two) = (ends(How::Well, false), ends(How::Well, false));
    let told = two.ours.lend(&one.store(&vec![3; MIB]));
    assert!(matches!(&told[..], [Told::Inline(bytes)] if bytes.len() == MIB));
    let plain: Buffers = vec![Buffer::from(vec![1; 10])].into();
    assert!(matches!(&two.ours.lend(&plain)[..], [Told::Inline(bytes)] if bytes.len() == 10));
}

#[test]
fn policy_says_what_becomes_of_what_finds_no_room() {
    let arena = Arena::new(settings(4 << 20));
    assert!(arena.place(100, None).unwrap().is_none(), "below the threshold");
    let _kept = arena.place(4 * MIB, None).unwrap().unwrap();
    assert!(arena.place(MIB, None).unwrap().is_none());
    assert_eq!(arena.stats().fallbacks, 1);
    let when_full = WhenFull::Error;
    let arena = Arena::new(SharedMemory { when_full, ..settings(4 << 20) });
    let error = arena.place(5 * MIB, None).err().unwrap().to_string();
    assert!(error.contains("5242880 bytes do not fit"), "{error}");
}

#[test]
fn who_waits_gets_what_another_lets_go_of() {
    let arena = Arena::new(settings(4 << 20));
    let kept = arena.allocate(4 * MIB, Duration::ZERO).unwrap();
    let waiting = std::thread::spawn({
        let arena = arena.clone();
        move || arena.allocate(MIB, Duration::from_secs(60)).is_ok()
    });
    std::thread::sleep(Duration::from_millis(20));
    drop(kept);
    assert!(waiting.join().unwrap());
}

#[test]
fn many_threads_write_without_meeting() {
    let ends = ends(How::Well, true);
    let write = |seed: u8| {
        for round in 0..100usize {
            let bytes = vec![seed; 70_000 + round * 1000];
            let told = ends.ours.lend(&ends.store(&bytes));
            let read = ends.theirs.read(&told, Duration::from_secs(60)).unwrap();
            assert!(*read[0] == bytes[..]);
        }
    };
    std::thread::scope(|scope| {
        for seed in 1..5 {
            scope.spawn(move || write(seed));
        }
    });
    assert_eq!(ends.in_use(), 0);
}

#[tokio::test(start_paused = true)]
async fn memory_that_goes_unused_is_given_back_though_nobody_asks_for_any() {
    let arena = Arena::new(settings(512 << 20));
    let keeps = tokio::spawn(arena.clone().keep_small());
    let hold = |mib: usize| arena.allocate(mib * MIB, Duration::ZERO).expect("room").seal();
    drop([hold(128), hold(128)]);
    assert_eq!(arena.stats().bytes, 256 << 20, "warm, for whoever comes next");
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(arena.stats().bytes <= 64 << 20, "{:?}", arena.stats());
    let held = hold(128);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(arena.stats().in_use >= 128 << 20, "what somebody holds stays");
    drop(held);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(arena.stats().bytes <= 64 << 20, "{:?}", arena.stats());
    keeps.abort();
}
