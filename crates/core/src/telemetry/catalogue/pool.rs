//! Pools: they open, are too busy, close.

use super::{COMMAND, NOW, POOL, SESSION, Spec, TOOK, always};

pub(crate) const POOL_INITIALIZED: &Spec = &Spec {
    number: 0,
    name: "snakepit.pool.initialized",
    when: "all workers of a pool are ready, for the first time",
    measurements: &[TOOK, always("workers", "how many"), NOW],
    metadata: &[POOL],
};

pub(crate) const POOL_CLOSED: &Spec = &Spec {
    number: 1,
    name: "snakepit.pool.closed",
    when: "a pool was closed, or dropped; its workers are gone, or are being ended",
    measurements: &[always("lifetime", "ms from its start"), NOW],
    metadata: &[POOL],
};

pub(crate) const QUEUE_FULL: &Spec = &Spec {
    number: 2,
    name: "snakepit.pool.queue.full",
    when: "a call was refused, since as much waits as may",
    measurements: &[
        always("queue_size", "calls that wait"),
        always("max_queue_size", "calls that may"),
        always("bytes", "of arguments that wait"),
        NOW,
    ],
    metadata: &[POOL, COMMAND, SESSION],
};

pub(crate) const QUEUE_TIMEOUT: &Spec = &Spec {
    number: 3,
    name: "snakepit.pool.queue.timeout",
    when: "the deadline of a call passed before a worker had begun it",
    measurements: &[always("timeout_ms", "ms that it had"), NOW],
    metadata: &[POOL, COMMAND, SESSION, always("step", "`queued` or `sent`")],
};
