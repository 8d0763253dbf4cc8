//! Host tools in Rust, called back by real Python workers.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{face, finish};
use serde::{Deserialize, Serialize};
use snakepit::{Error, HostContext, HostToolInfo, Pool, Value};
use snakepit_testkit::until;

#[derive(Serialize)]
struct Back<'a, A> {
    name: &'a str,
    arguments: A,
}

#[derive(Serialize, Deserialize)]
struct Data {
    data: String,
}

#[derive(Serialize, Deserialize)]
struct Left {
    left: u32,
}

fn back<'a>(name: &'a str, data: &str) -> Back<'a, Data> {
    Back { name, arguments: Data { data: data.into() } }
}

#[derive(Serialize, Deserialize)]
struct Large {
    value: Value,
}

async fn one_worker() -> Option<(Pool, snakepit_testkit::Mark)> {
    let (builder, mark) = face()?;
    Some((builder.size(1_usize).start().await.expect("a pool"), mark))
}

#[tokio::test]
async fn large_values_go_beside_their_messages() {
    let Some((builder, mark)) = face() else { return };
    // Nothing of them would fit.
    let pool = builder.size(1_usize).max_message(64 << 10).start().await.expect("a pool");
    let bytes: Vec<u8> = (0..1 << 20).map(|at: u32| at as u8).collect();
    let large = || Value::Bytes(bytes.clone().into());
    let same = |args: Large| Ok::<_, String>(args.value);
    pool.register_tool("same", same).expect("new");
    let later = |args: Large| async move { Ok::<_, String>(args.value) };
    pool.host_tool("later").register_async(later).expect("new");
    let twice = |args: Large| [args.value.clone(), args.value].into_iter().map(Ok::<_, String>);
    pool.host_tool("twice").register_stream(twice).expect("new");

    for name in ["same", "later"] {
        let call = Back { name, arguments: Large { value: large() } };
        let answer: Value = pool.execute("call_back", call).await.expect("what was sent");
        assert!(answer == large(), "{name}");
    }
    let call = Back { name: "twice", arguments: Large { value: large() } };
    let answers: Vec<Value> = pool.execute("collect_back", call).await.expect("two of them");
    assert!(answers == [large(), large()]);
    let memory = pool.stats().shared_memory.expect("by default there is some");
    assert_eq!((memory.faults, memory.fallbacks), (0, 0));
    finish(pool, mark).await;
}

#[tokio::test]
async fn closures_and_futures_are_called_back() {
    let Some((pool, mark)) = one_worker().await else { return };
    pool.register_tool("length", |args: Data| Ok::<_, String>(args.data.len())).expect("new");
    let upper = |args: Data| async move {
        tokio::task::yield_now().await;
        Ok::<_, String>(args.data.to_uppercase())
    };
    pool.host_tool("upper").description("Shouts.").register_async(upper).expect("new");

    let length: usize = pool.execute("call_back", back("length", "four")).await.expect("4");
    assert_eq!(length, 4);
    let text: String = pool.execute("call_back", back("upper", "hi")).await.expect("HI");
    assert_eq!(text, "HI");
    let listed = pool.host_tools();
    let names: Vec<_> = listed.iter().map(|tool| &*tool.name).collect();
    assert_eq!(names, ["length", "upper"]);
    let HostToolInfo { description, streaming, .. } = &listed[1];
    assert_eq!((&**description, *streaming), ("Shouts.", false));
    finish(pool, mark).await;
}

#[tokio::test]
async fn an_error_and_wrong_arguments_are_exceptions_in_the_adapter() {
    let Some((pool, mark)) = one_worker().await else { return };
    pool.register_tool("fail", |_: Data| Err::<(), _>("not today")).expect("new");
    let failed = pool.execute::<Value>("call_back", back("fail", "")).await;
    let Err(Error::Remote { failure, .. }) = failed else { panic!("{failed:?}") };
    assert!(failure.message.contains("not today"), "{failure:?}");

    let wrong = Back { name: "fail", arguments: Left { left: 1 } };
    let failed = pool.execute::<Value>("call_back", wrong).await;
    let Err(Error::Remote { failure, .. }) = failed else { panic!("{failed:?}") };
    assert!(failure.message.contains("data"), "{failure:?}");

    let failed = pool.execute::<Value>("call_back", back("fial", "")).await;
    let Err(Error::Remote { failure, .. }) = failed else { panic!("{failed:?}") };
    assert!(failure.message.contains("did you mean 'fail'"), "{failure:?}");
    finish(pool, mark).await;
}

