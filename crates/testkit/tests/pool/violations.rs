//! Whatever a worker says that it may not say is named; it is replaced, and nobody else notices.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use snakepit::{
    CallSpec, Cause, Error, ExitReport, HostCall, HostTool, HostToolOptions, Pool, Violation,
};
use snakepit_testkit::{Builder, Gate, PATIENCE, TestPool, call, pool, soon, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::starting::refusal;
use super::{answer, death, submit};

/// Small messages, so that a large one is quick to send.
fn two() -> Builder {
    pool(2).max_message(1024)
}

/// The worker of slot 0 lies in a call, while a call runs in the other one and five wait.
async fn only_the_liar_is_ended(streaming: bool, lie: &str) -> ExitReport {
    let pool = two().start().await;
    pool.register_host_tool("stuck", HostToolOptions::default(), Arc::new(Stuck::default()))
        .expect("a new name");
    let (here, there) = (Gate::new(), Gate::new());
    let guilty = tokio::spawn(run(pool.clone(), streaming, call("lie", &here.after(lie))));
    let mut crime = here.visit().await;
    let bystander = submit(&pool, "hold", &there.after(""));
    let mut other = there.visit().await;
    let waiting: Vec<_> = (0..5).map(|n| submit(&pool, "echo", &n.to_string())).collect();

    crime.release().await;
    let error = soon("the end of the call", guilty).await.expect("no panic");
    let exit = death(error);
    for (n, reply) in waiting.into_iter().enumerate() {
        assert_eq!(answer(reply).await.expect("a bystander"), n.to_string());
    }
    pool.refilled(2).await;
    assert_eq!(pool.run("echo", "on").await.expect("the new worker"), "on");
    other.release().await;
    assert_eq!(answer(bystander).await.expect("a bystander"), "released");
    assert_eq!(pool.generation(1), 1, "the other worker was left alone");
    assert_eq!(pool.stats().counters.worker_deaths, 1);
    pool.finish().await;
    ExitReport::clone(&exit)
}

/// A host tool that never answers.
#[derive(Default)]
struct Stuck(Mutex<Vec<HostCall>>);

impl HostTool for Stuck {
    fn call(&self, call: HostCall) {
        self.0.lock().expect("no panic").push(call);
    }
}

/// How a call or a stream fails.
async fn run(pool: Pool, streaming: bool, spec: CallSpec) -> Error {
    if !streaming {
        return pool.submit(spec).expect("admitted").await.expect_err("a death");
    }
    let mut stream = pool.stream(spec).expect("admitted");
    // Nothing is taken before the worker is gone: whatever it sends is under way.
    until("the worker is gone", || pool.stats().counters.worker_deaths > 0).await;
    loop {
        match stream.next_chunk().await.expect("an error at the end") {
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}

/// Killed for it, and told so in words.
fn check(exit: &ExitReport, name: &str, told: &str) {
    let violation = exit.violation.as_ref().expect("a violation");
    assert_eq!(violation.name(), name, "{violation}");
    assert_eq!(exit.signal_name, Some("SIGKILL"), "{exit}");
    assert_eq!(exit.cause, Cause::Protocol);
    let reason = exit.reason.as_deref().unwrap_or_default();
    assert_eq!(reason, format!("killed by the host: it broke the protocol: {violation}"));
    assert!(reason.contains(told), "{reason:?} does not say {told:?}");
}

macro_rules! lies {
    ($($name:ident: $kind:ident $lie:literal => $violation:literal $told:literal;)+) => {$(
        #[tokio::test]
        async fn $name() {
            let streaming = stringify!($kind) == "stream";
            check(&only_the_liar_is_ended(streaming, $lie).await, $violation, $told);
        }
    )+};
}

lies! {
    more_host_tools_than_allowed: plain "ask 300" => "host_tool_flood" "more host tools at once";
    more_arguments_than_allowed: plain "ask-heavy" => "host_tool_flood" "max_message";
    two_host_tools_of_one_number: plain "ask-twice" => "host_tool_twice" "host tool 1 while";
    a_host_tool_for_no_call:
        plain "ask-for 4398046511104" => "unknown_call" "which nobody made";
    a_second_hello: plain "hello" => "second_hello" "a second Hello";
    a_second_line: plain "attach" => "second_attach" "a second Attach with its token";
    ready_in_a_call: plain "ready" => "out_of_turn" "Ready after Ready";
    start_failed_in_a_call: plain "start-failed" => "out_of_turn" "StartFailed after Ready";
    a_frame_of_no_kind: plain "blank" => "unknown_frame" "a frame of an unknown kind";
    bytes_that_are_no_protobuf: plain "no-frame" => "malformed_frame" "failed to decode";
    a_frame_that_is_too_deep: plain "deep" => "malformed_frame" "failed to decode";
    a_message_that_is_none: plain "aside" => "malformed_frame" "control socket: malformed";
    a_frame_that_is_too_large: plain "large" => "too_large" "a frame of more than 66560 bytes";
    an_answer_to_no_call: plain "about 4398046511104" => "unknown_call" "which nobody made";
    an_item_of_no_call: stream "go-on 4398046511104" => "unknown_call" "which nobody made";
    a_result_without_outcome: plain "no-outcome" => "empty_outcome" "without an outcome";
    items_of_a_plain_call: plain "chunks" => "wrong_kind" "which is none that streams";
    the_end_of_a_plain_call: plain "end" => "wrong_kind" "which is none that streams";
    a_value_of_a_stream: stream "value" => "wrong_kind" "which is a stream";
    chunks_without_an_item: stream "no-items" => "empty_chunks" "without an item";
    an_event_without_a_name: plain "tell _ 1" => "bad_telemetry" "an event's name";
    more_events_than_a_frame_has: plain "tell a 1025" => "bad_telemetry" "1025 events and spans";
    more_items_than_granted: stream "flood 2000" => "credit_exceeded" "1025 items and 4100 bytes";
    more_items_in_one_frame: stream "pile 2000" => "credit_exceeded" "1025 items and 4100 bytes";
    more_bytes_than_granted:
        stream "heap 30 60000" => "credit_exceeded" "18 items and 1080000 bytes";
}

#[tokio::test]
async fn a_million_names_of_metadata_end_the_line_and_cost_no_memory() {
    let before = resident();
    let exit = only_the_liar_is_ended(false, "headers 1000000").await;
    let violation = exit.violation.as_ref().expect("a violation");
    assert_eq!(violation.name(), "malformed_frame", "{violation}");
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
}

/// Bytes of memory that this process has now; other tests run beside.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("a number") * 4096
}

#[tokio::test]
async fn a_value_that_is_too_deep_is_an_error_of_its_call_alone() {
    let pool = pool(1).start().await;
    let before = pool.run("whoami", "").await.expect("an answer");
    let raw = pool.submit(call("bomb", "1000000")).expect("admitted").await.expect("bytes").bytes;
    assert_eq!(raw.len(), 1_000_000);
    let told = snakepit::value::decode::<snakepit::Value>(&raw).expect_err("too deep");
    assert!(told.to_string().contains("nested deeper than 128"), "{told}");
    assert_eq!(pool.run("whoami", "").await.expect("an answer"), before);
    pool.finish().await;
}

#[tokio::test]
async fn bytes_that_are_no_http2_end_the_line_and_the_worker() {
    let exit = only_the_liar_is_ended(false, "no-http").await;
    let violation = exit.violation.as_ref().expect("a violation");
    assert_eq!(violation.name(), "malformed_frame", "{violation}");
    // Its own end may notice first that the host hung up.
    let told = exit.reason.as_deref().unwrap_or_default();
    assert!(told.ends_with(&format!("it broke the protocol: {violation}")), "{told}");
}

/// A call in the worker of a session that says `lie` of the call `id`.
async fn accuse(pool: &TestPool, gate: &Gate, lie: &str, id: u64) -> Violation {
    let mut spec = call("lie", &gate.after(&format!("{lie} {id}")));
    spec.session = Some(pool.session_handle("s", None).key());
    let guilty = pool.submit(spec).expect("admitted");
    gate.visit().await.release().await;
    let exit = death(answer(guilty).await.expect_err("a death"));
    exit.violation.clone().expect("a violation")
}

#[tokio::test]
async fn a_second_answer_is_told_from_one_to_a_call_of_another_worker() {
    let pool = pool(2).start().await;
    let (here, there) = (Gate::new(), Gate::new());
    for (generation, lie) in [(2, "about"), (3, "go-on")] {
        let mut spec = call("echo", "once");
        spec.session = Some(pool.session_handle("s", None).key());
        let first = pool.submit(spec).expect("admitted");
        let id = first.id();
        assert_eq!(answer(first).await.expect("the first answer counts"), "once");
        let violation = accuse(&pool, &here, lie, id.raw()).await;
        assert_eq!(violation, Violation::AnsweredTwice { call: id });
        pool.refilled(generation).await;
    }

    let elsewhere = submit(&pool, "hold", &there.after(""));
    let mut other = there.visit().await;
    // A session of its own makes the idle worker its home.
    let violation = accuse(&pool, &here, "about", elsewhere.id().raw()).await;
    assert_eq!(violation, Violation::NotItsCall { call: elsewhere.id() });
    other.release().await;
    assert_eq!(answer(elsewhere).await.expect("a bystander"), "released");
    pool.finish().await;
}

/// A pool whose workers all begin so cannot start, and says why.
async fn no_start(how: &str, tries: u64) -> Violation {
    let failure = refusal(pool(1).max_message(1024).start_as(how)).await;
    let violation = failure.violation.clone().expect("a violation");
    assert_eq!(failure.reason, format!("it broke the protocol: {violation}"));
    assert_eq!(failure.permanent, violation.is_permanent());

    let pool = pool(1).max_message(1024).start_as(how).open();
    assert!(pool.await_ready(Some(PATIENCE)).await.is_err());
    assert_eq!(pool.generation(0), 1 + tries, "the next one is for later");
    pool.finish().await;
    violation
}

/// One worker begins so, and another takes its place while a call runs in the second slot.
async fn one_bad_start(how: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mark = folder.path().join("first");
    let how = format!("{how} once {}", mark.display());
    let pool = pool(2).max_message(1024).start_as(&how).open();
    let gate = Gate::new();
    let bystander = submit(&pool, "hold", &gate.after(""));
    let mut visit = gate.visit().await;
    pool.await_ready(Some(PATIENCE)).await.expect("the second try");
    let mut generations = [0, 1].map(|slot| pool.generation(slot));
    generations.sort_unstable();
    assert_eq!(generations, [1, 2], "{how}");
    visit.release().await;
    assert_eq!(answer(bystander).await.expect("a bystander"), "released");
    assert_eq!(pool.stats().counters.worker_deaths, 0, "none had been ready");
    pool.finish().await;
}

macro_rules! bad_starts {
    ($($name:ident: $how:literal => $violation:literal $told:literal;)+) => {$(
        #[tokio::test]
        async fn $name() {
            let violation = no_start($how, 5).await;
            assert_eq!(violation.name(), $violation, "{violation}");
            assert!(violation.to_string().contains($told), "{violation}");
            one_bad_start($how).await;
        }
    )+};
}

bad_starts! {
    another_token: "wrong-token" => "wrong_token" "not its own";
    a_token_used_by_another_process: "lend" => "foreign_process" "end in `exec PROGRAM`";
    another_first_frame: "no-hello" => "not_hello" "not Hello";
    a_first_frame_that_is_none: "bad-hello" => "malformed_frame" "failed to decode";
    a_connection_that_is_not_http2: "no-http" => "malformed_frame" "does not begin as HTTP/2";
    an_http2_frame_that_is_too_large: "long-frame" => "malformed_frame" "16777215 bytes";
    an_answer_before_ready: "lie result" => "out_of_turn" "Result before Ready";
    items_before_ready: "lie chunks" => "out_of_turn" "Chunks before Ready";
    hello_before_ready: "lie hello" => "second_hello" "a second Hello";
    a_second_line_before_ready: "lie attach" => "second_attach" "a second Attach";
    no_kind_before_ready: "lie blank" => "unknown_frame" "unknown kind";
    no_frame_before_ready: "lie no-frame" => "malformed_frame" "failed to decode";
    a_large_frame_before_ready: "lie large" => "too_large" "66560 bytes";
    no_control_message_before_ready: "lie aside" => "malformed_frame" "control socket";
    no_http2_before_ready: "lie no-http" => "malformed_frame" "";
}

#[tokio::test]
async fn an_older_and_a_newer_protocol_are_refused_for_good_and_say_whom_to_update() {
    let old = no_start("protocol 0", 1).await;
    assert_eq!(old, Violation::OldProtocol { spoken: 0, ours: 1 });
    assert!(old.to_string().contains("pip install --upgrade snakepit-bridge"), "{old}");
    let new = no_start("protocol 99", 1).await;
    assert_eq!(new, Violation::NewProtocol { spoken: 99, ours: 1 });
    assert!(new.to_string().contains("pip install --upgrade snakepit-pool"), "{new}");
}

#[tokio::test]
async fn a_worker_that_connects_and_never_says_hello_is_given_up_and_told_apart() {
    for how in ["silent", "half-http"] {
        // Long enough to connect on a busy machine, shorter than the listener waits for Hello.
        let limit = Duration::from_secs(5);
        let failure = refusal(pool(1).start_as(how).start_timeout(limit)).await;
        assert!(failure.reason.contains("has connected and not said Hello"), "{}", failure.reason);
    }
}

#[tokio::test]
async fn what_comes_with_ready_is_judged_too() {
    let pool = pool(1).start_as("lie two-ready").open();
    // It is ready for a moment; then it is replaced by one that does the same.
    until("the worker is ended", || pool.stats().counters.worker_deaths >= 2).await;
    assert!(pool.generation(0) >= 3);
    pool.finish().await;
}

#[tokio::test]
async fn strangers_at_the_socket_cost_their_own_connections_only() {
    let pool = pool(1).start().await;
    let path = pool.run("path", "").await.expect("where workers dial");
    let gate = Gate::new();
    let running = submit(&pool, "hold", &gate.after(""));
    let mut visit = gate.visit().await;

    let mut rude = UnixStream::connect(&path).await.expect("it listens");
    rude.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("room");
    let hung_up = async {
        let mut said = [0; 64];
        while rude.read(&mut said).await.is_ok_and(|length| length > 0) {}
    };
    soon("the host hangs up", hung_up).await;
    // More than the host keeps; each is one descriptor here, too.
    let mut silent = Vec::new();
    for _ in 0..400 {
        silent.push(UnixStream::connect(&path).await.expect("it listens"));
    }
    visit.release().await;
    assert_eq!(answer(running).await.expect("a bystander"), "released");
    pool.run("exit", "3").await.expect_err("a death");
    pool.refilled(2).await;
    assert_eq!(pool.run("echo", "on").await.expect("a worker that dialled in"), "on");
    assert_eq!(pool.stats().counters.worker_deaths, 1);
    drop(silent);
    pool.finish().await;
}
