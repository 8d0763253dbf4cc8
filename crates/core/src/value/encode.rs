//! From serde's data model to msgpack, always in the shortest form.
//!
//! Not `rmp-serde`: the format wants every float as `float 64`, ints beyond 64 bits as an
//! extension, unit structs as nil and scalar keys, and its depth is part of the promise. The
//! markers and lengths are `rmp`'s.

use std::fmt::Debug;

use bytes::Bytes;
use rmp::Marker;
use rmp::encode::{self as write, ByteBuf};
use serde::ser::{Serialize, Serializer};

use super::container::{Container, Kind, Variant};
use super::extension::{ARRAY, BIG_INT, EXTENSION};
use super::failure::CodecError;
use super::int::{Form, Int};
use super::{MAX_DEPTH, Outside, format};

pub(super) type Step<T = ()> = Result<T, CodecError>;

pub(super) fn value<T: Serialize + ?Sized>(
    value: &T,
    outside: Option<Box<dyn Outside>>,
) -> Step<Bytes> {
    let mut encoder = Encoder::new(false, outside);
    value.serialize(&mut encoder)?;
    Ok(encoder.out.into_vec().into())
}

pub(super) fn arguments<T: Serialize + ?Sized>(
    arguments: &T,
    outside: Option<Box<dyn Outside>>,
) -> Step<Bytes> {
    let mut encoder = Encoder::new(true, outside);
    arguments.serialize(&mut encoder)?;
    let message = encoder.out.into_vec();
    let what = match message.first().map(|&byte| Marker::from_u8(byte)) {
        Some(Marker::FixMap(_) | Marker::Map16 | Marker::Map32) => return Ok(message.into()),
        Some(Marker::Null) => return Ok(Bytes::from_static(&[0x80])),
        Some(Marker::FixArray(_) | Marker::Array16 | Marker::Array32) => "a list",
        Some(Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32) => "a text",
        _ => "a single value",
    };
    Err(CodecError::new(format!(
        "arguments are a struct, a map of names to values, or (), not {what}"
    )))
}

pub(super) struct Encoder {
    pub(super) out: ByteBuf,
    pub(super) depth: u32,
    /// The outermost map is a call's arguments: its keys are names.
    names: bool,
    /// An extension whose parts are on their way.
    extension: Option<Parts>,
    /// Takes bodies that are large. Not while a key is written.
    pub(super) outside: Option<Box<dyn Outside>>,
    /// Bodies that it took.
    left: u32,
}

/// Tag and head of an extension, until its tail is there.
#[derive(Default)]
struct Parts {
    tag: i8,
    head: Option<Vec<u8>>,
    tail: Option<Tail>,
}

/// A tail that comes in pieces.
struct Tail {
    /// Bytes that are still to come.
    left: usize,
    is_outside: bool,
}

/// Memory takes every byte; running out of it does not come back.
pub(super) fn sure<T, E: Debug>(written: Result<T, E>) -> T {
    written.expect("writing to memory cannot fail")
}

pub(super) fn length(len: usize) -> Step<u32> {
    u32::try_from(len).map_err(|_| CodecError::new(format!("{len} bytes or items are too many")))
}

impl Encoder {
    fn new(names: bool, outside: Option<Box<dyn Outside>>) -> Self {
        Self { out: ByteBuf::new(), depth: 0, names, extension: None, outside, left: 0 }
    }

    /// True: the bulk of a value of type `tag` is outside, or will be, and named here.
    fn leave(
        &mut self,
        tag: i8,
        head: &[u8],
        take: impl FnOnce(&mut dyn Outside) -> Result<bool, String>,
    ) -> Step<bool> {
        let Some(outside) = &mut self.outside else { return Ok(false) };
        let has_bulk = matches!(tag, format::BYTES | ARRAY | format::ARROW);
        if !has_bulk || !take(&mut **outside).map_err(CodecError::new)? {
            return Ok(false);
        }
        let body = [&self.left.to_be_bytes(), &[tag.cast_unsigned()][..], head].concat();
        self.left += 1;
        self.extension(format::REFERENCE, &body, &[])?;
        Ok(true)
    }

