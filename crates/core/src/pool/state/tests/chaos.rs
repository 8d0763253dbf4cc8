//! Random events of every kind, in any order; [`World`] checks after each one.

mod event;

use std::sync::Arc;
use std::time::Duration;

use event::{Event, NAMES, Who, any_event};
use proptest::prelude::*;

use super::guards::any_guards;
use super::tending::any_life;
use super::worker::Life;
use super::world::{MAX_QUEUE_BYTES, MAX_SESSIONS};
use super::{Spec, World};
use crate::call::{Binding, Ended, SessionKey};
use crate::id::CallId;
use crate::policy::session::Found;
use crate::pool::state::Refusal;
use crate::pool::state::slot::Phase;
use crate::pool::state::table::Place;

/// A world, and the session objects that its callers hold.
struct Chaos {
    world: World,
    objects: [Arc<Binding>; NAMES.len()],
}

impl Chaos {
    fn new(world: World) -> Self {
        Self { world, objects: Default::default() }
    }

    fn happen(&mut self, event: Event) {
        let size = self.world.workers.len();
        let world = &mut self.world;
        let life = |slot: usize| world.workers[slot % size].life;
        match event {
            Event::Submit { session, timeout, spec, inside } => {
                self.submit(session, timeout, spec, inside);
            }
            Event::Start(slot) => {
                if matches!(life(slot), Life::Planned(at) if at <= world.now) {
                    world.start(slot % size);
                }
            }
            Event::Ready { slot, revocable } => {
                if life(slot) == Life::Starting {
                    world.become_ready(slot % size, revocable);
                }
            }
            Event::Begin(slot) => {
                world.begin(slot % size);
            }
            Event::Finish { slot, nth } => {
                let running = world.workers[slot % size].running.len();
                world.finish_nth(slot % size, nth % running.max(1));
            }
            Event::Part(slot) => world.part(slot % size),
            Event::Take(nth) => {
                if !world.calls.is_empty() {
                    let id = world.calls[nth % world.calls.len()].id;
                    world.take(id);
                }
            }
            Event::Say { slot, call, lie } => {
                if life(slot) == Life::Ready && !world.calls.is_empty() {
                    let id = world.calls[call % world.calls.len()].id;
                    world.lie(slot % size, id, lie);
                }
            }
            Event::Flush { slot, fill: true } => world.flush(slot % size),
            Event::Flush { slot, fill: false } => {
                world.read(slot % size);
            }
            Event::Work { slot, calls } => {
                for _ in 0..calls {
                    world.begin(slot % size);
                    world.finish(slot % size);
                }
                world.flush(slot % size);
            }
            Event::Die { slot, read, permanent } => {
                if matches!(life(slot), Life::Starting | Life::Ready) {
                    if read {
                        world.read(slot % size);
                    }
                    world.die(slot % size, permanent);
                }
            }
            Event::Cancel(nth) => {
                if !world.calls.is_empty() {
                    let id = world.calls[nth % world.calls.len()].id;
                    world.cancel(id);
                }
            }
            Event::Advance(micros) => world.advance(Duration::from_micros(micros)),
            Event::Tick => world.tick(),
            Event::Recycle { slot, this } => {
                let slot = slot % size;
                let generation = world.state.generation(slot);
                world.recycle(slot, Some(generation + u64::from(!this)));
            }
            Event::Weigh { slot, bytes } => world.weigh(slot % size, bytes),
            Event::AnswerProbes(slot) => {
                if life(slot) == Life::Ready {
                    world.answer_probes(slot % size);
                }
            }
            Event::WaitForTimer => {
                if world.timer.is_some() {
                    world.wait_for_timer();
                }
            }
            Event::OpenSession(who) => self.open_session(who),
            Event::CloseSession(who) => self.close_session(&who),
            Event::Drain => world.state.drain(),
            Event::Close => world.close(),
        }
        self.world.check();
        self.check_overdue();
    }

    fn key(&mut self, Who { name, affinity, object }: Who) -> SessionKey {
        if object == Some(true) {
            self.objects[name] = Arc::default();
        }
        let object = object.map(|_| self.objects[name].clone());
        SessionKey { id: NAMES[name].into(), affinity, object }
    }

