//! What a worker says that it may not say: named, believed in nothing, and nobody else is harmed.

use proptest::prelude::*;

use super::deaths::under;
use super::world::WINDOW;
use super::{Outcome, Spec, World};
use crate::call::Affinity::StrictQueue;
use crate::error::Violation;
use crate::id::CallId;
use crate::policy::meter::Fate;
use crate::pool::state::{End, Said};

/// Something about some call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lie {
    Ends(Said),
    /// So many items.
    Goes(usize),
    /// Of a name that was made up.
    MadeUp,
}

pub(super) fn any_lie() -> impl Strategy<Value = Lie> {
    prop_oneof![
        prop_oneof![Just(Said::Value), Just(Said::End), Just(Said::Failure(Fate::Cancelled))]
            .prop_map(Lie::Ends),
        (0..5usize).prop_map(Lie::Goes),
        Just(Lie::MadeUp),
    ]
}

impl World {
    /// The worker says that, which the host must see through, unless it is the truth: nothing is
    /// said then. Only what the worker itself knows it by.
    pub(super) fn lie(&mut self, slot: usize, id: CallId, lie: Lie) {
        if self.workers[slot].outlawed {
            return;
        }
        let mine = self.state.slots[slot].lane.contains(&id);
        let call = &self.calls[self.by_id[&id]];
        let streaming = call.spec.streaming;
        let room = u64::from(WINDOW.items) - (call.parts - call.taken);
        let told = match lie {
            Lie::Ends(said) => {
                let fits = match said {
                    Said::Value => !streaming,
                    Said::End => streaming,
                    Said::Raised | Said::Failure(_) => true,
                };
                if mine && fits {
                    return;
                }
                self.answered(slot, id, said).map(drop)
            }
            Lie::Goes(items) => {
                if mine && streaming && (1..=room as usize).contains(&items) {
                    return;
                }
                let lengths = std::iter::repeat_n(1, items);
                self.state.partly_answered(slot, id, lengths).map(drop)
            }
            Lie::MadeUp => {
                let id = CallId::new(id.sequence() + 1_000_000, id.index());
                self.answered(slot, id, Said::Failure(Fate::Cancelled)).map(drop)
            }
        };
        let violation = told.expect_err("a lie");
        match (lie, violation) {
            (Lie::MadeUp, Violation::UnknownCall { .. }) => {}
            (Lie::Ends(_) | Lie::Goes(_), Violation::WrongKind { call, streaming: told }) => {
                assert!(mine && call == id && told == streaming);
            }
            (Lie::Goes(0), Violation::EmptyChunks { .. }) => assert!(mine && streaming),
            (Lie::Goes(more), Violation::CreditExceeded { items, .. }) => {
                assert!(mine && streaming && more as u64 > room);
                assert_eq!(items, u64::from(WINDOW.items) + 1);
            }
            (Lie::Ends(_) | Lie::Goes(_), Violation::AnsweredTwice { call }) => {
                assert!(!mine && self.outcome(call).is_some(), "{call} was not answered");
            }
            (Lie::Ends(_) | Lie::Goes(_), Violation::NotItsCall { call }) => {
                assert!(!mine, "{call}")
            }
            (lie, violation) => panic!("{lie:?} of slot {slot} about {id}: {violation}"),
        }
        self.outlaw(slot);
    }

    /// What the pool does about a worker that broke the protocol.
    fn outlaw(&mut self, slot: usize) {
        self.workers[slot].outlawed = true;
        self.state.outlaw(slot, self.now, &self.page, &mut self.out);
        self.carry_out();
    }
}

fn plain(world: &mut World) -> CallId {
    world.call(Spec::default())
}

#[test]
fn a_second_answer_is_told_from_one_to_a_call_that_the_worker_does_not_have() {
    let mut world = World::ready(2);
    let answered = plain(&mut world);
    world.work(0);
    let (running, elsewhere) = (plain(&mut world), plain(&mut world));
    let calls = world.calls(80, &Spec::default());
    let waiting = calls.into_iter().find(|&id| world.sent(id).is_empty()).expect("no room for all");
    assert_eq!([running, elsewhere].map(|id| world.sent(id)), [[0], [1]]);
    let say =
        |world: &mut World, id| world.answered(0, id, Said::Failure(Fate::Cancelled)).unwrap_err();

    assert_eq!(say(&mut world, answered), Violation::AnsweredTwice { call: answered });
    assert_eq!(say(&mut world, elsewhere), Violation::NotItsCall { call: elsewhere });
    assert_eq!(say(&mut world, waiting), Violation::NotItsCall { call: waiting });
    for call in [CallId::new(1000, 0), CallId::new(1, 1000), CallId::from_raw(0)] {
        assert_eq!(say(&mut world, call), Violation::UnknownCall { call });
    }
    let chunk = world.state.partly_answered(0, answered, [1].into_iter()).map(drop);
    assert_eq!(chunk, Err(Violation::AnsweredTwice { call: answered }));
}

