//! From msgpack to serde's data model.
//!
//! An extension is shown as what the reader asks for:
//!
//! ```text
//! a type of `value`, `Value`      tag and body (see `extension`)
//! anything else                   wide int: an integer      datetime … UUID: their text
//!                                 memoryview: bytes
//!                                 timedelta: seconds        numpy scalar: its number or text
//!                                 under a name: what its encoder made of it
//! ```

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::array::{Array, Plain, Scalar};
use super::arrived;
use super::extension::{
    ARRAY, BIG_INT, DATE, DATETIME, DECIMAL, EXTENSION, Extension, NUMPY_SCALAR, TIME, TIMEDELTA,
    UUID, VALUE,
};
use super::failure::CodecError;
use super::format::{ARROW, BYTES, MEMORY, NAMED, RECORDS, REFERENCE, TENSOR, named, reference};
use super::int::Int;
use super::marker::{Cursor, Head, is_other_extension, key_text};
use super::{Date, DateTime, Decimal, MAX_DEPTH, Time, TimeDelta, Uuid};

type Read<T> = Result<T, CodecError>;

pub(super) fn message<T: DeserializeOwned>(message: &[u8]) -> Read<T> {
    let mut decoder = Decoder { cursor: Cursor::new(message), depth: 0, as_they_are: false };
    let value = T::deserialize(&mut decoder)?;
    match decoder.cursor.rest().len() {
        0 => Ok(value),
        left => Err(CodecError::new(format!("{left} bytes are left over behind the value"))),
    }
}

struct Decoder<'de> {
    cursor: Cursor<'de>,
    depth: u32,
    /// The next value is for a reader that knows extensions.
    as_they_are: bool,
}

impl<'de> Decoder<'de> {
    fn is_nil(&self) -> Read<bool> {
        Ok(self.cursor.peek()? == rmp::Marker::Null)
    }

