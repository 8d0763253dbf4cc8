//! Deadlines, cancels, and the grace of those that run on.

use std::time::Duration;

use super::{Outcome, Spec, World};
use crate::call::Affinity::StrictQueue;
use crate::call::Step;
use crate::id::CallId;
use crate::policy::prefetch::{HELD_UP, MAX};
use crate::pool::state::End;
use crate::pool::state::deadline::ANSWER_LIMIT;

const LIMIT: Duration = Duration::from_millis(300);
const MOMENT: Duration = Duration::from_nanos(1);

fn timed() -> Spec {
    Spec::default().timeout(LIMIT)
}

fn timed_out(step: Step) -> End {
    End::TimedOut { limit: LIMIT, step }
}

#[test]
fn a_deadline_names_how_far_the_call_had_come() {
    let mut world = World::ready(1);
    world.warm_up();
    let (running, sent) = (world.call(timed()), world.call(timed()));
    world.calls(40, &Spec::default());
    let queued = world.call(timed());
    world.begin(0);
    world.advance(LIMIT - MOMENT);
    assert_eq!(world.outcome(running), None);
    world.advance(MOMENT);
    assert_eq!(world.end(running), &timed_out(Step::Running));
    assert_eq!(world.end(sent), &timed_out(Step::Sent));
    assert_eq!(world.end(queued), &timed_out(Step::Queued));
    let told = world.state.counters();
    assert_eq!((told.timeouts, told.queue_timeouts), (3, 2));
}

#[test]
fn a_worker_that_keeps_a_call_beyond_its_grace_is_killed() {
    let mut world = World::ready(1);
    world.call(timed());
    world.begin(0);
    world.advance(LIMIT);
    world.advance(world.limits.grace - MOMENT);
    assert!(!world.workers[0].killed);
    world.advance(MOMENT);
    assert!(world.workers[0].killed);

    let waiting = world.call(Spec::default());
    world.finish(0);
    world.flush(0);
    assert!(world.sent(waiting).is_empty(), "an answer at last does not save it");
    world.die(0, false);
    world.bring_up(0);
    assert_eq!(world.sent(waiting), [0]);
    assert_eq!(world.state.counters().worker_deaths, 1);
}

/// The first call has ended, and the next one runs, when the grace of the first is over: what the
/// worker has said is not here yet. The two of them.
fn ended_unheard() -> (World, CallId, CallId) {
    let mut world = World::ready(1);
    world.warm_up();
    let (ended, running) = (world.call(timed()), world.call(Spec::default()));
    world.begin(0);
    world.advance(LIMIT);
    world.finish(0);
    world.begin(0);
    world.advance(world.limits.grace);
    (world, ended, running)
}

#[test]
fn nobody_is_killed_for_a_call_that_has_ended() {
    let (mut world, ended, running) = ended_unheard();
    assert!(!world.workers[0].killed);
    assert_eq!(world.end(ended), &timed_out(Step::Running));
    world.finish(0);
    world.flush(0);
    assert_eq!(world.outcome(running), Some(&Outcome::Answered));
    world.advance(ANSWER_LIMIT * 2);
    assert!(!world.workers[0].killed);
}

#[test]
fn a_worker_that_never_says_how_a_call_ended_is_killed_and_told_nothing_more() {
    let (mut world, _, running) = ended_unheard();
    world.advance(ANSWER_LIMIT - MOMENT);
    assert!(!world.workers[0].killed);
    world.advance(MOMENT);
    assert!(world.workers[0].killed);
    assert!(world.cancel(running), "and the world sees no cancel go to that worker");
}

#[test]
fn what_waits_behind_a_condemned_call_is_not_begun_there_and_moves_at_once() {
    let mut world = World::ready(2);
    world.warm_up();
    world.call(Spec::session("t", StrictQueue));
    world.work(0);
    let stuck = world.call(timed());
    let other = world.call(Spec::default());
    world.begin(0);
    world.begin(1);
    let behind = world.call(Spec::default());
    let at_home = world.call(Spec::session("s", StrictQueue));
    assert_eq!(
        (world.sent(stuck), world.sent(behind), world.sent(at_home)),
        (vec![0], vec![0], vec![1])
    );
    let stays = world.call(Spec::session("t", StrictQueue));
    assert_eq!((world.sent(stays), world.load(0)), (vec![0], 3));
    world.advance(LIMIT);
    world.advance(world.limits.grace);
    assert!(world.workers[0].killed);
    assert_eq!((world.load(0), world.state.queued()), (2, 1), "a session stays");

    assert!(world.finish(0), "it ends at last");
    assert_eq!(world.begin(0), None, "and nothing begins in a worker that is killed");
    world.die(0, false);
    assert!(matches!(world.end(stays), End::SessionLost { may_have_run: false, .. }));
    world.finish(1);
    world.flush(1);
    world.work_off(1);
    assert_eq!(world.sent(behind), [0, 1]);
    for answered in [other, behind, at_home] {
        assert_eq!(world.outcome(answered), Some(&Outcome::Answered));
    }
}

