use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const MIB: u64 = 1 << 20;

/// What borrowers have counted back.
#[derive(Default)]
struct Counted(HashMap<(Borrower, u32), u32>);

impl Counted {
    fn give_back(&mut self, borrower: Borrower, word: u32) {
        *self.0.entry((borrower, word)).or_default() += 1;
    }
}

impl Returned for Counted {
    fn returned(&self, borrower: Borrower, word: u32) -> u32 {
        self.0.get(&(borrower, word)).copied().unwrap_or_default()
    }
}

struct World {
    arena: Arena,
    counted: Counted,
    now: Instant,
    dropped: Vec<u32>,
}

impl World {
    fn new(bytes: u64, segments: usize) -> Self {
        let now = Instant::now();
        let arena = Arena::new(Bounds { bytes, segments }, now);
        Self { arena, counted: Counted::default(), now, dropped: Vec::new() }
    }

    fn take(&mut self, bytes: u64) -> Result<Taken, Full> {
        let taken = self.arena.take(bytes, self.now, &self.counted, &mut self.dropped)?;
        self.arena.made(taken.word, true);
        Ok(taken)
    }

    fn release(&mut self, word: u32) {
        self.arena.release(word, self.now, &mut self.dropped);
    }

    fn settle(&mut self) {
        self.arena.settle(self.now, &self.counted, &mut self.dropped);
    }

    fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.arena.trim(self.now, &mut self.dropped);
    }
}

#[test]
fn a_buffer_takes_the_segment_of_one_that_was_given_back() {
    let mut world = World::new(1 << 30, 100);
    let first = world.take(5 * MIB).unwrap();
    assert_eq!((first.make, first.warm), (Some(8 * MIB), (0, 6 * MIB)));
    assert_ne!(world.take(5 * MIB).unwrap().segment, first.segment, "it is held");
    world.release(first.word);
    let second = world.take(7 * MIB).unwrap();
    assert_eq!((second.segment, second.make), (first.segment, None));
    assert_eq!(second.warm, (6 * MIB, 8 * MIB), "only what was not touched yet");
    world.release(second.word);
    let small = world.take(3 * MIB).unwrap();
    assert_eq!(small.segment, first.segment, "twice as long as it has to be");
    world.release(small.word);
    assert_ne!(world.take(2 * MIB).unwrap().segment, first.segment, "four times as long");
}

#[test]
fn small_buffers_share_a_segment() {
    let mut world = World::new(1 << 30, 100);
    let parts: Vec<_> = (0..32).map(|_| world.take(64 << 10).unwrap()).collect();
    assert!(parts.iter().all(|part| part.segment == parts[0].segment));
    let mut offsets: Vec<_> = parts.iter().map(|part| part.offset).collect();
    offsets.dedup();
    assert_eq!(offsets, (0..32).map(|slot| slot * (64 << 10)).collect::<Vec<_>>());
    assert_ne!(world.take(64 << 10).unwrap().segment, parts[0].segment, "it is full");
    assert_ne!(world.take(65 << 10).unwrap().segment, parts[0].segment, "slots of another size");
    world.release(parts[7].word);
    assert_eq!(world.take(40 << 10).unwrap().offset, parts[7].offset);
}

#[test]
fn a_region_is_free_when_all_have_counted_it_back() {
    let mut world = World::new(4 * MIB, 10);
    let taken = world.take(4 * MIB).unwrap();
    for borrower in [1, 1, 2] {
        world.arena.lend(taken.word, borrower);
    }
    world.release(taken.word);
    for borrower in [1, 2, 1] {
        assert_eq!(world.take(4 * MIB), Err(Full), "before {borrower} has counted");
        world.counted.give_back(borrower, taken.word);
    }
    assert_eq!(world.take(4 * MIB).unwrap().segment, taken.segment);
}

#[test]
fn who_is_reaped_or_was_never_told_holds_nothing_up() {
    let mut world = World::new(4 * MIB, 10);
    let taken = world.take(4 * MIB).unwrap();
    world.arena.lend(taken.word, 1);
    world.arena.lend(taken.word, 2);
    world.arena.take_back(taken.word, 2);
    world.release(taken.word);
    assert_eq!(world.take(MIB), Err(Full));
    world.arena.reaped(1, world.now, &mut world.dropped);
    world.settle();
    let again = world.take(4 * MIB).unwrap();
    world.release(again.word);
    assert_eq!(world.arena.tally().in_use, 0);
}

