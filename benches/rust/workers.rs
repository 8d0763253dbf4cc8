//! Real Python workers for the benchmarks: the adapter of `benches/adapter.py`, on the interpreter
//! that `SNAKEPIT_PYTHON` names or that `make build` made.

use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use snakepit::{AdapterSource, CallSpec, OutputMode, Pool, PoolConfig, SourceKind, WorkerConfig};
use tokio::runtime::{Builder, Handle, Runtime};

/// Prints where its native end and the SDK are, and its import path: one a line.
const ASK: &str = "
import os, sys, snakepit_bridge, snakepit._core as core
print(core.__file__, os.path.dirname(snakepit_bridge.__file__), *filter(None, sys.path), sep='\\n')
";

/// One thread that drives lines and runs the callers.
pub fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("tokio runtime")
}

/// A pool of which every worker is ready, on the current runtime.
///
/// # Errors
/// Why there is none, and what mends it.
pub async fn start(size: usize) -> Result<Pool, String> {
    let pool = Pool::start_on(&Handle::current(), config(size)?, None);
    let pool = pool.map_err(|error| error.to_string())?;
    pool.await_ready(None).await.map_err(|error| error.to_string())?;
    Ok(pool)
}

fn config(size: usize) -> Result<PoolConfig, String> {
    let benches = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches");
    let benches = benches.canonicalize().map_err(|error| format!("no benches/: {error}"))?;
    let python = match std::env::var_os("SNAKEPIT_PYTHON") {
        Some(python) => PathBuf::from(python),
        None => benches.with_file_name(".venv/bin/python"),
    };
    let remedy = "`make build` makes .venv, or SNAKEPIT_PYTHON names an interpreter with snakepit";
    let asked = Command::new(&python).args(["-c", ASK]).output();
    let asked = asked.map_err(|error| format!("{}: {error}; {remedy}", python.display()))?;
    if !asked.status.success() {
        let said = String::from_utf8_lossy(&asked.stderr);
        let last = said.lines().last().unwrap_or("it said nothing");
        return Err(format!("{}: {last}; {remedy}", python.display()));
    }
    let answer = String::from_utf8_lossy(&asked.stdout);
    let mut lines = answer.lines().map(str::to_owned);
    let (Some(core), Some(bridge_path)) = (lines.next(), lines.next()) else {
        return Err(format!("{}: no answer; {remedy}", python.display()));
    };
    let adapter = AdapterSource {
        kind: SourceKind::Module,
        location: "adapter".into(),
        qualname: "BenchAdapter".into(),
    };
    let worker = WorkerConfig {
        program: python,
        args: vec!["-S".into(), format!("{bridge_path}/boot.py").into(), core.into()],
        env: std::env::vars_os().collect(),
        sys_path: std::iter::once(benches.display().to_string()).chain(lines).collect(),
        bridge_path,
        adapter,
        adapter_args: Bytes::from_static(b"\x80"),
        output: OutputMode::Show,
    };
    Ok(PoolConfig::new("bench", size, worker))
}

/// `{"x": 1}` there and back.
pub fn noop() -> CallSpec {
    CallSpec::new("noop", Bytes::from_static(b"\x81\xa1x\x01"))
}

/// So many small dicts.
pub fn items(count: u32) -> CallSpec {
    let mut arguments = b"\x81\xa5count\xce".to_vec();
    arguments.extend_from_slice(&count.to_be_bytes());
    CallSpec::new("items", arguments)
}

/// Runs a call to its end.
pub async fn run(pool: &Pool, spec: &CallSpec) -> Bytes {
    pool.submit(spec.clone()).expect("room").await.expect("an answer")
}

/// Reads a stream to its end; how many items came.
pub async fn read(pool: &Pool, spec: &CallSpec) -> u64 {
    let mut stream = pool.stream(spec.clone()).expect("room");
    let mut count = 0;
    while let Some(chunk) = stream.next_chunk().await {
        std::hint::black_box(chunk.expect("a chunk"));
        count += 1;
    }
    count
}
