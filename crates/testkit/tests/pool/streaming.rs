//! Streams arrive whole and in order; who reads slowly slows the worker down.

use snakepit::{ChunkStream, Error};
use snakepit_testkit::{Gate, call, pool, soon};

use super::death;

const WINDOW: u64 = 1024;

/// Reads `most` chunks, or up to the end; checks that they count on from `from`.
async fn read(stream: &mut ChunkStream, from: u64, most: u64) -> Result<u64, (u64, Error)> {
    for n in from..from + most {
        match soon("a chunk", stream.next_chunk()).await {
            Some(Ok(chunk)) => assert_eq!(chunk.bytes, n.to_string()),
            Some(Err(error)) => return Err((n, error)),
            None => return Ok(n),
        }
    }
    Ok(from + most)
}

#[tokio::test]
async fn all_items_arrive_in_order() {
    for start in ["", "plain"] {
        let pool = pool(1).start_as(start).start().await;
        let mut stream = pool.stream(call("count", "5000")).expect("admitted");
        assert_eq!(read(&mut stream, 0, u64::MAX / 2).await.expect("a good end"), 5000);
        assert!(stream.next_chunk().await.is_none(), "it stays ended");
        let mut stream = pool.stream(call("count", "0")).expect("admitted");
        assert_eq!(read(&mut stream, 0, 1).await.expect("a good end"), 0);
        assert_eq!(pool.stats().counters.completed, 2);
        pool.finish().await;
    }
}

#[tokio::test]
async fn a_slow_reader_bounds_what_the_worker_sends() {
    let pool = pool(1).start().await;
    let gate = Gate::new();
    let mut stream = pool.stream(call("count", &gate.after("1000000"))).expect("admitted");
    let mut visit = gate.visit().await;
    assert_eq!(visit.line().await.as_deref(), Some("full 1024"));
    // Less than half a window: not worth a grant.
    assert_eq!(read(&mut stream, 0, WINDOW / 2 - 1).await.expect("well"), WINDOW / 2 - 1);
    assert_eq!(read(&mut stream, WINDOW / 2 - 1, 1).await.expect("well"), WINDOW / 2);
    assert_eq!(visit.line().await.as_deref(), Some("full 1536"));
    assert_eq!(read(&mut stream, WINDOW / 2, WINDOW).await.expect("well"), WINDOW * 3 / 2);
    drop(stream);
    let mut last = String::new();
    while let Some(line) = visit.line().await {
        last = line;
    }
    let sent: u64 = last.strip_prefix("cancelled ").expect("its last word").parse().expect("sent");
    assert!(sent <= WINDOW * 5 / 2, "sent {sent} of which {} were read", WINDOW * 3 / 2);
    pool.finish().await;
}

#[tokio::test]
async fn an_item_larger_than_the_window_travels_alone() {
    for start in ["", "plain"] {
        let pool = pool(1).start_as(start).start().await;
        let size = 3 << 20;
        let mut stream = pool.stream(call("weigh", &format!("5 {size}"))).expect("admitted");
        for _ in 0..5 {
            let chunk = soon("a chunk", stream.next_chunk()).await.expect("an item").expect("well");
            assert_eq!(chunk.bytes.len(), size);
        }
        assert!(soon("the end", stream.next_chunk()).await.is_none());
        pool.finish().await;
    }
}

#[tokio::test]
async fn however_grants_and_chunks_cross_nobody_is_accused() {
    for start in ["", "plain"] {
        let pool = pool(2).start_as(start).start().await;
        let mut streams = Vec::new();
        for _ in 0..2 {
            streams.push(pool.stream(call("count", "50000")).expect("admitted"));
        }
        let mut read_until = [0, 0];
        for round in 0.. {
            let one = round % 2;
            // Windows and halves of them, and what is neither.
            let most = [1, 511, 512, 513, 1024, 3000][round / 2 % 6];
            let from = read_until[one];
            read_until[one] = read(&mut streams[one], from, most).await.expect("no accusation");
            if read_until == [50000, 50000] {
                break;
            }
        }
        assert_eq!(pool.stats().counters.worker_deaths, 0);
        pool.finish().await;
    }
}

#[tokio::test]
async fn a_death_ends_a_stream_after_its_items() {
    let pool = pool(1).start().await;
    let gate = Gate::new();
    let mut stream = pool.stream(call("stall", &gate.after("10"))).expect("admitted");
    let _visit = gate.visit().await;
    assert_eq!(read(&mut stream, 0, 10).await.expect("what was sent"), 10);
    let pid = pool.workers()[0].pid.expect("a worker that runs") as i32;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
        .expect("it is there");
    let (read_until, error) = read(&mut stream, 10, 1).await.expect_err("a death");
    assert_eq!(read_until, 10);
    assert_eq!(death(error).signal, Some(9));
    pool.finish().await;
}

#[tokio::test]
async fn a_tool_that_answers_once_is_a_stream_of_one() {
    let pool = pool(1).start().await;
    let mut stream = pool.stream(call("echo", "0")).expect("admitted");
    assert_eq!(read(&mut stream, 0, 2).await.expect("a good end"), 1);
    pool.finish().await;
}

#[tokio::test]
async fn what_a_generator_raises_ends_its_stream() {
    let pool = pool(1).start().await;
    let mut stream = pool.stream(call("raise", "enough")).expect("admitted");
    let (_, error) = read(&mut stream, 0, 1).await.expect_err("what it raised");
    assert!(matches!(error, Error::Remote { .. }), "{error:?}");
    pool.finish().await;
}