    /// The tail of an extension is so long, and comes in pieces.
    fn begin_tail(&mut self, len: u64) -> Step {
        let too_long = || CodecError::new(format!("{len} bytes are too many"));
        let len = usize::try_from(len).map_err(|_| too_long())?;
        let Some(parts) = &mut self.extension else { return Err(too_long()) };
        let (tag, head) = (parts.tag, parts.head.take().unwrap_or_default());
        let is_outside = self.leave(tag, &head, |outside| outside.begin(len))?;
        if !is_outside {
            self.extension_head(tag, head.len() + len)?;
            self.out.as_mut_vec().extend_from_slice(&head);
        }
        if let Some(parts) = &mut self.extension {
            parts.tail = Some(Tail { left: len, is_outside });
        }
        Ok(())
    }

    fn piece_of_tail(&mut self, piece: &[u8]) -> Step {
        let tail = self.extension.as_mut().and_then(|parts| parts.tail.as_mut());
        let left = tail.and_then(|tail| {
            tail.left = tail.left.checked_sub(piece.len())?;
            Some(tail.is_outside)
        });
        match (left, &mut self.outside) {
            (Some(true), Some(outside)) => outside.write(piece),
            (Some(_), _) => self.out.as_mut_vec().extend_from_slice(piece),
            (None, _) => return Err(CodecError::new("a value grew while it was encoded")),
        }
        Ok(())
    }

