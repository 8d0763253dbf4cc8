//! What no honest worker says, word by word.
//!
//! | word | is |
//! |---|---|
//! | `hello`, `ready`, `start-failed`, `result`, `chunks` | that frame, of the call that runs or of number 1 |
//! | `value` | a value, whatever the call wants |
//! | `blank`, `no-frame`, `large` | a frame of no kind; bytes that are none; one of 100 kB |
//! | `no-outcome`, `no-items` | a result without outcome, chunks without items |
//! | `end` | the end of a stream |
//! | `two-ready` | Ready twice |
//! | `no-http` | bytes on the line's socket that are not HTTP/2 |
//! | `deep` | a frame of groups inside each other, 60,000 of them |
//! | `headers N` | so many names of metadata in one block of HTTP/2 |
//! | `aside` | a message on the control socket that is none |
//! | `attach` | a second line with its token |
//! | `about N`, `go-on N` | an answer, an item, of the call of that number |
//! | `ask N`, `ask-for N`, `ask-twice` | so many host tools at once; one for the call of that number; two of one number |
//! | `ask-heavy` | two host tools that have more arguments together than a message may have |
//! | `tell NAME N` | an event of that name in the frame, so often |
//! | `flood N`, `heap N SIZE`, `pile N` | so many items at once, of so many bytes, in one frame |

use std::os::fd::{AsFd, AsRawFd};
use std::process::exit;

use bytes::Bytes;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send};
use snakepit_proto::v1::result::Outcome;
use snakepit_proto::v1::worker_frame::Frame;
use snakepit_proto::v1::{
    CallHostTool, Chunks, Event, Ready, Result as CallResult, Start, StartCall, StreamEnd,
    Telemetry,
};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::boot::Side;
use super::line::{Line, NO_FRAME, dial, hello};
use super::script::{Beginning, Script};
use super::tool::{hexadecimal, last_words, say_items, value};
use super::{REFUSED, stay};

/// Larger than a pool of small messages takes.
const LARGE: usize = 100_000;

/// What a worker does that begins wrong before there is a line; returns in others.
pub async fn instead_of_dialling(script: &Script, start: &Start) {
    match script.beginning {
        Beginning::Raw(bytes) => {
            let mut stream = UnixStream::connect(&start.socket_path).await.expect("a host");
            stream.write_all(bytes).await.expect("room for a few bytes");
            std::future::pending().await
        }
        Beginning::Lend => {
            lend(start);
            stay()
        }
        _ => {}
    }
}

#[expect(clippy::zombie_processes, reason = "this process is about to be killed")]
fn lend(start: &Start) {
    let token = hexadecimal(&start.token);
    let myself = std::env::current_exe().expect("the path of this program");
    let mut other = std::process::Command::new(myself);
    other.args(["borrow", &token, &start.socket_path]).spawn().expect("a child");
}

/// Says Hello with a token that another process was given.
pub async fn borrow(script: &Script, token: &str, path: &str) {
    let byte = |at: usize| u8::from_str_radix(&token[at..at + 2], 16).expect("digits");
    let token: Vec<u8> = (0..token.len()).step_by(2).map(byte).collect();
    let start = Start { token: token.into(), socket_path: path.to_owned(), ..Start::default() };
    let Ok(_line) = dial(script, &start).await else { exit(REFUSED) };
    std::future::pending().await
}

/// A block of headers without an end, on the line's own connection. The host hangs up on it.
fn metadata(line: &Line, names: u64) {
    const HEADERS: u8 = 1;
    const CONTINUATION: u8 = 9;
    // Literals that no table of HPACK keeps.
    let block = b"\x10\x01a\x01b".repeat(1024);
    let length = (block.len() as u32).to_be_bytes();
    for part in 0..names.div_ceil(1024) {
        let kind = if part == 0 { HEADERS } else { CONTINUATION };
        let head = [length[1], length[2], length[3], kind, 0, 0, 0, 0, 3];
        let frame = [&head[..], &block].concat();
        let mut rest = &frame[..];
        while !rest.is_empty() {
            // With the thread: nothing else may be said in between.
            match send(line.socket().as_raw_fd(), rest, MsgFlags::MSG_NOSIGNAL) {
                Ok(sent) => rest = &rest[sent..],
                Err(Errno::EAGAIN) => std::thread::sleep(std::time::Duration::from_millis(1)),
                Err(_) => return,
            }
        }
    }
}

