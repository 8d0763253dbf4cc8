//! Carries out what the state wants, and checks that it may be wanted.

use std::time::Duration;

use super::worker::{Frame, Life, Worker};
use super::world::{Job, Record};
use super::{Outcome, World};
use crate::call::{Resident, Step};
use crate::policy::prefetch::held_up;
use crate::pool::state::slot::Phase;
use crate::pool::state::{Effect, End, Visit};

impl World {
    pub(super) fn carry_out(&mut self) {
        for effect in std::mem::take(&mut self.out) {
            match effect {
                Effect::Send { slot, id, word, session, left } => {
                    self.send(slot, Frame { id, word }, session, left);
                }
                Effect::Cancel { slot, id } => {
                    let worker = &self.workers[slot];
                    assert!(worker.life == Life::Ready && !worker.killed && !worker.stopped);
                    assert!(!worker.outlawed, "told to one that is being killed");
                    assert!(self.outcome(id).is_some_and(Outcome::may_have_run), "{id}");
                }
                Effect::Grant { slot, id, items, .. } => {
                    // It may cross the end of the call on its way.
                    let Worker { running, finished, .. } = &self.workers[slot];
                    let has = running.iter().any(|frame| frame.id == id) || finished.contains(&id);
                    assert!(has, "{id} is not in slot {slot}");
                    assert_eq!(items, self.calls[self.by_id[&id]].taken);
                }
                Effect::EndSession { slot, id, binding } => self.end_session(slot, &id, binding),
                Effect::SessionOver { id, .. } => self.sessions_over.push(id),
                Effect::Note(note) => self.notes.push(note),
                Effect::End { job: Job(call), end } => self.ended(call, Outcome::Ended(end)),
                Effect::Start { slot, generation, after } => {
                    let worker = &mut self.workers[slot];
                    let waits = worker.life == Life::Waiting;
                    assert!(waits || worker.life == Life::None, "slot {slot} is filled");
                    let next = worker.generation + u64::from(!waits);
                    let spares = self.state.has_spares();
                    assert!(generation == next || spares && !waits && generation > next);
                    assert!(!self.closed, "a start after the close");
                    *worker = Worker::new(Life::Planned(self.now + after), generation)
                        .with_capacity(self.limits.capacity);
                }
                Effect::Stop { slot, why } => {
                    let worker = &mut self.workers[slot];
                    assert!(matches!(worker.life, Life::Starting | Life::Ready));
                    assert!(!worker.killed && !worker.stopped, "stopped twice");
                    (worker.stopped, worker.why) = (true, why);
                    let busy = !worker.running.is_empty() || !worker.finished.is_empty();
                    assert!(!busy, "slot {slot} is stopped in a call");
                }
                Effect::Kill { slot, why } => {
                    self.check_kill(slot);
                    let worker = &mut self.workers[slot];
                    assert!(worker.life == Life::Ready && !worker.killed, "killed twice");
                    (worker.killed, worker.why) = (true, why);
                }
                Effect::Probe { slot, probe } => {
                    let worker = &mut self.workers[slot];
                    assert!(worker.life == Life::Ready && !worker.killed && !worker.stopped);
                    worker.probes.push(probe);
                }
                Effect::Timer(at) => self.timer = Some(self.timer.map_or(at, |old| old.min(at))),
            }
        }
        self.check();
    }