#[test]
fn an_answer_long_after_the_first_is_one_to_a_call_that_it_does_not_have() {
    let mut world = World::ready(1);
    let first = plain(&mut world);
    world.work(0);
    for _ in 0..8 {
        plain(&mut world);
        world.work(0);
    }
    let told = world.answered(0, first, Said::Value).unwrap_err();
    assert_eq!(told, Violation::NotItsCall { call: first });
}

#[test]
fn what_the_worker_before_it_answered_is_no_second_answer() {
    let mut world = World::ready(1);
    let call = plain(&mut world);
    world.work(0);
    world.die(0, false);
    world.bring_up(0);
    let told = world.answered(0, call, Said::Value).unwrap_err();
    assert_eq!(told, Violation::NotItsCall { call });
}

#[test]
fn a_stream_ends_as_a_stream_and_a_plain_call_with_a_value() {
    let mut world = World::ready(2);
    let (call, stream) = (plain(&mut world), world.call(Spec::stream()));
    let wrong = |call, streaming| Err(Violation::WrongKind { call, streaming });
    let mut say = |slot, id, said| world.answered(slot, id, said).map(|job| job.is_some());
    assert_eq!(say(0, call, Said::End), wrong(call, false));
    assert_eq!(say(1, stream, Said::Value), wrong(stream, true));
    let chunk = world.state.partly_answered(0, call, [1].into_iter());
    assert_eq!(chunk.map(|job| job.is_some()), wrong(call, false));
    let mut say = |slot, id, said| world.answered(slot, id, said).map(|job| job.is_some());
    assert_eq!(say(0, call, Said::Value), Ok(true));
    assert_eq!(say(1, stream, Said::End), Ok(true));
}

#[test]
fn a_stream_has_its_window_whoever_still_reads_it() {
    let mut world = World::ready(1);
    let call = world.call(Spec::stream());
    world.begin(0);
    world.part(0);
    world.take(call);
    world.cancel(call);
    let mut go = |items| {
        let sent = world.state.partly_answered(0, call, std::iter::repeat_n(1, items));
        sent.map(|job| job.is_some())
    };
    assert_eq!(go(3), Ok(false), "nobody reads, yet it may");
    let (window_items, window_bytes) = (WINDOW.items, WINDOW.bytes);
    let told = Violation::CreditExceeded { call, items: 4, bytes: 4, window_items, window_bytes };
    assert_eq!(go(1), Err(told));
    assert_eq!(go(0), Err(Violation::EmptyChunks { call }));
}

#[test]
fn a_stream_that_is_tried_again_has_a_whole_window() {
    let mut world = World::ready(1);
    let call = world.call(Spec::stream().idempotent());
    world.begin(0);
    world.die(0, false);
    world.bring_up(0);
    world.begin(0);
    (0..WINDOW.items).for_each(|_| world.part(0));
    assert_eq!(world.calls[world.by_id[&call]].parts, u64::from(WINDOW.items));
}

#[test]
fn who_breaks_the_protocol_gets_nothing_more_and_what_it_had_not_begun_goes_to_others() {
    let mut world = World::ready(2);
    world.warm_up();
    let calls = world.calls(6, &Spec::default());
    let own: Vec<_> = calls.iter().copied().filter(|&id| world.sent(id) == [0]).collect();
    assert_eq!(world.begin(0), Some(own[0]));
    world.outlaw(0);
    assert_eq!(world.state.describe(0).0, "condemned");
    assert!(own[1..].iter().all(|&id| world.sent(id).ends_with(&[1])), "taken back at once");
    let later = plain(&mut world);
    assert_ne!(world.sent(later), [0]);

    world.die(0, false);
    assert_eq!(world.end(own[0]), &End::WorkerDied(under(0, 1)));
    assert_eq!(world.state.counters().worker_deaths, 1);
    world.bring_up(0);
    while !world.state.is_idle() {
        world.work(0);
        world.work(1);
    }
    assert_eq!(world.outcome(own[1]), Some(&Outcome::Answered));
}

#[test]
fn a_session_whose_worker_breaks_the_protocol_is_lost_and_says_why() {
    let mut world = World::ready(1);
    world.call(Spec::session("s", StrictQueue));
    let waiting = world.call(Spec::session("s", StrictQueue));
    world.begin(0);
    world.outlaw(0);
    world.die(0, false);
    let End::SessionLost { cause, .. } = world.end(waiting) else { panic!("not lost") };
    assert_eq!(*cause, "its worker was killed: it broke the protocol");
}
