//! The Rust face over real Python workers: values, options, errors, cancellation.

mod common;

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use common::{face, finish};
use serde::{Deserialize, Serialize};
use snakepit::value::{Array, Date, DateTime, Decimal, Int, Map, Time, TimeDelta, Uuid};
use snakepit::{Env, Error, Line, Pool, PoolOptions, SharedMemory, Step, Value};
use snakepit_testkit::until;

#[derive(Serialize)]
struct One<T> {
    value: T,
}

#[derive(Serialize)]
struct Folder<'a> {
    folder: &'a Path,
}

async fn echo<T: Serialize>(pool: &Pool, value: T) -> Value {
    pool.execute("echo", One { value }).await.expect("an echo")
}

#[tokio::test]
async fn values_keep_their_types_both_ways() {
    let Some((builder, mark)) = face() else { return };
    let pool = builder.start().await.expect("a pool");

    #[derive(Deserialize)]
    struct Samples {
        none: Option<u8>,
        wide: i128,
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
        date: Date,
        datetime: DateTime,
        time: Time,
        span: TimeDelta,
        decimal: Decimal,
        uuid: Uuid,
        keys: Map,
    }
    let samples: Samples = pool.execute("samples", ()).await.expect("samples");
    assert_eq!((samples.none, samples.wide), (None, 1 << 100));
    assert_eq!(samples.bytes, [0, 255]);
    assert_eq!(samples.datetime.to_string(), "2024-01-02T03:04:05.000678+00:00");
    assert_eq!(samples.decimal.as_str(), "1.10");
    assert_eq!(samples.keys.iter().next(), Some(&(1.into(), "one".into())));

    let sent = [
        (Value::Date(samples.date), "datetime.date"),
        (Value::DateTime(samples.datetime), "datetime.datetime"),
        (Value::Time(samples.time), "datetime.time"),
        (Value::TimeDelta(samples.span), "datetime.timedelta"),
        (Value::Decimal(samples.decimal), "decimal.Decimal"),
        (Value::Uuid(samples.uuid), "uuid.UUID"),
        (Value::Int(Int::from(u128::MAX)), "builtins.int"),
        (Value::Map(samples.keys), "builtins.dict"),
        (Value::Bytes(vec![1].into()), "builtins.bytes"),
        (vec![Value::None, 1.5.into(), true.into()].into(), "builtins.list"),
    ];
    for (value, name) in sent {
        let named: String = pool.execute("type_of", One { value: &value }).await.expect("a name");
        assert_eq!(named, name);
        assert_eq!(echo(&pool, &value).await, value);
    }

    let array = Array::from_items(&[1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3]).expect("six");
    let call = pool.call("type_of").args(One { value: &array });
    match call.execute::<String>().await {
        Ok(named) => {
            assert_eq!(named, "numpy.ndarray");
            assert_eq!(echo(&pool, &array).await, Value::Array(array));
        }
        Err(error) => assert!(error.to_string().contains("numpy"), "no numpy there: {error}"),
    }
    finish(pool, mark).await;
}

#[tokio::test]
async fn shared_memory_is_the_builders_choice() {
    let large = Value::Bytes(vec![7; 300_000].into());
    let Some((builder, mark)) = face() else { return };
    let pool = builder.shared_memory(None).start().await.expect("a pool");
    assert_eq!(echo(&pool, &large).await, large);
    assert!(pool.stats().shared_memory.is_none());
    finish(pool, mark).await;

    let Some((builder, mark)) = face() else { return };
    let memory = SharedMemory { threshold: 1 << 20, ..SharedMemory::default() };
    let pool = builder.shared_memory(memory).start().await.expect("a pool");
    assert_eq!(echo(&pool, &large).await, large);
    assert_eq!(pool.stats().shared_memory.map(|memory| memory.made), Some(0));
    finish(pool, mark).await;
}

