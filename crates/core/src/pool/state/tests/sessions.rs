//! Sessions and the workers that are home to them.

use std::sync::Arc;

use super::world::{MAX_SESSIONS, TTL};
use super::{Outcome, Spec, World};
use crate::call::Affinity::{Hint, StrictFailFast, StrictQueue};
use crate::call::{Binding, Ended, Resident};
use crate::config;
use crate::pool::state::{End, Note, Refusal};

fn strict() -> Spec {
    Spec::session("s", StrictQueue)
}

fn first_of(slot: usize) -> Resident {
    Resident { slot, number: slot, generation: 1 }
}

/// With the first worker of a slot.
fn lost(slot: usize, cause: &'static str) -> End {
    let home = first_of(slot);
    End::SessionLost { session: "s".into(), cause, home, may_have_run: false }
}

fn refused(slot: usize, cause: &'static str) -> Refusal {
    Refusal::SessionLost { session: "s".into(), cause, home: first_of(slot) }
}

#[test]
fn a_strict_session_waits_for_its_worker_and_never_moves() {
    let mut world = World::ready(2);
    let first = world.call(strict());
    let home = world.sent(first)[0];
    let second = world.call(strict());
    assert_eq!(world.state.queued(), 1, "the free worker must not be taken");
    world.work(home);
    assert_eq!(world.sent(second), [home]);
}

#[test]
fn it_is_noted_where_a_session_is_and_that_it_lost_its_worker() {
    let mut world = World::ready(1);
    for generation in [1, 2] {
        for _ in 0..2 {
            world.call(Spec::session("s", Hint));
            world.work(0);
        }
        world.die(0, false);
        world.bring_up(0);
        let worker = Resident { generation, ..first_of(0) };
        let of_sessions = |note: &Note| matches!(note, Note::Bound(..) | Note::Lost(..));
        let notes: Vec<_> = world.notes.drain(..).filter(of_sessions).collect();
        let lost = Note::Lost(vec!["s".into()], worker, "its worker died");
        assert_eq!(notes, [Note::Bound("s".into(), worker), lost]);
    }
}

#[test]
fn a_new_session_goes_where_the_fewest_live_if_there_is_room() {
    let mut world = World::ready(2);
    world.warm_up();
    for name in ["a", "b", "c"] {
        let slot = world.sent(world.calls.last().expect("one").id)[0];
        let id = world.call(Spec::session(name, StrictQueue));
        assert_eq!(world.sent(id), [1 - slot], "by turns, though both are idle");
        world.work(1 - slot);
    }
    world.die(1, false);
    world.bring_up(1);
    world.call(Spec::default());
    world.call(Spec::default());
    let id = world.call(Spec::session("d", StrictQueue));
    assert_eq!(world.sent(id), [0], "no session lives in the new worker, but it takes one call");
}

#[test]
fn calls_that_waited_before_their_session_had_a_home_go_there() {
    let mut world = World::new(2, 100);
    let calls = [world.call(strict()), world.call(strict()), world.call(strict())];
    let plain = world.call(Spec::default());
    world.bring_up(0);
    world.bring_up(1);
    assert_eq!(world.sent(plain), [1], "those of the session do not hold it up");
    for id in calls {
        assert_eq!(world.work(0), Some(id));
    }
}

#[test]
fn fail_fast_is_busy_while_its_worker_is() {
    let mut world = World::ready(2);
    world.warm_up();
    let fast = || Spec::session("s", StrictFailFast);
    let first = world.call(fast());
    assert_eq!(world.submit(fast()), Err(Refusal::SessionBusy("s".into())));
    world.work(world.sent(first)[0]);
    let again = world.call(fast());
    assert_eq!(world.sent(again), world.sent(first));
}

#[test]
fn a_hint_prefers_its_worker_and_moves_where_that_is_busy() {
    let mut world = World::ready(3);
    world.call(Spec::default());
    let hint = || Spec::session("h", Hint);
    let first = world.call(hint());
    let home = world.sent(first)[0];
    assert_eq!(home, 1);
    let moved = world.call(hint());
    assert_eq!(world.sent(moved), [2]);

    world.work(0);
    world.work(home);
    let back = world.call(hint());
    assert_eq!(world.sent(back), [home], "not the first free one");
}

#[test]
fn death_loses_the_session_and_its_object_stays_lost() {
    let mut world = World::ready(2);
    let object = Arc::new(Binding::default());
    let (running, waiting) =
        (world.call(strict().object(&object)), world.call(strict().object(&object)));
    let home = world.sent(running)[0];
    let number = object.get().expect("bound by the first call");
    world.begin(home);
    world.die(home, false);
    assert!(matches!(world.end(running), End::WorkerDied(_)));
    assert_eq!(world.end(waiting), &lost(home, "its worker died"));

    let refused = refused(home, "its worker is gone");
    assert_eq!(world.submit(strict().object(&object)), Err(refused.clone()));
    let anew = world.call(strict());
    assert_eq!(world.sent(anew).len(), 1, "by id it binds anew");
    assert_eq!(world.submit(strict().object(&object)), Err(refused), "the object stays lost");
    assert_eq!(object.get(), Some(number));
}

