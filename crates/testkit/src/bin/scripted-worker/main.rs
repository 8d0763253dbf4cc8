//! A worker without Python: it speaks the real protocol as a real process, and misbehaves on demand.
//!
//! ```text
//! script  what its arguments say about how it starts
//! boot    shim and worker, start message, shared page                 single-threaded
//! line    dial, hello, frames                                         main thread
//! calls   what cancels and grants say about calls                     written by the control thread
//! tool    what a call does
//! memory  large buffers, and the tools that have to do with them
//! tell    its adapter's telemetry
//! lie     what is said that no honest worker says
//! point   where it fails because its host's test says so
//! ```
//!
//! One call at a time, in the order in which they came, each claimed in the shared page before
//! anything else is looked at: as the Python end does it.

mod boot;
mod calls;
mod lie;
mod line;
mod memory;
mod point;
mod script;
mod tell;
mod tool;

use std::future::pending;
use std::process::exit;
use std::sync::Arc;

use snakepit::Buffers;
use snakepit::process::arena::Parked;
use snakepit::process::{Page, WordState};
use snakepit_proto::v1::host_frame::Frame as FromHost;
use snakepit_proto::v1::result::Outcome;
use snakepit_proto::v1::worker_frame::Frame as ToHost;
use snakepit_proto::v1::{self, FailureKind};
use tokio::sync::mpsc;

use boot::Side;
use calls::Calls;
use line::{Incoming, Line};
use point::{Point, fails};
use script::{Ending, Script};

/// Exit code of a worker whose host is gone.
const NO_HOST: i32 = 70;

/// Exit code of a worker that the host did not let in.
const REFUSED: i32 = 71;

/// Exit code of a worker that a test's plan has ended.
const FAILED: i32 = 72;

fn main() {
    point::arm();
    let script = Script::from_args();
    // What became a shim or was left behind has passed here, too.
    if !script.lingers && script.borrowed.is_none() && fails(Point::Exec) {
        exit(FAILED);
    }
    if script.lingers {
        stay();
    }
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    if let Some((token, path)) = &script.borrowed {
        return runtime().expect("a runtime").block_on(lie::borrow(&script, token, path));
    }
    let side = boot::become_worker(&script);
    runtime().expect("a runtime").block_on(live(&script, side));
}

/// Whatever is asked: for ever.
fn stay() -> ! {
    loop {
        std::thread::park();
    }
}

async fn live(script: &Script, side: Side) {
    let calls = Arc::new(Calls::default());
    let control = side.control.clone();
    let (heard, memory) = (calls.clone(), side.memory.clone());

    lie::instead_of_dialling(script, &side.start).await;
    if fails(Point::Dial) {
        exit(REFUSED);
    }
    let Ok((line, mut incoming)) = line::dial(script, &side.start).await else { exit(REFUSED) };
    let Some(FromHost::Initialize(initialize)) = incoming.next().await else { exit(REFUSED) };
    tell::want(initialize.telemetry.clone());
    side.memory.open(&side.control, initialize.shared_memory.as_ref());
    std::thread::spawn(move || boot::serve_control(&control, &heard, &memory));
    match fails(Point::Warmup) {
        true => fail(&line, "planned to fail", false).await,
        false => initialize_as(script, &side, &line, &initialize).await,
    }

    let (sender, mut queue) = mpsc::unbounded_channel();
    tokio::spawn(read(incoming, sender, calls.clone()));
    let mut parked = Parked::default();
    while let Some(frame) = queue.recv().await {
        match frame {
            FromHost::StartCall(mut call) => {
                if fails(Point::Take) {
                    exit(FAILED);
                }
                let revoked =
                    word(&call, &side).is_some_and(|(at, page)| !page.start(at, call.call_id));
                // What it borrowed is given back where it was taken back.
                match side.memory.read(std::mem::take(&mut call.buffers)) {
                    _ if revoked => {}
                    Ok(buffers) => take_up(&call, &buffers, &calls, script, &side, &line).await,
                    Err(told) => {
                        line.say(ToHost::Unread(v1::Unread { call_id: call.call_id }));
                        parked.add(call.call_id, call, told);
                    }
                }
            }
            FromHost::BufferBytes(part) if part.gone => {
                if let Some(call) = parked.gone(part.call_id) {
                    line.answer(call.call_id, tool::cancelled());
                }
            }
            FromHost::BufferBytes(part) => {
                let whole = parked.more(part.call_id, part.index, &part.bytes);
                if let Some((call, buffers)) = whole {
                    take_up(&call, &buffers, &calls, script, &side, &line).await;
                }
            }
            FromHost::TelemetryControl(control) => tell::want(Some(control)),
            FromHost::Drain(_) if script.heeds_drain && !fails(Point::Shutdown) => {
                line.flush().await;
                exit(0);
            }
            _ => {}
        }
    }
}