#[tokio::test]
async fn large_values_lie_in_shared_memory() {
    for line in [Line::Native, Line::Grpcio] {
        let Some((builder, mark)) = face() else { return };
        let pool = builder.line(line).start().await.expect("a pool");
        let bytes = Value::Bytes((0..=255).cycle().take(300_000).collect::<Vec<u8>>().into());
        let items: Vec<f64> = (0..100_000).map(f64::from).collect();
        let array = Value::Array(Array::from_items(&items, &[1000, 100]).expect("items"));
        let mut values = vec![bytes];
        if pool.execute::<String>("type_of", One { value: &array }).await.is_ok() {
            values.push(array); // numpy is there
        }
        let value = Value::from(values);
        for _ in 0..3 {
            assert_eq!(echo(&pool, &value).await, value);
        }
        let memory = pool.stats().shared_memory.expect("by default there is some");
        assert!(memory.made + memory.reused >= 3, "{memory:?}");
        finish(pool, mark).await;
    }
}

#[tokio::test]
async fn the_other_end_of_the_line_serves_a_rust_host_too() {
    let Some((builder, mark)) = face() else { return };
    let pool = builder.line(Line::Grpcio).start().await.expect("a pool");
    assert_eq!(echo(&pool, vec![1, 2, 3]).await, Value::from(vec![1, 2, 3]));
    let error = pool.execute::<Value>("crash", ()).await.expect_err("it dies");
    let Error::WorkerDied { exit, .. } = &error else { panic!("{error}") };
    assert_eq!(exit.exit_code, Some(3));
    assert_eq!(echo(&pool, "again").await, Value::from("again"));
    finish(pool, mark).await;
}

#[tokio::test]
async fn a_dropped_future_cancels_its_call() {
    let Some((builder, mark)) = face() else { return };
    let pool = builder.start().await.expect("a pool");
    let folder = tempfile::tempdir().expect("a folder");
    let began = || std::fs::read_dir(folder.path()).expect("readable").count() > 0;

    let arguments = Folder { folder: folder.path() };
    tokio::select! {
        result = pool.execute::<()>("wait", &arguments) => panic!("it waits: {result:?}"),
        () = until("the tool begins", began) => {}
    }
    until("the tool is told", || folder.path().join("cancelled").exists()).await;
    let pong: String = pool.execute("ping", ()).await.expect("the worker lives on");
    assert_eq!(pong, "pong");
    assert_eq!(pool.workers()[0].worker.generation, 1, "the same worker");
    finish(pool, mark).await;
}

#[tokio::test]
async fn a_dropped_stream_closes_the_generator() {
    #[derive(Serialize)]
    struct Count<'a> {
        n: u64,
        folder: Option<&'a Path>,
    }
    #[derive(Deserialize)]
    struct Item {
        x: u64,
    }
    let Some((builder, mark)) = face() else { return };
    let pool = builder.start().await.expect("a pool");
    let folder = tempfile::tempdir().expect("a folder");

    let all = Count { n: 3000, folder: None };
    let mut items = pool.execute_stream::<Item>("count", &all).expect("a stream");
    let mut next = 0;
    while let Some(item) = items.next().await {
        assert_eq!(item.expect("an item").x, next);
        next += 1;
    }
    assert_eq!(next, 3000);

    let endless = Count { n: u64::MAX >> 1, folder: Some(folder.path()) };
    let mut items = pool.execute_stream::<Item>("count", &endless).expect("a stream");
    assert_eq!(items.next().await.expect("a first one").expect("an item").x, 0);
    drop(items);
    until("its finally runs", || folder.path().join("closed").exists()).await;

    // A chunk of another type than asked for ends the stream, and the call.
    let mut texts = pool.execute_stream::<String>("count", &endless).expect("a stream");
    let error = texts.next().await.expect("a first one").expect_err("a dict is no text");
    assert!(matches!(&error, Error::Decode { path, .. } if path == "chunk"), "{error}");
    assert!(texts.next().await.is_none());
    finish(pool, mark).await;
}

