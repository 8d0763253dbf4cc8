//! Ten times as many calls as the workers can do (row 22): who is let in is served in bounded time,
//! the rest is told at once, and afterwards all is as before.

use std::sync::Arc;
use std::time::{Duration, Instant};

use snakepit::Error;
use snakepit_testkit::{TestPool, call, pool, soon};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

/// `SNAKEPIT_OVERLOAD_SECONDS` asks for more.
const SECONDS: u64 = 2;
const WORK: Duration = Duration::from_millis(4);
const QUEUE: usize = 32;
const TICK: Duration = Duration::from_millis(2);

/// What came of it.
struct Overload {
    offered: u64,
    refused: u64,
    /// From submission to answer, sorted.
    served: Vec<Duration>,
    most_queued: usize,
    recovered_in: Duration,
}

/// Offers `rate` calls a second, whether or not those before them have ended.
async fn overload(pool: &Arc<TestPool>, rate: f64, length: Duration) -> Overload {
    let work = WORK.as_micros().to_string();
    let (ended, mut ends) = mpsc::unbounded_channel();
    let (mut offered, mut refused, mut most_queued) = (0, 0, 0);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let begun = Instant::now();
    while begun.elapsed() < length {
        ticks.tick().await;
        let due = (begun.elapsed().as_secs_f64() * rate) as u64;
        while offered < due {
            offered += 1;
            let submitted = Instant::now();
            match pool.submit(call("work", &work)) {
                Ok(reply) => {
                    let ended = ended.clone();
                    tokio::spawn(async move {
                        let outcome = reply.await;
                        // Whoever counts them waits for all.
                        let _ = ended.send((submitted.elapsed(), outcome));
                    });
                }
                Err(Error::QueueFull { capacity: QUEUE, .. }) => refused += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
        most_queued = most_queued.max(pool.stats().queued);
    }
    let over = Instant::now();
    drop(ended);
    let mut served = Vec::new();
    while let Some((took, outcome)) = soon("the end of each call", ends.recv()).await {
        outcome.expect("whoever is let in is served");
        served.push(took);
    }
    pool.run("echo", "on").await.expect("an answer");
    served.sort_unstable();
    Overload { offered, refused, served, most_queued, recovered_in: over.elapsed() }
}

#[tokio::test]
async fn whoever_is_let_in_is_served_in_time_and_the_rest_is_told_at_once() {
    let seconds = std::env::var("SNAKEPIT_OVERLOAD_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(SECONDS);
    let pool = Arc::new(pool(2).max_queue(QUEUE).start().await);
    let capacity = 2.0 / WORK.as_secs_f64();
    let told = overload(&pool, 10.0 * capacity, Duration::from_secs(seconds)).await;
    let Overload { offered, refused, served, most_queued, recovered_in } = told;

    let p99 = served[served.len() * 99 / 100];
    println!("{offered} offered, {refused} refused, p99 {p99:?}, recovered in {recovered_in:?}");
    assert_eq!(refused + served.len() as u64, offered, "each was refused or served");
    assert!(most_queued <= QUEUE, "{most_queued} waited");
    // Full all the time: what a call waits for is the queue before it, at the rate of that run.
    let rate = served.len() as f64 / seconds as f64;
    let wait = Duration::from_secs_f64((QUEUE + 2 * 32) as f64 / rate);
    assert!(p99 < 3 * wait + Duration::from_secs(1), "{p99:?} with {rate} calls a second");
    assert!(refused > offered / 2, "no overload: {refused} of {offered}");
    assert!(recovered_in < wait + Duration::from_secs(2), "{recovered_in:?}");
    let counted = pool.stats().counters;
    assert_eq!((counted.rejected, counted.worker_deaths), (refused, 0));
    Arc::into_inner(pool).expect("nobody else").finish().await;
}
