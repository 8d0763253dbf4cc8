//! What the tests with real Python workers share.

#![allow(dead_code, reason = "no test program uses all of it")]

use std::path::{Path, PathBuf};
use std::process::Command;
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

/// The program of an example, which is built with its tests.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this program");
    let folder = test.ancestors().nth(2).expect("target/debug/deps/programs");
    folder.join("examples").join(name)
}

pub fn command(name: &str, python: &Path) -> Command {
    let mut command = Command::new(program(name));
    command.arg("--python").arg(python);
    command
}

/// What a program prints.
pub fn output(command: &mut Command) -> String {
    let ended = command.output().expect("it runs");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).expect("text")
}

/// What a program complains of.
pub fn complaint(command: &mut Command) -> String {
    let ended = command.output().expect("it runs");
    assert_eq!(ended.status.code(), Some(1), "{}", String::from_utf8_lossy(&ended.stdout));
    String::from_utf8(ended.stderr).expect("text")
}