/// Sorts what the host says: calls wait for their turn, the rest must not.
async fn read(mut incoming: Incoming, queue: mpsc::UnboundedSender<FromHost>, calls: Arc<Calls>) {
    while let Some(frame) = incoming.next().await {
        match frame {
            FromHost::CancelCall(cancel) => calls.cancel(cancel.call_id),
            FromHost::GrantChunks(grant) => calls.grant(grant.call_id, grant.items, grant.bytes),
            frame => {
                // The main task ends with the process only.
                let _ = queue.send(frame);
            }
        }
    }
    exit(NO_HOST);
}

/// What the adapter's `initialize()` would do.
async fn initialize_as(script: &Script, side: &Side, line: &Line, initialize: &v1::Initialize) {
    match &script.ending {
        Ending::Ready { from } if initialize.generation >= *from => {
            line.say(ToHost::Ready(v1::Ready { tools: tool::list(), ..Default::default() }));
        }
        Ending::Ready { .. } => {
            fail(line, "not yet", false).await;
        }
        Ending::Failed { permanent } => fail(line, "scripted to fail", *permanent).await,
        Ending::Source => {
            let mut failure = tool::failure(FailureKind::AdapterSource, "no module named scripted");
            failure.type_name = "ModuleNotFoundError".into();
            let failed = v1::StartFailed { failure: Some(failure), permanent: true };
            line.say(ToHost::StartFailed(failed.into()));
            line.flush().await;
            exit(1);
        }
        Ending::Exit(code) => {
            eprintln!("leaving initialize()");
            exit(*code);
        }
        Ending::Hang => pending().await,
        Ending::Lie(what) => lie::tell(what, None, script, side, line).await,
    }
}

async fn fail(line: &Line, message: &str, permanent: bool) {
    let failure = Some(tool::failure(FailureKind::Exception, message));
    line.say(ToHost::StartFailed(v1::StartFailed { failure, permanent }.into()));
    line.flush().await;
    exit(1);
}

/// The word of a call, where it has one.
fn word<'a>(start: &v1::StartCall, side: &'a Side) -> Option<(u32, &'a Page)> {
    start.word.checked_sub(1).zip(side.page.as_ref())
}

async fn take_up(
    start: &v1::StartCall,
    buffers: &Buffers,
    calls: &Calls,
    script: &Script,
    side: &Side,
    line: &Line,
) {
    let word = word(start, side);
    if start.tool == "lie" {
        lie::call(start, script, side, line).await;
    }
    let call = calls.begin(start.call_id);
    let mut answered = Buffers::default();
    let outcome = match planned(&[Point::Decode, Point::Run]) {
        Some(failure) => failure,
        None => tool::run(start, buffers, &call, (side, &mut answered), line).await,
    };
    let outcome = match outcome {
        Outcome::Value(value) if start.streaming => {
            tool::say_item(start, value, std::mem::take(&mut answered), side, line);
            Outcome::End(v1::StreamEnd {})
        }
        outcome => planned(&[Point::Encode]).unwrap_or(outcome),
    };
    calls.end(start.call_id);
    if !fails(Point::Answer) {
        line.answer_with(start.call_id, outcome, side.memory.lend(&answered));
    }
    let done = !fails(Point::Ack);
    if let Some((index, page)) = word
        && done
        && !page.finish(index, start.call_id)
        && page.state(index, start.call_id) == WordState::Condemned
    {
        pending::<()>().await; // the host kills us, and nobody else
    }
}

/// What comes of a call that fails at one of these places.
fn planned(points: &[Point]) -> Option<Outcome> {
    let failed = points.iter().find(|point| fails(**point))?;
    let kind = match failed {
        Point::Encode => FailureKind::Encode,
        _ => FailureKind::Exception,
    };
    Some(Outcome::Failure(tool::failure(kind, &format!("planned at {failed:?}")).into()))
}