#[tokio::test]
async fn names_are_checked_and_taken_once() {
    let Some((pool, mark)) = one_worker().await else { return };
    let register = |name: &str| pool.register_tool(name, |args: Data| Ok::<_, String>(args.data));
    register("good").expect("new");
    for name in ["good", "", "a b"] {
        assert!(matches!(register(name), Err(Error::Config { field: "name", .. })), "{name:?}");
    }
    assert!(pool.unregister_tool("good", None));
    assert!(!pool.unregister_tool("good", None));
    finish(pool, mark).await;
}

#[tokio::test]
async fn a_session_has_tools_of_its_own() {
    let Some((pool, mark)) = one_worker().await else { return };
    let own = |args: Data| Ok::<_, String>(args.data);
    pool.host_tool("own").session("s1").register(own).expect("new");
    let session = pool.session("s1");
    let text: String = session.execute("call_back", back("own", "mine")).await.expect("mine");
    assert_eq!(text, "mine");
    pool.execute::<Value>("call_back", back("own", "mine")).await.expect_err("not for all");
    finish(pool, mark).await;
}

#[tokio::test]
async fn what_an_iterator_yields_is_iterated_over() {
    let Some((pool, mark)) = one_worker().await else { return };
    let count = |args: Left| (0..args.left).map(Ok::<_, String>);
    pool.host_tool("count").register_stream(count).expect("new");
    let call = Back { name: "count", arguments: Left { left: 3000 } };
    let items: Vec<u32> = pool.execute("collect_back", call).await.expect("items");
    assert_eq!(items, (0..3000).collect::<Vec<_>>());
    finish(pool, mark).await;
}

#[tokio::test]
async fn a_call_that_would_wait_for_itself_is_refused() {
    let Some((pool, mark)) = one_worker().await else { return };
    let inner = pool.clone();
    let again = move |args: Data| {
        let pool = inner.clone();
        async move {
            assert_eq!(HostContext::current().map(|context| context.depth()), Some(1));
            pool.execute::<Value>("call_back", back("again", &args.data)).await
        }
    };
    pool.host_tool("again").register_async(again).expect("new");
    let failed = pool.execute::<Value>("call_back", back("again", "")).await;
    let Err(Error::Remote { failure, .. }) = failed else { panic!("{failed:?}") };
    assert!(failure.message.contains("held by the calls that wait"), "{failure:?}");
    assert!(pool.unregister_tool("again", None), "which also lets go of the pool in it");
    finish(pool, mark).await;
}

struct SetOnDrop(Arc<AtomicBool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_future_is_dropped_when_its_call_is_over() {
    let Some((pool, mark)) = one_worker().await else { return };
    pool.await_ready(None).await.expect("a worker"); // what is limited is the call, not its start
    let dropped = Arc::new(AtomicBool::new(false));
    let noted = dropped.clone();
    let wait = move |_: Data| {
        let guard = SetOnDrop(noted.clone());
        async move {
            let _guard = guard;
            std::future::pending::<Result<(), String>>().await
        }
    };
    pool.host_tool("wait").register_async(wait).expect("new");
    let call = pool.call("call_back").args(back("wait", "")).timeout(Duration::from_millis(200));
    let failed = call.execute::<Value>().await;
    assert!(matches!(failed, Err(Error::Timeout { .. })), "{failed:?}");
    until("the future is dropped", || dropped.load(Ordering::SeqCst)).await;

    dropped.store(false, Ordering::SeqCst);
    let limit = Duration::from_millis(50);
    assert!(pool.unregister_tool("wait", None));
    let noted = dropped.clone();
    let wait = move |_: Data| {
        let guard = SetOnDrop(noted.clone());
        async move {
            let _guard = guard;
            std::future::pending::<Result<(), String>>().await
        }
    };
    pool.host_tool("wait").timeout(limit).register_async(wait).expect("new");
    let failed = pool.execute::<Value>("call_back", back("wait", "")).await;
    let Err(Error::Remote { failure, .. }) = failed else { panic!("{failed:?}") };
    assert!(failure.message.contains("TimeoutError"), "{failure:?}");
    until("the future is dropped", || dropped.load(Ordering::SeqCst)).await;
    finish(pool, mark).await;
}
