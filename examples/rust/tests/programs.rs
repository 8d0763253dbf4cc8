//! The example programs, run as a user runs them.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{ADAPTERS, python, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use snakepit_testkit::Mark;

/// The program of an example, which is built with its tests.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this program");
    let folder = test.ancestors().nth(2).expect("target/debug/deps/programs");
    folder.join("examples").join(name)
}

fn command(name: &str, python: &Path) -> Command {
    let mut command = Command::new(program(name));
    command.arg("--python").arg(python);
    command
}

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

/// What a program prints.
fn output(command: &mut Command) -> String {
    let ended = command.output().expect("it runs");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).expect("text")
}

/// What a program complains of.
fn complaint(command: &mut Command) -> String {
    let ended = command.output().expect("it runs");
    assert_eq!(ended.status.code(), Some(1), "{}", String::from_utf8_lossy(&ended.stdout));
    String::from_utf8(ended.stderr).expect("text")
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

/// The service under test; ended with the test.
struct Service {
    process: Child,
    address: String,
    output: BufReader<std::process::ChildStdout>,
    mark: Mark,
}

impl Service {
    fn start(words: &[&str]) -> Option<Self> {
        let mark = Mark::new();
        let (name, value) = mark.variable();
        let mut command = command("axum", &python()?);
        command.args(["--adapter", "face_adapter:Face", "--pythonpath", ADAPTERS, "--port", "0"]);
        command.args(words).env(name, value).stdout(Stdio::piped());
        let mut process = command.spawn().expect("it runs");
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("its first line");
        let address = line.trim().strip_prefix("listening on http://").expect("where it listens");
        Some(Self { address: address.to_owned(), process, output, mark })
    }

    /// Sends a request and leaves the answer to be read.
    fn send(&self, path: &str, json: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
        let length = json.len();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{json}"
        )
        .expect("it reads");
        stream
    }

    /// Status, head and body.
    fn request(&self, path: &str, json: &str) -> (u16, String, String) {
        read(self.send(path, json))
    }

    /// SIGTERM, and the end that it leads to.
    fn stop(self) {
        self.signal(Signal::SIGTERM);
        self.ended();
    }

    /// Waits for the end that a signal led to.
    fn ended(mut self) {
        let status = self.process.wait().expect("a child");
        assert!(status.success(), "{status}");
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("text");
        assert_eq!(rest, "closed\n");
        wait_until("no process is left", || self.mark.alive().is_empty());
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).expect("it lives");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Where a test failed; otherwise it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn read(mut stream: TcpStream) -> (u16, String, String) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status"), head.to_lowercase(), body.to_owned())
}

fn folder() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = serde_json::json!({"folder": folder.path()}).to_string();
    (folder, arguments)
}

fn began(folder: &tempfile::TempDir) -> bool {
    std::fs::read_dir(folder.path()).expect("readable").count() > 0
}

#[test]
fn the_service_answers_json_and_errors_have_a_status() {
    let Some(service) = Service::start(&["--workers", "1"]) else { return };
    let (status, _, body) = service.request("/tools/greet", r#"{"name": "world"}"#);
    assert_eq!((status, &*body), (200, "\"hello world\""));
    assert_eq!(service.request("/tools/pin", "{}").0, 404);
    let (status, _, body) = service.request("/tools/fail", "{}");
    assert_eq!(status, 422);
    assert!(body.contains("ValueError: as asked"), "{body}");

    let (status, head, body) = service.request("/streams/count", r#"{"n": 3}"#);
    assert_eq!(status, 200);
    assert!(head.contains("application/x-ndjson"), "{head}");
    let lines: Vec<&str> = body.lines().filter(|line| line.starts_with('{')).collect();
    assert_eq!(lines, [r#"{"x":0}"#, r#"{"x":1}"#, r#"{"x":2}"#]);

    assert_eq!(service.request("/streams/nope", "{}").0, 404);
    let (status, _, body) = service.request("/streams/greet", r#"{"name": "world"}"#);
    assert_eq!(status, 422, "{body}");
    for path in ["/tools/greet", "/streams/count"] {
        let (status, head, body) = service.request(path, "[]");
        assert_eq!(status, 422, "{body}");
        assert!(head.contains("application/json") && body.contains("\"error\":"), "{body}");
    }
    service.stop();
}

#[test]
fn a_port_that_is_taken_is_told_before_workers_start() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    // An interpreter that is missing would be told, were it looked for first.
    let said = complaint(command("axum", Path::new("/nowhere/python")).args(["--port", &port]));
    assert!(said.contains(&format!("port {port}: ")) && said.contains("--port"), "{said}");
}

#[test]
fn a_full_queue_is_503_and_says_when_to_come_again() {
    let Some(service) = Service::start(&["--workers", "1", "--max-queue", "1"]) else { return };
    let (folder, arguments) = folder();
    let running = service.send("/tools/wait", &arguments);
    wait_until("the call runs", || began(&folder));
    let mut waiting = Vec::new();
    let (status, head, body) = loop {
        // Until the queue, and what a worker holds ready beside it, are full.
        let next = service.send("/tools/ping", "{}");
        next.set_read_timeout(Some(Duration::from_millis(200))).expect("a socket");
        match next.peek(&mut [0; 1]) {
            Ok(_) => {
                next.set_read_timeout(None).expect("a socket");
                break read(next);
            }
            Err(_) => waiting.push(next),
        }
        assert!(waiting.len() < 64, "the queue is bounded");
    };
    assert_eq!(status, 503);
    assert!(head.contains("retry-after: 1"), "{head}");
    assert!(body.contains("queue is full"), "{body}");

    std::fs::write(folder.path().join("release"), "").expect("a file");
    assert_eq!(read(running).0, 200);
    for answer in waiting {
        answer.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
        assert_eq!(read(answer).0, 200, "who waited is served");
    }
    service.stop();
}

#[test]
fn a_client_that_hangs_up_cancels_its_call() {
    let Some(service) = Service::start(&["--workers", "1"]) else { return };
    let (folder, arguments) = folder();
    let client = service.send("/tools/wait", &arguments);
    wait_until("the call runs", || began(&folder));
    drop(client);
    wait_until("the tool is told", || folder.path().join("cancelled").exists());

    let (streaming, arguments) = {
        let folder = tempfile::tempdir().expect("a folder");
        let arguments = serde_json::json!({"n": 1_000_000_000, "folder": folder.path()});
        (folder, arguments.to_string())
    };
    let mut client = service.send("/streams/count", &arguments);
    client.read_exact(&mut [0; 1024]).expect("its first lines");
    drop(client);
    wait_until("the generator is closed", || streaming.path().join("closed").exists());
    assert_eq!(service.request("/tools/ping", "{}").0, 200);
    service.stop();
}

#[test]
fn sigterm_lets_a_call_under_way_end() {
    let Some(service) = Service::start(&["--workers", "1"]) else { return };
    let (folder, arguments) = folder();
    let running = service.send("/tools/wait", &arguments);
    wait_until("the call runs", || began(&folder));
    service.signal(Signal::SIGTERM);
    wait_until("it takes no more connections", || TcpStream::connect(&service.address).is_err());
    std::fs::write(folder.path().join("release"), "").expect("a file");
    let (status, _, body) = read(running);
    assert_eq!((status, &*body), (200, "null"));
    service.ended();
}
