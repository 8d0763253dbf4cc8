use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::value::{Map, Value, encode_arguments};

fn wrong(schema: &str, arguments: Map) -> Option<Mismatch> {
    let schema: Schema = schema.parse().expect("a schema");
    let encoded = encode_arguments(&arguments).expect("arguments that travel");
    schema.check(&encoded).err()
}

fn told(schema: &str, arguments: Map) -> String {
    let wrong = wrong(schema, arguments).expect("a mismatch");
    format!("{}: {}: {} / {}", wrong.parameter, wrong.path, wrong.expected, wrong.got)
}

const USER: &str = r##"{
    "type": "object",
    "properties": {
        "user": {"$ref": "#/$defs/User"},
        "limit": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
        "mode": {"enum": ["fast", "slow"]}
    },
    "required": ["user"],
    "additionalProperties": false,
    "$defs": {"User": {
        "type": "object",
        "properties": {
            "age": {"type": "integer"},
            "friends": {"type": "array", "items": {"$ref": "#/$defs/User"}}
        },
        "required": ["age"]
    }}
}"##;

fn user(age: impl Into<Value>) -> Value {
    Value::Map(Map::from([("age", age)]))
}

#[test]
fn the_first_wrong_place_is_named() {
    let friends = Value::List(vec![user(1), user("two")]);
    let nested = Map::from([("age", Value::from(3)), ("friends", friends)]);
    assert_eq!(
        told(USER, Map::from([("user", Value::Map(nested))])),
        r#"user: args["user"]["friends"][1]["age"]: an integer / a string of 3 characters"#
    );
    assert_eq!(told(USER, Map::new()), r#"user: args["user"]: an object / nothing"#);
    let misspelt = Map::from([("user", user(1)), ("limti", Value::from(1))]);
    assert_eq!(
        told(USER, misspelt),
        r#"limti: args["limti"]: nothing of this name (did you mean "limit"?) / an integer, 1"#
    );
    let mode = Map::from([("user", user(1)), ("mode", Value::from("quick"))]);
    assert_eq!(told(USER, mode), r#"mode: args["mode"]: one of "fast", "slow" / "quick""#);
    let limit = Map::from([("user", user(1)), ("limit", Value::from(0.5))]);
    assert_eq!(told(USER, limit), r#"limit: args["limit"]: an integer or null / a number, 0.5"#);
}

#[test]
fn what_is_right_passes() {
    let right = Map::from([("user", user(1)), ("limit", Value::None), ("mode", "slow".into())]);
    assert_eq!(wrong(USER, right), None);
    assert_eq!(wrong(USER, Map::from([("user", user(2.0))])), None, "2.0 is an integer in JSON");
    assert!(wrong(USER, Map::from([("user", user(true))])).is_some(), "a boolean is none");
    let anything = Map::from([("x", Value::None)]);
    let unknown: Schema = "".parse().expect("an empty one");
    assert_eq!(unknown, Schema::default());
    assert_eq!(wrong(unknown.as_str(), anything), None);
}

#[test]
fn what_json_does_not_have_is_a_string_of_its_format() {
    let of = |format: &str| format!(r#"{{"properties":{{"x":{{"type":"string"{format}}}}}}}"#);
    let bytes = || Map::from([("x", Value::Bytes("abc".into()))]);
    assert_eq!(wrong(&of(r#","format":"binary""#), bytes()), None);
    assert_eq!(told(&of(""), bytes()), r#"x: args["x"]: a string / 3 bytes"#);
    let array = crate::value::Array::from_items(&[1.0_f32, 2.0], &[2]).expect("two items");
    let schema = r#"{"properties":{"x":{"type":"array","items":{"type":"number"}}}}"#;
    assert_eq!(wrong(schema, Map::from([("x", Value::Array(array))])), None);
}

#[test]
fn a_choice_and_the_only_value_both_hold() {
    let schema = r#"{"properties":{"x":{"enum":[null,1],"const":1}}}"#;
    assert_eq!(wrong(schema, Map::from([("x", Value::from(1_i64))])), None);
    assert_eq!(told(schema, Map::from([("x", Value::None)])), r#"x: args["x"]: 1 / null"#);
}

#[test]
fn a_schema_is_an_object_of_json() {
    for text in ["{", "[]", "5", "null"] {
        assert!(text.parse::<Schema>().is_err(), "{text}");
    }
}

#[test]
fn a_schema_that_never_ends_lets_pass_in_bounded_time() {
    let circle = r##"{"$ref": "#"}"##;
    assert_eq!(wrong(circle, Map::new()), None);
    let tree = r##"{"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {
        "a": {"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}, false]}
    }}"##;
    assert_eq!(wrong(tree, Map::new()), None);
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::None),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::btree_map("[a-c]", inner, 0..3)
                .prop_map(|map: BTreeMap<String, Value>| Value::Map(map.into_iter().collect())),
        ]
    })
}

fn any_schema() -> impl Strategy<Value = Json> {
    const KINDS: &[&str] =
        &["null", "boolean", "integer", "number", "string", "array", "object", "?"];
    let leaf = prop_oneof![
        Just(Json::Bool(true)),
        Just(Json::Bool(false)),
        prop::sample::select(KINDS).prop_map(|kind| serde_json::json!({"type": kind})),
        any::<i8>().prop_map(|least| serde_json::json!({"minimum": least, "multipleOf": least})),
        prop::sample::select(&["#", "#/properties/a", "#/nowhere", "a"])
            .prop_map(|to| serde_json::json!({"$ref": to})),
    ];
    leaf.prop_recursive(4, 30, 4, |inner| {
        let some = || prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            some().prop_map(|all| serde_json::json!({"anyOf": all})),
            some().prop_map(|all| serde_json::json!({"allOf": all, "uniqueItems": true})),
            some().prop_map(|all| serde_json::json!({"prefixItems": all, "items": false})),
            prop::collection::btree_map("[a-c]", inner.clone(), 0..3)
                .prop_map(|all| serde_json::json!({"properties": all, "required": ["a"]})),
        ]
    })
}

proptest! {
    /// Whatever a worker tells, holding arguments against it ends, and without a panic; what is
    /// refused is named by a path.
    #[test]
    fn any_schema_can_be_asked(root in any_schema(), a in any_value()) {
        let arguments = Value::Map(Map::from([("a", a)]));
        if let Err(wrong) = super::check::check(&root, &arguments, 100) {
            prop_assert!(wrong.path.starts_with("args"), "{wrong:?}");
        }
    }
}
