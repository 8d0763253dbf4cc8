//! Arrow data: which of pyarrow's types it is, and its IPC stream.
//!
//! ```text
//! RecordBatch ── Batch, Table ──▶ stream, in pieces ──▶ arena ──▶ pyarrow
//! RecordBatch ◀── Arrow::batches ── Arrow { kind, stream } ◀── arena ◀── pyarrow
//! ```
//!
//! The stream alone needs no library of Arrow: a program may have one of its own, of any version. The
//! feature `arrow` brings the first line, and the step from a stream to batches.

#[cfg(feature = "arrow")]
mod batch;

use bytes::Bytes;

#[cfg(feature = "arrow")]
pub use batch::{Batch, Table};

use super::extension::{Body, Extension};
use super::format;

/// Arrow data of pyarrow; frames of pandas and polars travel as it, too.
///
/// It is an [IPC stream](https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format), which
/// is read where it lies. With the feature `arrow` it is made of a `RecordBatch`, and read as such.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrow {
    kind: ArrowKind,
    stream: Bytes,
}

/// What Arrow data is in Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArrowKind {
    /// `pyarrow.Table`
    Table,
    /// `pyarrow.RecordBatch`: a stream of one batch
    Batch,
    /// `pyarrow.Array`: the only column of one batch
    Array,
    /// `pyarrow.ChunkedArray`: the only column of any number of batches
    ChunkedArray,
    /// `pyarrow.Schema`: a stream without batches
    Schema,
}

impl ArrowKind {
    const ALL: [(Self, u8); 5] = [
        (Self::Table, b't'),
        (Self::Batch, b'b'),
        (Self::Array, b'a'),
        (Self::ChunkedArray, b'c'),
        (Self::Schema, b's'),
    ];

    /// What Python calls it.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Table => "pyarrow.Table",
            Self::Batch => "pyarrow.RecordBatch",
            Self::Array => "pyarrow.Array",
            Self::ChunkedArray => "pyarrow.ChunkedArray",
            Self::Schema => "pyarrow.Schema",
        }
    }

    fn letter(self) -> u8 {
        Self::ALL.into_iter().find(|(kind, _)| *kind == self).map_or(0, |(_, letter)| letter)
    }

    fn of(letter: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, known)| *known == letter).map(|(kind, _)| kind)
    }
}

impl Arrow {
    /// From an IPC stream of what `kind` says; neither looked at nor copied. The other end refuses
    /// what is none.
    pub fn new(kind: ArrowKind, stream: impl Into<Bytes>) -> Self {
        Self { kind, stream: stream.into() }
    }

    /// What it is in Python.
    pub fn kind(&self) -> ArrowKind {
        self.kind
    }

    /// The IPC stream, as the worker wrote it.
    pub fn stream(&self) -> &Bytes {
        &self.stream
    }

    /// From what is before the stream, and the stream.
    pub(super) fn over(head: &[u8], stream: Bytes) -> Result<Self, String> {
        match *head {
            [letter] => match ArrowKind::of(letter) {
                Some(kind) => Ok(Self { kind, stream }),
                None => Err("no Arrow data of a known kind".to_owned()),
            },
            _ => Err("the head of Arrow data is one byte".to_owned()),
        }
    }
}

impl Extension for Arrow {
    const TAG: i8 = format::ARROW;
    const NAME: &'static str = "Arrow data";

    fn body(&self) -> Body<'_> {
        Body::with_tail(vec![self.kind.letter()], &self.stream)
    }

    fn from_body(body: &[u8]) -> Result<Self, String> {
        let (head, stream) = body.split_at_checked(1).ok_or("the bytes end inside Arrow data")?;
        Self::over(head, Bytes::copy_from_slice(stream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;
    use crate::value::{decode, encode};

    #[test]
    fn each_kind_has_a_letter_of_its_own() {
        for (kind, letter) in ArrowKind::ALL {
            assert_eq!((kind.letter(), ArrowKind::of(letter)), (letter, Some(kind)));
        }
    }

    #[test]
    fn a_stream_travels_as_it_is() {
        let arrow = Arrow::new(ArrowKind::Table, vec![1, 2, 3]);
        let message = encode(&arrow).expect("it travels");
        assert_eq!(&message[..], [0xd6, 14, b't', 1, 2, 3]);
        assert_eq!(decode::<Value>(&message), Ok(Value::Arrow(arrow.clone())));
        assert_eq!(decode::<Arrow>(&message), Ok(arrow));
        for malformed in [&[0xd4, 14, b'x'][..], &[0xc7, 0, 14]] {
            assert!(decode::<Arrow>(malformed).is_err());
        }
    }
}
