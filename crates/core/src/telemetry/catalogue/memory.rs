//! Large values.

use super::{NOW, POOL, Spec, always};

pub(crate) const MEMORY_FALLBACK: &Spec = &Spec {
    number: 36,
    name: "snakepit.zero_copy.fallback",
    when: "buffers went another way than shared memory",
    measurements: &[always("count", "how many since this was told last"), NOW],
    metadata: &[POOL],
};

pub(crate) const MEMORY_FAULT: &Spec = &Spec {
    number: 37,
    name: "snakepit.zero_copy.fault",
    when: "shared memory could not be had, or a worker could not map it",
    measurements: &[always("count", "how often since this was told last"), NOW],
    metadata: &[POOL],
};

pub(crate) const MEMORY_STAGED: &Spec = &Spec {
    number: 38,
    name: "snakepit.zero_copy.staged",
    when: "a tensor on a device was copied to the host's memory, so that it can be sent",
    measurements: &[always("bytes", "its size"), NOW],
    metadata: &[always("device", "`cuda`, or what kind it is")],
};
