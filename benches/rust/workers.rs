//! Real Python workers for the benchmarks: the adapter of `benches/adapter.py`, on the interpreter
//! that `SNAKEPIT_PYTHON` names or that `make build` made, called as embedders call them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use snakepit::{Line, Pool};
use tokio::runtime::{Builder, Runtime};

/// Argument and result of the no-op.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Number {
    x: u64,
}

#[derive(Serialize)]
struct Count {
    count: u64,
}

/// An item of the stream.
#[derive(Deserialize)]
#[expect(dead_code, reason = "decoded, as a reader would, and not looked at")]
struct Item {
    i: u64,
    loss: f64,
}

/// One thread that drives lines and runs the callers.
pub fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("tokio runtime")
}

/// A pool of which every worker is ready, on the current runtime.
///
/// # Errors
/// Why there is none, and what mends it.
pub async fn start(size: usize) -> Result<Pool, String> {
    let benches = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches");
    let python = match std::env::var_os("SNAKEPIT_PYTHON") {
        Some(python) => PathBuf::from(python),
        None => benches.join("../.venv/bin/python"),
    };
    let told = |error: snakepit::Error| {
        format!("{error}; SNAKEPIT_PYTHON names the interpreter, `make build` makes .venv")
    };
    let pool = Pool::builder("adapter:BenchAdapter")
        .name("bench")
        .size(size)
        .python(python)
        .pythonpath(benches)
        .line(Line::Native)
        .start()
        .await
        .map_err(told)?;
    pool.await_ready(None).await.map_err(told)?;
    Ok(pool)
}

/// `{"x": 1}` there and back.
pub async fn noop(pool: &Pool) -> Number {
    pool.execute("noop", Number { x: 1 }).await.expect("an answer")
}

/// Reads a stream of so many small dicts to its end; how many came.
pub async fn read(pool: &Pool, count: u64) -> u64 {
    let mut stream = pool.execute_stream::<Item>("items", Count { count }).expect("room");
    let mut came = 0;
    while let Some(item) = stream.next().await {
        std::hint::black_box(item.expect("an item"));
        came += 1;
    }
    came
}
