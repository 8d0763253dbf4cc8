//! The corpus that holds the codecs together, byte for byte: `tests/codec/vectors.json`.
//!
//! Values are told there as Python expressions. Messages that are long are told by their hash, and
//! all of those are repetitions, which are built here; the rest are read and written again.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use snakepit::Value;
use snakepit::value::{Ext, Map, decode, encode};

/// The type that the corpus registers.
const OF_THE_PROGRAM: &str = "corpus.Version";

#[derive(Deserialize)]
struct Vector {
    value: String,
    hex: Option<String>,
    sha256: Option<String>,
}

/// None: this is the packaged crate, outside of its repository.
fn corpus() -> Option<Vec<Vector>> {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if !root.join("ARCHITECTURE.md").is_file() {
        eprintln!("skipped: the corpus is in the repository, and this is a package of the crate");
        return None;
    }
    let text = std::fs::read_to_string(root.join("tests/codec/vectors.json")).expect("the corpus");
    Some(serde_json::from_str(&text).expect("a list of vectors"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks_exact(2);
    pairs
        .map(|pair| {
            let digits = std::str::from_utf8(pair).expect("ASCII");
            u8::from_str_radix(digits, 16).expect("hexadecimal digits")
        })
        .collect()
}

/// The value of an expression that repeats something.
fn repetition(expression: &str) -> Option<Value> {
    if let Some(count) = expression.strip_prefix("{i: None for i in range(") {
        let count: u32 = count.strip_suffix(")}")?.parse().ok()?;
        return Some(Value::Map((0..count).map(|key| (key, Value::None)).collect::<Map>()));
    }
    if let Some(parts) = expression.strip_prefix("Version(") {
        let parts = vec![repetition(parts.strip_suffix(')')?)?];
        return Some(Value::Ext(Ext::named(OF_THE_PROGRAM, &parts).expect("plain values")));
    }
    let (what, count) = expression.split_once(" * ")?;
    let count: usize = count.parse().ok()?;
    Some(match what {
        "'a'" => "a".repeat(count).into(),
        "'é'" => "é".repeat(count).into(),
        "b'a'" => Value::Bytes(vec![b'a'; count].into()),
        "[None]" => vec![Value::None; count].into(),
        _ => return None,
    })
}

/// Types of extensions, see `docs/values.md`.
const MEMORY: u8 = 12;
const STRUCTURES: u8 = 13;

fn message_is_of(message: &[u8], extension: u8) -> bool {
    let place = match message.first() {
        Some(0xd4..=0xd8) => 1,
        Some(0xc7) => 2,
        Some(0xc8) => 3,
        _ => return false,
    };
    message.get(place) == Some(&extension)
}

#[test]
fn messages_of_the_corpus_are_read_and_written_byte_for_byte() {
    let Some(corpus) = corpus() else { return };
    let mut read = 0;
    for Vector { value, hex: told, .. } in &corpus {
        let Some(told) = told else { continue };
        let message = bytes(told);
        let arrived: Value = decode(&message).unwrap_or_else(|error| panic!("{value}: {error}"));
        let name = if let Value::Ext(ext) = &arrived { ext.name() } else { None };
        let named = value.starts_with("Version(").then_some(OF_THE_PROGRAM);
        let kept = named.is_some() || message_is_of(&message, STRUCTURES);
        assert_eq!((name, matches!(arrived, Value::Ext(_))), (named, kept), "{value}");
        let again = encode(&arrived).expect("a value that came");
        if value.starts_with("np.asfortranarray") || message_is_of(&message, MEMORY) {
            // In Rust arrays are in C order, and memory is bytes: the same value in another form.
            assert_eq!(decode::<Value>(&again).expect("what was made here"), arrived, "{value}");
        } else {
            assert_eq!(hex(&again), *told, "{value}");
        }
        read += 1;
    }
    assert!(read > 150, "the corpus has shrunk to {read}");
}

#[test]
fn repetitions_are_built_and_have_the_bytes_of_the_corpus() {
    let Some(corpus) = corpus() else { return };
    for Vector { value: expression, hex: told, sha256 } in &corpus {
        let Some(value) = repetition(expression) else {
            assert!(sha256.is_none(), "{expression} is told by its hash and not built here");
            continue;
        };
        let message = encode(&value).expect("a plain value");
        match (told, sha256) {
            (Some(told), _) => assert_eq!(hex(&message), *told, "{expression}"),
            (_, Some(told)) => assert_eq!(hex(&Sha256::digest(&message)), *told, "{expression}"),
            (None, None) => panic!("{expression}: neither bytes nor hash"),
        }
        assert!(decode::<Value>(&message).expect("what was written") == value, "{expression}");
    }
}

#[test]
fn ints_and_simple_values_are_what_python_says() {
    let Some(corpus) = corpus() else { return };
    let mut ints = 0;
    for Vector { value: expression, hex: told, .. } in &corpus {
        let Some(told) = told else { continue };
        let value: Value = decode(&bytes(told)).expect("a vector");
        if let Value::Int(int) = &value
            && expression.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit())
        {
            assert_eq!(int.to_string(), *expression);
            ints += 1;
        }
        let expected = match expression.as_str() {
            "None" => Value::None,
            "True" => true.into(),
            "1.5" => 1.5.into(),
            "-math.inf" => f64::NEG_INFINITY.into(),
            "'日本'" => "日本".into(),
            "datetime.date(2024, 2, 29)" => Value::Date("2024-02-29".parse().expect("a date")),
            "decimal.Decimal('1.10')" => Value::Decimal("1.10".parse().expect("digits")),
            "datetime.timedelta(days=-1, seconds=2, microseconds=3)" => Value::TimeDelta(
                snakepit::value::TimeDelta::from_microseconds(-86_397_999_997).expect("a day"),
            ),
            "uuid.UUID('00112233-4455-6677-8899-aabbccddeeff')" => {
                Value::Uuid("00112233-4455-6677-8899-aabbccddeeff".parse().expect("a UUID"))
            }
            "np.arange(3, dtype='f4')" => Value::Array(
                snakepit::value::Array::from_items(&[0.0_f32, 1.0, 2.0], &[3]).expect("items"),
            ),
            _ => continue,
        };
        assert_eq!(value, expected, "{expression}");
    }
    assert!(ints > 60, "only {ints} ints");
}
