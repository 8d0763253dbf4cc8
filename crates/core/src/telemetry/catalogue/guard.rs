//! What is done about failures: retries, breakers, calls that kill.

use super::{BREAKER, COMMAND, ERROR, LAST_WORKER, NOW, POOL, SESSION, Spec, always};

pub(crate) const RETRY_ATTEMPT: &Spec = &Spec {
    number: 19,
    name: "snakepit.retry.attempt",
    when: "a call whose worker died is made again",
    measurements: &[
        always("attempt", "which one, from 2 on"),
        always("delay_ms", "ms until then"),
        NOW,
    ],
    metadata: &[POOL, COMMAND, SESSION, always("worker_id", "`pool/slot` of the worker that died")],
};

pub(crate) const RETRY_SUCCESS: &Spec = &Spec {
    number: 20,
    name: "snakepit.retry.success",
    when: "a call that was made again ended with a value",
    measurements: &[always("attempts", "how many it took"), NOW],
    metadata: &[POOL, COMMAND, LAST_WORKER, SESSION],
};

pub(crate) const RETRY_EXHAUSTED: &Spec = &Spec {
    number: 21,
    name: "snakepit.retry.exhausted",
    when: "a call that was made again ended with an error",
    measurements: &[always("attempts", "how many it took"), NOW],
    metadata: &[POOL, COMMAND, LAST_WORKER, SESSION, ERROR],
};

pub(crate) const RETRY_REFUSED: &Spec = &Spec {
    number: 22,
    name: "snakepit.retry.refused",
    when: "a call is not made again, since the retry budget is empty",
    measurements: &[NOW],
    metadata: &[POOL, always("worker_id", "`pool/slot` of the worker that died")],
};

pub(crate) const CALL_QUARANTINED: &Spec = &Spec {
    number: 23,
    name: "snakepit.pool.call.quarantined",
    when: "a call is given up, since workers keep dying of it",
    measurements: &[always("deaths", "workers"), NOW],
    metadata: &[POOL, COMMAND, SESSION, always("worker_id", "`pool/slot` of the last one")],
};

pub(crate) const BREAKER_OPENED: &Spec = &Spec {
    number: 24,
    name: "snakepit.circuit_breaker.opened",
    when: "calls have failed, and no more are let through: to the pool, or to one slot",
    measurements: &[NOW],
    metadata: &[POOL, BREAKER],
};

pub(crate) const BREAKER_HALF_OPEN: &Spec = &Spec {
    number: 25,
    name: "snakepit.circuit_breaker.half_open",
    when: "some calls are let through to see how it is",
    measurements: &[NOW],
    metadata: &[POOL, BREAKER],
};

pub(crate) const BREAKER_CLOSED: &Spec = &Spec {
    number: 26,
    name: "snakepit.circuit_breaker.closed",
    when: "calls are let through again",
    measurements: &[NOW],
    metadata: &[POOL, BREAKER],
};
