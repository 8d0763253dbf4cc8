//! The example programs, run as a user runs them.

mod common;

use std::path::Path;
use std::process::Command;

use common::{command, complaint, output, program, python};

/// A program that finds its interpreter by itself, in the folder of the examples.
fn unguided(name: &str, python: &Path) -> Command {
    let mut command = Command::new(program(name));
    let folder = python.parent().expect("a file in a folder").to_owned();
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([folder].into_iter().chain(std::env::split_paths(&inherited)));
    command.current_dir(snakepit_examples::FOLDER).env_remove("VIRTUAL_ENV");
    command.env("PATH", path.expect("folders"));
    command
}

fn file(path: &str) -> String {
    let path = Path::new(snakepit_examples::FOLDER).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn plain_prints_what_the_readme_shows() {
    let Some(python) = python() else { return };
    let said = output(&mut unguided("plain", &python));
    let program = format!("```rust\n{}```\n\n```text\n{said}```\n", file("plain.rs"));
    assert!(
        file("../../README.md").contains(&program),
        "README.md must show plain.rs and:\n{said}"
    );
    assert!(!program.contains("snakepit_examples"), "it can be copied into any crate");
}

#[test]
fn the_file_of_the_readme_makes_a_pool() {
    let Some(python) = python() else { return };
    assert_eq!(output(&mut unguided("configured", &python)), "0.5\n");

    let readme = file("../../README.md");
    assert!(readme.contains(&format!("```toml\n{}```\n", file("pool.toml"))));
    let (_, behind) = readme.split_once("```toml\n").expect("the file");
    let (_, program) = behind.split_once("```rust\n").expect("a program that reads it");
    let (program, _) = program.split_once("```").expect("its end");
    let indented: String = program.lines().map(|line| format!("    {line}\n")).collect();
    assert!(file("configured.rs").contains(&indented), "configured.rs must have:\n{indented}");
}

#[test]
fn a_wrong_command_line_is_told_before_anything_starts() {
    for (name, words, expected) in [
        ("throughput", &["--seconds", "-1"][..], "--seconds: above 0"),
        ("throughput", &["--seconds", "nan"], "--seconds: above 0"),
        ("throughput", &["--inflight", "0"], "--inflight: one call"),
        ("throughput", &["--pyton", "x"], "--pyton: there is no such option"),
        ("axum", &["--workers"], "--workers needs a value"),
    ] {
        let said = complaint(Command::new(program(name)).args(words));
        assert!(said.starts_with("error: ") && said.contains(expected), "{said}");
        let usage = output(Command::new(program(name)).args(words).arg("--help"));
        assert!(usage.contains("\n  --workers N "), "{usage}");
    }
}

#[test]
fn throughput_measures_calls_and_items() {
    let Some(python) = python() else { return };
    let run = |words: &[&str]| output(command("throughput", &python).args(words));
    let quick = ["--workers", "1", "--inflight", "8", "--seconds", "0.2"];
    let said = run(&quick);
    for part in ["workers 1, in flight 8: ", " calls/s, p50 ", " µs, p99 ", " µs a call"] {
        assert!(said.contains(part), "{said}");
    }
    let told = run(&[&quick[..], &["--json", "--stream"]].concat());
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["what"], "items");
    assert!(told["per_second"].as_f64().is_some_and(|rate| rate > 0.0), "{told}");
    let told: serde_json::Value =
        serde_json::from_str(&run(&[&quick[..], &["--json"]].concat())).expect("JSON");
    assert!(told["p99_us"].as_f64() >= told["p50_us"].as_f64(), "{told}");
    assert!(told["host_cpu_us"].as_f64().is_some_and(|cpu| cpu > 0.0), "{told}");
}

#[test]
fn an_interpreter_that_is_missing_is_told() {
    for said in [
        complaint(&mut command("throughput", Path::new("/nowhere/python"))),
        complaint(Command::new(program("plain")).env("VIRTUAL_ENV", "/nowhere/python")),
    ] {
        assert!(said.starts_with("error: pool default: no worker can start"), "{said}");
        assert!(said.contains("there is no interpreter /nowhere/python;"), "{said}");
    }
}

#[test]
fn a_port_that_is_taken_is_told_before_workers_start() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    // An interpreter that is missing would be told, were it looked for first.
    let said = complaint(command("axum", Path::new("/nowhere/python")).args(["--port", &port]));
    assert!(said.contains(&format!("port {port}: ")) && said.contains("--port"), "{said}");
}
