//! What becomes of the calls of a worker that died.

use std::time::Duration;

use super::{Outcome, Spec, World};
use crate::call::Step;
use crate::id::CallId;
use crate::pool::state::{End, Fallen};

const LIMIT: Duration = Duration::from_secs(5);

/// A worker of a slot that has kept its number.
pub(super) fn under(slot: usize, generation: u64) -> Fallen {
    Fallen { slot, number: slot, generation }
}

fn died(generation: u64) -> End {
    End::WorkerDied(under(0, generation))
}

/// The worker of slot 0 begins its next call and dies; another takes its place.
fn die_in_call(world: &mut World) -> CallId {
    let id = world.begin(0).expect("a call waits");
    world.die(0, false);
    world.bring_up(0);
    id
}

/// A call under which one worker died, and that waits for another.
fn retried(world: &mut World, spec: Spec) -> CallId {
    let id = world.call(spec.idempotent());
    world.begin(0);
    world.die(0, false);
    assert_eq!(world.outcome(id), None);
    id
}

#[test]
fn a_call_that_was_not_begun_goes_back_to_its_place_with_its_deadline() {
    let mut world = World::ready(1);
    world.warm_up();
    let begun = world.call(Spec::default());
    let waiting = world.call(Spec::default().timeout(LIMIT));
    world.calls(40, &Spec::default());
    world.advance(LIMIT / 2);
    assert_eq!(die_in_call(&mut world), begun);
    assert_eq!(world.end(begun), &died(1));
    assert_eq!(world.sent(waiting), [0, 0], "the oldest that waits");

    world.advance(LIMIT / 2);
    let end = End::TimedOut { limit: LIMIT, step: Step::Sent };
    assert_eq!(world.end(waiting), &end, "not a moment longer");
}

#[test]
fn a_call_goes_back_as_often_as_it_was_not_begun() {
    let mut world = World::ready(1);
    let call = world.call(Spec::default());
    for _ in 0..10 {
        world.die(0, false);
        world.bring_up(0);
    }
    assert_eq!(world.work(0), Some(call));
    assert_eq!(world.outcome(call), Some(&Outcome::Answered));
}

#[test]
fn an_answer_that_the_host_did_not_read_counts_as_begun() {
    let mut world = World::ready(1);
    let call = world.call(Spec::default());
    world.begin(0);
    world.finish(0);
    world.die(0, false);
    assert_eq!(world.end(call), &died(1));
}

#[test]
fn without_words_whatever_was_sent_may_have_run() {
    let mut world = World::new(1, 10);
    world.start(0);
    world.become_ready(0, false);
    let call = world.call(Spec::default());
    world.die(0, false);
    assert_eq!(world.end(call), &died(1));
}

#[test]
fn an_idempotent_call_runs_again_and_is_poison_after_two_deaths() {
    let mut world = World::ready(1);
    let call = world.call(Spec::default().idempotent());
    assert_eq!(die_in_call(&mut world), call);
    assert_eq!(world.outcome(call), None);
    world.die(0, false);
    world.bring_up(0);
    assert_eq!(world.outcome(call), None, "that worker had not begun it");
    die_in_call(&mut world);
    assert_eq!(world.end(call), &End::Poison { under: under(0, 3), deaths: 2 });
}

#[test]
fn a_call_whose_caller_saw_a_part_does_not_run_again() {
    let mut world = World::ready(1);
    let call = world.call(Spec::stream().idempotent());
    world.begin(0);
    world.part(0);
    world.die(0, false);
    assert_eq!(world.end(call), &died(1));
}

#[test]
fn what_a_dead_worker_leaves_is_dealt_out_to_all_others() {
    let mut world = World::ready(3);
    world.warm_up();
    world.calls(18, &Spec::default());
    for _ in 0..5 {
        world.work(1);
        world.work(2);
    }
    assert_eq!([0, 1, 2].map(|slot| world.load(slot)), [6, 1, 1]);
    world.die(0, false);
    assert_eq!((world.load(1), world.load(2)), (4, 4));
    assert_eq!(world.state.queued(), 0);
}

#[test]
fn a_call_that_is_retried_says_that_it_may_have_run_however_it_ends() {
    let mut world = World::ready(1);
    let timed = retried(&mut world, Spec::default().timeout(LIMIT));
    world.bring_up(0);
    world.advance(LIMIT);
    let end = End::TimedOut { limit: LIMIT, step: Step::Running };
    assert_eq!(world.end(timed), &end, "though it was only sent again");

    let cancelled = retried(&mut world, Spec::default());
    world.cancel(cancelled);
    assert_eq!(world.end(cancelled), &End::Cancelled { may_have_run: true });

    world.bring_up(0);
    let hopeless = retried(&mut world, Spec::default());
    world.now += LIMIT;
    world.start(0);
    world.die(0, true);
    assert_eq!(world.end(hopeless), &died(3), "not only that no worker can start");

    world.bring_up(0);
    let closed = retried(&mut world, Spec::default());
    world.close();
    assert_eq!(world.end(closed), &End::Closed { may_have_run: true });
}
