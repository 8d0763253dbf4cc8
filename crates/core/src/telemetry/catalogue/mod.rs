//! Every event that a pool tells by itself: the table that emitting code, documentation and tests share.

mod call;
mod guard;
mod host;
mod memory;
mod pool;
mod session;
mod worker;

pub(crate) use call::*;
pub(crate) use guard::*;
pub(crate) use host::*;
pub(crate) use memory::*;
pub(crate) use pool::*;
pub(crate) use session::*;
pub(crate) use worker::*;

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
const REASON: Field = always("reason", "why, in one word");
const ERROR: Field = always("error", "which, in one word");
const SESSION: Field = sometimes("session_id", "where the call belongs to a session");
const ITS_SESSION: Field = always("session_id", "its id");
const HOST_TOOL: Field = always("tool", "name of the host tool");
const BREAKER: Field = sometimes("worker_id", "`pool/slot`, where it is the breaker of a slot");
const LAST_WORKER: Field = sometimes("worker_id", "`pool/slot` of the worker that had it last");

/// What adapters tell is called this, and then as they call it.
pub const PYTHON: &str = "snakepit.python.";

/// All of them.
pub const CATALOGUE: &[&Spec] = &[
    POOL_INITIALIZED,
    POOL_CLOSED,
    QUEUE_FULL,
    QUEUE_TIMEOUT,
    WORKER_SPAWNED,
    WORKER_RESTARTED,
    SPAWN_FAILED,
    WORKER_TERMINATED,
    WORKER_CRASH,
    WORKER_RECYCLED,
    WORKER_STALLED,
    WORKER_RECOVERED,
    WORKER_CONDEMNED,
    WORKER_TAINTED,
    EXECUTE_START,
    EXECUTE_STOP,
    EXECUTE_EXCEPTION,
    STREAM_START,
    STREAM_STOP,
    RETRY_ATTEMPT,
    RETRY_SUCCESS,
    RETRY_EXHAUSTED,
    RETRY_REFUSED,
    CALL_QUARANTINED,
    BREAKER_OPENED,
    BREAKER_HALF_OPEN,
    BREAKER_CLOSED,
    SESSION_BOUND,
    SESSION_LOST,
    SESSION_CLOSED,
    HOST_TOOL_START,
    HOST_TOOL_STOP,
    HOST_TOOL_EXCEPTION,
    SCRIPT_START,
    SCRIPT_STOP,
    DROPPED,
    MEMORY_FALLBACK,
    MEMORY_FAULT,
    MEMORY_STAGED,
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