    /// Lets `visit` read what is inside a container.
    fn inside<T>(
        &mut self,
        len: usize,
        visit: impl FnOnce(&mut Items<'_, 'de>) -> Read<T>,
    ) -> Read<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(CodecError::new(format!("nested deeper than {MAX_DEPTH} containers")));
        }
        let mut items = Items { decoder: self, left: len, index: 0, key: &[] };
        let value = visit(&mut items)?;
        let left = items.left;
        self.depth -= 1;
        match left {
            0 => Ok(value),
            left => Err(CodecError::new(format!("{left} items more than expected"))),
        }
    }

    fn extension<V: Visitor<'de>>(
        &mut self,
        tag: i8,
        body: &'de [u8],
        visitor: V,
    ) -> Read<V::Value> {
        let malformed =
            |what: String| CodecError::new(format!("malformed extension of type {tag}: {what}"));
        fn text<T: Extension + ToString>(body: &[u8]) -> Result<String, String> {
            T::from_body(body).map(|value| value.to_string())
        }
        let shown = match tag {
            BIG_INT => {
                let int = Int::from_be_bytes(body);
                return match (i128::try_from(&int), u128::try_from(&int)) {
                    (Ok(value), _) => visitor.visit_i128(value),
                    (_, Ok(value)) => visitor.visit_u128(value),
                    _ => Err(CodecError::new(
                        "an int beyond 128 bits; read it as snakepit::value::Int",
                    )),
                };
            }
            DATETIME => text::<DateTime>(body),
            DATE => text::<Date>(body),
            TIME => text::<Time>(body),
            DECIMAL => text::<Decimal>(body),
            UUID => text::<Uuid>(body),
            TIMEDELTA => {
                let span = TimeDelta::from_body(body).map_err(malformed)?;
                return visitor.visit_f64(span.total_seconds());
            }
            NUMPY_SCALAR => {
                let scalar = Scalar::from_body(body).map_err(malformed)?;
                return self.scalar(&scalar, visitor);
            }
            MEMORY => return visitor.visit_borrowed_bytes(body),
            RECORDS => {
                let what = "an array of structures; read it as snakepit::value::Ext";
                return Err(CodecError::new(what));
            }
            ARROW => {
                return Err(CodecError::new("Arrow data; read it as snakepit::value::Arrow"));
            }
            ARRAY | TENSOR => {
                let array = Array::from_body(body).map_err(malformed)?;
                return Err(CodecError::new(format!(
                    "a numpy array {} of shape {:?}; read it as snakepit::value::Array, or send \
                     a list by .tolist()",
                    array.dtype(),
                    array.shape()
                )));
            }
            REFERENCE => return self.beside(body, visitor),
            NAMED => {
                let torn = || malformed("it starts with no name".to_owned());
                let (_, message) = named(body).ok_or_else(torn)?;
                return self.inside_of(message, visitor);
            }
            _ => {
                return Err(CodecError::new(format!(
                    "unknown extension type {tag}; is the worker newer?"
                )));
            }
        };
        visitor.visit_string(shown.map_err(malformed)?)
    }

    /// A value whose bulk came beside the message, for a type that keeps no buffer.
    fn beside<V: Visitor<'de>>(&mut self, body: &'de [u8], visitor: V) -> Read<V::Value> {
        let (number, tag, head) = reference(body).ok_or_else(torn)?;
        let Some(bulk) = arrived::get(number) else {
            return Err(CodecError::new(format!("no buffer {number} came with the message")));
        };
        match tag {
            BYTES | MEMORY if head.is_empty() => visitor.visit_byte_buf(bulk.to_vec()),
            ARRAY | TENSOR | RECORDS | ARROW => Err(CodecError::new(
                "an array or table; read it as snakepit::value::Array, Arrow, Ext or Value",
            )),
            _ => Err(CodecError::new(format!(
                "a value of type {tag} does not travel beside the message"
            ))),
        }
    }

    /// A value of a type of the program, as what its encoder made of it.
    fn inside_of<V: Visitor<'de>>(&mut self, message: &'de [u8], visitor: V) -> Read<V::Value> {
        let outer = std::mem::replace(&mut self.cursor, Cursor::new(message));
        let value = self.inside(0, |items| (&mut *items.decoder).deserialize_any(visitor))?;
        let left = std::mem::replace(&mut self.cursor, outer).rest().len();
        match left {
            0 => Ok(value),
            left => Err(CodecError::new(format!("{left} bytes are left over behind the value"))),
        }
    }

    fn scalar<V: Visitor<'de>>(&mut self, scalar: &Scalar, visitor: V) -> Read<V::Value> {
        match scalar.plain() {
            Plain::Bool(value) => visitor.visit_bool(value),
            Plain::Int(value) => match i64::try_from(value) {
                Ok(value) => visitor.visit_i64(value),
                Err(_) => match u64::try_from(value) {
                    Ok(value) => visitor.visit_u64(value),
                    Err(_) => visitor.visit_i128(value),
                },
            },
            Plain::Float(value) => visitor.visit_f64(value),
            Plain::Bytes(value) => visitor.visit_byte_buf(value),
            Plain::Text(value) => visitor.visit_string(value),
            Plain::Other => Err(CodecError::new(format!(
                "a numpy scalar {}; read it as snakepit::value::Scalar, or send .item()",
                scalar.dtype()
            ))),
        }
    }
}

