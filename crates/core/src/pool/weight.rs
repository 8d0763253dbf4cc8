//! Weighs workers, where the pool replaces those that hold too much: once a second, off the
//! runtime's thread, since `/proc` is read for each process of each worker.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::shared::Shared;
use crate::process::tree_memory;

const EVERY: Duration = Duration::from_secs(1);

impl Shared {
    /// Whether memory matters to this pool.
    pub(super) fn weighs(&self) -> bool {
        let recycle = self.config.life.recycle;
        recycle.is_some_and(|it| it.memory.is_some() || it.memory_growth.is_some())
    }

    /// For as long as the pool lives.
    pub(super) async fn keep_weighing(self: Arc<Self>) {
        let mut ticks = interval(EVERY);
        // A host that was stopped owes nobody the rounds that it missed.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let workers = self.weighable();
            let weigh = move || {
                let weigh = |(slot, generation, pid)| Some((slot, generation, tree_memory(pid)?));
                workers.into_iter().filter_map(weigh).collect::<Vec<_>>()
            };
            // A runtime that is shutting down weighs nobody.
            let Ok(weights) = tokio::task::spawn_blocking(weigh).await else { return };
            let now = Instant::now();
            self.event(|state, _, effects, _| {
                for (slot, generation, bytes) in weights {
                    state.weighed(slot, generation, bytes, now, effects);
                }
            });
        }
    }

    /// What a worker holds before its first call, where that matters.
    pub(super) fn first_weight(&self, slot: usize) -> Option<u64> {
        self.weighs().then(|| self.pid(slot)).flatten().and_then(tree_memory)
    }

    /// Says once that a limit is no use, and why.
    pub(super) fn tell_heavy(&self, slot: usize, bytes: u64, limit: u64) {
        self.heavy.call_once(|| {
            let worker = self.present(slot);
            let text = format!(
                "holds {bytes} bytes before its first call, and recycle.memory is {limit}: it is not \
                 replaced for that, since a fresh one would be no better; raise the limit"
            );
            self.say(&worker, true, &text);
        });
    }

    fn weighable(&self) -> Vec<(usize, u64, u32)> {
        let inner = self.lock();
        let weighable = inner.state.weighable();
        let with_pid =
            |(slot, generation): (usize, u64)| Some((slot, generation, inner.records[slot].pid?));
        weighable.filter_map(with_pid).collect()
    }
}
