//! What workers may take of the machine, and which device is their own, from a Rust host.

mod common;

use std::collections::BTreeMap;

use common::{face, finish};
use serde::{Deserialize, Serialize};
use snakepit::{Env, Error, Limits};

#[derive(Serialize)]
struct Mib {
    mib: u32,
}

#[derive(Deserialize)]
struct Machine {
    place: usize,
    open_files: u64,
    nice: i32,
    no_new_privs: bool,
    device: String,
    assigned: Option<String>,
    visible: Option<String>,
}

#[tokio::test]
async fn each_worker_has_the_limits_and_the_device_of_its_place() {
    let Some((builder, mark)) = face() else { return };
    let (name, value) = mark.variable();
    let env = Env::inherit().set(name, value).set("DEVICE", "gpu-{slot}");
    let limits = Limits { nice: 1, open_files: Some(100), ..Limits::default() };
    let pool = builder.size(3).env(env).limits(limits).start().await.expect("a pool");
    pool.await_ready(None).await.expect("three workers");

    let mut found = BTreeMap::new();
    while found.len() < 3 {
        let ask = || async { pool.execute::<Machine>("machine", ()).await.expect("an answer") };
        let (one, two, three) = tokio::join!(ask(), ask(), ask());
        for machine in [one, two, three] {
            assert_eq!((machine.open_files, machine.no_new_privs), (100, true));
            assert!(machine.nice >= 1);
            found.insert(machine.place, machine.device);
        }
    }
    assert_eq!(found.into_values().collect::<Vec<_>>(), ["gpu-0", "gpu-1", "gpu-2"]);
    finish(pool, mark).await;
}

#[tokio::test]
async fn a_worker_knows_its_device_and_is_kept_from_the_others() {
    let Some((builder, mark)) = face() else { return };
    let pool = builder.size(2).devices(["cpu"]).start().await.expect("a pool");
    let machine: Machine = pool.execute("machine", ()).await.expect("an answer");
    assert_eq!(machine.assigned.as_deref(), Some("cpu"));
    assert_eq!(machine.visible.as_deref(), Some("-1"));
    assert_eq!(pool.workers()[1].device.as_deref(), Some("cpu"));
    finish(pool, mark).await;
}

#[tokio::test]
async fn devices_that_are_none_are_refused_before_any_process_starts() {
    let Some((builder, _mark)) = face() else { return };
    let hidden = Env::inherit().set("CUDA_VISIBLE_DEVICES", "0");
    let devices = |devices: &[&str]| builder.clone().devices(devices.iter().copied());
    for (builder, expected) in [
        (devices(&[]), "at least one"),
        (devices(&["cuda:900"]), "there is no cuda:900"),
        (devices(&["gpu"]), "names no device"),
        (devices(&["cpu"]).env(hidden), "may not name CUDA_VISIBLE_DEVICES"),
        (devices(&["cpu"]).secret("HIP_VISIBLE_DEVICES"), "may not name HIP_VISIBLE_DEVICES"),
    ] {
        match builder.start().await {
            Err(Error::Config { field: "devices", message }) => {
                assert!(message.contains(expected), "{message}");
            }
            other => panic!("{:?}", other.map(drop)),
        }
    }
}

#[tokio::test]
async fn too_much_memory_is_an_error_of_the_call_alone() {
    let Some((builder, mark)) = face() else { return };
    let limits = Limits { address_space: Some(1 << 30), ..Limits::default() };
    let pool = builder.limits(limits).start().await.expect("a pool");
    let refused = pool.execute::<()>("allocate", Mib { mib: 1024 }).await;
    match refused {
        Err(Error::Remote { failure, .. }) => assert_eq!(failure.type_name, "MemoryError"),
        other => panic!("{other:?}"),
    }
    let pong: String = pool.execute("ping", ()).await.expect("it lives");
    assert_eq!((&*pong, pool.stats().counters.worker_deaths), ("pong", 0));
    finish(pool, mark).await;
}

#[tokio::test]
async fn limits_that_make_no_sense_are_refused_before_any_process_starts() {
    let Some((builder, _mark)) = face() else { return };
    for (limits, expected) in [
        (Limits { nice: 20, ..Limits::default() }, "nice must be from 0 to 19"),
        (Limits { open_files: Some(1 << 40), ..Limits::default() }, "ulimit -Hn"),
    ] {
        match builder.clone().limits(limits).start().await {
            Err(Error::Config { field: "limits", message }) => {
                assert!(message.contains(expected), "{message}");
            }
            other => panic!("{:?}", other.map(drop)),
        }
    }
    for (name, value, expected) in [
        ("DEVICE", "{place}", "DEVICE: there is no {place}"),
        ("SNAKEPIT_LIMITS", "", "SNAKEPIT_LIMITS: names that begin with SNAKEPIT_ are the host's"),
    ] {
        match builder.clone().env(Env::inherit().set(name, value)).start().await {
            Err(Error::Config { field: "env", message }) => {
                assert!(message.starts_with(expected), "{message}");
            }
            other => panic!("{:?}", other.map(drop)),
        }
    }
}
