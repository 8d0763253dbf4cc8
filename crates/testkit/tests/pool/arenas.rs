//! Large buffers lie in memory that both ends have; nothing that a worker does to it harms anybody
//! else, and nothing is left of it.

use std::time::Duration;

use snakepit::telemetry::Number;
use snakepit::{Buffer, CallSpec, Error, Limits, Payload, Pool, SharedMemory, Violation, WhenFull};
use snakepit_testkit::{TestPool, pool, soon, until};

use super::death;

const MIB: usize = 1 << 20;

fn pattern(bytes: usize, seed: u64) -> Vec<u8> {
    (0..bytes).map(|at| (at as u64).wrapping_mul(seed | 1).wrapping_shr(3) as u8).collect()
}

fn sum(bytes: &[u8]) -> String {
    let sum = bytes.iter().fold(7u32, |sum, byte| sum.rotate_left(5) ^ u32::from(*byte));
    format!("{}:{sum}", bytes.len())
}

/// Puts bytes where workers can read them.
fn store(pool: &Pool, bytes: &[u8]) -> Buffer {
    let arena = pool.arena().expect("a pool with shared memory");
    let mut region = arena.allocate(bytes.len(), Duration::ZERO).expect("room");
    region.write(0, bytes);
    region.seal()
}

fn with(tool: &str, words: &str, buffers: Vec<Buffer>) -> CallSpec {
    let bytes = words.as_bytes().to_vec().into();
    CallSpec::new(tool, Payload { bytes, buffers: buffers.into() })
}

async fn run(pool: &Pool, spec: CallSpec) -> Result<Payload, Error> {
    soon("the answer of a call", pool.submit(spec).expect("admitted")).await
}

async fn text(pool: &Pool, spec: CallSpec) -> String {
    let answer = run(pool, spec).await.expect("an answer");
    String::from_utf8(answer.bytes.to_vec()).expect("scripted workers speak UTF-8")
}

/// Nothing of the pool's own memory is in use.
async fn unused(pool: &Pool) {
    let arena = pool.arena().expect("a pool with shared memory");
    until("all is counted back", || {
        arena.tend();
        arena.stats().in_use == 0
    })
    .await;
}

#[tokio::test]
async fn buffers_arrive_in_segments_and_are_given_back() {
    let pool = pool(1).start().await;
    for (bytes, seed) in [(64 << 10, 1), (MIB, 3), (5 * MIB, 5), (4 * MIB, 7), (70 << 10, 9)] {
        let bytes = pattern(bytes, seed);
        let buffer = store(&pool, &bytes);
        let part = buffer.slice(100..200);
        let answer = text(&pool, with("sum", "", vec![buffer, part])).await;
        assert_eq!(answer, format!("{} {}", sum(&bytes), sum(&bytes[100..200])));
        unused(&pool).await;
    }
    let stats = pool.stats().shared_memory.expect("a pool with shared memory");
    assert_eq!((stats.faults, stats.fallbacks), (0, 0));
    assert!(stats.reused >= 2, "{stats:?}");
    pool.finish().await;
}

#[tokio::test]
async fn results_arrive_in_segments_of_the_worker() {
    let pool = pool(1).start().await;
    for round in 0..5 {
        let made = run(&pool, with("make", &format!("{} {round}", 3 * MIB), vec![])).await;
        let made = made.expect("an answer");
        assert_eq!((&made.bytes[..], made.buffers.len()), (&b"made"[..], 1));
        assert!(*made.buffers[0] == pattern(3 * MIB, round)[..]);
    }
    let stats = pool.stats().shared_memory.expect("shared memory");
    assert_eq!(stats.borrowed, 4 << 20, "one segment again and again: {stats:?}");
    assert_eq!((stats.faults, stats.fallbacks), (0, 0));
    // What is kept is not overwritten, however many come after it.
    let kept = run(&pool, with("make", "300000 77", vec![])).await.expect("an answer");
    for round in 0..20 {
        run(&pool, with("make", &format!("300000 {round}"), vec![])).await.expect("an answer");
    }
    assert!(*kept.buffers[0] == pattern(300_000, 77)[..]);
    pool.finish().await;
    assert!(*kept.buffers[0] == pattern(300_000, 77)[..], "also when its worker is gone");
}

