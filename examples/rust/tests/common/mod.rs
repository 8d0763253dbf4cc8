//! What the tests with real Python workers share.

#![allow(dead_code, reason = "no test program uses all of it")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use snakepit::{Builder, Env, OutputMode, Pool};
use snakepit_testkit::Mark;

/// Directory of the adapters for tests.
pub const ADAPTERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python");

/// The workers' interpreter. None, with a word about it: there is none here. Where
/// `SNAKEPIT_TEST_PYTHON` names one, that one must do.
pub fn python() -> Option<PathBuf> {
    let named = std::env::var_os("SNAKEPIT_TEST_PYTHON").map(PathBuf::from);
    let checkout = PathBuf::from(snakepit_examples::FOLDER).join("../../.venv/bin/python");
    let found = named.or_else(|| checkout.is_file().then_some(checkout));
    if found.is_none() {
        eprintln!("skipped: no .venv with the wheel; `make build` makes it");
    }
    found
}

/// A pool of the test adapter, and what finds its processes again.
pub fn face() -> Option<(Builder, Mark)> {
    let mark = Mark::new();
    let (name, value) = mark.variable();
    let builder = Pool::builder("face_adapter:Face")
        .name("face")
        .python(python()?)
        .pythonpath(ADAPTERS)
        .env(Env::inherit().set(name, value))
        .grace(Duration::from_millis(200))
        .worker_output(OutputMode::Drop);
    Some((builder, mark))
}

/// Closes the pool and asserts that nothing of it is left.
pub async fn finish(pool: Pool, mark: Mark) {
    pool.close(Duration::ZERO).await;
    drop(pool);
    mark.assert_nothing_left().await;
}

/// Waits until `condition` holds, without a runtime.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let limit = Instant::now() + snakepit_testkit::PATIENCE;
    while !condition() {
        assert!(Instant::now() < limit, "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