    fn open_session(&mut self, who: Who) {
        let key = self.key(who);
        match self.world.open_session(&key) {
            Ok(()) => {
                let rows = self.world.state.session_rows(Some(&key.id), self.world.now);
                assert_eq!(rows.len(), 1, "{} is not open", key.id);
            }
            Err(refusal) => {
                self.check_refusal(&Spec { session: Some(key), ..Spec::default() }, &refusal);
            }
        }
    }

    fn close_session(&mut self, who: &Who) {
        let (id, object) = (NAMES[who.name], self.objects[who.name].clone());
        let state = &self.world.state;
        let was_open = !state.session_rows(Some(id), self.world.now).is_empty();
        if who.object.is_none() {
            assert_eq!(self.world.close_session(id), was_open);
        } else {
            let own = object.ended().is_none() && object.life().is_some();
            assert_eq!(self.world.close_session_of(id, &object), was_open && own);
            assert!(object.ended().is_some(), "it opens nothing any more");
        }
    }

    fn submit(
        &mut self,
        who: Option<Who>,
        timeout: Option<u64>,
        spec: Spec,
        inside: Option<usize>,
    ) {
        let session = who.map(|who| self.key(who));
        let timeout = timeout.map(Duration::from_micros);
        let ancestors = inside.and_then(|slot| self.chain(slot));
        let spec = Spec { session, timeout, ancestors, ..spec };
        let before = (self.world.state.queued(), self.world.state.queued_bytes());
        let rejected = self.world.state.counters().rejected;
        match self.world.submit(spec.clone()) {
            Ok(_) => {
                let state = &self.world.state;
                let (queued, bytes) = (state.queued(), state.queued_bytes());
                assert!(queued <= before.0 || queued <= self.world.limits.max_queue);
                assert!(bytes <= before.1 || bytes <= MAX_QUEUE_BYTES || before.1 == 0);
            }
            Err(refusal) => {
                assert_eq!(self.world.state.counters().rejected, rejected + 1);
                self.check_refusal(&spec, &refusal);
            }
        }
    }

    /// The call that a worker runs, and those around it.
    fn chain(&self, slot: usize) -> Option<Arc<[CallId]>> {
        let state = &self.world.state;
        let &id = state.slots[slot % state.slots.len()].lane.front()?;
        let around = state.table.get(id)?.ancestors();
        Some(around.iter().copied().chain([id]).collect())
    }

    fn check_refusal(&self, spec: &Spec, refusal: &Refusal) {
        let state = &self.world.state;
        let found = |id: &str| state.sessions.find(id, None, self.world.now);
        let home = spec.strict().and_then(|session| match found(&session.id) {
            Ok(Found::Open(place)) => state.sessions.get(place).homes.home(),
            _ => None,
        });
        match refusal {
            Refusal::Closed => assert!(!state.is_open()),
            Refusal::QueueFull(full) => {
                assert_eq!(full.capacity, self.world.limits.max_queue);
                let bytes = full.bytes + u64::from(spec.bytes);
                assert!(full.waiting >= full.capacity || bytes > MAX_QUEUE_BYTES);
            }
            Refusal::Reentrant => assert!(spec.ancestors.is_some()),
            Refusal::NoWorker => assert!(state.is_hopeless()),
            Refusal::SessionBusy(_) => {
                let home = home.expect("busy at home");
                let slot = &state.slots[home.slot];
                assert!(!slot.is_free() || slot.standing.is_stalled());
            }
            Refusal::SessionLost { home: lost, .. } => {
                let session = spec.strict().expect("a strict session");
                let bound = session.object.as_ref().and_then(|object| object.get());
                let leaving = home.is_some_and(|home| state.slots[home.slot].phase != Phase::Ready);
                assert!(leaving || bound != home.map(|home| home.binding));
                assert!(self.world.is_leaving_or_gone(*lost), "{lost:?} serves on");
            }
            Refusal::SessionEnded(id, how) => {
                let session = spec.session.as_ref().expect("a session");
                let object = session.object.as_ref().expect("by id it is opened anew");
                let stale = matches!(found(id), Ok(Found::Stale(_))) && *how == Ended::Expired;
                assert!(object.ended() == Some(*how) || stale);
            }
            Refusal::TooManySessions(id, limit) => {
                assert_eq!((found(id), *limit), (Ok(Found::Nothing), MAX_SESSIONS));
                assert_eq!(state.sessions(), MAX_SESSIONS);
            }
        }
    }

