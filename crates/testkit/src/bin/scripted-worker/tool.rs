//! What calls do. Arguments are words; `[GATE]`, where given, is passed first.
//!
//! | tool | arguments | does |
//! |---|---|---|
//! | `echo` | … | answers its arguments |
//! | `raise` | … | fails with an exception of that message |
//! | `unfit`, `large` | | fails: cannot be encoded, is too large |
//! | `whoami`, `session` | | answers the process id; session id and whether it is new |
//! | `hold` | `GATE` | passes the gate, or ends at a cancel |
//! | `stubborn` | `GATE` | passes the gate with the whole thread, deaf to cancels |
//! | `never` | | stops the main thread for good |
//! | `record` | `NAME LEDGER [GATE]` | writes the name down at once, then passes the gate |
//! | `exit`, `signal` | `N [GATE]` | ends the process so |
//! | `twice` | `[GATE]` | answers twice |
//! | `lie` | `WHAT GATE …` | says what it may not say; `lie.rs` lists what |
//! | `path` | | answers the path of the socket that workers dial |
//! | `token` | | answers the token that was good for one line, in hexadecimal digits |
//! | `hang-up` | `[GATE]` | closes the line and waits |
//! | `orphan` | `N [GATE]` | leaves a process behind that holds the line's socket; exits with N |
//! | `count` | `N [GATE]` | streams 0 to N-1 within the window; tells the gate `full SENT` when it must wait, `cancelled SENT` |
//! | `weigh` | `N SIZE` | the same with items of so many bytes |
//! | `race` | `MICROS` | answers so long before or after the deadline, whatever is said meanwhile |
//! | `work` | `MICROS` | keeps the whole thread for so long |
//! | `bomb` | `N` | answers a list in a list, so many inside each other |
//! | `tell` | `NAME N [GATE]` | tells so many events of that name, then passes the gate |
//! | `dropped` | `N` | tells that it dropped so many events in all |
//! | `span` | `NAME` | tells a span's beginning and its end |
//! | `wanted` | | answers which telemetry the host wants |
//! | `stall` | `N GATE` | streams N items, then passes the gate, deaf to cancels |

use std::io::Read;
use std::os::fd::AsRawFd;
use std::process::exit;
use std::time::Duration;

use bytes::Bytes;
use nix::sys::signal::{Signal, raise};
use nix::sys::socket::{Shutdown, shutdown};
use snakepit::Buffers;
use snakepit_proto::v1::result::Outcome;
use snakepit_proto::v1::worker_frame::Frame;
use snakepit_proto::v1::{Chunks, Failure, FailureKind, StartCall, StreamEnd, Tool};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::boot::Side;
use super::calls::Running;
use super::line::Line;
use super::memory;
use super::point::{Point, fails};
use super::{stay, tell};

/// What the worker tells of its tools.
pub fn list() -> Vec<Tool> {
    let tool = |name: &str, streaming| Tool {
        name: name.into(),
        description: format!("scripted {name}"),
        streaming,
        ..Tool::default()
    };
    vec![tool("echo", false), tool("hold", false), tool("count", true)]
}

pub fn value(text: impl Into<String>) -> Outcome {
    Outcome::Value(Bytes::from(text.into()))
}