#[test]
fn who_counts_back_what_it_never_had_harms_itself_alone() {
    let mut world = World::new(4 * MIB, 10);
    let taken = world.take(4 * MIB).unwrap();
    (0..5).for_each(|_| world.counted.give_back(1, taken.word));
    world.arena.lend(taken.word, 1);
    world.arena.lend(taken.word, 2);
    world.release(taken.word);
    assert_eq!(world.take(MIB), Err(Full), "the other one reads");
    world.counted.give_back(2, taken.word);
    assert!(world.take(MIB).is_ok());
}

#[test]
fn what_cannot_be_made_is_as_if_it_had_not_been_asked_for() {
    let mut world = World::new(1 << 30, 10);
    let (now, counted) = (world.now, Counted::default());
    let taken = world.arena.take(5 * MIB, now, &counted, &mut world.dropped).unwrap();
    assert!(world.arena.made(taken.word, false), "what is there of it is to be dropped");
    assert_eq!(world.arena.tally(), Tally { made: 1, ..Tally::default() });
    assert!(world.take(5 * MIB).unwrap().segment > taken.segment, "numbers are not used twice");
}

#[test]
fn idle_segments_go_as_what_was_in_use_is_forgotten() {
    let mut world = World::new(1 << 40, 100);
    let taken: Vec<_> = (0..4).map(|_| world.take(128 * MIB).unwrap()).collect();
    taken.iter().for_each(|taken| world.release(taken.word));
    world.later(1);
    assert_eq!(world.arena.tally().segments, 3, "a little of it is forgotten already");
    world.later(8);
    assert_eq!(world.arena.tally().segments, 2);
    assert_eq!(world.dropped, [taken[0].segment, taken[1].segment], "the longest unused first");
    world.later(600);
    assert_eq!(world.arena.tally().bytes, 0);
    let small = world.take(30 * MIB).unwrap();
    world.release(small.word);
    world.later(100_000);
    assert_eq!(world.arena.tally().segments, 1, "a little is kept for ever");
}

#[test]
fn idle_segments_give_way_to_what_is_needed() {
    let mut world = World::new(10 * MIB, 2);
    let first = world.take(3 * MIB).unwrap();
    let second = world.take(5 * MIB).unwrap();
    world.release(first.word);
    world.release(second.word);
    assert_eq!(world.take(10 * MIB).unwrap().make, Some(16 * MIB));
    assert_eq!(world.dropped, [first.segment, second.segment]);
    assert!(world.arena.borrow(0, &mut world.dropped));
    assert!(!world.arena.borrow(1, &mut world.dropped), "others count, too");
}

#[test]
fn a_closed_arena_takes_nothing_and_keeps_what_is_held() {
    let mut world = World::new(1 << 30, 100);
    let (held, lent) = (world.take(3 * MIB).unwrap(), world.take(3 * MIB).unwrap());
    world.arena.lend(lent.word, 1);
    world.release(lent.word);
    world.arena.close(world.now, &mut world.dropped);
    assert_eq!(world.take(MIB), Err(Full));
    assert!(world.dropped.is_empty());
    world.release(held.word);
    assert_eq!(world.dropped, [held.segment]);
    world.arena.reaped(1, world.now, &mut world.dropped);
    assert_eq!(world.dropped, [held.segment, lent.segment]);
    assert_eq!(world.arena.tally().bytes, 0);
}

#[derive(Clone, Debug)]
enum Event {
    Take(u64),
    Fail(u64),
    Release(usize),
    Lend(usize, Borrower),
    TakeBack(usize),
    GiveBack(usize),
    Reap(Borrower),
    Borrow(u64),
    Unborrow,
    Wait(u64),
    Close,
}

fn any_event() -> impl Strategy<Value = Event> {
    let bytes = prop_oneof![1..200u64 << 10, 1..40 * MIB];
    let borrower = 1..4u64;
    prop_oneof![
        8 => bytes.clone().prop_map(Event::Take),
        1 => bytes.clone().prop_map(Event::Fail),
        6 => any::<usize>().prop_map(Event::Release),
        6 => (any::<usize>(), borrower.clone()).prop_map(|(at, to)| Event::Lend(at, to)),
        1 => any::<usize>().prop_map(Event::TakeBack),
        6 => any::<usize>().prop_map(Event::GiveBack),
        1 => borrower.prop_map(Event::Reap),
        1 => bytes.prop_map(Event::Borrow),
        1 => Just(Event::Unborrow),
        2 => (0..30u64).prop_map(Event::Wait),
        1 => prop::bool::weighted(0.05).prop_map(|close| if close { Event::Close } else { Event::Wait(0) }),
    ]
}