/// What a call does that lies: passes the gate, lies, and waits for what comes of it.
pub async fn call(start: &StartCall, script: &Script, side: &Side, line: &Line) -> ! {
    let text = String::from_utf8_lossy(&start.arguments).into_owned();
    let (what, gate) = text.rsplit_once(' ').expect("what, and a gate");
    last_words(Some(gate), line).await;
    tell(what, Some(start), script, side, line).await;
    std::future::pending().await
}

/// Says it. `call`: the one that runs, once the worker is ready.
pub async fn tell(what: &str, call: Option<&StartCall>, script: &Script, side: &Side, line: &Line) {
    let mut words = what.split_whitespace();
    let word = words.next().expect("a word");
    let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).expect("a number");
    let call_id = call.map_or(1, |call| call.call_id);
    let items = |count| vec![Bytes::from_static(b"item"); count];
    let chunks = |call_id, items| Frame::Chunks(Chunks { call_id, items, buffers: Vec::new() });
    match word {
        "hello" => line.say(Frame::Hello(hello(script, &side.start))),
        "ready" => line.say(Frame::Ready(Ready::default())),
        "two-ready" => {
            line.say(Frame::Ready(Ready::default()));
            line.say(Frame::Ready(Ready::default()));
        }
        "start-failed" => line.say(Frame::StartFailed(Box::default())),
        "result" | "value" => line.answer(call_id, value("out of turn")),
        "chunks" => line.say(chunks(call_id, items(1))),
        "end" => line.answer(call_id, Outcome::End(StreamEnd {})),
        "no-outcome" => {
            line.say(Frame::Result(CallResult { call_id, outcome: None, buffers: Vec::new() }))
        }
        "no-items" => line.say(chunks(call_id, Vec::new())),
        "blank" => line.say_bytes(Bytes::new()),
        "no-frame" => line.say_bytes(NO_FRAME),
        "large" => line.answer(call_id, Outcome::Value(vec![0; LARGE].into())),
        "no-http" => {
            let sent = send(line.socket().as_raw_fd(), &[0xff; 64], MsgFlags::empty());
            sent.expect("a connected socket");
        }
        // The beginning of field 1 as a group, again and again.
        "deep" => line.say_bytes(vec![0x0b; 60_000].into()),
        "headers" => metadata(line, number()),
        "aside" => {
            let socket = side.control.as_fd().as_raw_fd();
            send(socket, b"?", MsgFlags::empty()).expect("a connected socket");
        }
        "attach" => {
            // Refused, and this process with it: whoever answers first.
            let _ = dial(script, &side.start).await;
        }
        "about" => line.answer(number(), value("whose?")),
        "go-on" => line.say(chunks(number(), items(1))),
        "ask" => (0..number()).for_each(|id| line.say(ask(id, call_id, 0))),
        "ask-for" => line.say(ask(1, number(), 0)),
        "ask-twice" => (0..2).for_each(|_| line.say(ask(1, call_id, 0))),
        "ask-heavy" => (0..2).for_each(|id| line.say(ask(id, call_id, 1000))),
        "tell" => {
            let name = words.next().expect("a name").replace('_', " ");
            let count = words.next().and_then(|word| word.parse().ok()).expect("a number");
            let events = vec![Event { name, ..Event::default() }; count];
            line.say(Frame::Telemetry(Telemetry { events, ..Telemetry::default() }));
        }
        "flood" => (0..number()).for_each(|_| line.say(chunks(call_id, items(1)))),
        "pile" => line.say(chunks(call_id, items(number() as usize))),
        "heap" => {
            let (count, size) = (number(), number() as usize);
            let call = call.expect("a call");
            (0..count).for_each(|_| say_items(call, vec![vec![0; size].into()], line));
        }
        other => panic!("no such lie: {other}"),
    }
}

/// Asks for the host tool `stuck`, which the tests register.
fn ask(id: u64, call_id: u64, bytes: usize) -> Frame {
    let (name, arguments) = ("stuck".to_owned(), vec![0; bytes].into());
    Frame::CallHostTool(CallHostTool { id, call_id, name, arguments, ..CallHostTool::default() })
}
