//! What an operator sees and does over the operator socket of this process, whoever else asks.
//!
//! All tests here share that socket: each has pools of its own name, and who is told that others are
//! being served tries again.

use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde_json::{Value, json};
use snakepit::process::RunDir;
use snakepit::{Access, Life, Recycle};
use snakepit_testkit::{Gate, PATIENCE, TestPool, pool, until};
use tokio::task::spawn_blocking;

use super::{answer, submit};

fn socket() -> PathBuf {
    let dir = RunDir::of_process().expect("a run folder");
    dir.socket().with_file_name("operator.sock")
}

fn dial() -> UnixStream {
    UnixStream::connect(socket()).expect("it listens as long as there are pools")
}

/// What is answered to these bytes.
fn heard(bytes: &[u8]) -> Value {
    loop {
        let mut stream = dial();
        // A host that does not listen any more has answered.
        let _ = stream.write_all(bytes).and_then(|()| stream.write_all(b"\n"));
        let mut said = Vec::new();
        let mut part = [0; 4096];
        while !said.ends_with(b"\n") {
            match stream.read(&mut part) {
                Ok(length) if length > 0 => said.extend_from_slice(&part[..length]),
                other => panic!("no whole line: {other:?} after {said:?}"),
            }
        }
        let answer: Value = serde_json::from_slice(&said).expect("one line of JSON");
        assert_eq!(answer["version"], 1);
        if answer["error"]["kind"] != "busy" {
            return answer;
        }
    }
}

/// What is answered to a request; not on the runtime's thread, which must be free meanwhile.
async fn ask(mut request: Value) -> Value {
    request["version"] = 1.into();
    spawn_blocking(move || heard(request.to_string().as_bytes())).await.expect("no panic")
}

/// A pool as status tells it.
async fn seen(name: &str) -> Option<Value> {
    let told = ask(json!({"verb": "status"})).await;
    let pools = told["status"]["pools"].as_array().expect("a list").clone();
    pools.into_iter().find(|pool| pool["name"] == name)
}

#[tokio::test]
async fn status_tells_what_a_pool_is_and_does() {
    let pool = pool(2).name("seen").start().await;
    let gate = Gate::new();
    let running = submit(&pool, "hold", &gate.after(""));
    let mut visit = gate.visit().await;

    let told = ask(json!({"verb": "status"})).await;
    let host = &told["status"]["host"];
    assert_eq!(host["pid"], std::process::id());
    assert_eq!(host["snakepit"], env!("CARGO_PKG_VERSION"));
    assert!(host["uptime"].as_f64().is_some_and(|uptime| uptime >= 0.0), "{host}");
    assert_eq!(ask(json!({"verb": "hello"})).await["hello"]["pid"], host["pid"]);

    let seen = seen("seen").await.expect("it is there");
    assert_eq!((&seen["state"], &seen["health"]), (&json!("open"), &json!("healthy")));
    assert_eq!(seen["config"]["adapter"], "scripted:Scripted");
    assert_eq!(seen["calls"]["running"], 1);
    let workers = seen["workers"].as_array().expect("a list");
    let busy: Vec<_> = workers.iter().filter(|worker| worker["state"] == "busy").collect();
    let [busy] = busy[..] else { panic!("one is busy: {workers:?}") };
    assert_eq!(busy["running"][0]["tool"], "hold");
    assert!(busy["running"][0]["running_for"].as_f64() <= busy["age"].as_f64(), "{busy}");
    for (row, worker) in workers.iter().zip(pool.workers()) {
        assert_eq!(row["pid"], json!(worker.pid));
        assert_eq!(row["generation"], 1);
        assert!(row["memory"].as_u64().is_some_and(|bytes| bytes > 0), "{row}");
    }

    visit.release().await;
    answer(running).await.expect("let end");
    let row = self::seen("seen").await.expect("it is there");
    assert_eq!((&row["calls"]["running"], &row["calls"]["completed"]), (&json!(0), &json!(1)));
    pool.finish().await;
    assert!(self::seen("seen").await.is_none(), "it is closed");
}

#[tokio::test]
async fn a_worker_is_replaced_before_it_goes() {
    let recycle = Some(Recycle::default());
    let pool = pool(1).name("replaced").life(Life { recycle, ..Life::default() }).start().await;
    let request = |generation: u64| json!({"verb": "recycle", "pool": "replaced", "slot": 0, "generation": generation});
    assert_eq!(ask(request(7)).await["error"]["kind"], "gone");
    let told = ask(request(1)).await;
    assert_eq!(told["recycled"], json!({"pool": "replaced", "slot": 0, "generation": 1}));
    until("another worker is there", || pool.generation(0) == 2).await;
    assert_eq!(pool.stats().ready, 1, "one was at any time");
    let request = json!({"verb": "recycle", "pool": "replaced", "slot": 1});
    assert_eq!(ask(request).await["error"]["kind"], "slot");
    pool.finish().await;
}

#[tokio::test]
async fn a_worker_tells_where_it_is_and_one_that_cannot_is_said_so() {
    let pool = pool(1).name("asked").start().await;
    let told = ask(json!({"verb": "stack", "pool": "asked", "slot": 0})).await;
    assert_eq!(told["stack"]["text"], "Thread main: in a script", "{told}");
    assert_eq!(told["stack"]["by"], "interpreter");
    assert_eq!(told["stack"]["pid"], json!(pool.workers()[0].pid));
    pool.finish().await;
}

/// The process is there: only from then on is a worker more than an intention.
async fn spawned(pool: &TestPool) {
    until("its process is there", || pool.workers()[0].pid.is_some()).await;
}

