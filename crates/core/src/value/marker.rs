//! Reading msgpack's markers: a cursor that never goes past its end.
//!
//! Lengths come from the other side and may lie, so they are compared with what is left.

use rmp::Marker;

use super::extension::BIG_INT;
use super::failure::CodecError;

type Read<T> = Result<T, CodecError>;

/// What starts at the cursor; the cursor is behind the marker and its length.
pub(super) enum Head<'de> {
    Nil,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Str(&'de str),
    Bytes(&'de [u8]),
    List(usize),
    Map(usize),
    Ext(i8, &'de [u8]),
}

pub(super) struct Cursor<'de> {
    rest: &'de [u8],
}

impl<'de> Cursor<'de> {
    pub(super) fn new(message: &'de [u8]) -> Self {
        Self { rest: message }
    }

    /// All that has not been read.
    pub(super) fn rest(&self) -> &'de [u8] {
        self.rest
    }

    pub(super) fn peek(&self) -> Read<Marker> {
        self.rest.first().map(|&byte| Marker::from_u8(byte)).ok_or_else(torn)
    }

    pub(super) fn head(&mut self) -> Read<Head<'de>> {
        let marker = self.peek()?;
        self.rest = &self.rest[1..];
        Ok(match marker {
            Marker::Null => Head::Nil,
            Marker::True => Head::Bool(true),
            Marker::False => Head::Bool(false),
            Marker::FixPos(value) => Head::Unsigned(value.into()),
            Marker::FixNeg(value) => Head::Signed(value.into()),
            Marker::U8 => Head::Unsigned(u8::from_be_bytes(self.chunk()?).into()),
            Marker::U16 => Head::Unsigned(u16::from_be_bytes(self.chunk()?).into()),
            Marker::U32 => Head::Unsigned(u32::from_be_bytes(self.chunk()?).into()),
            Marker::U64 => Head::Unsigned(u64::from_be_bytes(self.chunk()?)),
            Marker::I8 => Head::Signed(i8::from_be_bytes(self.chunk()?).into()),
            Marker::I16 => Head::Signed(i16::from_be_bytes(self.chunk()?).into()),
            Marker::I32 => Head::Signed(i32::from_be_bytes(self.chunk()?).into()),
            Marker::I64 => Head::Signed(i64::from_be_bytes(self.chunk()?)),
            Marker::F32 => Head::Float(f32::from_be_bytes(self.chunk()?).into()),
            Marker::F64 => Head::Float(f64::from_be_bytes(self.chunk()?)),
            Marker::FixStr(len) => self.text(len.into())?,
            Marker::Str8 => self.len8().and_then(|len| self.text(len))?,
            Marker::Str16 => self.len16().and_then(|len| self.text(len))?,
            Marker::Str32 => self.len32().and_then(|len| self.text(len))?,
            Marker::Bin8 => self.len8().and_then(|len| self.take(len)).map(Head::Bytes)?,
            Marker::Bin16 => self.len16().and_then(|len| self.take(len)).map(Head::Bytes)?,
            Marker::Bin32 => self.len32().and_then(|len| self.take(len)).map(Head::Bytes)?,
            Marker::FixArray(len) => self.list(len.into())?,
            Marker::Array16 => self.len16().and_then(|len| self.list(len))?,
            Marker::Array32 => self.len32().and_then(|len| self.list(len))?,
            Marker::FixMap(len) => self.map(len.into())?,
            Marker::Map16 => self.len16().and_then(|len| self.map(len))?,
            Marker::Map32 => self.len32().and_then(|len| self.map(len))?,
            Marker::FixExt1 => self.ext(1)?,
            Marker::FixExt2 => self.ext(2)?,
            Marker::FixExt4 => self.ext(4)?,
            Marker::FixExt8 => self.ext(8)?,
            Marker::FixExt16 => self.ext(16)?,
            Marker::Ext8 => self.len8().and_then(|len| self.ext(len))?,
            Marker::Ext16 => self.len16().and_then(|len| self.ext(len))?,
            Marker::Ext32 => self.len32().and_then(|len| self.ext(len))?,
            Marker::Reserved => return Err(CodecError::new("0xc1 starts no value")),
        })
    }

    fn take(&mut self, len: usize) -> Read<&'de [u8]> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or_else(torn)?;
        self.rest = rest;
        Ok(head)
    }

    fn chunk<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk().ok_or_else(torn)?;
        self.rest = rest;
        Ok(*head)
    }

    fn len8(&mut self) -> Read<usize> {
        Ok(u8::from_be_bytes(self.chunk()?).into())
    }

    fn len16(&mut self) -> Read<usize> {
        Ok(u16::from_be_bytes(self.chunk()?).into())
    }

    fn len32(&mut self) -> Read<usize> {
        Ok(u32::from_be_bytes(self.chunk()?) as usize)
    }

    fn text(&mut self, len: usize) -> Read<Head<'de>> {
        let utf8 = self.take(len)?;
        let text = str::from_utf8(utf8);
        text.map(Head::Str).map_err(|_| CodecError::new("a str is no UTF-8"))
    }

    /// An item has a byte at least: more are not announced in honesty.
    fn list(&mut self, len: usize) -> Read<Head<'de>> {
        if len > self.rest.len() { Err(torn()) } else { Ok(Head::List(len)) }
    }

    fn map(&mut self, len: usize) -> Read<Head<'de>> {
        if len > self.rest.len() / 2 { Err(torn()) } else { Ok(Head::Map(len)) }
    }

    fn ext(&mut self, len: usize) -> Read<Head<'de>> {
        let tag = i8::from_be_bytes(self.chunk()?);
        Ok(Head::Ext(tag, self.take(len)?))
    }
}

#[cold]
fn torn() -> CodecError {
    CodecError::new("the bytes end inside a value")
}

/// What a number, bytes or a scalar looks like as a key in a path.
pub(super) fn key_text(key: &[u8]) -> String {
    match Cursor::new(key).head() {
        Ok(Head::Str(text)) => text.to_owned(),
        Ok(Head::Signed(value)) => value.to_string(),
        Ok(Head::Unsigned(value)) => value.to_string(),
        Ok(Head::Float(value)) => value.to_string(),
        Ok(Head::Bool(value)) => value.to_string(),
        Ok(Head::Nil) => "None".into(),
        _ => "…".into(),
    }
}

/// An extension that is not a wide int: it cannot be a key.
pub(super) fn is_other_extension(bytes: &[u8]) -> bool {
    let tag = match bytes.first() {
        Some(0xd4..=0xd8) => bytes.get(1),
        Some(0xc7) => bytes.get(2),
        Some(0xc8) => bytes.get(3),
        Some(0xc9) => bytes.get(5),
        _ => return false,
    };
    tag.is_some_and(|&tag| tag.cast_signed() != BIG_INT)
}
