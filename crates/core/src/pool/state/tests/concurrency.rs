//! Workers that run several calls at once: how many, who gets the next, and what becomes of the others
//! where one does not let go of a call.

use std::time::Duration;

use super::worker::Life;
use super::{Outcome, Spec, World};
use crate::call::Affinity::{Hint, StrictFailFast, StrictQueue};
use crate::config::{self, Guards};
use crate::error::{Cause, Recycled};
use crate::id::CallId;
use crate::pool::state::{End, Refusal};

const LIMIT: Duration = Duration::from_millis(300);

impl World {
    /// The worker ends one of the calls that it runs, the nth that it began.
    pub(crate) fn finish_nth(&mut self, slot: usize, nth: usize) -> bool {
        self.workers[slot].finish_nth(nth, slot, &self.page)
    }

    /// The worker ends one of the calls that it runs.
    pub(crate) fn finish_call(&mut self, slot: usize, id: CallId) {
        let at = self.workers[slot].running.iter().position(|frame| frame.id == id);
        let worker = &mut self.workers[slot];
        assert!(worker.finish_nth(at.expect("it runs there"), slot, &self.page));
        self.flush(slot);
    }
}

/// Ready workers that run so many calls at once.
fn ready(size: usize, capacity: usize) -> World {
    let life = config::Life { heartbeat: None, ..Default::default() };
    let mut world = World::with_capacity(capacity, size, 100, life, Guards::default());
    (0..size).for_each(|slot| world.bring_up(slot));
    world
}

/// The worker begins all that it has.
fn begin_all(world: &mut World, slot: usize) {
    while world.begin(slot).is_some() {}
}

/// One worker of three calls, of which the first, out of time, has not let go within its grace.
fn doomed() -> (World, CallId, Vec<CallId>) {
    let mut world = ready(1, 3);
    let stuck = world.call(Spec::default().timeout(LIMIT));
    let others = world.calls(2, &Spec::default());
    begin_all(&mut world, 0);
    world.advance(LIMIT);
    assert!(matches!(world.end(stuck), End::TimedOut { .. }), "its caller is free at once");
    world.advance(world.limits.grace);
    (world, stuck, others)
}

#[test]
fn calls_go_to_the_least_loaded_worker_and_wait_where_all_are_full() {
    let mut world = ready(2, 3);
    let calls = world.calls(7, &Spec::default());
    let sent: Vec<_> = calls.iter().map(|&id| world.sent(id)).collect();
    assert_eq!(sent[..6].concat(), [0, 1, 0, 1, 0, 1]);
    assert!(sent[6].is_empty(), "nothing waits in a worker");
    begin_all(&mut world, 0);
    world.finish_call(0, calls[2]);
    assert_eq!(world.sent(calls[6]), [0]);
}

#[test]
fn quick_answers_bring_no_worker_more_than_it_can_run() {
    let mut world = ready(1, 2);
    for _ in 0..20 {
        world.calls(2, &Spec::default());
        world.work_off(0);
    }
    world.calls(40, &Spec::default());
    assert_eq!(world.load(0), 2);
}

#[test]
fn a_session_finds_its_home_free_as_long_as_that_can_begin_one_more() {
    let mut world = ready(2, 2);
    let first = world.call(Spec::session("s", StrictFailFast));
    let second = world.call(Spec::session("s", StrictFailFast));
    assert_eq!([first, second].map(|id| world.sent(id)), [[0], [0]]);
    let third = world.submit(Spec::session("s", StrictFailFast));
    assert_eq!(third, Err(Refusal::SessionBusy("s".into())));
    let elsewhere = world.call(Spec::session("s", Hint));
    assert_eq!(world.sent(elsewhere), [1]);
}

#[test]
fn a_worker_that_keeps_a_call_gets_no_more_and_its_others_run_to_their_ends() {
    let (mut world, _, others) = doomed();
    assert!(!world.workers[0].killed, "others run in it");
    assert!(matches!(world.workers[1].life, Life::Planned(at) if at == world.now), "at once");
    let waiting = world.call(Spec::default());
    assert!(world.sent(waiting).is_empty());
    world.bring_up(1);
    assert_eq!((world.sent(waiting), world.state.slot_of(0)), (vec![1], 1));
    world.finish_call(0, others[0]);
    assert!(!world.workers[0].killed);
    world.finish_call(0, others[1]);
    assert!(world.workers[0].killed, "nobody waits for what is left");
    assert_eq!(world.workers[0].why, Cause::Deadline);
    world.die(0, false);
    assert!(others.iter().all(|&id| world.outcome(id) == Some(&Outcome::Answered)));
    assert_eq!(world.workers[0].life, Life::None, "its slot is spare");
    assert_eq!(world.state.ready(), 1);
}