#[test]
fn a_strict_call_that_was_not_begun_is_lost_with_its_session() {
    let mut world = World::ready(1);
    world.call(strict());
    world.work(0);
    let call = world.call(strict());
    world.die(0, false);
    assert_eq!(world.end(call), &lost(0, "its worker died"), "its state was in that worker");
}

#[test]
fn a_session_of_which_nothing_has_begun_has_nothing_to_lose() {
    let mut world = World::ready(2);
    let object = Arc::new(Binding::default());
    let bound = || strict().object(&object);
    let calls = [world.call(bound()), world.call(bound()), world.call(strict())];
    let home = world.sent(calls[0])[0];
    let first = object.get().expect("bound by the first call");
    world.die(home, false);
    for id in calls {
        assert_eq!(world.work(1 - home), Some(id), "all go to one new home");
    }
    assert!(object.get().is_some_and(|second| second > first));
    world.die(1 - home, false);
    assert_eq!(world.submit(bound()), Err(refused(1 - home, "its worker is gone")));
}

#[test]
fn an_object_that_is_lost_while_its_call_waits_is_told_when_its_turn_comes() {
    let mut world = World::new(2, 100);
    let object = Arc::new(Binding::default());
    let first = world.call(strict().object(&object));
    world.call(Spec::default());
    let second = world.call(strict().object(&object));
    world.bring_up(0);
    assert_eq!(world.sent(first), [0]);
    world.begin(0);
    world.die(0, false);
    world.bring_up(0);
    world.work(0);
    assert_eq!(world.end(second), &lost(0, "its worker is gone"));
}

#[test]
fn a_session_whose_worker_leaves_is_refused_until_it_is_gone() {
    let mut world = World::ready(2);
    let running = world.call(strict());
    let home = world.sent(running)[0];
    world.begin(home);
    assert!(world.recycle(home, None));
    let leaving = refused(home, "its worker was recycled");
    assert_eq!(world.submit(strict()), Err(leaving.clone()), "draining");
    world.finish(home);
    world.flush(home);
    assert_eq!(world.submit(strict()), Err(leaving), "stopping");
    world.die(home, false);
    world.call(strict());
    assert_eq!(world.outcome(running), Some(&Outcome::Answered));
}

#[test]
fn sessions_of_a_killed_worker_are_told_that_a_call_outlived_its_deadline() {
    let mut world = World::ready(1);
    world.call(Spec::session("t", StrictQueue).timeout(world.limits.grace));
    let call = world.call(strict());
    let bound = world.call(Spec::session("t", StrictQueue));
    world.begin(0);
    world.advance(world.limits.grace);
    world.advance(world.limits.grace);
    assert!(world.workers[0].killed);
    world.die(0, false);
    let cause = "its worker was killed: a call outlived its deadline or cancel";
    let home = first_of(0);
    let told = End::SessionLost { session: "t".into(), cause, home, may_have_run: false };
    assert_eq!(world.end(bound), &told);
    assert_eq!(world.outcome(call), None, "it had no home yet");
}

#[test]
fn a_closed_session_ends_in_its_worker_when_its_calls_have() {
    let mut world = World::ready(1);
    let object = Arc::new(Binding::default());
    let running = world.call(strict().object(&object));
    let waiting = world.call(strict().object(&object));
    let number = object.get().expect("bound");
    assert!(world.close_session("s"));
    assert!(!world.close_session("s"), "no such session is open");
    let closed = Refusal::SessionEnded("s".into(), Ended::Closed);
    assert_eq!(world.submit(strict().object(&object)), Err(closed));
    let anew = world.call(strict());
    assert_eq!(world.work(0), Some(running));
    assert!(world.over.is_empty(), "a call of it still waits");
    assert_eq!(world.work(0), Some(waiting), "it was inside already");
    assert!(world.over.contains(&number), "its worker is told");
    assert_eq!(world.work(0), Some(anew));
    let [row] = &world.state.session_rows(None, world.now)[..] else { panic!("one is open") };
    assert!(row.home.is_some_and(|(.., binding)| binding > number) && row.calls == 1);
}

#[test]
fn an_object_closes_its_own_session_only() {
    let mut world = World::ready(1);
    let [old, new] = [(); 2].map(|()| Arc::new(Binding::default()));
    world.call(strict().object(&old));
    world.work(0);
    assert!(world.close_session("s"));
    world.call(strict().object(&new));
    world.work(0);
    assert!(!world.close_session_of("s", &old));
    assert_eq!(world.state.sessions(), 1);
    assert!(world.close_session_of("s", &new));
    assert_eq!(world.over.len(), 2);
    let unused = Arc::new(Binding::default());
    assert!(!world.close_session_of("s", &unused));
    let closed = Refusal::SessionEnded("s".into(), Ended::Closed);
    assert_eq!(world.submit(strict().object(&unused)), Err(closed));
}

