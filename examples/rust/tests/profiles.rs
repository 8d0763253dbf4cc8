//! Workers that run several calls at once, asked for from Rust.

mod common;

use std::time::Duration;

use common::{face, finish};
use serde::{Deserialize, Serialize};
use snakepit::{Error, Pool, Profile};
use snakepit_testkit::until;

#[derive(Serialize)]
struct Folder<'a> {
    folder: &'a str,
}

#[derive(Serialize)]
struct Echo {
    value: i64,
}

#[derive(Deserialize, Debug, PartialEq)]
struct Visit {
    visits: u32,
    new: bool,
}

#[tokio::test]
async fn calls_share_one_worker_that_says_what_it_is() {
    let Some((builder, mark)) = face() else { return };
    let builder = builder.profile(Profile::Thread).threads_per_worker(3_usize);
    let pool = builder.size(1_usize).start().await.expect("a pool");
    pool.await_ready(Some(Duration::from_secs(60))).await.expect("ready");

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("a text");
    let waits: Vec<_> = (0..2)
        .map(|_| {
            let pool = pool.clone();
            let path = path.to_owned();
            tokio::spawn(async move { pool.execute::<()>("wait", Folder { folder: &path }).await })
        })
        .collect();
    until("both run", || pool.info().workers[0].running == 2).await;
    let pong: String = pool.execute("ping", ()).await.expect("beside them");
    assert_eq!(pong, "pong");
    let visit: Visit = pool.session("s").execute("visit", ()).await.expect("beside them");
    assert_eq!(visit, Visit { visits: 1, new: true });
    std::fs::write(folder.path().join("release"), "").expect("a file");
    for wait in waits {
        wait.await.expect("no panic").expect("they end");
    }

    let info = pool.info();
    assert_eq!((info.profile, info.size, info.capacity), (Profile::Thread, 1, 3));
    let detail = &info.workers[0];
    assert_eq!((detail.worker.slot, detail.worker.generation, detail.running), (0, 1, 0));
    let python = detail.python.as_ref().expect("it is Python");
    assert!(python.version.starts_with("3."), "{python:?}");
    assert_eq!(python.gil_enabled_by, None);
    let tools = pool.tools(None).await.expect("it is ready");
    assert!(tools.iter().all(|tool| !tool.thread_safe), "nothing there is marked");
    finish(pool, mark).await;
}

#[tokio::test]
async fn coroutines_share_one_worker() {
    let Some((builder, mark)) = face() else { return };
    let builder = builder.profile(Profile::Async).max_in_flight(50_usize).size(1_usize);
    let pool = builder.start().await.expect("a pool");
    let calls = (0..50).map(|number| {
        let pool = pool.clone();
        tokio::spawn(async move { pool.execute::<i64>("echo", Echo { value: number }).await })
    });
    for (number, call) in (0..).zip(calls.collect::<Vec<_>>()) {
        assert_eq!(call.await.expect("no panic").expect("its value"), number);
    }
    assert_eq!(pool.info().capacity, 50);
    finish(pool, mark).await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_anything_starts() {
    let Some((builder, _)) = face() else { return };
    match builder.threads_per_worker(3_usize).size(1_usize).start().await {
        Err(Error::Config { field, message }) => {
            assert_eq!(field, "threads_per_worker");
            assert!(message.contains("only for profile \"thread\""), "{message}");
        }
        other => panic!("{:?}", other.map(|pool: Pool| pool.info())),
    }
}