#[tokio::test]
async fn errors_have_fields_and_say_whether_the_call_may_have_run() {
    let Some((builder, mark)) = face() else { return };
    let pool = builder.timeout(Duration::from_secs(60)).start().await.expect("a pool");
    pool.await_ready(None).await.expect("a worker");

    let keys = HashMap::from([((1, 2), 3)]);
    let error = pool.execute::<Value>("echo", One { value: keys }).await.expect_err("no key");
    assert!(matches!(&error, Error::Encode { path, .. } if path == r#"args["value"]"#), "{error}");
    assert!(!error.may_have_run());
    let error = pool.execute::<Value>("echo", [1, 2]).await.expect_err("no arguments");
    assert!(error.to_string().contains("a map of names to values"), "{error}");
    assert_eq!(pool.workers()[0].calls, 0, "nothing was sent");

    let nested = One { value: HashMap::from([("size", "large")]) };
    let error = pool.execute::<HashMap<String, u8>>("echo", &nested).await.expect_err("a text");
    assert!(matches!(&error, Error::Decode { path, .. } if path == r#"result["size"]"#), "{error}");
    assert!(error.may_have_run());

    let error = pool.execute::<Value>("fail", ()).await.expect_err("it raises");
    let Error::Remote { failure, .. } = &error else { panic!("{error}") };
    assert_eq!((&*failure.type_name, &*failure.message), ("ValueError", "as asked"));
    assert!(failure.traceback.contains("face_adapter.py"));

    let error = pool.execute::<Value>("pin", ()).await.expect_err("no such tool");
    assert!(error.to_string().contains("did you mean pi"), "{error}");

    let error = pool.execute::<Value>("crash", ()).await.expect_err("it dies");
    let Error::WorkerDied { exit, may_have_run: true, .. } = &error else { panic!("{error}") };
    assert_eq!(exit.exit_code, Some(3));

    // The limit holds from the start, and the worker may still be starting again.
    let mut silent = pool.call("silent").idle_timeout(Duration::from_secs(3)).stream::<u8>();
    let silent = silent.as_mut().expect("a stream");
    assert_eq!(silent.next().await.expect("a chunk").expect("a number"), 1);
    let error = silent.next().await.expect("an end").expect_err("silence");
    assert!(matches!(error, Error::Timeout { step: Step::Running, .. }), "{error}");

    let error = pool.call("ping").session("").execute::<Value>().await.expect_err("no id");
    assert!(matches!(error, Error::Config { field: "session", .. }), "{error}");
    finish(pool, mark).await;
}

#[tokio::test]
async fn calls_have_options_and_a_full_queue_refuses() {
    let Some((builder, mark)) = face() else { return };
    let pool = builder.max_queue(1_usize).start().await.expect("a pool");
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = Folder { folder: folder.path() };

    let running = pool.call("wait").args(&arguments).submit::<()>().expect("a call");
    until("it runs", || std::fs::read_dir(folder.path()).expect("readable").count() > 0).await;
    let limit = Duration::from_millis(50);
    let queued = pool.call("ping").timeout(limit).execute::<Value>().await.expect_err("it waits");
    assert!(matches!(queued, Error::Timeout { step: Step::Queued | Step::Sent, .. }), "{queued}");

    let waiting = pool.call("ping").submit::<String>().expect("one may wait");
    let mut refused = None;
    let mut more = Vec::new();
    while refused.is_none() {
        // One more may already wait inside of the worker.
        match pool.call("ping").submit::<String>() {
            Ok(answer) => more.push(answer),
            Err(error) => refused = Some(error),
        }
    }
    assert!(more.len() < 64, "a bounded queue");
    assert!(matches!(refused, Some(Error::QueueFull { capacity: 1, .. })), "{refused:?}");

    std::fs::write(folder.path().join("release"), "").expect("a file");
    running.await.expect("released");
    assert_eq!(waiting.await.expect("its turn"), "pong");
    drop(more);
    finish(pool, mark).await;
}

#[tokio::test]
async fn options_of_a_file_make_the_same_pool() {
    let Some((builder, mark)) = face() else { return };
    let (name, value) = mark.variable();
    let options: PoolOptions = serde_json::from_value(serde_json::json!({
        "size": 2, "name": "from-file", "adapter_args": {"greeting": "good day"},
        "env": {(name): value, "COLOUR": "green", "TOKEN": "secret"}, "secrets": "TOKEN",
    }))
    .expect("options");
    let pool = builder.merge(options).start().await.expect("a pool");
    assert_eq!((pool.config().name.as_str(), pool.config().size), ("from-file", 2));

    let greet = pool.call("greet").args(Map::from([("name", "world")]));
    assert_eq!(greet.execute::<String>().await.expect("a greeting"), "good day world");
    let variable = async |name: &str| {
        let arguments = Map::from([("name", name)]);
        pool.execute::<Option<String>>("variable", arguments).await.expect("a value or none")
    };
    assert_eq!(variable("COLOUR").await.as_deref(), Some("green"));
    assert_eq!(variable("TOKEN").await, None);
    assert!(variable("OMP_NUM_THREADS").await.is_some());
    finish(pool, mark).await;
}

#[tokio::test]
async fn a_strict_environment_and_a_runtime_of_many_threads() {
    let Some((builder, mark)) = face() else { return };
    let (name, value) = mark.variable();
    let builder = builder.env(Env::strict().set(name, value)).size(2);
    let work = async move {
        let pool = builder.start().await.expect("a pool");
        let calls = (0..200).map(|number| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.execute::<u32>("echo", One { value: number }).await })
        });
        for (number, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
            let back = call.await.expect("no panic").expect("an echo");
            assert_eq!(back as usize, number);
        }
        let cargo = Map::from([("name", "CARGO_MANIFEST_DIR")]);
        assert_eq!(pool.execute::<Option<String>>("variable", cargo).await.expect("none"), None);
        finish(pool, mark).await;
    };
    let other = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.expect("a runtime").block_on(work);
    });
    other.join().expect("no panic");
}

