use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;

fn hex(message: &[u8]) -> String {
    message.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn floats_are_double_and_ints_beyond_64_bits_an_extension() {
    assert_eq!(hex(&encode(&1.5_f32).expect("a float")), "cb3ff8000000000000");
    assert_eq!(hex(&encode(&(1_u128 << 64)).expect("an int")), "c70901010000000000000000");
    assert_eq!(hex(&encode(&u64::MAX).expect("an int")), "cfffffffffffffffff");
    assert_eq!(decode::<u128>(&encode(&u128::MAX).expect("an int")), Ok(u128::MAX));
    assert_eq!(decode::<i128>(&encode(&i128::MIN).expect("an int")), Ok(i128::MIN));
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
enum Shape {
    Nothing,
    Circle { radius: f64 },
    Line(u8, u8),
    Named(String),
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
struct Unit;

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
struct Everything {
    shapes: Vec<Shape>,
    unit: Unit,
    pair: (u8, char),
    some: Option<i8>,
    none: Option<i8>,
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
    table: BTreeMap<u16, bool>,
    date: Date,
    span: TimeDelta,
    array: Array,
}

#[test]
fn every_kind_of_rust_type_comes_back() {
    let all = Everything {
        shapes: vec![
            Shape::Nothing,
            Shape::Circle { radius: 0.5 },
            Shape::Line(1, 2),
            Shape::Named("x".into()),
        ],
        unit: Unit,
        pair: (7, 'é'),
        some: Some(-1),
        none: None,
        bytes: vec![0, 255],
        table: BTreeMap::from([(300, true)]),
        date: Date::new(2024, 2, 29).expect("a day"),
        span: TimeDelta::from_seconds(-1.5).expect("a short time"),
        array: Array::from_items(&[1_i16, -2], &[2]).expect("two items"),
    };
    let message = encode(&all).expect("plain data");
    assert_eq!(decode::<Everything>(&message).expect("the same"), all);

    let value: Value = decode(&message).expect("any value");
    assert_eq!(value.get("unit"), Some(&Value::None));
    assert_eq!(value.get("bytes"), Some(&Value::Bytes(vec![0, 255].into())));
    assert_eq!(value.get("date"), Some(&Value::Date(all.date)));
    let shapes = value.get("shapes").and_then(Value::as_list).expect("a list");
    assert_eq!(shapes[0].as_str(), Some("Nothing"));
    assert_eq!(shapes[1].get("Circle").and_then(|circle| circle.get("radius")), Some(&0.5.into()));
    assert_eq!(encode(&value).expect("it came from a message"), message);
}

#[test]
fn sequences_of_unknown_length_get_it_afterwards() {
    struct Odd;

    impl Serialize for Odd {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq((0..20).filter(|number| number % 2 == 1))
        }
    }
    let message = encode(&(0, Odd)).expect("numbers");
    let (_, odd): (u8, Vec<u8>) = decode(&message).expect("numbers");
    assert_eq!(odd, [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
}

#[test]
fn arguments_are_a_map_with_names() {
    #[derive(Serialize)]
    struct Args {
        x: u8,
    }
    let encoded = |result: Result<bytes::Bytes, CodecError>| hex(&result.expect("arguments"));
    assert_eq!(encoded(encode_arguments(&Args { x: 1 })), "81a17801");
    assert_eq!(encoded(encode_arguments(&())), "80");
    assert_eq!(encoded(encode_arguments(&Unit)), "80");
    assert_eq!(encoded(encode_arguments(&None::<Args>)), "80");
    assert_eq!(encoded(encode_arguments(&Map::from([("x", 1)]))), "81a17801");
    assert_eq!(encoded(encode_arguments(&serde_json::json!({"x": 1}))), "81a17801");

    for refused in [
        encode_arguments(&[1, 2]),
        encode_arguments("x"),
        encode_arguments(&7),
        encode_arguments(&Value::Date(Date::new(2024, 1, 1).expect("a day"))),
        encode_arguments(&HashMap::from([(1, "x")])),
    ] {
        let error = refused.expect_err("no arguments");
        assert!(error.message().contains("name"), "{error}");
    }
    // Only the outermost map has names.
    assert!(encode_arguments(&HashMap::from([("x", HashMap::from([(1, 2)]))])).is_ok());
}

#[test]
fn what_cannot_travel_is_named_with_its_place() {
    let keys = HashMap::from([((1, 2), 3)]);
    let error = encode_arguments(&HashMap::from([("model", vec![HashMap::new(), keys])]));
    let error = error.expect_err("a tuple is no key");
    assert_eq!(error.path("args"), r#"args["model"][1]"#);
    assert!(error.message().contains("scalar"), "{error}");

    let dated = Map::from([(Value::Date(Date::new(2024, 1, 1).expect("a day")), 1)]);
    assert!(encode(&dated).is_err());
    assert!(encode(&Map::from([(u128::MAX, 1)])).is_ok());
    let date_as_key = [0x81, 0xd4, 3, b'x', 1];
    assert!(decode::<Value>(&date_as_key).expect_err("no key").message().contains("scalar"));
}

#[test]
fn a_wrong_answer_is_named_with_its_place() {
    #[derive(Deserialize, Debug)]
    #[expect(dead_code, reason = "it is never made")]
    struct Answer {
        layers: Vec<HashMap<String, u8>>,
    }
    let value = Value::Map(Map::from([(
        "layers",
        vec![Value::Map(Map::new()), Value::Map(Map::from([("size", "large")]))],
    )]));
    let error = decode::<Answer>(&encode(&value).expect("a value")).expect_err("a text");
    assert_eq!(error.path("result"), r#"result["layers"][1]["size"]"#);
    assert!(error.message().contains("string \"large\""), "{error}");

    let error = decode::<Answer>(&encode(&Map::new()).expect("a map")).expect_err("empty");
    assert!(error.message().contains("missing field `layers`"), "{error}");
}

#[test]
fn depth_ends_at_128_both_ways() {
    let nest = |depth: usize| (0..depth).fold(Value::Int(1.into()), |value, _| vec![value].into());
    let deepest = encode(&nest(128)).expect("as deep as may be");
    assert_eq!(decode::<Value>(&deepest).expect("as deep"), nest(128));
    assert!(encode(&nest(129)).expect_err("too deep").message().contains("128"));

    let mut deeper = vec![0x91; 129];
    deeper.push(0x01);
    assert!(decode::<Value>(&deeper).expect_err("too deep").message().contains("128"));
    // Whoever only skips it follows the same rule.
    assert!(decode::<serde::de::IgnoredAny>(&deeper).is_err());
}

#[test]
fn types_of_other_crates_see_text_and_numbers() {
    let time: DateTime = "2024-01-02T03:04:05+00:00".parse().expect("ISO 8601");
    let uuid = Uuid([0x11; 16]);
    let half = Scalar::new("<f2".parse().expect("a dtype"), vec![0x00, 0x3e]).expect("two bytes");
    let record = Map::from([
        ("time", Value::DateTime(time.clone())),
        ("price", Value::Decimal("1.10".parse().expect("digits"))),
        ("id", Value::Uuid(uuid)),
        ("span", Value::TimeDelta(TimeDelta::from_seconds(1.5).expect("short"))),
        ("half", Value::Scalar(half)),
        ("large", Value::Int((u64::MAX).into())),
    ]);
    let message = encode(&record).expect("a record");
    let json: serde_json::Value = decode(&message).expect("JSON has them all");
    let told = serde_json::json!({
        "time": "2024-01-02T03:04:05+00:00", "price": "1.10", "span": 1.5, "half": 1.5,
        "id": "11111111-1111-1111-1111-111111111111", "large": u64::MAX,
    });
    assert_eq!(json, told);
    assert_eq!(serde_json::to_value(&time).expect("text"), told["time"]);
    let back: DateTime = serde_json::from_value(told["time"].clone()).expect("its own text");
    assert_eq!(back, time);

    let texts: HashMap<String, serde::de::IgnoredAny> = decode(&message).expect("skipped");
    assert_eq!(texts.len(), 6);
}

#[test]
fn an_array_is_asked_for_by_its_type() {
    let array = Array::from_items(&[1.0_f64], &[1]).expect("an item");
    let message = encode(&array).expect("an array");
    assert_eq!(decode::<Array>(&message), Ok(array));
    let error = decode::<Vec<f64>>(&message).expect_err("no list");
    assert!(error.message().contains("snakepit::value::Array"), "{error}");
    let unknown = [0xc7, 1, 42, 7];
    assert_eq!(decode::<Ext>(&unknown), Ok(Ext { tag: 42, body: vec![7].into() }));
    assert!(decode::<serde_json::Value>(&unknown).is_err());
}

#[test]
fn of_repeated_keys_the_last_one_counts() {
    let message = [0x82, 0xa1, b'a', 1, 0xa1, b'a', 2];
    assert_eq!(decode::<Map>(&message).expect("a map").get("a"), Some(&Value::from(2)));
    assert_eq!(decode::<HashMap<String, u8>>(&message).expect("a map")["a"], 2);
}

proptest! {
    /// A message from the other side may be anything: an error, never a panic, and no more memory
    /// than it has bytes for.
    #[test]
    fn any_bytes_are_a_value_or_an_error(message in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(value) = decode::<Value>(&message) {
            let again = encode(&value);
            prop_assert!(again.is_ok(), "{value:?}");
        }
        let _ = decode::<serde_json::Value>(&message);
        let _ = decode::<Everything>(&message);
    }

    #[test]
    fn ints_of_any_size_keep_their_value(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let int = Int::from_be_bytes(&bytes);
        prop_assert_eq!(&Int::from_be_bytes(&int.to_be_bytes()), &int);
        prop_assert_eq!(decode::<Int>(&encode(&int).expect("an int")), Ok(int));
    }
}

#[test]
fn a_value_under_a_name_is_read_as_what_its_encoder_made() {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Money {
        cents: u32,
        currency: Option<String>,
    }
    let made = Map::from([("cents", Value::from(5)), ("currency", Value::None)]);
    let sent = Ext::named("app.Money", &made).expect("a short name");
    assert_eq!(sent.name(), Some("app.Money"));
    let message = encode(&vec![&sent]).expect("it travels");
    assert_eq!(message[..4], [0x91, 0xc7, sent.body.len() as u8, 11]);

    let money = Money { cents: 5, currency: None };
    assert_eq!(decode::<Vec<Money>>(&message).expect("a struct"), [money]);
    let value: Value = decode(&message).expect("any value");
    let Value::List(items) = &value else { panic!("{value:?}") };
    let Value::Ext(ext) = &items[0] else { panic!("{value:?}") };
    assert_eq!((ext, ext.decode::<Map>().expect("a dict")), (&sent, made));
    assert_eq!(encode(&value).expect("it goes back"), message);

    for name in ["", &"é".repeat(128)] {
        assert!(Ext::named(name, &1).is_err());
    }
    let unknown = Ext { tag: 100, body: vec![1].into() };
    assert_eq!(unknown.name(), None);
    assert!(unknown.decode::<Value>().is_err());
}

#[test]
fn what_is_malformed_under_a_name_is_refused() {
    for (body, expected) in [
        (&[][..], "starts with no name"),
        (&[0, 1], "starts with no name"),
        (&[2, b'a'], "starts with no name"),
        (&[1, 0xff, 1], "starts with no name"),
        (&[1, b'a'], "the bytes end"),
        (&[1, b'a', 1, 2], "1 bytes are left over"),
    ] {
        let message = [&[0xc7, body.len() as u8, 11], body].concat();
        let error = decode::<u8>(&message).expect_err("malformed");
        assert!(error.to_string().contains(expected), "{body:?}: {error}");
    }
    // Names inside each other count as containers.
    let mut message = vec![1];
    for _ in 0..129 {
        let body = [&[1, b'a'], &message[..]].concat();
        message = [&[0xc8][..], &(body.len() as u16).to_be_bytes(), &[11], &body].concat();
    }
    let error = decode::<u8>(&message).expect_err("too deep");
    assert!(error.to_string().contains("nested deeper"), "{error}");
}

/// Takes what has so many bytes.
struct Beside(usize, std::rc::Rc<std::cell::RefCell<Vec<crate::payload::Buffer>>>);

impl super::Outside for Beside {
    fn leave(&mut self, bulk: &[u8]) -> Result<bool, String> {
        let takes = bulk.len() >= self.0;
        if takes {
            self.1.borrow_mut().push(bytes::Bytes::copy_from_slice(bulk).into());
        }
        Ok(takes)
    }

    fn begin(&mut self, len: usize) -> Result<bool, String> {
        if len >= self.0 {
            self.1.borrow_mut().push(bytes::Bytes::new().into());
        }
        Ok(len >= self.0)
    }

    fn write(&mut self, piece: &[u8]) {
        let mut buffers = self.1.borrow_mut();
        let last = buffers.last_mut().expect("one was begun");
        *last = bytes::Bytes::from([last.bytes(), piece].concat()).into();
    }
}

pub(super) fn beside<T: Serialize>(value: &T, threshold: usize) -> crate::Payload {
    let buffers = std::rc::Rc::default();
    let outside = Beside(threshold, std::rc::Rc::clone(&buffers));
    let arguments = std::collections::BTreeMap::from([("value", value)]);
    let bytes = super::encode_arguments_beside(&arguments, Box::new(outside)).expect("it travels");
    crate::Payload { bytes, buffers: buffers.take().into() }
}

#[test]
fn large_bodies_leave_the_message_and_come_back_without_a_copy() {
    let array = Array::from_items(&[1.5_f64; 100], &[10, 10]).expect("a hundred");
    let value = Value::List(vec![
        Value::Bytes(vec![7; 800].into()),
        Value::Array(array),
        Value::Bytes(vec![8; 10].into()),
        Value::Str("s".repeat(900)),
    ]);
    for (threshold, left) in [(11, 2), (800, 2), (801, 0)] {
        let payload = beside(&value, threshold);
        assert_eq!(payload.buffers.len(), left);
        let back: Map = super::decode_payload(&payload).expect("what was sent");
        assert_eq!(back.get("value"), Some(&value));
        if let Some(Value::List(items)) = back.get("value")
            && let [Value::Bytes(bytes), Value::Array(array), ..] = &items[..]
            && left > 0
        {
            assert_eq!(bytes.as_ptr(), payload.buffers[0].as_ptr());
            assert_eq!(array.data().as_ptr(), payload.buffers[1].as_ptr());
        }
    }
}

#[test]
fn keys_stay_in_the_message() {
    let map = Map::from([(Value::Bytes(vec![1; 50].into()), Value::Bytes(vec![2; 50].into()))]);
    let payload = beside(&Value::Map(map.clone()), 50);
    assert_eq!(payload.buffers.len(), 1);
    let back: Map = super::decode_payload(&payload).expect("what was sent");
    assert_eq!(back.get("value"), Some(&Value::Map(map)));
}

#[test]
fn types_that_keep_no_buffer_copy_it() {
    let payload = beside(&Value::Bytes(vec![9; 64].into()), 1);
    #[derive(serde::Deserialize)]
    struct Holder {
        value: serde_bytes::ByteBuf,
    }
    let holder: Holder = super::decode_payload(&payload).expect("bytes");
    assert_eq!(&holder.value[..], &[9; 64]);
}

#[test]
fn lies_about_buffers_are_refused() {
    let reference = |number: u32, tag: u8, head: &[u8]| {
        let body = [&number.to_be_bytes()[..], &[tag], head].concat();
        [&[0xc7, body.len() as u8, 8], &body[..]].concat()
    };
    let one_f8 = [&b"\x03<f8\x01"[..], &1_u64.to_be_bytes()].concat();
    let two_f8 = [&b"\x03<f8\x01"[..], &2_u64.to_be_bytes()].concat();
    let decode = |message: Vec<u8>| {
        let buffers = vec![bytes::Bytes::from_static(&[0; 8]).into()];
        super::decode_payload::<Value>(&crate::Payload {
            bytes: message.into(),
            buffers: buffers.into(),
        })
    };
    assert!(matches!(decode(reference(0, 6, &one_f8)), Ok(Value::Array(_))));
    assert!(matches!(decode(reference(0, 0, &[])), Ok(Value::Bytes(_))));
    for lie in [
        reference(1, 6, &one_f8),
        reference(0, 6, &two_f8),
        reference(0, 6, &[&one_f8[..], &[0]].concat()),
        reference(0, 0, &[1]),
        reference(0, 2, &[]),
        reference(0, 8, &[]),
        vec![0xd4, 8, 0],
    ] {
        assert!(decode(lie.clone()).is_err(), "{lie:?}");
    }
    let alone = super::decode::<Value>(&reference(0, 0, &[]));
    assert!(alone.is_err(), "nothing came with it");
}