    /// After a tick nothing is overdue.
    fn check_overdue(&self) {
        let world = &self.world;
        if world.timer.is_some_and(|timer| timer <= world.now) {
            return;
        }
        assert!(world.state.due_of_guards().is_none_or(|due| due > world.now));
        for call in world.calls.iter().filter(|call| call.outcome.is_none()) {
            assert!(call.deadline.is_none_or(|deadline| deadline > world.now), "{}", call.id);
        }
        for (id, call) in world.state.table.iter() {
            if let Place::Resting(until) = call.place {
                assert!(until > world.now, "{id} overslept");
            }
            if call.kill_at().is_some_and(|at| at <= world.now) {
                let (slot, _) = *world.calls[world.by_id[&id]].sent.last().expect("sent");
                let worker = &world.workers[slot];
                let doomed = world.state.slots[slot].phase == Phase::Doomed;
                let ending = worker.killed || worker.outlawed || doomed;
                assert!(ending, "{id} outlived its grace in slot {slot}");
            }
        }
    }

    /// Faults end: every call must end by itself then.
    fn settle(&mut self) {
        for _ in 0..2000 {
            if self.world.state.is_idle() {
                return;
            }
            let mut moved = false;
            for slot in 0..self.world.workers.len() {
                moved |= self.settle_slot(slot);
            }
            if !moved {
                let planned = self.world.workers.iter().filter_map(|worker| match worker.life {
                    Life::Planned(at) => Some(at),
                    _ => None,
                });
                // Calls may rest before they are tried again.
                let next = planned.chain(self.world.timer).min();
                let next = next.expect("a call waits, and nothing will ever happen");
                self.world.advance(next.saturating_duration_since(self.world.now));
            }
        }
        panic!("calls never end");
    }

    fn settle_slot(&mut self, slot: usize) -> bool {
        let world = &mut self.world;
        let worker = &world.workers[slot];
        match worker.life {
            Life::Planned(at) if at <= world.now => world.start(slot),
            Life::Starting => world.become_ready(slot, true),
            Life::Ready if worker.killed || worker.outlawed || worker.stopped => {
                world.die(slot, false)
            }
            Life::Ready => {
                let mut moved = worker.unfilled;
                moved |= world.answer_probes(slot);
                while world.finish(slot) || world.begin(slot).is_some() {
                    moved = true;
                }
                moved |= world.read(slot);
                world.fill(slot);
                return moved;
            }
            _ => return false,
        }
        true
    }

    fn end(&mut self) {
        self.world.close();
        for slot in 0..self.world.workers.len() {
            match self.world.workers[slot].life {
                Life::Planned(_) => self.world.start(slot),
                Life::Starting | Life::Ready => self.world.die(slot, false),
                Life::Waiting | Life::None => {}
            }
        }
        assert!(self.world.state.is_idle(), "calls are left after all workers are gone");
        assert!(self.world.calls.iter().all(|call| call.outcome.is_some()));
        let rows = self.world.state.session_rows(None, self.world.now);
        assert!(rows.iter().all(|row| row.home.is_none() && row.in_flight == 0));
    }
}

/// Half the usual cases, since each has hundreds of checked events.
fn chaos_config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases / 2, failure_persistence: None, ..usual }
}

proptest! {
    #![proptest_config(chaos_config())]

    /// Whatever happens, every call ends exactly once, and as it was promised.
    #[test]
    fn every_call_ends_once(
        size in 1..5usize,
        capacity in prop_oneof![2 => Just(1), 1 => 2..5usize],
        guards in any_guards(),
        max_queue in prop_oneof![0..4usize, Just(50)],
        life in any_life(),
        up in any::<bool>(),
        settle in any::<bool>(),
        events in prop::collection::vec(any_event(), 0..250),
    ) {
        let no_batches = life.startup_batch_size.is_none();
        let world = World::with_capacity(capacity, size, max_queue, life, guards);
        let mut chaos = Chaos::new(world);
        if up && no_batches {
            (0..size).for_each(|slot| chaos.world.bring_up(slot));
        }
        for event in events {
            chaos.happen(event);
        }
        if settle {
            chaos.settle();
        }
        chaos.end();
    }
}
