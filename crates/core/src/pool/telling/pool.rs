//! The pool as a whole, and its shared memory.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::shared::Shared;
use crate::telemetry::{MEMORY_FALLBACK, MEMORY_FAULT, POOL_CLOSED, POOL_INITIALIZED};

impl Shared {
    /// A worker is ready. Are all of them, for the first time?
    pub(in super::super) fn tell_initialized(&self) {
        let (size, teller) = (self.config.size, &self.events);
        if teller.initialized.load(Ordering::Relaxed) || self.read(|it| it.ready()) < size {
            return;
        }
        if !teller.initialized.swap(true, Ordering::Relaxed) {
            teller.tell(POOL_INITIALIZED, |event| {
                let event = event.took("duration_ms", teller.since.elapsed());
                event.count("workers", size as u64).now()
            });
        }
    }

    /// The pool was closed, or its last handle dropped.
    pub(in super::super) fn tell_closed(&self) {
        let teller = &self.events;
        if !teller.closed.swap(true, Ordering::Relaxed) {
            teller.tell(POOL_CLOSED, |event| event.took("lifetime", teller.since.elapsed()).now());
        }
    }

    /// Tells what troubles shared memory has had, for as long as the pool lives: who has them may hold
    /// any lock.
    pub(in super::super) async fn keep_telling_memory(self: Arc<Self>) {
        let Some(arena) = &self.arena else { return };
        let (mut faults, mut fallbacks) = (0, 0);
        loop {
            arena.trouble().await;
            let stats = arena.stats();
            for (spec, now, before) in [
                (MEMORY_FAULT, stats.faults, &mut faults),
                (MEMORY_FALLBACK, stats.fallbacks, &mut fallbacks),
            ] {
                let more = now - std::mem::replace(before, now);
                if more > 0 {
                    self.events.tell(spec, |event| event.count("count", more).now());
                }
            }
        }
    }
}
