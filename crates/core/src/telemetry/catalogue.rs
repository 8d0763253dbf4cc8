//! Every event that a pool tells by itself: the table that emitting code, documentation and tests share.

/// What an event is called, when it is emitted and what it carries.
#[derive(Debug, PartialEq, Eq)]
pub struct Spec {
    /// Its place in the catalogue.
    pub(super) number: u8,
    /// Its dotted name.
    pub name: &'static str,
    /// When it is emitted.
    pub when: &'static str,
    /// Numbers that it always carries.
    pub measurements: &'static [Field],
    /// Text that describes it.
    pub metadata: &'static [Field],
}

/// A measurement or a part of the metadata.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// Its key.
    pub name: &'static str,
    /// Unit of a measurement, meaning of metadata.
    pub about: &'static str,
    /// Whether each event of this name has it.
    pub always: bool,
}

const fn always(name: &'static str, about: &'static str) -> Field {
    Field { name, about, always: true }
}

const fn sometimes(name: &'static str, about: &'static str) -> Field {
    Field { name, about, always: false }
}

const NOW: Field = always("system_time", "ns since the epoch");
const TOOK: Field = always("duration_ms", "ms");
const POOL: Field = always("pool", "name of the pool");
const WORKER: Field = always("worker_id", "`pool/slot`");
const GENERATION: Field = always("generation", "how many processes have filled the slot");
const COMMAND: Field = always("command", "name of the tool");
const SESSION: Field = sometimes("session_id", "where the call belongs to a session");
const LAST_WORKER: Field = sometimes("worker_id", "`pool/slot` of the worker that had it last");

pub(crate) const WORKER_SPAWNED: &Spec = &Spec {
    number: 0,
    name: "snakepit.pool.worker.spawned",
    when: "a worker is ready",
    measurements: &[always("duration", "ms from its start"), NOW],
    metadata: &[POOL, WORKER, GENERATION, always("python_pid", "its process id")],
};

pub(crate) const WORKER_RESTARTED: &Spec = &Spec {
    number: 1,
    name: "snakepit.worker.restarted",
    when: "a worker is ready in a slot that had one before",
    measurements: &[NOW],
    metadata: &[POOL, WORKER, GENERATION],
};

pub(crate) const SPAWN_FAILED: &Spec = &Spec {
    number: 2,
    name: "snakepit.pool.worker.spawn_failed",
    when: "a worker ended before it was ready",
    measurements: &[always("duration", "ms from its start"), NOW],
    metadata: &[POOL, WORKER, GENERATION, always("reason", "what went wrong")],
};

pub(crate) const WORKER_TERMINATED: &Spec = &Spec {
    number: 3,
    name: "snakepit.pool.worker.terminated",
    when: "a worker that was ready has ended, whoever ended it",
    measurements: &[always("lifetime", "ms from its start"), NOW],
    metadata: &[
        POOL,
        WORKER,
        GENERATION,
        always("reason", "why, in one word"),
        always("crash", "`true`: it came out of the worker; `false`: the pool brought it about"),
    ],
};

pub(crate) const EXECUTE_START: &Spec = &Spec {
    number: 4,
    name: "snakepit.grpc_worker.execute.start",
    when: "a call is made",
    measurements: &[NOW],
    metadata: &[POOL, COMMAND, SESSION],
};

pub(crate) const EXECUTE_STOP: &Spec = &Spec {
    number: 5,
    name: "snakepit.grpc_worker.execute.stop",
    when: "a call ended with a value, or a stream with its end",
    measurements: &[TOOK],
    metadata: &[POOL, COMMAND, LAST_WORKER, SESSION],
};

pub(crate) const EXECUTE_EXCEPTION: &Spec = &Spec {
    number: 6,
    name: "snakepit.grpc_worker.execute.exception",
    when: "a call ended with an error, a refusal at the door included",
    measurements: &[TOOK],
    metadata: &[POOL, COMMAND, LAST_WORKER, SESSION, always("error", "which, in one word")],
};

pub(crate) const DROPPED: &Spec = &Spec {
    number: 7,
    name: "snakepit.telemetry.dropped",
    when: "events were dropped, since who listens to all pools is too slow",
    measurements: &[always("count", "events"), NOW],
    metadata: &[],
};

/// What adapters tell is called this, and then as they call it.
pub const PYTHON: &str = "snakepit.python.";

/// All of them.
pub const CATALOGUE: &[&Spec] = &[
    WORKER_SPAWNED,
    WORKER_RESTARTED,
    SPAWN_FAILED,
    WORKER_TERMINATED,
    EXECUTE_START,
    EXECUTE_STOP,
    EXECUTE_EXCEPTION,
    DROPPED,
];

/// The catalogue as a table of Markdown, one row an event.
#[must_use]
pub fn table() -> String {
    let mut table = String::from("| event | when | measurements | metadata |\n|---|---|---|---|\n");
    for Spec { name, when, measurements, metadata, .. } in CATALOGUE {
        let (measurements, metadata) = (cell(measurements), cell(metadata));
        table += &format!("| `{name}` | {when} | {measurements} | {metadata} |\n");
    }
    table
}

fn cell(fields: &[Field]) -> String {
    let told = fields.iter().map(|Field { name, about, always }| {
        let sometimes = if *always { "" } else { ", not always there" };
        format!("`{name}` ({about}{sometimes})")
    });
    told.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_there_twice() {
        let mut names: Vec<_> = CATALOGUE.iter().map(|spec| spec.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CATALOGUE.len());
    }

    #[test]
    fn a_row_has_no_cell_too_many() {
        for row in table().lines() {
            assert_eq!(row.matches('|').count(), 5, "{row}");
        }
    }
}