    /// All parts of an extension have come.
    pub(super) fn end_parts(&mut self) -> Step {
        match self.extension.take().and_then(|parts| parts.tail) {
            Some(Tail { left: 1.., .. }) => {
                Err(CodecError::new("a value shrank while it was encoded"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.out.as_vec().len()
    }

    fn deeper(&mut self) -> Step {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(CodecError::new(format!("nested deeper than {MAX_DEPTH} containers")));
        }
        Ok(())
    }

    fn integer(&mut self, int: &Int) -> Step {
        match int.form() {
            Form::Signed(value) => sure(write::write_sint(&mut self.out, value)),
            Form::Unsigned(value) => sure(write::write_uint(&mut self.out, value)),
            Form::Wide(body) => return self.extension(BIG_INT, body, &[]),
        };
        Ok(())
    }

    fn extension(&mut self, tag: i8, head: &[u8], tail: &[u8]) -> Step {
        self.extension_head(tag, head.len() + tail.len())?;
        let out = self.out.as_mut_vec();
        out.extend_from_slice(head);
        out.extend_from_slice(tail);
        Ok(())
    }

    fn extension_head(&mut self, tag: i8, len: usize) -> Step {
        let len = length(len)?;
        let out = self.out.as_mut_vec();
        // `rmp` refuses negative types here, which are msgpack's own; ours are passed on as they are.
        match len {
            1 | 2 | 4 | 8 | 16 => out.push(0xd4 + len.trailing_zeros() as u8),
            0..=0xff => out.extend_from_slice(&[0xc7, len as u8]),
            0x100..=0xffff => {
                out.push(0xc8);
                out.extend_from_slice(&(len as u16).to_be_bytes());
            }
            _ => {
                out.push(0xc9);
                out.extend_from_slice(&len.to_be_bytes());
            }
        }
        out.push(tag.cast_unsigned());
        Ok(())
    }

    fn container(&mut self, kind: Kind, len: Option<usize>) -> Step<Container<'_>> {
        self.deeper()?;
        let start = self.len();
        if let Some(len) = len {
            kind.write(&mut self.out, length(len)?);
        }
        let names = std::mem::take(&mut self.names) && matches!(kind, Kind::Map);
        Ok(Container::new(self, kind, start, len, names))
    }

    /// `{"Variant": …`, around what the variant holds.
    fn variant(&mut self, name: &'static str) -> Step {
        self.deeper()?;
        self.names = false;
        sure(write::write_map_len(&mut self.out, 1));
        sure(write::write_str(&mut self.out, name));
        Ok(())
    }
}

impl<'a> Serializer for &'a mut Encoder {
    type Ok = ();
    type Error = CodecError;
    type SerializeSeq = Container<'a>;
    type SerializeTuple = Container<'a>;
    type SerializeTupleStruct = Container<'a>;
    type SerializeTupleVariant = Variant<'a>;
    type SerializeMap = Container<'a>;
    type SerializeStruct = Container<'a>;
    type SerializeStructVariant = Variant<'a>;

    fn is_human_readable(&self) -> bool {
        self.extension.is_none()
    }

    fn serialize_bool(self, value: bool) -> Step {
        sure(write::write_bool(&mut self.out, value));
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Step {
        if let Some(parts) = &mut self.extension {
            parts.tag = value;
            return Ok(());
        }
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Step {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Step {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Step {
        sure(write::write_sint(&mut self.out, value));
        Ok(())
    }

    fn serialize_i128(self, value: i128) -> Step {
        self.integer(&value.into())
    }

    fn serialize_u8(self, value: u8) -> Step {
        self.serialize_u64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Step {
        self.serialize_u64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Step {
        self.serialize_u64(value.into())
    }

    fn serialize_u64(self, value: u64) -> Step {
        if self.extension.is_some() {
            return self.begin_tail(value);
        }
        sure(write::write_uint(&mut self.out, value));
        Ok(())
    }

    fn serialize_u128(self, value: u128) -> Step {
        self.integer(&value.into())
    }

    fn serialize_f32(self, value: f32) -> Step {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Step {
        sure(write::write_f64(&mut self.out, value));
        Ok(())
    }

    fn serialize_char(self, value: char) -> Step {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Step {
        length(value.len())?;
        sure(write::write_str(&mut self.out, value));
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Step {
        if let Some(parts) = &mut self.extension {
            if parts.tail.is_some() {
                return self.piece_of_tail(value);
            }
            return match parts.head.take() {
                None => {
                    parts.head = Some(value.to_vec());
                    Ok(())
                }
                Some(head) => {
                    let tag = parts.tag;
                    match self.leave(tag, &head, |outside| outside.leave(value))? {
                        true => Ok(()),
                        false => self.extension(tag, &head, value),
                    }
                }
            };
        }
        if self.leave(format::BYTES, &[], |outside| outside.leave(value))? {
            return Ok(());
        }
        length(value.len())?;
        sure(write::write_bin(&mut self.out, value));
        Ok(())
    }

    fn serialize_none(self) -> Step {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Step {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Step {
        sure(write::write_nil(&mut self.out));
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Step {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Step {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Step {
        match name {
            EXTENSION => {
                self.extension = Some(Parts::default());
                let done = value.serialize(&mut *self);
                self.extension = None;
                done
            }
            _ => value.serialize(self),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Step {
        self.variant(variant)?;
        value.serialize(&mut *self).map_err(|error| error.at_key(variant))?;
        self.depth -= 1;
        Ok(())
    }

    fn serialize_seq(self, len: Option<usize>) -> Step<Container<'a>> {
        self.container(Kind::List, len)
    }

    fn serialize_tuple(self, len: usize) -> Step<Container<'a>> {
        if self.extension.is_some() {
            return Ok(Container::new(self, Kind::Parts, 0, Some(len), false));
        }
        self.container(Kind::List, Some(len))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Step<Container<'a>> {
        self.container(Kind::List, Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        len: usize,
    ) -> Step<Variant<'a>> {
        self.variant(name)?;
        Ok(Variant::new(self.container(Kind::List, Some(len))?, name))
    }

    fn serialize_map(self, len: Option<usize>) -> Step<Container<'a>> {
        self.container(Kind::Map, len)
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Step<Container<'a>> {
        self.container(Kind::Map, Some(len))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        len: usize,
    ) -> Step<Variant<'a>> {
        self.variant(name)?;
        Ok(Variant::new(self.container(Kind::Map, Some(len))?, name))
    }
}