#[test]
fn nobody_waits_where_its_replacement_has_failed_already() {
    let mut world = ready(1, 2);
    let stuck = world.call(Spec::default().timeout(LIMIT));
    let other = world.call(Spec::default());
    let waiting = world.call(Spec::default());
    begin_all(&mut world, 0);
    assert!(world.recycle(0, None));
    world.start(1);
    world.die(1, true);
    assert_eq!(world.outcome(waiting), None, "the worker still serves");
    world.advance(LIMIT);
    assert!(matches!(world.end(stuck), End::TimedOut { .. }));
    world.advance(world.limits.grace);
    assert_eq!(world.end(waiting), &End::NoWorker, "nobody is left who could begin it");
    assert!(world.outcome(other).is_none(), "that one runs on");
}

#[test]
fn its_others_have_the_condemn_drain_and_no_longer() {
    let (mut world, _, others) = doomed();
    world.advance(world.limits.life.condemn_drain - Duration::from_nanos(1));
    assert!(!world.workers[0].killed);
    world.advance(Duration::from_nanos(1));
    assert!(world.workers[0].killed);
    world.die(0, false);
    for id in others {
        assert!(matches!(world.end(id), End::WorkerDied(_)), "they may have run");
    }
}

#[test]
fn a_worker_that_lets_go_at_last_leaves_in_good_order() {
    let (mut world, stuck, others) = doomed();
    world.finish_call(0, stuck);
    for id in others {
        world.finish_call(0, id);
    }
    let worker = &world.workers[0];
    assert_eq!((worker.killed, worker.stopped, worker.why), (false, true, Cause::Deadline));
}

#[test]
fn a_cancelled_call_dooms_its_worker_after_the_grace_as_well() {
    let mut world = ready(1, 2);
    let (stuck, other) = (world.call(Spec::default()), world.call(Spec::default()));
    begin_all(&mut world, 0);
    world.cancel(stuck);
    world.advance(world.limits.grace);
    assert!(!world.workers[0].killed && matches!(world.workers[1].life, Life::Planned(_)));
    world.cancel(other);
    assert!(!world.workers[0].killed, "that one has its grace too");
    world.advance(world.limits.grace);
    assert!(world.workers[0].killed);
    assert_eq!(world.workers[0].why, Cause::Cancel);
}

#[test]
fn a_worker_whose_every_call_is_stuck_is_killed_at_once() {
    let mut world = ready(1, 2);
    world.calls(2, &Spec::default().timeout(LIMIT));
    begin_all(&mut world, 0);
    world.advance(LIMIT);
    world.advance(world.limits.grace);
    assert!(world.workers[0].killed);
    assert_eq!(world.workers[1].life, Life::None, "its own slot is filled again, and at once");
    world.die(0, false);
    assert!(matches!(world.workers[0].life, Life::Planned(at) if at == world.now));
}

#[test]
fn what_a_doomed_worker_had_not_begun_runs_elsewhere() {
    let mut world = ready(2, 2);
    let stuck = world.call(Spec::default().timeout(LIMIT));
    let elsewhere = world.call(Spec::default());
    let (other, sent) = (world.call(Spec::session("s", Hint)), world.call(Spec::default()));
    assert_eq!(world.sent(other), [0]);
    begin_all(&mut world, 0);
    begin_all(&mut world, 1);
    world.finish_call(1, elsewhere);
    world.finish_call(0, other);
    let late = world.call(Spec::default());
    let not_begun = [late, sent].into_iter().find(|&id| world.sent(id) == [0]);
    world.advance(LIMIT);
    world.advance(world.limits.grace);
    assert!(world.outcome(stuck).is_some());
    let not_begun = not_begun.expect("the first worker had room");
    assert_eq!(world.sent(not_begun).len(), 2, "it was taken back");
}

#[test]
fn sessions_of_a_doomed_worker_are_lost_at_once_and_may_begin_anew() {
    let mut world = ready(1, 2);
    let stuck = world.call(Spec::session("s", StrictQueue).timeout(LIMIT));
    let other = world.call(Spec::default());
    let waiting = world.call(Spec::session("s", StrictQueue));
    begin_all(&mut world, 0);
    world.advance(LIMIT);
    world.advance(world.limits.grace);
    let End::SessionLost { cause, .. } = world.end(waiting) else { panic!("it waited for it") };
    assert!(cause.contains("outlived its deadline"), "{cause}");
    world.bring_up(1);
    let anew = world.call(Spec::session("s", StrictQueue));
    assert_eq!(world.sent(anew), [1]);
    assert!(world.outcome(stuck).is_some() && world.outcome(other).is_none());
}

