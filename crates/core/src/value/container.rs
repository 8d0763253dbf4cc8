//! Lists, maps and enum variants that are being written.

use rmp::Marker;
use rmp::encode::{self as write, ByteBuf};
use serde::ser::{self, Serialize};

use super::encode::{Encoder, Step, length, sure};
use super::failure::CodecError;
use super::marker::{is_other_extension, key_text};

/// What is being written.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    List,
    Map,
    /// The parts of an extension, which the encoder puts together.
    Parts,
}

impl Kind {
    pub(super) fn write(self, out: &mut ByteBuf, len: u32) {
        match self {
            Self::List => sure(write::write_array_len(out, len)),
            Self::Map => sure(write::write_map_len(out, len)),
            Self::Parts => return,
        };
    }
}

/// A list or a map that is being written.
pub(super) struct Container<'a> {
    encoder: &'a mut Encoder,
    kind: Kind,
    /// Where its length stands, or belongs once it is known.
    start: usize,
    announced: Option<usize>,
    count: usize,
    /// Keys are names of parameters.
    names: bool,
    /// Where the last key stands.
    key: std::ops::Range<usize>,
}

impl<'a> Container<'a> {
    pub(super) fn new(
        encoder: &'a mut Encoder,
        kind: Kind,
        start: usize,
        announced: Option<usize>,
        names: bool,
    ) -> Self {
        Self { encoder, kind, start, announced, count: 0, names, key: 0..0 }
    }

    fn item<T: Serialize + ?Sized>(&mut self, item: &T) -> Step {
        let index = self.count;
        self.count += 1;
        item.serialize(&mut *self.encoder).map_err(|error| error.at_index(index))
    }

    fn key<T: Serialize + ?Sized>(&mut self, key: &T) -> Step {
        let start = self.encoder.len();
        let outside = self.encoder.outside.take();
        key.serialize(&mut *self.encoder)?;
        self.encoder.outside = outside;
        self.key = start..self.encoder.len();
        self.count += 1;
        let bytes = &self.encoder.out.as_vec()[self.key.clone()];
        let marker = bytes.first().map(|&byte| Marker::from_u8(byte));
        let is_text = matches!(
            marker,
            Some(Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32)
        );
        if self.names && !is_text {
            let found = key_text(bytes);
            return Err(CodecError::new(format!("the name of an argument is a text, not {found}")));
        }
        match marker {
            Some(
                Marker::FixArray(_)
                | Marker::Array16
                | Marker::Array32
                | Marker::FixMap(_)
                | Marker::Map16
                | Marker::Map32,
            ) => Err(CodecError::new("a dict's key is a scalar, not a container; use its text")),
            _ if is_other_extension(bytes) => Err(CodecError::new(
                "a dict's key is None, bool, int, float, str or bytes; use its text",
            )),
            _ => Ok(()),
        }
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Step {
        value
            .serialize(&mut *self.encoder)
            .map_err(|error| error.at_key(&key_text(&self.encoder.out.as_vec()[self.key.clone()])))
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Step {
        sure(write::write_str(&mut self.encoder.out, name));
        self.count += 1;
        value.serialize(&mut *self.encoder).map_err(|error| error.at_key(name))
    }

    fn finish(self) -> Step {
        if matches!(self.kind, Kind::Parts) {
            return self.encoder.end_parts();
        }
        self.encoder.depth -= 1;
        match self.announced {
            Some(announced) if announced != self.count => Err(CodecError::new(format!(
                "{announced} items were announced and {} came",
                self.count
            ))),
            Some(_) => Ok(()),
            None => {
                let mut head = ByteBuf::new();
                self.kind.write(&mut head, length(self.count)?);
                let out = self.encoder.out.as_mut_vec();
                out.splice(self.start..self.start, head.into_vec());
                Ok(())
            }
        }
    }
}

/// What is left open when a tuple or struct variant ends: the map around it.
pub(super) struct Variant<'a> {
    inner: Container<'a>,
    name: &'static str,
}

impl<'a> Variant<'a> {
    pub(super) fn new(inner: Container<'a>, name: &'static str) -> Self {
        Self { inner, name }
    }

    fn finish(self) -> Step {
        self.inner.encoder.depth -= 1;
        self.inner.finish()
    }
}

macro_rules! containers {
    ($($name:ident :: $method:ident),*) => { $(
        impl ser::$name for Container<'_> {
            type Ok = ();
            type Error = CodecError;

            fn $method<T: Serialize + ?Sized>(&mut self, item: &T) -> Step {
                self.item(item)
            }

            fn end(self) -> Step {
                self.finish()
            }
        }
    )* };
}
containers!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field
);

impl ser::SerializeMap for Container<'_> {
    type Ok = ();
    type Error = CodecError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Step {
        self.key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Step {
        self.value(value)
    }

    fn end(self) -> Step {
        self.finish()
    }
}

impl ser::SerializeStruct for Container<'_> {
    type Ok = ();
    type Error = CodecError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Step {
        self.field(name, value)
    }

    fn end(self) -> Step {
        self.finish()
    }
}

impl ser::SerializeTupleVariant for Variant<'_> {
    type Ok = ();
    type Error = CodecError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, item: &T) -> Step {
        self.inner.item(item).map_err(|error| error.at_key(self.name))
    }

    fn end(self) -> Step {
        self.finish()
    }
}

impl ser::SerializeStructVariant for Variant<'_> {
    type Ok = ();
    type Error = CodecError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Step {
        self.inner.field(name, value).map_err(|error| error.at_key(self.name))
    }

    fn end(self) -> Step {
        self.finish()
    }
}