impl<'de> Deserializer<'de> for &mut Decoder<'de> {
    type Error = CodecError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        let as_they_are = std::mem::take(&mut self.as_they_are);
        match self.cursor.head()? {
            Head::Nil => visitor.visit_unit(),
            Head::Bool(value) => visitor.visit_bool(value),
            Head::Signed(value) => visitor.visit_i64(value),
            Head::Unsigned(value) => visitor.visit_u64(value),
            Head::Float(value) => visitor.visit_f64(value),
            Head::Str(text) => visitor.visit_borrowed_str(text),
            Head::Bytes(bytes) => visitor.visit_borrowed_bytes(bytes),
            Head::List(len) => self.inside(len, |items| visitor.visit_seq(items)),
            Head::Map(len) => self.inside(len, |items| visitor.visit_map(items)),
            Head::Ext(tag, body) if as_they_are => {
                visitor.visit_newtype_struct(ExtensionParts::new(tag, body)?)
            }
            Head::Ext(tag, body) => self.extension(tag, body, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        if self.is_nil()? {
            self.cursor.head()?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Read<V::Value> {
        match name {
            VALUE => {
                self.as_they_are = true;
                visitor.visit_newtype_struct(self)
            }
            EXTENSION if is_extension(self.cursor.peek()?) => {
                let Head::Ext(tag, body) = self.cursor.head()? else {
                    return Err(CodecError::new("an extension was expected"));
                };
                visitor.visit_newtype_struct(ExtensionParts::new(tag, body)?)
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Read<V::Value> {
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        match self.cursor.head()? {
            Head::Str(name) => visitor.visit_enum(name.into_deserializer()),
            Head::Map(1) => self.inside(1, |items| {
                items.left = 0;
                let Head::Str(name) = items.decoder.cursor.head()? else {
                    return Err(CodecError::new("the name of a variant is a text"));
                };
                let variant = Variant { decoder: &mut *items.decoder, name };
                visitor.visit_enum(variant).map_err(|error| error.at_key(name))
            }),
            Head::Map(len) => Err(CodecError::new(format!(
                "a variant is a name or a dict of one name, not of {len}"
            ))),
            _ => Err(CodecError::new("a variant is a name or a dict of one name")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        // What is skipped may be of any kind, also one that no Rust number holds.
        if is_extension(self.cursor.peek()?) {
            self.cursor.head()?;
            return visitor.visit_unit();
        }
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        seq tuple tuple_struct map struct identifier
    }
}

fn is_extension(marker: rmp::Marker) -> bool {
    use rmp::Marker::*;
    matches!(marker, FixExt1 | FixExt2 | FixExt4 | FixExt8 | FixExt16 | Ext8 | Ext16 | Ext32)
}

/// The items of a list or the pairs of a map that is being read.
struct Items<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    left: usize,
    index: usize,
    /// The bytes of the last key.
    key: &'de [u8],
}

impl<'de> de::SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = CodecError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Read<Option<S::Value>> {
        if self.left == 0 {
            return Ok(None);
        }
        let index = self.index;
        (self.left, self.index) = (self.left - 1, index + 1);
        let item = seed.deserialize(&mut *self.decoder).map_err(|error| error.at_index(index))?;
        Ok(Some(item))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> de::MapAccess<'de> for &mut Items<'_, 'de> {
    type Error = CodecError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Read<Option<S::Value>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let before = self.decoder.cursor.rest();
        let marker = self.decoder.cursor.peek()?;
        let is_container = {
            use rmp::Marker::*;
            matches!(marker, FixArray(_) | Array16 | Array32 | FixMap(_) | Map16 | Map32)
        };
        if is_container || is_other_extension(before) {
            return Err(CodecError::new("a dict key must be a scalar"));
        }
        let key = seed.deserialize(&mut *self.decoder)?;
        self.key = &before[..before.len() - self.decoder.cursor.rest().len()];
        Ok(Some(key))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Read<S::Value> {
        let key = self.key;
        seed.deserialize(&mut *self.decoder).map_err(|error| error.at_key(&key_text(key)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// A variant with something in it.
struct Variant<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    name: &'de str,
}

impl<'de> de::EnumAccess<'de> for Variant<'_, 'de> {
    type Error = CodecError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Read<(S::Value, Self)> {
        let name: StrDeserializer<'_, CodecError> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
    type Error = CodecError;

    fn unit_variant(self) -> Read<()> {
        de::Deserialize::deserialize(self.decoder)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Read<S::Value> {
        seed.deserialize(self.decoder)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Read<V::Value> {
        self.decoder.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        self.decoder.deserialize_any(visitor)
    }
}

/// Tag and body of an extension, for a type that knows what to do with them.
struct ExtensionParts<'de> {
    /// Taken first.
    tag: Option<i8>,
    /// Taken second.
    body: Option<&'de [u8]>,
    /// The buffer that is the rest of the body, where it is not in the message.
    bulk: Option<u32>,
}

impl<'de> ExtensionParts<'de> {
    fn new(tag: i8, body: &'de [u8]) -> Read<Self> {
        if tag != REFERENCE {
            return Ok(Self { tag: Some(tag), body: Some(body), bulk: None });
        }
        let (number, tag, head) = reference(body).ok_or_else(torn)?;
        Ok(Self { tag: Some(tag), body: Some(head), bulk: Some(number) })
    }
}

fn torn() -> CodecError {
    CodecError::new("the bytes end inside a value")
}

impl<'de> Deserializer<'de> for ExtensionParts<'de> {
    type Error = CodecError;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_seq(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

impl<'de> de::SeqAccess<'de> for ExtensionParts<'de> {
    type Error = CodecError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Read<Option<S::Value>> {
        if let Some(tag) = self.tag.take() {
            return seed.deserialize(tag.into_deserializer()).map(Some);
        }
        if let Some(body) = self.body.take() {
            let body: de::value::BytesDeserializer<'_, CodecError> = body.into_deserializer();
            return seed.deserialize(body).map(Some);
        }
        self.bulk.take().map(|number| seed.deserialize(number.into_deserializer())).transpose()
    }
}