/// A region as a test knows it.
#[derive(Clone, Copy, Debug)]
struct Known {
    taken: Taken,
    bytes: u64,
    held: bool,
}

proptest! {
    /// Whatever happens in whatever order: no two regions that somebody holds or reads overlap, none of
    /// them is in a segment that was dropped, bounds are kept, and in the end nothing is left.
    #[test]
    fn nobody_writes_where_somebody_reads(events in prop::collection::vec(any_event(), 0..300)) {
        let bounds = Bounds { bytes: 100 * MIB, segments: 12 };
        let mut world = World::new(bounds.bytes, bounds.segments);
        let mut known: Vec<Known> = Vec::new();
        let mut loans: Vec<(u32, Borrower)> = Vec::new();
        let mut borrowed: Vec<u64> = Vec::new();
        for event in events {
            match event {
                Event::Take(bytes) => {
                    if let Ok(taken) = world.take(bytes) {
                        known.push(Known { taken, bytes, held: true });
                    }
                }
                Event::Fail(bytes) => {
                    let (now, counted) = (world.now, &world.counted);
                    if let Ok(taken) = world.arena.take(bytes, now, counted, &mut world.dropped) {
                        // Where others are in the segment it was warm already, and nothing failed.
                        let fails = taken.warm.0 < taken.warm.1;
                        world.arena.made(taken.word, !fails);
                        if fails {
                            world.dropped.push(taken.segment);
                        } else {
                            known.push(Known { taken, bytes, held: true });
                        }
                    }
                }
                Event::Release(at) if !known.is_empty() => {
                    let at = at % known.len();
                    if std::mem::replace(&mut known[at].held, false) {
                        world.release(known[at].taken.word);
                    }
                }
                Event::Lend(at, to) if !known.is_empty() => {
                    let at = at % known.len();
                    if known[at].held {
                        world.arena.lend(known[at].taken.word, to);
                        loans.push((known[at].taken.word, to));
                    }
                }
                Event::TakeBack(at) if !loans.is_empty() => {
                    let (word, from) = loans.swap_remove(at % loans.len());
                    world.arena.take_back(word, from);
                }
                Event::GiveBack(at) if !loans.is_empty() => {
                    let (word, by) = loans.swap_remove(at % loans.len());
                    world.counted.give_back(by, word);
                }
                Event::Reap(borrower) => {
                    world.arena.reaped(borrower, world.now, &mut world.dropped);
                    loans.retain(|(_, of)| *of != borrower);
                    world.counted.0.retain(|(of, _), _| *of != borrower);
                }
                Event::Borrow(bytes) => {
                    let has_room = world.arena.borrow(bytes, &mut world.dropped);
                    if has_room {
                        borrowed.push(bytes);
                    }
                }
                Event::Unborrow => {
                    if let Some(bytes) = borrowed.pop() {
                        world.arena.unborrow(bytes);
                    }
                }
                Event::Wait(seconds) => world.later(seconds),
                Event::Close => world.arena.close(world.now, &mut world.dropped),
                _ => {}
            }
            known.retain(|it| it.held || loans.iter().any(|(word, _)| *word == it.taken.word));
            for (index, one) in known.iter().enumerate() {
                prop_assert!(!world.dropped.contains(&one.taken.segment), "{one:?} was dropped");
                for other in &known[index + 1..] {
                    let apart = one.taken.segment != other.taken.segment
                        || one.taken.offset + one.bytes <= other.taken.offset
                        || other.taken.offset + other.bytes <= one.taken.offset;
                    prop_assert!(apart, "{one:?} {other:?}");
                    prop_assert_ne!(one.taken.word, other.taken.word);
                }
            }
            let tally = world.arena.tally();
            prop_assert!(tally.bytes + tally.elsewhere <= bounds.bytes, "{tally:?}");
            prop_assert!(tally.segments <= bounds.segments && tally.in_use <= tally.bytes);
        }
        for it in known.iter().filter(|it| it.held) {
            world.release(it.taken.word);
        }
        for (word, by) in loans {
            world.counted.give_back(by, word);
        }
        world.settle();
        world.arena.close(world.now, &mut world.dropped);
        let tally = world.arena.tally();
        prop_assert_eq!((tally.segments, tally.bytes, tally.in_use), (0, 0, 0));
    }
}
