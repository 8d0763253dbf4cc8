//! What Python tools raise and return, as Rust reads it.

mod common;

use common::{face, finish};
use serde::Deserialize;
use snakepit::value::Map;
use snakepit::{Detail, Diagnosis, Error, Failure, Pool, Unserializable, Value};

async fn failure(pool: &Pool, tool: &str, arguments: Map) -> Failure {
    match pool.execute::<Value>(tool, arguments).await.expect_err("it raises") {
        Error::Remote { failure, .. } => (*failure).clone(),
        error => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_failure_is_what_the_exception_is_made_of() {
    let Some((builder, mark)) = face() else { return };
    let pool = builder.error_class("face_adapter:QuotaError").start().await.expect("a pool");

    let arguments = Map::from([("user", Value::from("ann")), ("limit", 5.into())]);
    let quota = failure(&pool, "quota", arguments).await;
    assert_eq!(quota.type_name, "face_adapter.DiskQuotaError");
    assert_eq!(quota.class.as_deref(), Some("face_adapter:QuotaError"));
    let arguments = quota.arguments::<(String, u8)>().expect("they travel");
    assert_eq!(arguments.expect("a text and a number"), ("ann".into(), 5));
    let cause = quota.cause.expect("it was raised from another one");
    assert_eq!((&*cause.type_name, &*cause.message), ("KeyError", "'ann'"));
    assert_eq!((cause.notes, cause.class), (vec!["looked up".to_owned()], None));
    assert!(cause.traceback.contains("face_adapter.py"));

    let many = failure(&pool, "many", Map::new()).await;
    let names: Vec<_> = many.exceptions.iter().map(|member| &*member.type_name).collect();
    assert_eq!(names, ["ValueError", "face_adapter.QuotaError"]);

    let shapes = failure(&pool, "multiply", Map::new()).await;
    let Some(Diagnosis::ShapeMismatch { expected, got, .. }) = shapes.diagnosis() else {
        panic!("{shapes}")
    };
    assert_eq!((expected, got), (Some(vec![2, 3]), Some(vec![4, 5])));
    finish(pool, mark).await;
}

#[tokio::test]
async fn classes_have_a_form() {
    let Some((builder, _)) = face() else { return };
    let error = builder.error_class("QuotaError").start().await.expect_err("no module");
    assert!(matches!(error, Error::Config { field: "errors", .. }), "{error}");
}

#[tokio::test]
async fn what_cannot_travel_may_be_a_marker() {
    #[derive(Deserialize)]
    struct Money {
        cents: u32,
    }
    let Some((builder, mark)) = face() else { return };
    let rule = Unserializable { detail: Detail::ReprTruncated, ..Unserializable::default() };
    let pool = builder.unserializable(rule).start().await.expect("a pool");
    let (money, marker): (Money, Map) = pool.execute("unfit", ()).await.expect("a marker");
    assert_eq!(money.cents, 5);
    assert_eq!(marker.get("__ffi_unserializable__"), Some(&true.into()));
    assert_eq!(marker.get("__type__"), Some(&"builtins.set".into()));
    assert_eq!(marker.get("__repr__"), Some(&"{1}".into()));

    let value: Vec<Value> = pool.execute("unfit", ()).await.expect("a marker");
    let Value::Ext(money) = &value[0] else { panic!("{value:?}") };
    assert_eq!(money.name(), Some("face_adapter.Money"));
    assert_eq!(money.decode::<Money>().expect("its fields").cents, 5);
    finish(pool, mark).await;
}
