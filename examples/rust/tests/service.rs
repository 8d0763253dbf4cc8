//! The axum service, run as an operator runs it and asked over HTTP.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use common::{ADAPTERS, command, python, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use snakepit_testkit::Mark;

/// The service under test; ended with the test.
struct Service {
    process: Child,
    address: String,
    output: BufReader<std::process::ChildStdout>,
    mark: Mark,
}

impl Service {
    /// Ready to serve the tools of the tests.
    fn start(words: &[&str]) -> Option<Self> {
        Self::serving("face_adapter:Face", words)
    }

    /// Ready to serve the tools of an adapter.
    fn serving(adapter: &str, words: &[&str]) -> Option<Self> {
        let service = Self::spawn(adapter, Path::new(""), words)?;
        wait_until("a worker is ready", || service.get("/health/ready").0 == 200);
        Some(service)
    }

    /// Listening. `gate` is a file for which the workers of `Gated` wait.
    fn spawn(adapter: &str, gate: &Path, words: &[&str]) -> Option<Self> {
        let mark = Mark::new();
        let (name, value) = mark.variable();
        let mut command = command("axum", &python()?);
        command.args(["--adapter", adapter, "--pythonpath", ADAPTERS, "--port", "0"]);
        command.args(words).env(name, value).env("GATE", gate).stdout(Stdio::piped());
        let mut process = command.spawn().expect("it runs");
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("its first line");
        let address = line.trim().strip_prefix("listening on http://").expect("where it listens");
        Some(Self { address: address.to_owned(), process, output, mark })
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
        stream
    }

    /// Sends a request and leaves the answer to be read.
    fn send(&self, path: &str, json: &str) -> TcpStream {
        self.send_with("", path, json)
    }

