//! A table over all points and what can go wrong there (row 13 of the reliability tests).

use std::time::Duration;

use snakepit::failpoint::Point;
use snakepit::{CallSpec, Error, Life};
use snakepit_testkit::{TestPool, call, pool, soon, until};

use super::armed;

/// Calls of one case, and streams beside them.
const CALLS: usize = 12;
const STREAMS: usize = 3;
const ITEMS: usize = 5;

/// For a call whose answer is lost.
const LIMIT: Duration = Duration::from_secs(2);

/// How the calls of a case may end that did not end well, by the error's name.
#[derive(Clone, Copy)]
struct Case {
    point: Point,
    words: &'static str,
    ends: &'static [&'static str],
}

/// What goes wrong is over before the pool is ready, or costs nobody a call.
const NONE: &[&str] = &[];
const DIED: &[&str] = &["WorkerDied"];
const RAISED: &[&str] = &["Remote"];

/// Every point with everything that can go wrong there.
fn table() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut case = |point, words, ends| cases.push(Case { point, words, ends });
    for words in ["error:times=2", "error=EAGAIN:times=2", "error=EMFILE:once", "error=ENOMEM:once"]
    {
        case(Point::Spawn, words, NONE);
        case(Point::Page, words, NONE);
    }
    case(Point::Ledger, "error", NONE);
    case(Point::Handshake, "error:times=2", NONE);
    // Initialize is the first frame of each worker; calls that were not sent are sent to the next.
    case(Point::Send, "error:once", NONE);
    case(Point::Send, "error:nth=4", NONE);
    case(Point::Recv, "error:nth=4", DIED);
    case(Point::Recv, "error:once", NONE);
    for point in [Point::Exec, Point::Dial, Point::Warmup] {
        case(point, "error:once", NONE);
        case(point, "crash:once", NONE);
    }
    // Before the page says that a call was begun, it is begun by another worker.
    case(Point::Take, "crash:nth=2:once", NONE);
    case(Point::Take, "error:nth=2:once", NONE);
    for point in [Point::Decode, Point::Run, Point::Encode, Point::Answer, Point::Ack] {
        case(point, "crash:nth=2:once", DIED);
    }
    case(Point::Decode, "error:nth=2:once", RAISED);
    case(Point::Run, "error:nth=2:once", RAISED);
    case(Point::Encode, "error:nth=2:once", &["EncodeResult"]);
    // Whoever waits in that worker loses it too.
    case(Point::Answer, "error:nth=2:once", &["Timeout", "WorkerDied"]);
    case(Point::Ack, "error:nth=2:once", NONE);
    for nth in ["crash:nth=1:once", "crash:nth=3:once"] {
        case(Point::Item, nth, DIED);
    }
    case(Point::Item, "error:nth=3:once", RAISED);
    // A worker that does not finish when it is told to.
    for words in ["crash", "error", "delay=50ms"] {
        case(Point::Shutdown, words, NONE);
    }
    for point in Point::ALL.iter().filter(|point| **point != Point::Shutdown) {
        case(*point, "delay=20ms:times=3", NONE);
    }
    cases
}

#[tokio::test]
async fn whatever_fails_calls_end_once_and_the_pool_serves_on() {
    let mut tried: Vec<Point> = Vec::new();
    for case in table() {
        println!("{}:{}", case.point.name(), case.words);
        soon("a case", one(case)).await;
        tried.push(case.point);
    }
    assert!(Point::ALL.iter().all(|point| tried.contains(point)), "a point without a case");
}

async fn one(case: Case) {
    let armed = armed(&format!("seed=1,{}:{}", case.point.name(), case.words)).await;
    // What happens in a call of the first worker must not depend on who is quicker.
    let in_call = case.point.is_in_worker()
        && !matches!(case.point, Point::Exec | Point::Dial | Point::Warmup | Point::Shutdown);
    let size = if in_call { 1 } else { 2 };
    // A program that ends by itself before it is a worker is tried again late.
    let life = Life { degraded_retry: Duration::from_millis(50), ..Life::default() };
    let pool = pool(size).life(life).open();
    // Some wait while the workers start, some come to those that are ready.
    let mut ends = calls(&pool, CALLS / 2).await;
    ends.extend(calls(&pool, CALLS - CALLS / 2).await);

    let failed: Vec<&Error> = ends.iter().filter_map(|end| end.as_ref().err()).collect();
    for error in &failed {
        let name = format!("{error:?}");
        assert!(case.ends.iter().any(|end| name.starts_with(end)), "{name}");
        assert!(!matches!(error, Error::WorkerDied { may_have_run: false, .. }), "{error:?}");
    }
    // What a host's end loses depends on what came with it: it may have been nobody's answer.
    if in_call || case.ends.is_empty() {
        assert_eq!(failed.is_empty(), case.ends.is_empty(), "what was planned came about");
    }
    if !case.point.is_in_worker() {
        assert!(armed.plan.fired(case.point) > 0, "it was reached");
    }

    until("all slots are filled", || pool.stats().ready == size).await;
    if case.words.contains("once") && case.words.contains("crash") {
        let generations: u64 = (0..size).map(|slot| pool.generation(slot)).sum();
        assert!(generations > size as u64, "its worker was replaced");
    }
    for n in 0..4 {
        assert_eq!(pool.run("echo", &n.to_string()).await.expect("it serves"), n.to_string());
    }
    let counted = pool.stats().counters;
    assert_eq!(
        counted.completed + counted.errors + counted.cancelled + counted.timeouts,
        counted.requests,
        "{counted:?}"
    );
    assert_eq!(counted.requests, (ends.len() + 4) as u64, "each came in once");
    // Told to finish, not killed at once: a worker passes its last point.
    soon("the pool closes", pool.close(Duration::from_secs(20))).await;
    pool.assert_nothing_left().await;
}

/// So many calls and a few streams at once, each to its end.
async fn calls(pool: &TestPool, count: usize) -> Vec<Result<(), Error>> {
    let limited = |spec| CallSpec { timeout: Some(LIMIT), ..spec };
    let plain: Vec<_> = (0..count)
        .map(|n| (n, pool.submit(limited(call("echo", &n.to_string()))).expect("room")))
        .collect();
    let streams: Vec<_> = (0..STREAMS)
        .map(|_| pool.stream(limited(call("count", &ITEMS.to_string()))).expect("room"))
        .collect();
    let mut ends = Vec::new();
    for (n, reply) in plain {
        let answer = soon("the end of a call", reply).await;
        ends.push(answer.map(|value| assert_eq!(value.bytes, n.to_string().as_bytes())));
    }
    for mut stream in streams {
        let mut items = 0;
        ends.push(loop {
            match soon("the end of a stream", stream.next_chunk()).await {
                Some(Ok(item)) => {
                    assert_eq!(
                        item.bytes,
                        items.to_string().as_bytes(),
                        "each item once, in order"
                    );
                    items += 1;
                }
                Some(Err(error)) => break Err(error),
                None => {
                    assert_eq!(items, ITEMS);
                    break Ok(());
                }
            }
        });
    }
    ends
}
