//! Sessions.

use super::{ITS_SESSION, NOW, POOL, Spec, WORKER, always};

pub(crate) const SESSION_BOUND: &Spec = &Spec {
    number: 27,
    name: "snakepit.session.bound",
    when: "the first call of a session goes to a worker",
    measurements: &[NOW],
    metadata: &[POOL, ITS_SESSION, WORKER],
};

pub(crate) const SESSION_LOST: &Spec = &Spec {
    number: 28,
    name: "snakepit.session.lost",
    when: "a session lost its worker, and what it had there",
    measurements: &[NOW],
    metadata: &[POOL, ITS_SESSION, WORKER, always("reason", "what became of the worker, in words")],
};

pub(crate) const SESSION_CLOSED: &Spec = &Spec {
    number: 29,
    name: "snakepit.session.closed",
    when: "a session is over",
    measurements: &[NOW],
    metadata: &[POOL, ITS_SESSION, always("reason", "`closed` or `expired`")],
};