    /// `headers` are whole lines.
    fn send_with(&self, headers: &str, path: &str, json: &str) -> TcpStream {
        let (mut stream, length) = (self.connect(), json.len());
        let headers = format!("content-type: application/json\r\n{headers}");
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{headers}\
             content-length: {length}\r\n\r\n{json}"
        )
        .expect("it reads");
        stream
    }

    /// Status, head and body.
    fn request(&self, path: &str, json: &str) -> (u16, String, String) {
        read(self.send(path, json))
    }

    fn get(&self, path: &str) -> (u16, String, String) {
        let mut stream = self.connect();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
            .expect("it reads");
        read(stream)
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

    let (status, _, body) = service.request("/tools/greet", r#"{"name": 5}"#);
    assert_eq!(status, 400);
    assert!(body.contains(r#"args[\"name\"]: expected a string, got an integer"#), "{body}");
    assert!(body.contains(r#""may_have_run":false"#), "{body}");
    assert_eq!(service.request("/streams/nope", "{}").0, 404);
    let (status, _, body) = service.request("/streams/greet", r#"{"name": "world"}"#);
    assert_eq!(status, 500, "{body}");
    for path in ["/tools/greet", "/streams/count"] {
        let (status, head, body) = service.request(path, "[]");
        assert_eq!(status, 422, "{body}");
        assert!(head.contains("application/json") && body.contains("\"error\":"), "{body}");
    }
    service.stop();
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

#[test]
fn it_listens_at_once_and_is_ready_when_a_worker_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = folder.path().join("gate");
    let options = ["--workers", "1"];
    let Some(service) = Service::spawn("face_adapter:Gated", &gate, &options) else { return };
    let (status, _, body) = service.get("/health/ready");
    assert_eq!((status, body.contains(r#""ready":0"#)), (503, true), "{body}");
    assert_eq!(service.get("/health/live").0, 200);
    let early = service.send("/tools/ping", "{}");
    std::fs::write(gate, "").expect("a file");
    assert_eq!(read(early).0, 200, "who came early has waited");
    assert_eq!(service.get("/health/ready").0, 200);
    service.stop();
}

#[test]
fn a_deadline_is_a_status_and_says_whether_the_call_ran() {
    let Some(service) = Service::start(&["--workers", "1"]) else { return };
    let (folder, arguments) = folder();
    let running = service.send("/tools/wait", &arguments);
    wait_until("the call runs", || began(&folder));
    let (status, head, body) = read(service.send_with("x-timeout: 0.1\r\n", "/tools/ping", "{}"));
    assert_eq!(status, 503, "it never had its turn: {body}");
    assert!(head.contains("retry-after: ") && body.contains(r#""may_have_run":false"#), "{body}");
    std::fs::write(folder.path().join("release"), "").expect("a file");
    assert_eq!(read(running).0, 200);

    let (_folder, arguments) = self::folder();
    let limited = service.send_with("x-timeout: 0.3\r\n", "/tools/wait", &arguments);
    let (status, _, body) = read(limited);
    assert_eq!(status, 504, "{body}");
    assert!(body.contains(r#""may_have_run":true"#), "{body}");

    for wrong in ["soon", "-1", "nan"] {
        let header = format!("x-timeout: {wrong}\r\n");
        assert_eq!(read(service.send_with(&header, "/tools/ping", "{}")).0, 400, "{wrong}");
    }
    let (status, _, body) = service.request("/tools/crash", "{}");
    assert_eq!(status, 502, "{body}");
    assert!(body.contains("exit code 3"), "{body}");
    service.stop();
}

#[test]
fn a_session_is_a_header() {
    let Some(service) = Service::start(&["--workers", "2"]) else { return };
    let note = |session: &str| {
        let header = format!("x-session: {session}\r\n");
        read(service.send_with(&header, "/tools/note", "{}")).2
    };
    assert_eq!([note("ann"), note("ann"), note("bob"), note("ann")], ["0", "1", "0", "2"]);
    service.stop();
}

#[test]
fn who_accepts_events_gets_a_stream_of_them() {
    let Some(service) = Service::start(&["--workers", "1"]) else { return };
    let accept = "accept: text/event-stream\r\n";
    let (status, head, body) = read(service.send_with(accept, "/streams/count", r#"{"n": 2}"#));
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    let events: Vec<&str> = body.lines().filter(|line| line.contains(": ")).collect();
    assert_eq!(events, [r#"data: {"x":0}"#, r#"data: {"x":1}"#]);

    // What ends a stream that has begun is its last event, or its last line.
    let limited = format!("{accept}x-timeout: 1\r\n");
    let (status, _, body) = read(service.send_with(&limited, "/streams/silent", "{}"));
    assert_eq!(status, 200);
    let events: Vec<&str> = body.lines().filter(|line| line.contains(": ")).collect();
    assert_eq!(events[..2], ["data: 1", "event: error"], "{body}");
    assert!(events[2].starts_with(r#"data: {"error":"silent: no answer within 1s"#), "{body}");
    service.stop();
}

#[test]
fn sigterm_may_linger_and_a_second_one_hurries() {
    let options = ["--workers", "1", "--linger", "600", "--drain", "600"];
    let Some(service) = Service::start(&options) else { return };
    service.signal(Signal::SIGTERM);
    wait_until("it asks for no more", || service.get("/health/ready").0 == 503);
    assert_eq!(service.get("/health/live").0, 200);
    assert_eq!(service.request("/tools/ping", "{}").0, 200, "what comes meanwhile is served");

    let (folder, arguments) = folder();
    let running = service.send("/tools/wait", &arguments);
    wait_until("the call runs", || began(&folder));
    service.signal(Signal::SIGTERM);
    wait_until("it takes no more connections", || TcpStream::connect(&service.address).is_err());
    service.signal(Signal::SIGINT);
    assert_eq!(read(running).0, 500, "its call was cancelled");
    service.ended();
}

#[test]
fn a_client_that_never_ends_its_request_does_not_keep_the_service() {
    let Some(service) = Service::start(&["--workers", "1"]) else { return };
    let mut stalled = service.connect();
    write!(stalled, "POST /tools/ping HTTP/1.1\r\nhost: test\r\ncontent-le").expect("it reads");
    assert_eq!(service.get("/health/live").0, 200, "it has been accepted");
    service.stop();
}

/// What stands between `before` and the next `after`.
fn between<'a>(text: &'a str, before: &str, after: char) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split(after).next()
}

#[test]
fn it_answers_as_its_readme_shows() {
    let Some(service) = Service::serving("adapters:Words", &[]) else { return };
    let page = Path::new(snakepit_examples::FOLDER).join("README.md");
    let page = std::fs::read_to_string(page).expect("the page beside this program");
    let mut shown = 0;
    for block in page.split("```console\n").skip(1) {
        let (block, _) = block.split_once("\n```").expect("its end");
        for asked in block.split("$ curl localhost:8000").skip(1) {
            let (line, answer) = asked.split_once('\n').expect("an answer");
            let path = line.split(' ').next().expect("a path");
            let json = between(line, "--json '", '\'').expect("arguments");
            let header = between(line, "-H '", '\'').map(|header| format!("{header}\r\n"));
            let (_, head, body) = read(service.send_with(&header.unwrap_or_default(), path, json));
            let body = if head.contains("chunked") { unchunked(&body) } else { body };
            assert_eq!(body.trim_end(), answer.trim_end(), "{line}");
            shown += 1;
        }
    }
    assert!(shown >= 8, "{shown} requests are shown");
    service.stop();
}

/// A body that came in chunks.
fn unchunked(body: &str) -> String {
    let (mut whole, mut rest) = (String::new(), body);
    while let Some((length, behind)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).expect("the length of a chunk");
        whole.push_str(&behind[..length]);
        rest = behind[length..].trim_start();
    }
    whole
}
