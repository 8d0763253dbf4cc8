//! Workers are killed at random under load: every call ends once and runs once at most.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use snakepit::Error;
use snakepit_testkit::{Ledger, Random, TestPool, call, pool, soon, until};

const KILLS: usize = 200;
const CALLERS: usize = 24;

/// How a call ended: as an answer, or as a death that may have let it run.
#[derive(Debug, PartialEq)]
enum End {
    Answered,
    Died,
}

#[tokio::test]
async fn every_call_ends_once_and_runs_once_at_most() {
    let seed = std::env::var("SNAKEPIT_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    let seed = seed.unwrap_or(now.subsec_nanos().into());
    println!("SNAKEPIT_TEST_SEED={seed}");
    let mut random = Random::new(seed);

    let pool = std::sync::Arc::new(pool(4).start().await);
    let ledger = std::sync::Arc::new(Ledger::new());
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (pool, ledger, stopped) = (pool.clone(), ledger.clone(), stopped.clone());
            let seed = seed ^ (caller as u64) << 32;
            tokio::spawn(async move {
                let mut ends = HashMap::new();
                let mut random = Random::new(seed);
                while !*stopped.borrow() {
                    let name = format!("{caller}-{}", ends.len());
                    let end = one_call(&pool, &ledger, &name, &mut random).await;
                    ends.insert(name, end);
                }
                ends
            })
        })
        .collect();

    for _ in 0..KILLS {
        let calls = pool.stats().counters.requests + random.below(40);
        until("calls go on", || pool.stats().counters.requests > calls).await;
        let slot = random.below(4) as usize;
        until("a worker to kill", || kill_worker(&pool, slot)).await;
    }
    stop.send(true).expect("callers that listen");
    let (mut died, counts) = (0, {
        let mut all = HashMap::new();
        for caller in callers {
            all.extend(soon("the last call of a caller", caller).await.expect("no panic"));
        }
        all
    });
    let ran = ledger.counts();
    for (name, end) in &counts {
        let times = ran.get(name).copied().unwrap_or(0);
        match end {
            End::Answered => assert_eq!(times, 1, "{name} was answered (seed {seed})"),
            End::Died => {
                assert!(times <= 1, "{name} ran {times} times (seed {seed})");
                died += 1;
            }
        }
    }
    assert!(ran.keys().all(|name| counts.contains_key(name)), "seed {seed}");
    pool.await_ready(Some(snakepit_testkit::PATIENCE)).await.expect("all slots are refilled");
    let stats = pool.stats();
    assert_eq!((stats.queued, stats.running), (0, 0), "seed {seed}");
    assert_eq!(stats.counters.requests, counts.len() as u64, "seed {seed}");
    assert_eq!(stats.counters.completed + stats.counters.errors, stats.counters.requests);
    assert!(died <= KILLS, "more calls died than workers: {died} (seed {seed})");
    println!("{} calls, {died} died with their workers", counts.len());
    let pool = std::sync::Arc::into_inner(pool).expect("callers are gone");
    soon("the pool closes", pool.close(Duration::ZERO)).await;
    pool.assert_nothing_left().await;
}

async fn one_call(pool: &TestPool, ledger: &Ledger, name: &str, random: &mut Random) -> End {
    let spec = call("record", &ledger.entry(name, None));
    let ended = match random.below(4) {
        0 => {
            let mut stream = pool.stream(spec).expect("an open pool with room");
            let mut end = Ok(());
            while let Some(chunk) = soon("a chunk", stream.next_chunk()).await {
                end = chunk.map(|_| ());
            }
            end
        }
        _ => {
            let reply = pool.submit(spec).expect("an open pool with room");
            soon("an outcome", reply).await.map(|_| ())
        }
    };
    match ended {
        Ok(()) => End::Answered,
        Err(Error::WorkerDied { exit, may_have_run: true, .. }) if exit.signal == Some(9) => {
            End::Died
        }
        Err(other) => panic!("{other:?}"),
    }
}

/// Kills what fills the slot. False: nothing does at the moment.
fn kill_worker(pool: &TestPool, slot: usize) -> bool {
    let worker = &pool.workers()[slot];
    let up = matches!(worker.state, "ready" | "busy");
    let pid = worker.pid.filter(|_| up);
    pid.is_some_and(|pid| kill(Pid::from_raw(pid as i32), Signal::SIGKILL).is_ok())
}
