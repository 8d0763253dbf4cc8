//! How the types that msgpack does not know pass through serde.
//!
//! serde has no word for an extension, so two newtype names are agreed on with [`mod@super::encode`]
//! and [`mod@super::decode`], as other formats do:
//!
//! ```text
//! EXTENSION   tag and body, never shown to another format: those see text or a struct
//! VALUE       what follows wants extensions as they are, not as text or numbers
//! ```
//!
//! Inside the first one the format says that it is not human-readable, which no other part of ours
//! does: that is how a type knows that it talks to us.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeTuple, Serializer};
use serde::{Deserialize, de::Unexpected};

use super::arrived;
pub(super) use super::format::{
    ARRAY, BIG_INT, DATE, DATETIME, DECIMAL, NUMPY_SCALAR, TIME, TIMEDELTA, UUID,
};

pub(super) const EXTENSION: &str = "$snakepit::extension";
pub(super) const VALUE: &str = "$snakepit::value";

/// An extension's body: a small head, and the bulk behind it that is not copied on its way.
pub(super) struct Body<'a> {
    head: Cow<'a, [u8]>,
    tail: &'a [u8],
}

impl<'a> Body<'a> {
    pub(super) fn whole(body: impl Into<Cow<'a, [u8]>>) -> Self {
        Self { head: body.into(), tail: &[] }
    }

    pub(super) fn with_tail(head: Vec<u8>, tail: &'a [u8]) -> Self {
        Self { head: head.into(), tail }
    }
}

/// A Rust type for one extension of `docs/values.md`.
pub(super) trait Extension: Sized {
    const TAG: i8;
    /// As errors call it: `a datetime`.
    const NAME: &'static str;

    fn body(&self) -> Body<'_>;

    /// # Errors
    /// What is wrong with the body.
    fn from_body(body: &[u8]) -> Result<Self, String>;
}

/// To our own format as tag and body, to any other as `human`.
pub(super) fn serialize<S: Serializer, H: Serialize>(
    serializer: S,
    tag: i8,
    body: Body<'_>,
    human: &H,
) -> Result<S::Ok, S::Error> {
    struct Outgoing<'a, H>(i8, Body<'a>, &'a H);

    impl<H: Serialize> Serialize for Outgoing<'_, H> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let Self(tag, body, human) = self;
            if serializer.is_human_readable() {
                return human.serialize(serializer);
            }
            let mut parts = serializer.serialize_tuple(3)?;
            parts.serialize_element(tag)?;
            parts.serialize_element(&Raw(&body.head))?;
            parts.serialize_element(&Raw(body.tail))?;
            parts.end()
        }
    }
    serializer.serialize_newtype_struct(EXTENSION, &Outgoing(tag, body, human))
}

/// Bulk that is no one piece of memory.
#[cfg(any(feature = "arrow", feature = "ndarray"))]
pub(super) trait Pieces {
    /// Bytes of all of it.
    fn size(&self) -> usize;

    /// Gives `take` piece after piece.
    fn each<E>(&self, take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E>;
}

/// As [`serialize`], with the bulk in pieces: they are put together where they travel from.
#[cfg(any(feature = "arrow", feature = "ndarray"))]
pub(super) fn serialize_pieces<S: Serializer, P: Pieces>(
    serializer: S,
    tag: i8,
    head: &[u8],
    pieces: &P,
    human: &impl Serialize,
) -> Result<S::Ok, S::Error> {
    struct Outgoing<'a, P, H>(i8, &'a [u8], &'a P, &'a H);

    impl<P: Pieces, H: Serialize> Serialize for Outgoing<'_, P, H> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let Self(tag, head, pieces, human) = self;
            if serializer.is_human_readable() {
                return human.serialize(serializer);
            }
            let mut parts = serializer.serialize_tuple(4)?;
            parts.serialize_element(tag)?;
            parts.serialize_element(&Raw(head))?;
            parts.serialize_element(&(pieces.size() as u64))?;
            pieces.each(|piece| parts.serialize_element(&Raw(piece)))?;
            parts.end()
        }
    }
    serializer.serialize_newtype_struct(EXTENSION, &Outgoing(tag, head, pieces, human))
}

/// A value by its text.
pub(super) struct Shown<'a, T>(pub(super) &'a T);

impl<T: fmt::Display> Serialize for Shown<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
    }
}

/// Bytes that are not a list of numbers.
pub(super) struct Raw<'a>(pub(super) &'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// Tag and body as [`mod@super::decode`] hands them out.
pub(super) struct Parts {
    pub(super) tag: i8,
    /// Without the bulk, where that came beside the message.
    pub(super) body: Vec<u8>,
    pub(super) bulk: Option<bytes::Bytes>,
}

impl<'de> Deserialize<'de> for Parts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pair;

        impl<'de> Visitor<'de> for Pair {
            type Value = Parts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an extension's tag and body")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Parts, A::Error> {
                let missing = |place| de::Error::invalid_length(place, &self);
                let tag = parts.next_element()?.ok_or_else(|| missing(0))?;
                let body: Bytes = parts.next_element()?.ok_or_else(|| missing(1))?;
                let bulk = match parts.next_element::<u32>()? {
                    None => None,
                    Some(number) => Some(arrived::get(number).ok_or_else(|| {
                        de::Error::custom(format!("no buffer {number} came with the message"))
                    })?),
                };
                Ok(Parts { tag, body: body.0, bulk })
            }
        }
        deserializer.deserialize_tuple(3, Pair)
    }
}

struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;

        impl Visitor<'_> for Whole {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Whole)
    }
}

/// Reads an extension from our own format, and from any other what `human` reads.
pub(super) fn deserialize<'de, D: Deserializer<'de>, T: Extension>(
    deserializer: D,
    human: fn(&str) -> Result<T, String>,
) -> Result<T, D::Error> {
    struct Inner<T>(fn(&str) -> Result<T, String>);

    impl<'de, T: Extension> Visitor<'de> for Inner<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(T::NAME)
        }

        fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<T, D::Error> {
            if inner.is_human_readable() {
                return inner.deserialize_str(Written(self.0, PhantomData));
            }
            let Parts { tag, body, bulk } = Parts::deserialize(inner)?;
            if tag != T::TAG || bulk.is_some() {
                let found = format!("extension {tag}");
                return Err(de::Error::invalid_type(Unexpected::Other(&found), &T::NAME));
            }
            T::from_body(&body).map_err(de::Error::custom)
        }
    }

    struct Written<T>(fn(&str) -> Result<T, String>, PhantomData<T>);

    impl<T: Extension> Visitor<'_> for Written<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(T::NAME)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            (self.0)(text).map_err(E::custom)
        }
    }
    deserializer.deserialize_newtype_struct(EXTENSION, Inner(human))
}

macro_rules! serde_by_text {
    ($($type:ty)*) => { $(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use super::extension::Extension;
                let shown = super::extension::Shown(self);
                super::extension::serialize(serializer, Self::TAG, self.body(), &shown)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                super::extension::deserialize(from, |text| text.parse())
            }
        }
    )* };
}
pub(super) use serde_by_text;