    fn send(&mut self, slot: usize, frame: Frame, visit: Option<Visit>, left: Option<Duration>) {
        let id = frame.id;
        assert!(self.state.job(id).is_some(), "{id} has no job to send");
        let worker = &mut self.workers[slot];
        let served = !worker.killed && !worker.stopped && !worker.outlawed;
        assert!(worker.life == Life::Ready && served, "to {worker:?}");
        assert_eq!(frame.word.is_some(), worker.revocable, "a word where the worker honours it");
        if let Some(word) = frame.word {
            self.page.queue(slot, word, id);
        }
        worker.inbox.push_back(frame);
        let place = (slot, worker.generation);
        let it = &self.state.slots[slot];
        let room = it.lane.len() <= it.prefetch.capacity() && !held_up(it.since, self.now);
        let fits = it.lane.len() <= self.limits.capacity;
        assert!(fits || room, "slot {slot} has no room for {id}");

        let now = self.now;
        let may_repeat = self.may_repeat(self.spec(id));
        let call = &mut self.calls[self.by_id[&id]];
        assert!(call.outcome.is_none());
        assert_eq!(left, call.deadline.map(|deadline| deadline.saturating_duration_since(now)));
        let fresh = call.sent.is_empty() && call.spec.timeout == Some(Duration::ZERO);
        assert!(left != Some(Duration::ZERO) || fresh, "{id} is sent after its deadline");
        let again = may_repeat && !call.partly && call.begun.len() < 2;
        assert!(call.begun.is_empty() || again, "{id} must not run again");
        let first = call.sent.is_empty();
        call.sent.push(place);
        if frame.word.is_none() {
            call.begun.push(place);
        }

        assert_eq!(visit.is_some(), call.spec.session.is_some());
        if let Some(visit) = visit {
            let session = self.state.table.get(id).and_then(|call| call.session.as_ref());
            let session = session.expect("of a session");
            let home = self.state.sessions.get(session.place).homes.home().expect("it has a home");
            if call.spec.strict().is_some() {
                assert_eq!((home.slot, home.binding), (slot, visit.binding), "{id}: it moved");
                let bound = session.object.as_ref().and_then(|object| object.get());
                assert!(bound.is_none_or(|bound| bound == home.binding), "{id}: object is lost");
            }
            let first = self.bindings.insert(visit.binding, place);
            assert!(first.is_none_or(|first| first == place), "{id}: its binding moved");
            assert_eq!(visit.is_new, first.is_none(), "{id}: its session is new there once");
            assert!(!self.over.contains(&visit.binding), "{id}: its session is over there");
            call.visit = Some(visit.binding);
        } else if first && call.spec.ancestors.is_none() {
            assert!(self.last_plain.is_none_or(|last| last < id), "{id} was overtaken");
            self.last_plain = Some(id);
        }
    }

    /// The worker drops what it has of a session: no call of it is there any more.
    fn end_session(&mut self, slot: usize, id: &str, binding: u64) {
        let worker = &self.workers[slot];
        assert_eq!(worker.life, Life::Ready);
        assert_eq!(self.bindings.get(&binding), Some(&(slot, worker.generation)), "{id}");
        for &call in &self.state.slots[slot].lane {
            assert_ne!(self.calls[self.by_id[&call]].visit, Some(binding), "{call} is in {id}");
        }
        assert!(self.over.insert(binding), "{id} ends twice");
    }

    pub(super) fn ended(&mut self, call: usize, outcome: Outcome) {
        let record = &self.calls[call];
        assert!(record.outcome.is_none(), "{} ended twice: {outcome:?}", record.id);
        if let Outcome::Ended(end) = &outcome {
            self.check_end(record, end);
        }
        self.calls[call].outcome = Some(outcome);
    }

    /// Whether that worker has ended, or is about to.
    pub(super) fn is_leaving_or_gone(&self, worker: Resident) -> bool {
        let slot = &self.state.slots[worker.slot];
        slot.generation > worker.generation || slot.phase != Phase::Ready
    }

    fn check_end(&self, call: &Record, end: &End) {
        let id = call.id;
        match end {
            End::TimedOut { limit, step } => {
                assert!(call.deadline.is_some_and(|deadline| deadline <= self.now), "{id}: early");
                assert_eq!(Some(*limit), call.spec.timeout);
                assert!(call.begun.is_empty() || *step == Step::Running, "{id}: {step} is wrong");
                assert!(*step != Step::Sent || !call.sent.is_empty());
            }
            End::SessionLost { home, .. } => {
                assert!(call.spec.strict().is_some());
                assert!(self.is_leaving_or_gone(*home), "{id}: {home:?} serves on");
            }
            End::WorkerDied(under) => {
                let place = (under.slot, under.generation);
                assert!(call.begun.contains(&place), "{id} was not begun");
            }
            End::Poison { deaths, .. } => {
                assert!(*deaths == 2 && self.may_repeat(&call.spec) && call.begun.len() == 2);
            }
            End::NoWorker => assert!(self.state.is_hopeless()),
            End::Closed { .. } => assert!(self.closed),
            End::Cancelled { .. } => {}
        }
        let told = Outcome::Ended(end.clone()).may_have_run();
        assert!(told || call.begun.is_empty(), "{id} may have run, told otherwise: {end:?}");
    }
}

impl Outcome {
    /// What the caller is told; see [`crate::Error::may_have_run`].
    pub(super) fn may_have_run(&self) -> bool {
        match self {
            Self::Ended(end) => match end {
                End::TimedOut { step, .. } => *step == Step::Running,
                End::Cancelled { may_have_run }
                | End::SessionLost { may_have_run, .. }
                | End::Closed { may_have_run } => *may_have_run,
                End::WorkerDied(_) | End::Poison { .. } => true,
                End::NoWorker => false,
            },
            Self::Answered => true,
        }
    }
}