#[tokio::test]
async fn a_worker_whose_adapter_loads_tells_where_it_is() {
    let pool = pool(1).name("loading").start_as("hang").open();
    let request = json!({"verb": "stack", "pool": "loading", "slot": 0});
    let told = loop {
        let told = ask(request.clone()).await;
        // Before it has dialled in it is not ready to be asked.
        match told["error"]["kind"].as_str() {
            Some("not_ready") => {}
            None => break told,
            other => panic!("{other:?}: {told}"),
        }
    };
    assert_eq!(told["stack"]["text"], "Thread main: in a script", "{told}");
    assert_eq!(told["stack"]["state"], "starting");
    assert_eq!(told["stack"]["pid"], json!(pool.workers()[0].pid));
    pool.finish().await;
}

#[tokio::test]
async fn why_a_worker_cannot_tell_where_it_is_is_said() {
    let stack = |pool: &'static str| ask(json!({"verb": "stack", "pool": pool, "slot": 0}));

    let mute = pool(1).name("mute").start_as("mute").open();
    spawned(&mute).await;
    let told = stack("mute").await;
    assert_eq!(told["error"]["kind"], "not_ready", "{told}");
    let said = told["error"]["message"].as_str().expect("a text").to_owned();
    assert!(said.contains("it has not come to the adapter"), "{said}");
    let pid = mute.workers()[0].pid.expect("its process is there");
    assert!(said.contains(&format!("py-spy dump --pid {pid}")), "{said}");
    mute.finish().await;

    let failed = pool(1).name("failed").start_as("fail-for-good").open();
    assert!(failed.await_ready(Some(PATIENCE)).await.is_err());
    let told = stack("failed").await;
    let said = "failed/0 is degraded and has no process now: ScriptedError: scripted to fail";
    assert_eq!(
        (&told["error"]["kind"], &told["error"]["message"]),
        (&json!("not_ready"), &json!(said))
    );
    failed.finish().await;

    let plain = pool(1).name("plain").start_as("plain").start().await;
    let told = stack("plain").await;
    assert_eq!(told["error"]["kind"], "no_answer", "{told}");
    plain.finish().await;
}

#[tokio::test]
async fn one_worker_is_shown_as_status_shows_it() {
    let pool = pool(2).name("row").control(Access::Read).start().await;
    let request = json!({"verb": "worker", "pool": "row", "slot": 1});
    let row = ask(request.clone()).await["worker"].take();
    let other = seen("row").await.expect("it is there")["workers"][1].take();
    let (row, other) = (row.as_object().expect("a row"), other.as_object().expect("a row"));
    assert!(row.keys().eq(other.keys()));
    for field in ["slot", "generation", "pid", "state", "replacement"] {
        assert_eq!(row[field], other[field], "{field}");
    }
    let mut gone = request;
    gone["generation"] = 9.into();
    assert_eq!(ask(gone).await["error"]["kind"], "gone");
    pool.finish().await;
}

#[tokio::test]
async fn a_pool_says_what_may_be_done_to_it() {
    let shown = pool(1).name("shown").control(Access::Read).start().await;
    let hidden = pool(1).name("hidden").control(Access::Off).start().await;
    let open = pool(1).name("open").start().await; // for the socket to be there
    assert_eq!(seen("shown").await.expect("it may be looked at")["access"], "read");
    assert!(seen("hidden").await.is_none());
    for verb in ["stack", "recycle"] {
        for (name, kind) in [("shown", "read_only"), ("hidden", "pool"), ("none", "pool")] {
            let told = ask(json!({"verb": verb, "pool": name, "slot": 0})).await;
            assert_eq!(told["error"]["kind"], kind, "{verb} {name}: {told}");
        }
    }
    assert_eq!((shown.generation(0), hidden.generation(0)), (1, 1));
    for pool in [shown, hidden, open] {
        pool.finish().await;
    }
}

#[tokio::test]
async fn garbage_costs_one_clear_answer_and_the_pool_nothing() {
    let pool = pool(1).name("garbled").start().await;
    let file = std::fs::symlink_metadata(socket()).expect("the socket");
    assert!(file.file_type().is_socket() && file.permissions().mode() & 0o777 == 0o600);
    let lines: [(&[u8], &str); 6] = [
        (b"", "malformed"),
        (b"\0\xff\xfe", "malformed"),
        (b"GET / HTTP/1.1", "malformed"),
        (b"{\"version\":9,\"verb\":\"explode\"}", "version"),
        (b"{\"version\":1,\"verb\":\"explode\"}", "verb"),
        (&[b'['; 100_000], "too_long"),
    ];
    for (bytes, kind) in lines {
        let bytes = bytes.to_vec();
        let told = spawn_blocking(move || heard(&bytes)).await.expect("no panic");
        assert_eq!(told["error"]["kind"], kind, "{told}");
    }
    assert_eq!(pool.run("echo", "well").await.expect("an answer"), "well");
    pool.finish().await;
}

#[tokio::test]
async fn a_flood_of_half_open_clients_is_refused_and_forgotten() {
    let pool = pool(1).name("flooded").start().await;
    let told = spawn_blocking(|| {
        // None of them says a word, and all are let in until there is no place.
        let mut silent = Vec::new();
        loop {
            let mut stream = dial();
            stream.set_read_timeout(Some(std::time::Duration::from_millis(200))).expect("open");
            let mut said = String::new();
            let _ = stream.read_to_string(&mut said);
            match said.is_empty() {
                true => silent.push(stream),
                false => break said,
            }
            assert!(silent.len() < 100, "there is a limit");
        }
    });
    let told: Value = serde_json::from_str(&told.await.expect("no panic")).expect("JSON");
    assert_eq!(told["error"]["kind"], "busy");
    assert_eq!(pool.run("echo", "well").await.expect("an answer"), "well");
    assert!(seen("flooded").await.is_some(), "those that were silent have gone");
    pool.finish().await;
}