#[tokio::test]
async fn what_a_worker_keeps_is_not_overwritten_before_it_lets_go_or_dies() {
    let pool = pool(1).start().await;
    let bytes = pattern(MIB, 11);
    text(&pool, with("keep", "", vec![store(&pool, &bytes)])).await;
    for round in 0..20 {
        let other = pattern(MIB, round);
        assert_eq!(text(&pool, with("sum", "", vec![store(&pool, &other)])).await, sum(&other));
    }
    assert!(pool.arena().expect("an arena").stats().in_use > 0, "it is kept");
    assert_eq!(text(&pool, with("let-go", "", vec![])).await, sum(&bytes));
    unused(&pool).await;

    text(&pool, with("keep", "", vec![store(&pool, &bytes)])).await;
    let exit = death(run(&pool, with("exit", "3", vec![])).await.expect_err("a death"));
    assert_eq!(exit.exit_code, Some(3));
    unused(&pool).await;
    pool.finish().await;
}

#[tokio::test]
async fn streams_have_buffers_too() {
    let pool = pool(1).start().await;
    let mut stream = pool.stream(with("make", "2500000 5", vec![])).expect("admitted");
    let item = soon("an item", stream.next_chunk()).await.expect("an item").expect("well");
    assert!(*item.buffers[0] == pattern(2_500_000, 5)[..]);
    assert!(soon("the end", stream.next_chunk()).await.is_none());
    pool.finish().await;
}

/// Copies of what was sent come back, whichever way.
async fn mirrored(pool: &TestPool) {
    for size in [64 << 10, 3 * MIB] {
        let bytes = pattern(size, 21);
        let sent = vec![store(pool, &bytes), Buffer::from(bytes.clone())];
        let mirrored = run(pool, with("mirror", "", sent)).await.expect("an answer");
        assert_eq!(mirrored.buffers.len(), 2);
        assert!(mirrored.buffers.iter().all(|buffer| **buffer == bytes[..]));
    }
}

#[tokio::test]
async fn who_does_not_claim_arenas_gets_none() {
    for how in ["no-arenas", "plain"] {
        let pool = pool(1).start_as(how).start().await;
        mirrored(&pool).await;
        assert_eq!(text(&pool, with("memory", "", vec![])).await, "none", "{how}");
        unused(&pool).await;
        pool.finish().await;
    }
}

#[tokio::test]
async fn a_pool_without_shared_memory_sends_all_in_frames() {
    let pool = pool(1).shared_memory(None).start().await;
    assert!(pool.arena().is_none() && pool.stats().shared_memory.is_none());
    let bytes = pattern(3 * MIB, 2);
    let sent = vec![Buffer::from(bytes.clone())];
    let mirrored = run(&pool, with("mirror", "", sent)).await.expect("an answer");
    assert!(*mirrored.buffers[0] == bytes[..]);
    pool.finish().await;
}

#[tokio::test]
async fn buffers_that_do_not_fit_into_a_frame_are_refused_by_name() {
    let pool = pool(1).start_as("no-arenas").max_message(MIB).start().await;
    let error = run(&pool, with("sum", "", vec![store(&pool, &pattern(MIB + 1, 1))])).await;
    let error = error.expect_err("too large");
    assert!(matches!(error, Error::TooLarge { size, .. } if size == MIB as u64 + 1), "{error:?}");
    assert_eq!(pool.run("echo", "well").await.expect("an answer"), "well");
    unused(&pool).await;
    pool.finish().await;
}

/// A worker that cannot map what it is given reads it all the same.
#[tokio::test]
async fn a_worker_without_descriptors_is_sent_the_bytes() {
    let limits = Limits { open_files: Some(64), ..Limits::default() };
    let pool = pool(1).limits(limits).start().await;
    let mut events = pool.events();
    let opened = text(&pool, with("exhaust", "", vec![])).await;
    assert!(opened.parse::<u32>().expect("a number") < 64);
    let bytes = pattern(5 * MIB + 3, 4);
    // The first is named and cannot be mapped; those after it are not even tried for a second, which
    // on a busy machine is soon over.
    for _ in 0..3 {
        assert_eq!(text(&pool, with("sum", "", vec![store(&pool, &bytes)])).await, sum(&bytes));
    }
    let stats = pool.stats().shared_memory.expect("shared memory");
    assert!(stats.faults >= 1 && stats.faults + stats.fallbacks >= 3, "{stats:?}");
    let fault = soon("an event", async {
        loop {
            let event = events.next().await.expect("an open pool");
            if event.name == "snakepit.zero_copy.fault" {
                return event;
            }
        }
    })
    .await;
    assert!(matches!(fault.measurement("count"), Some(Number::Whole(1..))), "{fault:?}");
    unused(&pool).await;
    pool.finish().await;
}