/// As the words `borrow TOKEN PATH` take it.
pub fn hexadecimal(token: &[u8]) -> String {
    token.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn failure(kind: FailureKind, message: &str) -> Failure {
    Failure {
        kind: kind.into(),
        type_name: "ScriptedError".into(),
        message: message.into(),
        traceback: format!("ScriptedError: {message}"),
        ..Failure::default()
    }
}

pub fn cancelled() -> Outcome {
    Outcome::Failure(failure(FailureKind::Cancelled, "cancelled").into())
}

/// Runs a call to its end, where it has one.
pub async fn run(
    start: &StartCall,
    buffers: &Buffers,
    call: &Running,
    (side, answered): (&Side, &mut Buffers),
    line: &Line,
) -> Outcome {
    let text = String::from_utf8_lossy(&start.arguments).into_owned();
    let words: Vec<&str> = text.split_whitespace().collect();
    let word = |index: usize| words.get(index).copied();
    let number = || word(0).and_then(|word| word.parse::<i32>().ok()).expect("a number");
    match start.tool.as_str() {
        "echo" => value(text),
        "sum" | "keep" | "let-go" | "make" | "mirror" | "exhaust" | "memory" => {
            let (text, made) = memory::run(&start.tool, &words, buffers, &side.memory);
            *answered = made;
            value(text)
        }
        "raise" => Outcome::Failure(failure(FailureKind::Exception, &text).into()),
        "unfit" => {
            Outcome::Failure(failure(FailureKind::Encode, "result: a set is refused").into())
        }
        "large" => {
            let failure = failure(FailureKind::TooLarge, "result is too large");
            Outcome::Failure(Failure { size: 2000, limit: 1000, ..failure }.into())
        }
        "whoami" => value(std::process::id().to_string()),
        "path" => value(side.start.socket_path.as_str()),
        "token" => value(hexadecimal(&side.start.token)),
        "session" => {
            let age = if start.session_new { "new" } else { "old" };
            value(format!("{} {age}", start.session_id))
        }
        "hold" => {
            let mut gate = Gate::enter(word(0)).await;
            tokio::select! {
                () = gate.pass() => value("released"),
                () = call.cancelled() => cancelled(),
            }
        }
        "stubborn" => {
            line.flush().await;
            let path = word(0).expect("a gate");
            let mut gate = std::os::unix::net::UnixStream::connect(path).expect("a gate");
            // A gate that is torn down lets pass, too.
            let _ = gate.read(&mut [0]);
            value("released")
        }
        "never" => {
            line.flush().await;
            stay()
        }
        "record" => {
            write_down(word(0).expect("a name"), word(1).expect("a ledger"));
            Gate::enter(word(2)).await.pass().await;
            value(word(0).unwrap_or_default())
        }
        "exit" => {
            last_words(word(1), line).await;
            eprintln!("leaving with {}", number());
            exit(number());
        }
        "signal" => {
            last_words(word(1), line).await;
            let signal = Signal::try_from(number()).expect("a signal");
            // Rust has a handler of its own for SIGSEGV, which gives way at the second one.
            loop {
                raise(signal).expect("raised");
            }
        }
        "twice" => {
            last_words(word(0), line).await;
            line.answer(start.call_id, value("once"));
            value("twice")
        }
        "hang-up" => {
            last_words(word(0), line).await;
            shutdown(line.socket().as_raw_fd(), Shutdown::Both).expect("a connected socket");
            stay()
        }
        "orphan" => {
            last_words(word(1), line).await;
            leave_behind(line);
            exit(number());
        }
        "count" => {
            let gate = Gate::enter(word(1)).await;
            count(start, number(), |item| item.to_string().into(), gate, call, line).await
        }
        "weigh" => {
            let size = word(1).and_then(|word| word.parse().ok()).expect("a size");
            let item = |_| Bytes::from(vec![0; size]);
            count(start, number(), item, Gate::enter(None).await, call, line).await
        }
        "race" => {
            let left = Duration::from_micros(start.time_left_us);
            let offset = Duration::from_micros(number().unsigned_abs().into());
            let wait = if number() < 0 { left.saturating_sub(offset) } else { left + offset };
            // With the whole thread: the runtime's timers count milliseconds.
            std::thread::sleep(wait);
            value(text)
        }
        "work" => {
            line.flush().await;
            std::thread::sleep(Duration::from_micros(number().unsigned_abs().into()));
            value("done")
        }
        "tell" => {
            let count = word(1).and_then(|word| word.parse().ok()).expect("a number");
            tell::events(word(0).expect("a name"), count, start.call_id, line);
            last_words(word(2), line).await;
            value("told")
        }
        "dropped" => {
            tell::dropped(u64::from(number().unsigned_abs()), line);
            value("told")
        }
        "span" => {
            let name = word(0).expect("a name");
            [false, true].iter().for_each(|&end| tell::span(name, end, start.call_id, line));
            value("told")
        }
        "wanted" => value(tell::wanted()),
        "bomb" => Outcome::Value(vec![0x91; number() as usize].into()),
        "stall" => {
            for item in 0..number() {
                say_items(start, vec![item.to_string().into()], line);
            }
            Gate::enter(word(1)).await.pass().await;
            Outcome::End(StreamEnd {})
        }
        "lie-buffer" => {
            memory::lie(word(0).expect("what"), start.call_id, side, line).await;
            stay()
        }
        other => {
            let failure = failure(FailureKind::ToolNotFound, &format!("no tool {other}"));
            Outcome::Failure(Failure { suggestions: vec!["echo".into()], ..failure }.into())
        }
    }
}

/// Sends what earlier calls answered, as any end does before it runs something that may take long,
/// and passes the gate.
pub async fn last_words(gate: Option<&str>, line: &Line) {
    line.flush().await;
    Gate::enter(gate).await.pass().await;
}

async fn count(
    start: &StartCall,
    items: i32,
    item: impl Fn(i32) -> Bytes,
    mut gate: Gate,
    call: &Running,
    line: &Line,
) -> Outcome {
    let mut sent = (0, 0);
    for item in (0..items).map(item) {
        let length = item.len() as u64;
        let full = || {
            let taken = call.taken();
            let (items, bytes) = (sent.0 - taken.0, sent.1 - taken.1);
            let (most, most_bytes) = (u64::from(start.window_items), start.window_bytes);
            items > 0 && (items >= most || bytes + length > most_bytes)
        };
        while full() && !call.is_cancelled() {
            gate.tell(&format!("full {}", sent.0)).await;
            call.changed().await;
        }
        if call.is_cancelled() {
            gate.tell(&format!("cancelled {}", sent.0)).await;
            return cancelled();
        }
        if fails(Point::Item) {
            return Outcome::Failure(failure(FailureKind::Exception, "planned at Item").into());
        }
        say_items(start, vec![item], line);
        sent = (sent.0 + 1, sent.1 + length);
        // The line is driven by this thread.
        tokio::task::yield_now().await;
    }
    Outcome::End(StreamEnd {})
}

pub fn say_items(start: &StartCall, items: Vec<Bytes>, line: &Line) {
    let (call_id, buffers) = (start.call_id, Vec::new());
    line.say(Frame::Chunks(Chunks { call_id, items, buffers }));
}

/// One item with its buffers.
pub fn say_item(start: &StartCall, item: Bytes, buffers: Buffers, side: &Side, line: &Line) {
    let (call_id, items, buffers) = (start.call_id, vec![item], side.memory.lend(&buffers));
    line.say(Frame::Chunks(Chunks { call_id, items, buffers }));
}

fn write_down(name: &str, ledger: &str) {
    use std::io::Write;
    let mut ledger = std::fs::File::options().append(true).open(ledger).expect("a ledger");
    // One write: a line is there or it is not.
    ledger.write_all(format!("{name}\n").as_bytes()).expect("written");
}

#[expect(clippy::zombie_processes, reason = "it is to outlive this process; the shim reaps it")]
fn leave_behind(line: &Line) {
    // Unlike any other descriptor here, this one survives an exec.
    let socket = nix::unistd::dup(line.socket()).expect("a descriptor");
    let myself = std::env::current_exe().expect("the path of this program");
    std::process::Command::new(myself).arg("linger").spawn().expect("a child");
    drop(socket);
}

/// The test's gate, or none: then nothing holds a call up.
struct Gate(Option<UnixStream>);

impl Gate {
    async fn enter(path: Option<&str>) -> Self {
        match path {
            Some(path) => Self(Some(UnixStream::connect(path).await.expect("a gate"))),
            None => Self(None),
        }
    }

    async fn pass(&mut self) {
        if let Some(gate) = &mut self.0 {
            // A gate that is torn down lets pass, too.
            let _ = gate.read(&mut [0]).await;
        }
    }

    async fn tell(&mut self, text: &str) {
        if let Some(gate) = &mut self.0 {
            let _ = gate.write_all(format!("{text}\n").as_bytes()).await;
        }
    }
}