#[test]
fn an_unused_session_expires_and_its_worker_is_told() {
    let mut world = World::ready(1);
    let object = Arc::new(Binding::default());
    world.call(strict().object(&object));
    world.advance(2 * TTL);
    assert_eq!(world.state.sessions(), 1, "a call is inside");
    world.work(0);
    world.advance(TTL / 2);
    world.call(strict());
    world.work(0);
    world.advance(TTL / 2);
    assert_eq!(world.state.sessions(), 1, "it was used");
    world.advance(TTL);
    assert_eq!((world.state.sessions(), world.over.len()), (0, 1));
    let expired = Refusal::SessionEnded("s".into(), Ended::Expired);
    assert_eq!(world.submit(strict().object(&object)), Err(expired));
    world.call(strict());
    assert_eq!(world.state.sessions(), 1, "by id it is opened anew");
}

#[test]
fn what_has_expired_is_expired_before_the_timer_says_so() {
    let mut world = World::ready(1);
    let object = Arc::new(Binding::default());
    world.call(strict().object(&object));
    world.work(0);
    world.now += TTL;
    assert_eq!(world.state.sessions(), 1, "nobody has looked");
    let expired = Refusal::SessionEnded("s".into(), Ended::Expired);
    assert_eq!(world.submit(strict().object(&object)), Err(expired));
    assert!(world.state.session_rows(Some("s"), world.now).is_empty());
    assert!(!world.close_session("s"), "there is none any more");
    assert_eq!(world.over.len(), 1);
}

#[test]
fn only_so_many_may_be_open() {
    let mut world = World::ready(1);
    for n in 0..MAX_SESSIONS {
        world.call(Spec::session(&n.to_string(), StrictQueue));
    }
    let refused = Refusal::TooManySessions("s".into(), MAX_SESSIONS);
    assert_eq!(world.submit(strict()), Err(refused));
    assert_eq!(world.state.counters().rejected, 1);
    world.call(Spec::session("0", Hint));
    assert!(world.close_session("0"), "calls are inside, but it is not open any more");
    world.call(strict());
    world.work_off(0);
    world.now += TTL;
    for n in 0..MAX_SESSIONS {
        world.call(Spec::session(&format!("new {n}"), StrictQueue));
    }
    assert_eq!(world.over.len(), 1 + MAX_SESSIONS, "those that had expired made room");
}

#[test]
fn a_call_that_is_refused_opens_no_session() {
    let mut world = World::new(1, 1);
    world.call(Spec::default());
    assert!(matches!(world.submit(strict()), Err(Refusal::QueueFull(_))));
    assert_eq!(world.state.sessions(), 0);
}

#[test]
fn a_guest_is_new_where_it_comes_and_both_workers_forget_it() {
    let mut world = World::ready(2);
    let hint = || Spec::session("h", Hint);
    let calls = [world.call(hint()), world.call(hint())];
    assert_eq!(calls.map(|id| world.sent(id)[0]), [0, 1]);
    let visits: Vec<_> = world.calls.iter().filter_map(|call| call.visit).collect();
    assert_eq!(visits, [1, 2], "what one worker knows of it is not what the other one does");
    world.work(0);
    world.work(1);
    world.call(hint());
    world.work(0);
    assert!(world.close_session("h"));
    assert_eq!(world.over.len(), 2);
}

#[test]
fn a_worker_that_only_waits_for_its_sessions_goes_with_the_last_one() {
    let recycle = config::Recycle { calls: Some(1), jitter: 0.0, ..config::Recycle::default() };
    let life = config::Life { heartbeat: None, recycle: Some(recycle), ..Default::default() };
    let mut world = World::living(1, 100, life);
    world.bring_up(0);
    world.call(strict());
    world.work(0);
    world.bring_up(1);
    assert!(!world.workers[0].stopped, "it keeps its session");
    world.close_session("s");
    assert!(world.workers[0].stopped, "nothing keeps it");
}

#[test]
fn the_pool_is_told_once_when_a_session_is_over() {
    let mut world = World::ready(2);
    let names =
        |world: &World| world.sessions_over.iter().map(|id| id.to_string()).collect::<Vec<_>>();
    for name in ["a", "b", "c", "d"] {
        let id = world.call(Spec::session(name, StrictQueue));
        world.work(world.sent(id)[0]);
    }
    let inside = world.call(Spec::session("a", StrictQueue));
    assert!(world.close_session("a"));
    assert!(!world.close_session("a"));
    assert_eq!(names(&world), ["a"], "at once, though a call is inside");
    world.work(world.sent(inside)[0]);
    world.die(0, false);
    world.die(1, false);
    assert_eq!(names(&world), ["a"], "a session that has lost its worker is not over");
    world.now += TTL;
    world.state.end_stale("b", world.now, &mut world.out);
    world.carry_out();
    assert_eq!(names(&world), ["a", "b"]);
    world.advance(TTL);
    let mut all = names(&world);
    all.sort_unstable();
    assert_eq!(all, ["a", "b", "c", "d"]);
}
