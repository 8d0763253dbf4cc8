//! Python values in Rust, and their way into messages and out of them.
//!
//! Two ways lead to a worker. Arguments and results are any types of serde:
//!
//! | Python | Rust |
//! |---|---|
//! | dict with text keys | a struct, `HashMap<String, _>`, [`Map`] |
//! | list | `Vec<_>`, a tuple |
//! | `None` | `Option::None`, `()` |
//! | bool, int, float, str | `bool`, integers up to 128 bits, `f32` and `f64`, `String` |
//! | bytes | what serde calls bytes: the crate `serde_bytes`, [`bytes::Bytes`] inside a [`Value`] |
//! | a name, or a dict of one name | an enum: `"red"`, `{"circle": {"radius": 1}}` |
//! | datetime, date, time, `Decimal`, `UUID` | the types here; a `String`; types of `chrono`, `time`, `uuid`, `rust_decimal` as they read their own text |
//! | timedelta | [`TimeDelta`], or its seconds as a float |
//! | `memoryview`, `bytearray` | as bytes; what is sent arrives as `bytes` |
//! | numpy array, torch tensor | [`Array`]; with the feature `ndarray` an `Nd`; what is sent arrives as a numpy array |
//! | Arrow data: `pyarrow.Table`, frames of pandas and polars, … | [`Arrow`]; with the feature `arrow` a `Table` or `Batch` |
//! | array of structures | [`Ext`] |
//! | numpy scalar | the number or text that it is; [`Scalar`] keeps its dtype |
//!
//! The other direction is the same, but for the row of dates: what another crate writes as
//! text arrives as a `str`; send a type from here for a `datetime`.
//!
//! [`Value`] holds any of them, for results whose shape is not known, and through
//! [`encode()`] and [`decode()`] the bytes of a message can be made and read without a pool.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use snakepit::Value;
//! use snakepit::value::{Map, decode, encode};
//!
//! #[derive(Serialize, Deserialize, Debug, PartialEq)]
//! struct Point {
//!     x: f64,
//!     label: Option<String>,
//! }
//!
//! let point = Point { x: 1.5, label: None };
//! let message = encode(&point)?;
//! assert_eq!(decode::<Point>(&message)?, point);
//!
//! let same = Map::from([("x", Value::from(1.5)), ("label", Value::None)]);
//! assert_eq!(decode::<Value>(&message)?, Value::Map(same));
//! # Ok::<(), snakepit::value::CodecError>(())
//! ```
//!
//! The format is msgpack with the extensions of `docs/values.md`. A [`Value`] behind
//! `#[serde(flatten)]` or in an untagged enum sees datetimes and the like as their text, since
//! serde keeps such values in a type of its own meanwhile.

mod array;
mod arrived;
mod arrow;
mod container;
mod convert;
mod decode;
mod dtype;
mod encode;
mod extension;
mod failure;
#[doc(hidden)]
#[allow(missing_docs)]
pub mod format;
mod int;
mod iso;
mod map;
mod marker;
#[cfg(feature = "ndarray")]
mod nd;
mod span;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod tree;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::payload::Payload;

pub use array::{Array, Ext, Scalar, ShapeError};
pub use arrow::{Arrow, ArrowKind};
#[cfg(feature = "arrow")]
pub use arrow::{Batch, Table};
pub use dtype::{Dtype, Item};
pub use failure::CodecError;
pub use int::{Int, OutOfRange};
pub use map::Map;
#[cfg(feature = "ndarray")]
pub use nd::Nd;
pub use span::TimeDelta;
pub use text::{Decimal, Uuid};
pub use time::{Date, DateTime, Time};

/// Containers inside each other, both ways.
const MAX_DEPTH: u32 = 128;

/// Any value that travels between a host and its workers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// `None`
    None,
    /// `bool`
    Bool(bool),
    /// `int` of any size
    Int(Int),
    /// `float`
    Float(f64),
    /// `str`
    Str(String),
    /// `bytes`; a `memoryview` and a `bytearray` are read as these too
    Bytes(Bytes),
    /// `list`
    List(Vec<Value>),
    /// `dict`
    Map(Map),
    /// `datetime.datetime`
    DateTime(DateTime),
    /// `datetime.date`
    Date(Date),
    /// `datetime.time`
    Time(Time),
    /// `datetime.timedelta`
    TimeDelta(TimeDelta),
    /// `decimal.Decimal`
    Decimal(Decimal),
    /// `uuid.UUID`
    Uuid(Uuid),
    /// `numpy.ndarray`; a `torch.Tensor` is read as one too
    Array(Array),
    /// A numpy scalar
    Scalar(Scalar),
    /// Arrow data: a `pyarrow.Table` and its parts
    Arrow(Arrow),
    /// A value of a type of the program, an array of structures; an extension of a newer version
    Ext(Ext),
}

/// Encodes one value as a message.
///
/// # Errors
/// It cannot travel: a dict's key is no scalar, it is nested deeper than 128 containers, or its
/// own `Serialize` refuses. The error says where.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, CodecError> {
    encode::value(value, None)
}

/// Encodes the arguments of a call: anything that becomes a map from names to values, or `()`.
///
/// # Errors
/// As [`encode()`], and anything else than a map with text keys.
pub fn encode_arguments<T: Serialize + ?Sized>(arguments: &T) -> Result<Bytes, CodecError> {
    encode::arguments(arguments, None)
}

/// Takes what is large of a value that is being encoded, so that it travels beside the message.
pub trait Outside {
    /// Takes a copy of `bulk`, as the next buffer of the message. False: it is to be in the message.
    ///
    /// # Errors
    /// It can be neither; the text says why.
    fn leave(&mut self, bulk: &[u8]) -> Result<bool, String>;

    /// Begins the next buffer, of `len` bytes that come in pieces, by [`write`](Self::write). False: they
    /// are to be in the message.
    ///
    /// # Errors
    /// As [`leave`](Self::leave).
    fn begin(&mut self, len: usize) -> Result<bool, String>;

    /// The next piece of the buffer that was begun; all of them have `len` bytes.
    fn write(&mut self, piece: &[u8]);
}

/// [`encode_arguments`], but `outside` takes what it wants of arrays and bytes.
///
/// # Errors
/// As [`encode_arguments`], and what `outside` says.
pub fn encode_arguments_beside<T: Serialize + ?Sized>(
    arguments: &T,
    outside: Box<dyn Outside>,
) -> Result<Bytes, CodecError> {
    encode::arguments(arguments, Some(outside))
}

/// [`encode()`], but `outside` takes what it wants of arrays and bytes.
///
/// # Errors
/// As [`encode()`], and what `outside` says.
pub(crate) fn encode_beside<T: Serialize + ?Sized>(
    value: &T,
    outside: Box<dyn Outside>,
) -> Result<Bytes, CodecError> {
    encode::value(value, Some(outside))
}

/// Decodes a message with the buffers beside it. A [`Value`] and an [`Array`] keep them: no copy.
///
/// # Errors
/// As [`decode()`].
pub fn decode_payload<T: DeserializeOwned>(payload: &Payload) -> Result<T, CodecError> {
    if payload.buffers.is_empty() {
        return decode(&payload.bytes);
    }
    let _scope = arrived::enter(&payload.buffers);
    decode::message(&payload.bytes)
}

/// Decodes a message.
///
/// # Errors
/// It is not exactly one value of the format, or not one that `T` can be. The error says where.
pub fn decode<T: DeserializeOwned>(message: &[u8]) -> Result<T, CodecError> {
    decode::message(message)
}