#[tokio::test]
async fn a_full_arena_waits_and_then_copies_or_says_so() {
    let settings = SharedMemory {
        max_bytes: Some(8 << 20),
        wait: Duration::from_millis(20),
        ..SharedMemory::default()
    };
    let inline = pool(1).shared_memory(Some(settings)).start().await;
    let arena = inline.arena().expect("an arena");
    let kept = store(&inline, &pattern(6 * MIB, 1));
    assert!(arena.place(4 * MIB, None).expect("no error").is_none(), "to be copied");
    assert_eq!(arena.stats().fallbacks, 1);
    drop(kept);
    assert!(arena.place(4 * MIB, None).expect("no error").is_some());
    // A result of a worker counts as well.
    let made = run(&inline, with("make", &format!("{} 3", 6 * MIB), vec![])).await;
    assert!(*made.expect("an answer").buffers[0] == pattern(6 * MIB, 3)[..]);
    inline.finish().await;

    let settings = SharedMemory { when_full: WhenFull::Error, ..settings };
    let strict = pool(1).shared_memory(Some(settings)).start().await;
    let arena = strict.arena().expect("an arena");
    let _kept = store(&strict, &pattern(6 * MIB, 1));
    let error = arena.place(4 * MIB, None).err().expect("no room").to_string();
    assert!(error.contains("4194304 bytes do not fit") && error.contains("max_bytes"), "{error}");
    let limit = Some(Duration::ZERO);
    assert!(arena.place(4 * MIB, limit).is_err(), "within the call's deadline");
    strict.finish().await;
}

#[tokio::test]
async fn ten_thousand_buffers_leave_nothing() {
    let pool = pool(1).start().await;
    let before = open_files();
    for round in 0..10_000u64 {
        let size = (64 << 10) + (round as usize * 7919) % (3 * MIB);
        let arena = pool.arena().expect("an arena");
        let region = arena.allocate(size, Duration::ZERO).expect("room");
        drop(region.seal());
    }
    let stats = pool.arena().expect("an arena").stats();
    assert_eq!(stats.in_use, 0);
    assert!(stats.segments < 20 && open_files() - before < 20, "{stats:?}");
    for round in 0..500 {
        let bytes = pattern(100_000 + round, 3);
        assert_eq!(text(&pool, with("sum", "", vec![store(&pool, &bytes)])).await, sum(&bytes));
    }
    unused(&pool).await;
    pool.finish().await;
    assert!(open_files() <= before, "no segment is left");
}

fn open_files() -> usize {
    // Other tests of this process have segments, too.
    let files = std::fs::read_dir("/proc/self/fd").expect("Linux").flatten();
    let target = |file: std::fs::DirEntry| std::fs::read_link(file.path()).ok();
    let arenas =
        files.filter_map(target).filter(|path| path.to_string_lossy().contains("snakepit-arena"));
    arenas.count()
}

#[tokio::test]
async fn lies_about_buffers_end_the_liar_alone() {
    for lie in ["unknown", "outside", "huge", "word", "unsealed", "short", "uncalled", "asked"] {
        let pool = pool(2).start().await;
        let bystander = store(&pool, &pattern(MIB, 5));
        let error = run(&pool, with("lie-buffer", lie, vec![])).await.expect_err("a lie");
        let exit = death(error);
        let told = format!("{:?}", exit.violation);
        match lie {
            "uncalled" => {
                assert!(matches!(exit.violation, Some(Violation::UnknownCall { .. })), "{told}");
            }
            _ => assert!(
                matches!(exit.violation, Some(Violation::BadBuffer { .. })),
                "{lie}: {told}"
            ),
        }
        let answer = text(&pool, with("sum", "", vec![bystander])).await;
        assert_eq!(answer, sum(&pattern(MIB, 5)));
        pool.finish().await;
    }
}

#[tokio::test]
async fn what_is_kept_outlives_the_pool() {
    let pool = pool(1).start().await;
    let bytes = pattern(3 * MIB, 8);
    let (ours, arena) = (store(&pool, &bytes), pool.arena().expect("an arena").clone());
    text(&pool, with("keep", "", vec![ours.clone()])).await;
    pool.finish().await;
    assert!(*ours == bytes[..], "it stays what it was");
    assert!(arena.allocate(MIB, Duration::ZERO).is_err(), "nothing more is taken in");
    assert_eq!(arena.stats().segments, 1, "{:?}", arena.stats());
    drop(ours);
    until("its worker was reaped", || arena.stats().segments == 0).await;
}