#[test]
fn a_worker_that_is_being_replaced_anyway_is_followed_by_that_replacement() {
    let mut world = ready(1, 2);
    let stuck = world.call(Spec::default().timeout(LIMIT));
    world.call(Spec::default());
    begin_all(&mut world, 0);
    assert!(world.recycle(0, None), "in any pool of such workers the next one starts first");
    assert!(matches!(world.workers[1].life, Life::Planned(_)));
    world.start(1);
    world.advance(LIMIT);
    world.advance(world.limits.grace);
    assert!(world.outcome(stuck).is_some() && !world.workers[0].killed);
    assert_eq!(world.state.slot_of(0), 1);
    world.become_ready(1, true);
    assert_eq!(world.state.ready(), 1);
}

#[test]
fn a_recycled_worker_ends_all_that_it_runs() {
    let mut world = ready(1, 3);
    let calls = world.calls(3, &Spec::default());
    begin_all(&mut world, 0);
    world.recycle(0, None);
    world.bring_up(1);
    for &id in &calls {
        assert!(!world.workers[0].stopped);
        world.finish_call(0, id);
    }
    assert!(world.workers[0].stopped);
    assert_eq!(world.workers[0].why, Cause::Recycle(Recycled::Request));
}

#[test]
fn a_death_takes_all_that_had_begun() {
    let mut world = ready(1, 3);
    let calls = world.calls(3, &Spec::default());
    world.begin(0);
    world.begin(0);
    world.die(0, false);
    for &id in &calls[..2] {
        assert!(matches!(world.end(id), End::WorkerDied(_)));
    }
    world.bring_up(0);
    assert_eq!(world.sent(calls[2]), [0, 0], "this one certainly had not");
}

#[test]
fn a_pool_that_closes_waits_for_no_doomed_worker() {
    let (mut world, ..) = doomed();
    world.close();
    world.advance(world.limits.grace);
    assert!(world.workers[0].killed);
}

// --- calls from inside others -------------------------------------------------------------------

#[test]
fn a_call_from_inside_runs_beside_its_ancestor_as_long_as_there_is_a_place() {
    let mut world = ready(1, 3);
    let mut chain = vec![world.call(Spec::default())];
    for _ in 0..2 {
        let inner = world.call(Spec::default().within(&chain));
        assert_eq!(world.sent(inner), [0]);
        chain.push(inner);
    }
    begin_all(&mut world, 0);
    assert_eq!(world.submit(Spec::default().within(&chain)), Err(Refusal::Reentrant));
    world.finish_call(0, chain[2]);
    let again = world.call(Spec::default().within(&chain[..2]));
    assert_eq!(world.sent(again), [0]);
}

#[test]
fn a_session_may_call_itself_where_its_home_has_a_place() {
    for affinity in [StrictQueue, StrictFailFast] {
        let mut world = ready(2, 2);
        let session = Spec::session("s", affinity);
        let outer = world.call(session.clone());
        let inner = world.call(session.clone().within(&[outer]));
        assert_eq!([outer, inner].map(|id| world.sent(id)), [[0], [0]]);
        begin_all(&mut world, 0);
        let innermost = world.submit(session.within(&[outer, inner]));
        assert_eq!(innermost, Err(Refusal::Reentrant), "the other worker is no home of it");
    }
}

#[test]
fn chains_that_hold_every_place_do_not_wait_for_one_another() {
    let mut world = ready(1, 3);
    let outer = world.calls(3, &Spec::default());
    begin_all(&mut world, 0);
    let waiting: Vec<_> =
        outer[..2].iter().map(|&id| world.call(Spec::default().within(&[id]))).collect();
    assert!(waiting.iter().all(|&id| world.sent(id).is_empty()), "the third may still end");
    let last = world.submit(Spec::default().within(&outer[2..]));
    assert_eq!(last, Err(Refusal::Reentrant), "nobody would ever end");
    world.finish_call(0, outer[2]);
    assert_eq!(world.sent(waiting[0]), [0], "who was refused ended, and its place is free");
}

#[test]
fn what_a_doomed_worker_holds_is_no_place_of_its_heir() {
    let (mut world, _, others) = doomed();
    let inner = world.call(Spec::default().within(&others[..1]));
    assert!(world.sent(inner).is_empty());
    world.bring_up(1);
    assert_eq!(world.sent(inner), [1]);
}
