//! Workers: from their start to their end.

use super::{GENERATION, NOW, POOL, REASON, Spec, WORKER, always, sometimes};

pub(crate) const WORKER_SPAWNED: &Spec = &Spec {
    number: 4,
    name: "snakepit.pool.worker.spawned",
    when: "a worker is ready",
    measurements: &[always("duration", "ms from its start"), NOW],
    metadata: &[POOL, WORKER, GENERATION, always("python_pid", "its process id")],
};

pub(crate) const WORKER_RESTARTED: &Spec = &Spec {
    number: 5,
    name: "snakepit.worker.restarted",
    when: "a worker is ready in a slot that had one before",
    measurements: &[NOW],
    metadata: &[POOL, WORKER, GENERATION],
};

pub(crate) const SPAWN_FAILED: &Spec = &Spec {
    number: 6,
    name: "snakepit.pool.worker.spawn_failed",
    when: "a worker ended before it was ready",
    measurements: &[always("duration", "ms from its start"), NOW],
    metadata: &[POOL, WORKER, GENERATION, always("reason", "what went wrong")],
};

pub(crate) const WORKER_TERMINATED: &Spec = &Spec {
    number: 7,
    name: "snakepit.pool.worker.terminated",
    when: "a worker that was ready has ended, whoever ended it",
    measurements: &[
        always("lifetime", "ms from its start"),
        always("total_commands", "calls that it answered"),
        NOW,
    ],
    metadata: &[
        POOL,
        WORKER,
        GENERATION,
        REASON,
        always("crash", "whether it came out of the worker; else the pool brought it about"),
        always("planned", "whether it was meant to end: the pool was closed, the worker replaced"),
    ],
};

pub(crate) const WORKER_CRASH: &Spec = &Spec {
    number: 8,
    name: "snakepit.worker.crash",
    when: "that came out of the worker, and nobody of the pool brought it about",
    measurements: &[always("lifetime", "ms from its start"), NOW],
    metadata: &[
        POOL,
        WORKER,
        GENERATION,
        REASON,
        sometimes("exit_code", "where it exited"),
        sometimes("signal", "where one ended it"),
    ],
};

pub(crate) const WORKER_RECYCLED: &Spec = &Spec {
    number: 9,
    name: "snakepit.worker.recycled",
    when: "a worker ended that was worn out, or that somebody asked to be replaced",
    measurements: &[
        always("uptime_ms", "ms from its start"),
        always("request_count", "calls that it answered"),
        NOW,
    ],
    metadata: &[
        POOL,
        WORKER,
        GENERATION,
        always("reason", "`calls`, `age`, `memory` or `request`"),
    ],
};

pub(crate) const WORKER_STALLED: &Spec = &Spec {
    number: 10,
    name: "snakepit.heartbeat.heartbeat_timeout",
    when: "a worker does not answer: it is stalled, and gets nothing more",
    measurements: &[NOW],
    metadata: &[POOL, WORKER, GENERATION],
};

pub(crate) const WORKER_RECOVERED: &Spec = &Spec {
    number: 11,
    name: "snakepit.heartbeat.recovered",
    when: "a worker that was stalled answers again",
    measurements: &[NOW],
    metadata: &[POOL, WORKER, GENERATION],
};

pub(crate) const WORKER_CONDEMNED: &Spec = &Spec {
    number: 12,
    name: "snakepit.worker.condemned",
    when: "the pool gives a worker up that did not let go of a call: it is killed, once its other calls have ended",
    measurements: &[NOW],
    metadata: &[POOL, WORKER, GENERATION, always("reason", "`cancel`, `deadline` or `stall`")],
};

pub(crate) const WORKER_TAINTED: &Spec = &Spec {
    number: 13,
    name: "snakepit.worker.tainted",
    when: "a worker crashed, and its slot is the last choice for a while",
    measurements: &[always("duration_ms", "ms that this holds"), NOW],
    metadata: &[POOL, WORKER, GENERATION],
};
