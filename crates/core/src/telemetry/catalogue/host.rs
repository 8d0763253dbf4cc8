//! What runs in the host: its tools, scripts, telemetry itself.

use super::{COMMAND, HOST_TOOL, NOW, POOL, SESSION, Spec, TOOK, WORKER, always, sometimes};

pub(crate) const HOST_TOOL_START: &Spec = &Spec {
    number: 30,
    name: "snakepit.host_tool.call.start",
    when: "a worker calls a host tool",
    measurements: &[NOW],
    metadata: &[POOL, WORKER, HOST_TOOL, COMMAND, SESSION],
};

pub(crate) const HOST_TOOL_STOP: &Spec = &Spec {
    number: 31,
    name: "snakepit.host_tool.call.stop",
    when: "a host tool has answered",
    measurements: &[TOOK],
    metadata: &[POOL, WORKER, HOST_TOOL, COMMAND, SESSION],
};

pub(crate) const HOST_TOOL_EXCEPTION: &Spec = &Spec {
    number: 32,
    name: "snakepit.host_tool.call.exception",
    when: "a host tool failed, or nobody waits for it any more",
    measurements: &[TOOK],
    metadata: &[
        POOL,
        WORKER,
        HOST_TOOL,
        COMMAND,
        SESSION,
        always("error", "the class of the exception; `cancelled`; `too_large`"),
    ],
};

pub(crate) const SCRIPT_START: &Spec = &Spec {
    number: 33,
    name: "snakepit.script.start",
    when: "`run_as_script` is about to start pools",
    measurements: &[NOW],
    metadata: &[],
};

pub(crate) const SCRIPT_STOP: &Spec = &Spec {
    number: 34,
    name: "snakepit.script.stop",
    when: "the function of `run_as_script` has ended, and its pools are closed",
    measurements: &[TOOK],
    metadata: &[sometimes(
        "error",
        "the class of what the function, or the start of the pools, raised",
    )],
};

pub(crate) const DROPPED: &Spec = &Spec {
    number: 35,
    name: "snakepit.telemetry.dropped",
    when: "events were dropped, since who listens to all pools is too slow",
    measurements: &[always("count", "events"), NOW],
    metadata: &[],
};
