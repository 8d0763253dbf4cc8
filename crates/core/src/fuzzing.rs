//! Where bytes of others come in, as functions of those bytes: for `fuzz/` and for the test that
//! replays its corpora.
//!
//! Each of [`TARGETS`] takes anything and returns; it panics where something that must always hold
//! does not. None of this is for embedders.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::value::MapDeserializer;

use crate::config::PoolOptions;
use crate::process::fuzzing as process;
use crate::transport::fuzzing as transport;
use crate::value::{
    CodecError, Map, Outside, Value, decode, decode_payload, encode, encode_arguments_beside,
};
use crate::{Buffer, Payload};

/// One entry point.
#[derive(Clone, Copy)]
pub struct Target {
    /// Also that of its corpus and of its program in `fuzz/`.
    pub name: &'static str,
    /// Panics where the bytes show a bug.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 9] = [
    Target { name: "buffers", run: transport::buffers },
    Target { name: "control", run: process::control },
    Target { name: "frame", run: transport::frame },
    Target { name: "ledger", run: process::ledger },
    Target { name: "line", run: transport::line },
    Target { name: "opening", run: transport::opening },
    Target { name: "options", run: options },
    Target { name: "roundtrip", run: roundtrip },
    Target { name: "value", run: value },
];

/// Runs one of them.
///
/// # Panics
/// There is none of that name, or the bytes show a bug.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("the name of a target");
    (target.run)(bytes);
}

/// A message is refused, or it is a value that is written and read again as the same one.
fn value(bytes: &[u8]) {
    with_buffers(bytes);
    let Ok(value) = decode::<Value>(bytes) else {
        // Readers that ask for something particular see the same bytes.
        let _: Result<Vec<String>, CodecError> = decode(bytes);
        let _: Result<Option<(f64, u64)>, CodecError> = decode(bytes);
        return;
    };
    again(&value);
    let _: Result<String, CodecError> = decode(bytes);
    let _: Result<f64, CodecError> = decode(bytes);
    let _: Result<i128, CodecError> = decode(bytes);
}

/// The same where buffers came with it. What then leaves the message is read as what it was.
fn with_buffers(bytes: &[u8]) {
    let buffers = [0, 1, 8, 24, 300].map(|size| Buffer::from(vec![7; size]));
    let payload =
        Payload { bytes: Bytes::copy_from_slice(bytes), buffers: buffers.to_vec().into() };
    let Ok(value) = decode_payload::<Value>(&payload) else { return };
    again(&value);
    let left = Rc::new(RefCell::new(Vec::new()));
    let arguments = Map::from([("value", value.clone())]);
    let Ok(bytes) = encode_arguments_beside(&arguments, Box::new(Leave(left.clone()))) else {
        return; // one container more than may be inside each other
    };
    let buffers: Vec<Buffer> = left.take().into_iter().map(Buffer::from).collect();
    let back: Map =
        decode_payload(&Payload { bytes, buffers: buffers.into() }).expect("what was written");
    // Compared as messages: NaN is not equal to itself.
    let back = back.get("value").expect("the only argument");
    assert_eq!(encode(back).ok(), encode(&value).ok(), "{value:?}");
}

/// Everything that may leaves the message, but for what is empty: nobody makes room for that.
struct Leave(Rc<RefCell<Vec<Vec<u8>>>>);

impl Outside for Leave {
    fn leave(&mut self, bulk: &[u8]) -> Result<bool, String> {
        if bulk.is_empty() {
            return Ok(false);
        }
        self.0.borrow_mut().push(bulk.to_vec());
        Ok(true)
    }

    fn begin(&mut self, len: usize) -> Result<bool, String> {
        if len > 0 {
            self.0.borrow_mut().push(Vec::new());
        }
        Ok(len > 0)
    }

    fn write(&mut self, piece: &[u8]) {
        self.0.borrow_mut().last_mut().expect("one was begun").extend_from_slice(piece);
    }
}

/// What is written is the one way to write it.
fn again(value: &Value) {
    let Ok(written) = encode(value) else {
        // What came from a newer version may be refused on its way out; it is never read again.
        return;
    };
    let read: Value = decode(&written).expect("what was written is read");
    let twice = encode(&read).expect("and written again");
    assert_eq!(written, twice, "{value:?}");
}

/// Bytes as a recipe: a value is made of them, which must arrive as it was sent.
fn roundtrip(bytes: &[u8]) {
    let mut recipe = bytes.iter().copied();
    let value = made(&mut recipe, 0);
    let written = encode(&value).expect("plain values travel");
    let read: Value = decode(&written).expect("what was written is read");
    // Compared as messages: NaN is not equal to itself.
    assert_eq!(encode(&read).expect("and written again"), written, "{value:?}");
}

fn made(recipe: &mut impl Iterator<Item = u8>, depth: u32) -> Value {
    const DEEPEST: u32 = 60;
    let mut number = |bytes: usize| (0..bytes).fold(0, |sum, _| sum << 8 | next(recipe));
    match number(1) % 11 {
        0 => Value::None,
        1 => Value::Bool(number(1) % 2 == 1),
        2 => Value::from(number(8) as i64),
        3 => Value::Int(crate::value::Int::from_be_bytes(&text(recipe))),
        4 => Value::Float(f64::from_bits(number(8))),
        5 => Value::Str(String::from_utf8_lossy(&text(recipe)).into_owned()),
        6 => Value::Bytes(text(recipe).into()),
        7 | 8 if depth < DEEPEST => {
            let length = number(1) % 6;
            Value::List((0..length).map(|_| made(recipe, depth + 1)).collect())
        }
        9 if depth < DEEPEST => {
            let length = number(1) % 6;
            let pairs = (0..length).map(|key| (Value::from(key as i64), made(recipe, depth + 1)));
            Value::Map(pairs.collect::<Map>())
        }
        _ => Value::from(number(2) as i64),
    }
}

fn next(recipe: &mut impl Iterator<Item = u8>) -> u64 {
    recipe.next().unwrap_or(0).into()
}

fn text(recipe: &mut impl Iterator<Item = u8>) -> Vec<u8> {
    let length = next(recipe) as usize;
    recipe.take(length).collect()
}

/// Options are refused, or they can be laid over others: as a message, and as lines `name=text`.
fn options(bytes: &[u8]) {
    let read = |options: PoolOptions| {
        let mut merged = PoolOptions::default();
        merged.merge(options.clone());
        // Not equal where a number in them is NaN.
        assert_eq!(format!("{merged:?}"), format!("{options:?}"));
    };
    if let Ok(options) = decode::<PoolOptions>(bytes) {
        read(options);
    }
    let text = String::from_utf8_lossy(bytes);
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let table = MapDeserializer::<_, CodecError>::new(pairs);
    if let Ok(options) = PoolOptions::deserialize(table) {
        read(options);
    }
}