#[test]
fn a_recycled_worker_that_keeps_a_call_is_killed_too() {
    let mut world = World::ready(1);
    world.call(timed());
    world.begin(0);
    world.recycle(0, None);
    world.advance(LIMIT);
    world.advance(world.limits.grace);
    assert!(world.workers[0].killed);
}

#[test]
fn a_worker_that_lets_go_within_the_grace_lives() {
    let mut world = World::ready(1);
    let call = world.call(Spec::default());
    world.begin(0);
    assert!(world.cancel(call));
    assert_eq!(world.end(call), &End::Cancelled { may_have_run: true });
    assert!(!world.cancel(call), "it had ended");
    world.finish(0);
    world.flush(0);
    world.advance(world.limits.grace * 2);
    assert!(!world.workers[0].killed);
    let told = world.state.counters();
    assert_eq!((told.cancelled, told.completed), (1, 0));
}

#[test]
fn a_cancelled_call_that_was_not_begun_never_is_and_makes_room() {
    let mut world = World::ready(1);
    let (sent, queued) = (world.call(Spec::default()), world.call(Spec::default()));
    assert!(world.cancel(sent));
    assert_eq!(world.end(sent), &End::Cancelled { may_have_run: false });
    assert_eq!(world.begin(0), Some(queued));
}

#[test]
fn a_call_whose_deadline_has_passed_is_not_sent() {
    let mut world = World::ready(1);
    let (running, late) = (world.call(Spec::default()), world.call(timed()));
    world.begin(0);
    world.now += LIMIT; // The timer is late.
    world.finish(0);
    world.flush(0);
    assert_eq!(world.outcome(running), Some(&Outcome::Answered));
    assert_eq!(world.end(late), &timed_out(Step::Queued));
    assert!(world.sent(late).is_empty());
}

#[test]
fn what_many_late_calls_leave_free_is_given_to_those_in_time() {
    let mut world = World::ready(2);
    world.warm_up();
    let late = world.calls(2 * MAX + 5, &timed());
    let waiting = [world.call(Spec::default()), world.call(Spec::default())];
    world.advance(LIMIT);
    for id in late {
        assert!(world.outcome(id).is_some());
    }
    assert_eq!(waiting.map(|id| world.sent(id)), [[0], [1]]);
}

#[test]
fn workers_freed_together_share_what_waits_in_another() {
    let mut world = World::ready(4);
    world.warm_up();
    world.call(Spec::default());
    let soon = HELD_UP / 2; // None is stalled by then.
    world.calls(3, &Spec::default().timeout(soon));
    for id in world.calls(16, &Spec::default()) {
        if world.sent(id) != [0] {
            world.cancel(id);
        }
    }
    assert_eq!([0, 1, 2, 3].map(|slot| world.load(slot)), [5, 1, 1, 1]);
    world.begin(0);
    world.advance(soon);
    assert_eq!([0, 1, 2, 3].map(|slot| world.load(slot)), [2, 1, 1, 1]);
}

#[test]
fn an_early_tick_ends_nothing_and_sets_the_timer_again() {
    let mut world = World::ready(1);
    let call = world.call(timed());
    let due = world.timer.expect("a deadline is watched");
    world.tick();
    assert_eq!((world.outcome(call), world.timer), (None, Some(due)));
}

#[test]
fn a_limit_beyond_the_clock_is_none() {
    let mut world = World::ready(1);
    world.state.limits.grace = Duration::MAX;
    let call = world.call(Spec::default().timeout(Duration::MAX));
    assert_eq!(world.timer, None);
    world.begin(0);
    world.cancel(call);
    assert_eq!(world.timer, None, "nor does such a grace end");
}
