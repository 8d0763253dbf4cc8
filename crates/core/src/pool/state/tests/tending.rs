//! How simulated workers are looked after: their answers to probes, their weight, their rules.

use std::time::Duration;

use proptest::prelude::*;

use super::World;
use crate::config::{self, Heartbeat, Recycle};

/// How workers are looked after: not at all in half the cases.
pub(super) fn any_life() -> impl Strategy<Value = config::Life> {
    let ms = Duration::from_millis;
    let heartbeat =
        Heartbeat { interval: ms(2), timeout: ms(10), missed: 1, initial_delay: Duration::ZERO };
    let recycle =
        (prop::option::of(1..20u64), any::<bool>()).prop_map(move |(calls, age)| Recycle {
            calls,
            age: age.then_some(ms(50)),
            memory: Some(3),
            session_drain: ms(20),
            at_once: 0.5,
            ..Recycle::default()
        });
    let batch = prop::option::of(1..3usize);
    let life = (
        prop::option::of(Just(heartbeat)),
        any::<bool>(),
        prop::option::of(recycle),
        batch,
        prop_oneof![Just(0), Just(5)],
    );
    let life = life.prop_map(move |(heartbeat, kill, recycle, batch, delay)| config::Life {
        heartbeat,
        stall_kill: heartbeat.filter(|_| kill).map(|_| ms(30)),
        recycle,
        startup_batch_size: batch,
        startup_batch_delay: ms(delay),
        ..config::Life::default()
    });
    let none = config::Life { heartbeat: None, ..config::Life::default() };
    prop_oneof![Just(none), life]
}

impl World {
    /// The interpreter of a worker answers all that it was asked. False: nothing.
    pub(crate) fn answer_probes(&mut self, slot: usize) -> bool {
        let probes = std::mem::take(&mut self.workers[slot].probes);
        for &probe in &probes {
            self.state.probe_answered(slot, probe, self.now, &self.page, &mut self.out);
            self.carry_out();
        }
        !probes.is_empty()
    }

    pub(crate) fn weigh(&mut self, slot: usize, bytes: u64) {
        let generation = self.workers[slot].generation;
        self.state.weighed(slot, generation, bytes, self.now, &mut self.out);
        self.carry_out();
    }

    /// Time passes until the timer fires.
    pub(crate) fn wait_for_timer(&mut self) {
        let timer = self.timer.expect("a timer");
        self.now = self.now.max(timer);
        self.tick();
    }
}
