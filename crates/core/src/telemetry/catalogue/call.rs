//! Calls and streams.

use super::{COMMAND, ERROR, LAST_WORKER, NOW, POOL, SESSION, Spec, TOOK, always, sometimes};

pub(crate) const EXECUTE_START: &Spec = &Spec {
    number: 14,
    name: "snakepit.grpc_worker.execute.start",
    when: "a call is made",
    measurements: &[NOW],
    metadata: &[POOL, COMMAND, SESSION],
};

pub(crate) const EXECUTE_STOP: &Spec = &Spec {
    number: 15,
    name: "snakepit.grpc_worker.execute.stop",
    when: "a call ended with a value, or a stream with its end",
    measurements: &[TOOK],
    metadata: &[POOL, COMMAND, LAST_WORKER, SESSION],
};

pub(crate) const EXECUTE_EXCEPTION: &Spec = &Spec {
    number: 16,
    name: "snakepit.grpc_worker.execute.exception",
    when: "a call ended with an error, a refusal at the door included",
    measurements: &[TOOK],
    metadata: &[POOL, COMMAND, LAST_WORKER, SESSION, ERROR],
};

pub(crate) const STREAM_START: &Spec = &Spec {
    number: 17,
    name: "snakepit.grpc_worker.stream.start",
    when: "the first items of a stream are here",
    measurements: &[always("duration_ms", "ms from the call"), NOW],
    metadata: &[POOL, COMMAND, LAST_WORKER, SESSION],
};

pub(crate) const STREAM_STOP: &Spec = &Spec {
    number: 18,
    name: "snakepit.grpc_worker.stream.stop",
    when: "a stream of which items were here has ended, however it ended",
    measurements: &[always("duration_ms", "ms from the call"), always("chunks", "items that came")],
    metadata: &[
        POOL,
        COMMAND,
        LAST_WORKER,
        SESSION,
        sometimes("error", "which, in one word, where it ended with one"),
    ],
};
