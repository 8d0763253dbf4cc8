//! An answer that comes with the deadline (row 12): one outcome each, and the worker goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use snakepit::{CallSpec, Error};
use snakepit_testkit::{PATIENCE, call, pool};

use super::armed;

/// `SNAKEPIT_RACES` asks for more.
const RACES: usize = 10_000;
const WORKERS: usize = 8;
const LIMIT: Duration = Duration::from_millis(3);

#[tokio::test]
async fn an_answer_at_the_deadline_is_the_outcome_or_is_not_and_costs_no_worker() {
    let races = std::env::var("SNAKEPIT_RACES").ok().and_then(|text| text.parse().ok());
    let races: usize = races.unwrap_or(RACES);
    // The host is late with some answers by itself.
    let armed = armed("seed=1,reply:10%:delay=300us").await;
    // What comes after the grace must not come.
    let pool = Arc::new(pool(WORKERS).grace(PATIENCE).start().await);
    let settled = Arc::new(AtomicUsize::new(0));
    let racers = (0..WORKERS).map(|racer| {
        let (pool, settled) = (pool.clone(), settled.clone());
        tokio::spawn(async move {
            let (mut answered, mut late) = (0, 0);
            for race in 0..races / WORKERS {
                // From a millisecond before the deadline to one after it.
                let offset = (race * WORKERS + racer) as i64 * 37 % 2001 - 1000;
                let spec = call("race", &offset.to_string());
                let spec = CallSpec { timeout: Some(LIMIT), ..spec };
                let reply = pool.submit(spec).expect("room");
                let counted = settled.clone();
                reply.on_done(move |_| {
                    counted.fetch_add(1, Ordering::SeqCst);
                });
                match snakepit_testkit::soon("an outcome", reply).await {
                    Ok(value) => {
                        assert_eq!(value.bytes, offset.to_string().as_bytes(), "its own answer");
                        answered += 1;
                    }
                    Err(Error::Timeout { limit: LIMIT, .. }) => late += 1,
                    Err(other) => panic!("{other:?}"),
                }
            }
            (answered, late)
        })
    });
    let mut ends = (0, 0);
    for racer in racers.collect::<Vec<_>>() {
        let (answered, late) = racer.await.expect("no panic");
        ends = (ends.0 + answered, ends.1 + late);
    }
    let raced = races / WORKERS * WORKERS;
    println!("{} answered, {} too late, {:?}", ends.0, ends.1, pool.stats().counters);
    assert_eq!(ends.0 + ends.1, raced);
    assert_eq!(settled.load(Ordering::SeqCst), raced, "each settled once");
    assert!(ends.0 > 0 && ends.1 > 0, "no race: {ends:?}");
    let counted = pool.stats().counters;
    assert_eq!((counted.completed, counted.timeouts), (ends.0 as u64, ends.1 as u64));
    assert_eq!(counted.worker_deaths, 0, "late answers break nothing");
    assert_eq!(pool.run("echo", "on").await.expect("an answer"), "on");
    drop(armed);
    Arc::into_inner(pool).expect("the racers are gone").finish().await;
}
