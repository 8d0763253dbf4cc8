//! Sessions of the Rust face over real Python workers: their home, their end, and what they are told.

mod common;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use common::{face, finish};
use serde::Deserialize;
use snakepit::{Affinity, Error, Value};

#[tokio::test]
async fn a_session_has_one_worker_and_is_lost_with_it() {
    let Some((builder, mark)) = face() else { return };
    let pool = builder.size(2).start().await.expect("a pool");
    let session = pool.session("user_42").affinity(Affinity::StrictQueue);
    let home: u32 = session.execute("pid", ()).await.expect("a worker");
    let lives_in = pool.workers().into_iter().find(|worker| worker.pid == Some(home));
    let lives_in = lives_in.expect("one of the pool's").worker;
    for before in 0..5_u32 {
        assert_eq!(session.execute::<u32>("note", ()).await.expect("a note"), before);
        assert_eq!(session.execute::<u32>("pid", ()).await.expect("its home"), home);
    }
    // By id it is the same session.
    let note: u32 = pool.call("note").session("user_42").execute().await.expect("a note");
    assert_eq!(note, 5);

    session.execute::<Value>("crash", ()).await.expect_err("its worker dies");
    let lost = session.execute::<u32>("note", ()).await.expect_err("its state is gone");
    let Error::SessionLost { worker, .. } = lost else { panic!("{lost}") };
    assert_eq!(worker, lives_in, "the home that is gone");
    assert_eq!(pool.session("user_42").execute::<u32>("note", ()).await.expect("anew"), 0);
    finish(pool, mark).await;
}

#[tokio::test]
async fn a_session_is_opened_closed_and_expires() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Visit {
        visits: u32,
        new: bool,
        plan: Option<String>,
    }
    let Some((builder, mark)) = face() else { return };
    let pool = builder.max_sessions(2).start().await.expect("a pool");
    let visit = |visits, plan: Option<&str>| Visit {
        visits,
        new: visits == 1,
        plan: plan.map(str::to_owned),
    };
    let session = pool.session("u").metadata(HashMap::from([("plan", "pro")]));
    assert_eq!((session.info(), session.close()), (None, false), "it was never opened");
    let error = session.execute::<Visit>("visit", ()).await.expect_err("it is closed");
    assert!(matches!(error, Error::SessionClosed { .. }) && !error.may_have_run(), "{error}");

    let session = pool.session("u").metadata(HashMap::from([("plan", "pro")])).ttl(None);
    session.open().expect("room");
    for visits in 1..=3 {
        let seen: Visit = session.execute("visit", ()).await.expect("a visit");
        assert_eq!(seen, visit(visits, Some("pro")));
    }
    let told = session.info().expect("it is open");
    assert_eq!((&*told.id, told.calls, told.in_flight, told.ttl), ("u", 3, 0, None));
    assert_eq!(told.home, Some(pool.workers()[0].worker.clone()));
    assert_eq!(told.metadata().get("plan"), Some(&Value::from("pro")));

    let brief = pool.new_session().expect("an id").ttl(Duration::from_millis(100));
    let hint = brief.call("visit").affinity(Affinity::Hint).execute::<Visit>().await;
    assert_eq!(hint.expect("a visit"), visit(1, None));
    let refused = pool.session("one more").open().expect_err("two are open");
    assert!(matches!(refused, Error::SessionQuotaExceeded { limit: 2, .. }), "{refused}");
    let ended = async || -> Vec<String> { pool.execute("which_closed", ()).await.expect("a list") };
    let end = Instant::now() + Duration::from_secs(30);
    while ended().await.is_empty() {
        assert!(Instant::now() < end, "the worker is never told");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(ended().await, [brief.id()]);
    let error = brief.execute::<Visit>("visit", ()).await.expect_err("it was not used");
    assert!(matches!(error, Error::SessionExpired { .. }), "{error}");

    assert!(session.close() && !session.close() && !pool.close_session("u"));
    let error = session.execute_stream::<Visit>("count", ()).err().expect("it is closed");
    assert!(matches!(error, Error::SessionClosed { .. }), "{error}");
    let anew: Visit = pool.call("visit").session("u").execute().await.expect("by id");
    assert_eq!(anew, visit(1, None));
    assert_eq!(ended().await, [brief.id(), "u"]);
    let open = |id: &str| pool.session(id.to_owned());
    let wrong = [
        (open(""), "session"),
        (open("a\0"), "session"),
        (open(&"x".repeat(257)), "session"),
        (open("u").ttl(Duration::ZERO), "ttl"),
        (open("u").metadata(vec![1]), "metadata"),
    ];
    for (session, field) in wrong {
        let told =
            |error: Error| matches!(error, Error::Config { field: told, .. } if told == field);
        assert!(told(session.open().expect_err(field)), "{field}");
        assert!(told(session.execute::<Value>("visit", ()).await.expect_err(field)), "{field}");
    }
    finish(pool, mark).await;
}
