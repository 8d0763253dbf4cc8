//! [`Value`] through serde: every type keeps its own in our format; others get what they know.

use std::fmt;

use bytes::Bytes;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::extension::{self, Body, Extension, Parts, Raw, Shown, VALUE};
use super::format;
use super::int::{Form, Int};
use super::{
    Array, Arrow, Date, DateTime, Decimal, Ext, Map, Scalar, Time, TimeDelta, Uuid, Value,
};

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => value.serialize(serializer),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Str(value) => serializer.serialize_str(value),
            Self::Bytes(value) => serializer.serialize_bytes(value),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(map) => map.serialize(serializer),
            Self::DateTime(value) => value.serialize(serializer),
            Self::Date(value) => value.serialize(serializer),
            Self::Time(value) => value.serialize(serializer),
            Self::TimeDelta(value) => value.serialize(serializer),
            Self::Decimal(value) => value.serialize(serializer),
            Self::Uuid(value) => value.serialize(serializer),
            Self::Array(value) => value.serialize(serializer),
            Self::Scalar(value) => value.serialize(serializer),
            Self::Arrow(value) => value.serialize(serializer),
            Self::Ext(value) => value.serialize(serializer),
        }
    }
}

impl Serialize for Map {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(key, value)| (key, value)))
    }
}

impl Serialize for Int {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.form() {
            Form::Signed(value) => serializer.serialize_i64(value),
            Form::Unsigned(value) => serializer.serialize_u64(value),
            Form::Wide(_) => extension::serialize(serializer, Self::TAG, self.body(), &Shown(self)),
        }
    }
}

impl Serialize for TimeDelta {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        extension::serialize(serializer, Self::TAG, self.body(), &self.total_seconds())
    }
}

impl Serialize for Array {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shape = Some(self.shape());
        let told = Told { dtype: self.dtype().as_str(), shape, data: self.data() };
        extension::serialize(serializer, Self::TAG, self.body(), &told)
    }
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let told = Told { dtype: self.dtype().as_str(), shape: None, data: self.data() };
        extension::serialize(serializer, Self::TAG, self.body(), &told)
    }
}

impl Serialize for Arrow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let told = (self.kind().type_name(), Raw(self.stream()));
        extension::serialize(serializer, Self::TAG, self.body(), &told)
    }
}

impl Serialize for Ext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let body = Body::whole(&self.body[..]);
        extension::serialize(serializer, self.tag, body, &(self.tag, Raw(&self.body)))
    }
}

/// What other formats see of numpy's values.
struct Told<'a> {
    dtype: &'a str,
    shape: Option<&'a [usize]>,
    data: &'a [u8],
}

impl Serialize for Told<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields =
            serializer.serialize_struct("Array", 2 + usize::from(self.shape.is_some()))?;
        fields.serialize_field("dtype", self.dtype)?;
        if let Some(shape) = self.shape {
            fields.serialize_field("shape", shape)?;
        }
        fields.serialize_field("data", &Raw(self.data))?;
        fields.end()
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(VALUE, Outer)
    }
}

/// Meets the format: ours shows extensions from here on.
struct Outer;

impl<'de> Visitor<'de> for Outer {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        inner.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::None)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::None)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        Value::deserialize(inner)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Str(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Str(value))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(Bytes::copy_from_slice(value)))
    }

    fn visit_byte_buf<E>(self, value: Vec<u8>) -> Result<Value, E> {
        Ok(Value::Bytes(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new(); // grows as items come, whatever was announced
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, value)) = pairs.next_entry::<Value, Value>()? {
            map.insert(key, value);
        }
        Ok(Value::Map(map))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        let Parts { tag, body, bulk } = Parts::deserialize(inner)?;
        let value = match (tag, bulk) {
            (format::BYTES | format::MEMORY, Some(bulk)) if body.is_empty() => {
                Ok(Value::Bytes(bulk))
            }
            (Array::TAG | format::TENSOR, Some(bulk)) => Array::over(&body, bulk).map(Value::Array),
            (Arrow::TAG, Some(bulk)) => Arrow::over(&body, bulk).map(Value::Arrow),
            (format::RECORDS, Some(bulk)) => {
                Ok(Value::Ext(Ext { tag, body: [&body[..], &bulk].concat().into() }))
            }
            (_, Some(_)) => Err("a value that does not travel beside the message".to_owned()),
            (tag, None) => whole(tag, body),
        };
        value
            .map_err(|what| de::Error::custom(format!("malformed extension of type {tag}: {what}")))
    }
}

/// A value that is all in the message.
fn whole(tag: i8, body: Vec<u8>) -> Result<Value, String> {
    match tag {
        Int::TAG => Int::from_body(&body).map(Value::Int),
        DateTime::TAG => DateTime::from_body(&body).map(Value::DateTime),
        Date::TAG => Date::from_body(&body).map(Value::Date),
        Time::TAG => Time::from_body(&body).map(Value::Time),
        TimeDelta::TAG => TimeDelta::from_body(&body).map(Value::TimeDelta),
        Decimal::TAG => Decimal::from_body(&body).map(Value::Decimal),
        Uuid::TAG => Uuid::from_body(&body).map(Value::Uuid),
        format::MEMORY => Ok(Value::Bytes(body.into())),
        Array::TAG | format::TENSOR => Array::from_body(&body).map(Value::Array),
        Scalar::TAG => Scalar::from_body(&body).map(Value::Scalar),
        Arrow::TAG => Arrow::from_body(&body).map(Value::Arrow),
        _ => Ok(Value::Ext(Ext { tag, body: body.into() })),
    }
}

/// Read as a value, and refused unless it is the one that was asked for.
macro_rules! deserialize_by_value {
    ($($type:ident: $name:literal, $($pattern:pat => $made:expr),+;)*) => { $(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                match Value::deserialize(deserializer)? {
                    $($pattern => Ok($made),)+
                    other => {
                        let found = Unexpected::Other(other.type_name());
                        Err(de::Error::invalid_type(found, &$name))
                    }
                }
            }
        }
    )* };
}
deserialize_by_value! {
    Int: "an int", Value::Int(int) => int;
    Map: "a dict", Value::Map(map) => map;
    TimeDelta: "a timedelta or its seconds",
        Value::TimeDelta(span) => span,
        Value::Float(seconds) => TimeDelta::from_seconds(seconds)
            .ok_or_else(|| de::Error::custom("too many seconds"))?,
        Value::Int(seconds) => i64::try_from(&seconds)
            .ok()
            .and_then(|seconds| TimeDelta::from_microseconds(i128::from(seconds) * 1_000_000))
            .ok_or_else(|| de::Error::custom("too many seconds"))?;
    Array: "a numpy array", Value::Array(array) => array;
    Scalar: "a numpy scalar", Value::Scalar(scalar) => scalar;
    Arrow: "Arrow data", Value::Arrow(arrow) => arrow;
    Ext: "an extension", Value::Ext(ext) => ext;
}