#[tokio::test]
async fn what_is_wrong_is_told_before_anything_starts() {
    let Some((builder, mark)) = face() else { return };
    let field = async |builder: snakepit::Builder| match builder.start().await {
        Err(Error::Config { field, message }) => (field, message),
        other => panic!("{other:?}"),
    };
    assert_eq!(field(builder.clone().name("a b")).await.0, "name");
    assert_eq!(field(builder.clone().size(0)).await.0, "size");
    let args = HashMap::from([("not a name", 1)]);
    assert_eq!(field(builder.clone().adapter_args(args)).await.0, "adapter_args");
    assert_eq!(field(builder.clone().adapter_args([1])).await.0, "adapter_args");
    let (name, message) = field(Pool::builder("face_adapter.Face")).await;
    assert_eq!(name, "adapter");
    assert!(message.contains("did you mean \"face_adapter:Face\"?"), "{message}");

    let (name, message) = field(builder.clone().pythonpath("/nowhere/adapters")).await;
    assert_eq!(name, "pythonpath");
    assert!(message.contains("there is no folder /nowhere/adapters"), "{message}");

    let missing = builder.clone().python("/nowhere/python").start().await.expect_err("no file");
    assert!(matches!(&missing, Error::Start { .. }), "{missing}");
    assert!(missing.to_string().contains("no interpreter /nowhere/python"), "{missing}");

    let bare = builder.clone().python(interpreter_without_sdk()).start().await.expect_err("bare");
    assert!(bare.to_string().contains("-m pip install snakepit-pool"), "{bare}");

    let options = PoolOptions::default();
    let absent = Pool::from_config(options).start().await.expect_err("no adapter");
    assert!(matches!(absent, Error::Config { field: "adapter", .. }), "{absent}");
    mark.assert_nothing_left().await;
}

/// The interpreter that `.venv` was made from: same Python, no packages of ours.
fn interpreter_without_sdk() -> std::path::PathBuf {
    let python = common::python().expect("asked for before");
    let shown = std::process::Command::new(python)
        .args(["-c", "import sys; print(sys._base_executable)"])
        .output()
        .expect("it runs");
    String::from_utf8(shown.stdout).expect("a path").trim().into()
}

#[tokio::test]
async fn an_adapter_that_is_not_there_is_a_start_error() {
    let Some((builder, mark)) = face() else { return };
    let options: PoolOptions =
        serde_json::from_value(serde_json::json!({"adapter": "face_adapter:Fase"})).expect("one");
    let pool = builder.merge(options).start().await.expect("checked later");
    let error = pool.await_ready(None).await.expect_err("no such class");
    let Error::Start { failure, .. } = &error else { panic!("{error}") };
    assert!(failure.adapter_source, "{failure:?}");
    finish(pool, mark).await;
}
