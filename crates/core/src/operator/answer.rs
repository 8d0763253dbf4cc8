//! What a client is told: one JSON object. Every field is described in docs/operating.md.

use std::collections::BTreeMap;

use serde::Serialize;

/// Of requests and answers. What is added is optional for whoever reads it.
pub(super) const VERSION: u32 = 1;

/// The whole answer.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    pub(crate) version: u32,
    #[serde(flatten)]
    pub(crate) said: Said,
}

/// What it says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Said {
    /// Of the host alone.
    Hello(Host),
    Status {
        host: Host,
        pools: Vec<Pool>,
    },
    Worker(WorkerRow),
    Stack(Stack),
    Recycled(Worker),
    Error {
        kind: &'static str,
        message: String,
    },
}

/// A host process.
#[derive(Debug, Serialize)]
pub(crate) struct Host {
    pub(crate) pid: u32,
    /// Its command line, shortened.
    pub(crate) program: String,
    pub(crate) snakepit: &'static str,
    /// Seconds since the process began.
    pub(crate) uptime: Option<f64>,
    /// Its run folder.
    pub(crate) folder: String,
}

/// One of the pool's workers, by name.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Worker {
    pub(crate) pool: String,
    pub(crate) slot: usize,
    pub(crate) generation: u64,
}

/// Where the threads of a worker are.
#[derive(Debug, Serialize)]
pub(crate) struct Stack {
    #[serde(flatten)]
    pub(crate) worker: Worker,
    pub(crate) pid: Option<u32>,
    /// As of a [`WorkerRow`].
    pub(crate) state: &'static str,
    /// `interpreter`: told by it; `signal`: it was held, and its fault handler told.
    pub(crate) by: &'static str,
    pub(crate) text: String,
}

/// A pool: what it is, how it fares, who works in it.
#[derive(Debug, Serialize)]
pub(crate) struct Pool {
    /// Tells it from another one of this process that has the same name.
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) access: &'static str,
    /// `open`, `draining` or `closed`.
    pub(crate) state: &'static str,
    pub(crate) config: Config,
    pub(crate) queue: Queue,
    pub(crate) calls: Calls,
    /// `healthy`, `degraded` or `unhealthy`.
    pub(crate) health: &'static str,
    /// Of the pool's circuit breaker, where it has one.
    pub(crate) circuit: Option<&'static str>,
    /// Slots that get no new calls, or probing ones only.
    pub(crate) barred: usize,
    pub(crate) retry_tokens: u32,
    pub(crate) sessions: usize,
    /// Ends of workers, by reason.
    pub(crate) restarts: BTreeMap<String, u64>,
    pub(crate) shared_memory: Option<SharedMemory>,
    pub(crate) workers: Vec<WorkerRow>,
}

/// What a pool was made from, in short.
#[derive(Debug, Serialize)]
pub(crate) struct Config {
    pub(crate) adapter: String,
    pub(crate) python: String,
    pub(crate) size: usize,
    pub(crate) profile: &'static str,
    /// Calls that a worker runs at once.
    pub(crate) capacity: usize,
    pub(crate) max_queue: usize,
    pub(crate) max_sessions: usize,
}

/// What waits.
#[derive(Debug, Serialize)]
pub(crate) struct Queue {
    pub(crate) calls: usize,
    pub(crate) bytes: u64,
}

/// Counts since the pool was made; `running` is of now.
#[derive(Debug, Serialize)]
pub(crate) struct Calls {
    pub(crate) running: usize,
    pub(crate) requests: u64,
    pub(crate) completed: u64,
    pub(crate) errors: u64,
    pub(crate) timeouts: u64,
    pub(crate) cancelled: u64,
    pub(crate) rejected: u64,
    pub(crate) retries: u64,
    pub(crate) worker_deaths: u64,
}

/// What the host's arena has, in bytes.
#[derive(Debug, Serialize)]
pub(crate) struct SharedMemory {
    pub(crate) bytes: u64,
    pub(crate) in_use: u64,
    pub(crate) segments: u64,
}

/// A worker.
#[derive(Debug, Serialize)]
pub(crate) struct WorkerRow {
    pub(crate) slot: usize,
    pub(crate) generation: u64,
    pub(crate) pid: Option<u32>,
    pub(crate) state: &'static str,
    /// Seconds that it has been what it is.
    pub(crate) state_for: f64,
    /// Seconds since its start began.
    pub(crate) age: Option<f64>,
    /// Calls that it answered.
    pub(crate) calls: u64,
    /// Bytes that its process tree holds for itself.
    pub(crate) memory: Option<u64>,
    pub(crate) sessions: u32,
    /// Of its slot: `closed`, `open` or `half_open`.
    pub(crate) breaker: &'static str,
    pub(crate) device: Option<String>,
    pub(crate) python: Option<String>,
    /// Calls that it runs.
    pub(crate) running: Vec<Running>,
    /// Calls that were sent to it and wait there.
    pub(crate) waiting: usize,
    /// Why it cannot start, where its slot is degraded.
    pub(crate) failure: Option<String>,
    pub(crate) replacement: Option<Replacement>,
}

/// Who starts to take the place of a worker that serves meanwhile.
#[derive(Debug, Serialize)]
pub(crate) struct Replacement {
    pub(crate) generation: u64,
    pub(crate) pid: Option<u32>,
    /// Seconds that it, or the try before it, has been what it is.
    pub(crate) state_for: f64,
    /// Why the one before it could not start, where there was one.
    pub(crate) failure: Option<String>,
}

/// A call in a worker.
#[derive(Debug, Serialize)]
pub(crate) struct Running {
    /// None: its caller does not wait for it any more, and it runs on.
    pub(crate) tool: Option<String>,
    pub(crate) session: Option<String>,
    /// Seconds.
    pub(crate) running_for: f64,
}

impl Answer {
    /// As it is sent: one line.
    pub(crate) fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_else(|error| {
            // Nothing in it can fail: no map with odd keys, no number that JSON lacks.
            format!(r#"{{"error":{{"kind":"internal","message":"{error:?}"}}}}"#).into_bytes()
        });
        line.push(b'\n');
        line
    }
}
