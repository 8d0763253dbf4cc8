//! Record batches of the crate `arrow-array`, to IPC streams and back.

use std::fmt;
use std::panic::catch_unwind;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::writer::StreamEncoder;
use arrow_schema::{ArrowError, Schema, SchemaRef};
use bytes::Bytes;
use serde::de::{self, Deserialize, Deserializer, Unexpected};
use serde::ser::{self, Serialize, Serializer};

use super::{Arrow, ArrowKind};
use crate::value::extension::{self, Pieces, Raw};
use crate::value::format;

/// A [`RecordBatch`] as an argument or a result: a `pyarrow.RecordBatch` in Python.
///
/// To send it copies its columns once, to the pool's shared memory; what arrives lies there still. A
/// `pyarrow.Array` is read as a batch of one column, a table is not: see [`Table`].
///
/// ```no_run
/// use arrow_array::record_batch;
/// use snakepit::value::Batch;
///
/// # async fn example(pool: snakepit::Pool) -> Result<(), Box<dyn std::error::Error>> {
/// let prices = record_batch!(("price", Float64, [1.5, 2.5]))?;
/// let Batch(scaled) = pool.execute("scale", [("prices", Batch(prices))].into_iter()
///     .collect::<std::collections::HashMap<_, _>>()).await?;
/// println!("{} rows", scaled.num_rows());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Batch(pub RecordBatch);

/// Batches of one schema as an argument or a result: a `pyarrow.Table` in Python.
///
/// Its chunks are the batches. Whatever has batches is read as one: a `pyarrow.RecordBatch` as a table of
/// one, an array as the only column, a schema as a table without batches.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// What columns there are; a table may have no batches that tell it.
    pub schema: SchemaRef,
    /// Its rows.
    pub batches: Vec<RecordBatch>,
}

impl From<RecordBatch> for Batch {
    fn from(batch: RecordBatch) -> Self {
        Self(batch)
    }
}

impl Arrow {
    /// A `pyarrow.RecordBatch`. [`Batch`] sends one with a copy less.
    ///
    /// # Errors
    /// Its schema cannot be written as a stream.
    pub fn from_batch(batch: &RecordBatch) -> Result<Self, ArrowError> {
        let stream = Stream::of(batch.schema_ref(), std::slice::from_ref(batch))?;
        Ok(Self::new(ArrowKind::Batch, stream.joined()))
    }

    /// A `pyarrow.Table`. [`Table`] sends one with a copy less.
    ///
    /// # Errors
    /// The schema cannot be written as a stream, or is not that of a batch.
    pub fn from_table(table: &Table) -> Result<Self, ArrowError> {
        let stream = Stream::of(&table.schema, &table.batches)?;
        Ok(Self::new(ArrowKind::Table, stream.joined()))
    }

    /// What the stream says. The columns lie where the stream does, but for those that lie there
    /// otherwise than their type wants.
    ///
    /// Offsets and texts are checked: to read a column of texts costs a look at each.
    ///
    /// # Errors
    /// It is no Arrow data.
    pub fn table(&self) -> Result<Table, ArrowError> {
        let (schema, batches) = read(self.stream())?;
        let (columns, count) = (schema.fields().len(), batches.len());
        let fits = match self.kind() {
            ArrowKind::Table => true,
            ArrowKind::Batch => count == 1,
            ArrowKind::Array => columns == 1 && count == 1,
            ArrowKind::ChunkedArray => columns == 1,
            ArrowKind::Schema => count == 0,
        };
        if !fits {
            let kind = self.kind().type_name();
            return Err(malformed(format!("{columns} columns in {count} batches are no {kind}")));
        }
        Ok(Table { schema, batches })
    }
}

/// The library checks most of a stream, and panics at the rest, such as buffers that lie beyond their
/// message: to a caller both are a worker that sent no Arrow data. Nothing but locals is left behind.
fn read(stream: &Bytes) -> Result<(SchemaRef, Vec<RecordBatch>), ArrowError> {
    let read = || {
        let mut rest = Buffer::from(stream.clone());
        let mut decoder = StreamDecoder::new();
        let mut batches = Vec::new();
        while let Some(batch) = decoder.decode(&mut rest)? {
            batches.push(batch);
        }
        decoder.finish()?;
        let schema = decoder.schema();
        Ok((schema.ok_or_else(|| malformed("the stream has no schema".to_owned()))?, batches))
    };
    catch_unwind(read).unwrap_or_else(|panic| {
        let what = panic.downcast::<String>().map_or_else(|_| String::new(), |what| *what);
        Err(malformed(format!("the stream is broken: {what}")))
    })
}

fn malformed(what: String) -> ArrowError {
    ArrowError::IpcError(what)
}

/// An IPC stream whose bodies are still the columns' own memory.
struct Stream {
    pieces: Vec<Buffer>,
}

impl Stream {
    fn of(schema: &Schema, batches: &[RecordBatch]) -> Result<Self, ArrowError> {
        let mut encoder = StreamEncoder::try_new(schema)?;
        let mut pieces = Vec::new();
        for batch in batches {
            if batch.schema_ref().fields() != schema.fields() {
                let message = "a batch has another schema than its table".to_owned();
                return Err(ArrowError::SchemaError(message));
            }
            pieces.extend(encoder.encode(batch)?);
        }
        pieces.extend(encoder.finish()?);
        Ok(Self { pieces })
    }

    fn joined(&self) -> Vec<u8> {
        let mut whole = Vec::with_capacity(self.size());
        self.pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
        whole
    }

    fn serialize<S: Serializer>(&self, kind: ArrowKind, serializer: S) -> Result<S::Ok, S::Error> {
        let human = Joined(kind, self);
        extension::serialize_pieces(serializer, format::ARROW, &[kind.letter()], self, &human)
    }
}

impl Pieces for Stream {
    fn size(&self) -> usize {
        self.pieces.iter().map(Buffer::len).sum()
    }

    fn each<E>(&self, take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.pieces.iter().map(Buffer::as_slice).try_for_each(take)
    }
}

/// As other formats see it.
struct Joined<'a>(ArrowKind, &'a Stream);

impl Serialize for Joined<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.0.type_name(), Raw(&self.1.joined())).serialize(serializer)
    }
}

impl Serialize for Batch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stream = Stream::of(self.0.schema_ref(), std::slice::from_ref(&self.0));
        stream.map_err(unfit)?.serialize(ArrowKind::Batch, serializer)
    }
}

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stream = Stream::of(&self.schema, &self.batches).map_err(unfit)?;
        stream.serialize(ArrowKind::Table, serializer)
    }
}

fn unfit<E: ser::Error>(error: ArrowError) -> E {
    E::custom(format!("Arrow data that cannot travel: {error}"))
}

fn unread<E: de::Error>(error: impl fmt::Display) -> E {
    E::custom(format!("malformed Arrow data: {error}"))
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let arrow = Arrow::deserialize(deserializer)?;
        if !matches!(arrow.kind(), ArrowKind::Batch | ArrowKind::Array) {
            let found = Unexpected::Other(arrow.kind().type_name());
            return Err(de::Error::invalid_type(found, &"a pyarrow.RecordBatch"));
        }
        // `table` has counted them.
        let batch = arrow.table().map_err(unread)?.batches.pop();
        batch.map(Self).ok_or_else(|| unread("no batch"))
    }
}

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Arrow::deserialize(deserializer)?.table().map_err(unread)
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int64Array, record_batch};

    use super::*;
    use crate::Value;
    use crate::value::tests::beside;
    use crate::value::{decode, decode_payload, encode};

    fn batch() -> RecordBatch {
        record_batch!(
            ("number", Int64, [1, 2, 3]),
            ("share", Float64, [Some(0.5), None, Some(2.0)]),
            ("name", Utf8, ["a", "", "ü"])
        )
        .expect("three columns of three")
    }

    fn table() -> Table {
        let batch = batch();
        Table { schema: batch.schema(), batches: vec![batch.slice(0, 2), batch] }
    }

    #[test]
    fn batches_and_tables_come_back() {
        let message = encode(&Batch(batch())).expect("it travels");
        assert_eq!(decode::<Batch>(&message).expect("what was sent"), Batch(batch()));
        let value = decode::<Value>(&message).expect("what was sent");
        let Value::Arrow(arrow) = value else { panic!("{value:?}") };
        assert_eq!(arrow, Arrow::from_batch(&batch()).expect("a stream"));

        let message = encode(&table()).expect("it travels");
        assert_eq!(decode::<Table>(&message).expect("what was sent"), table());
        assert!(decode::<Batch>(&message).is_err(), "of two batches");
        let empty = Table { batches: Vec::new(), ..table() };
        let message = encode(&empty).expect("it travels");
        assert_eq!(decode::<Table>(&message).expect("what was sent"), empty);
    }

    #[test]
    fn columns_are_read_where_they_arrived() {
        let numbers = Int64Array::from_iter_values(0..100_000);
        let sent = RecordBatch::try_from_iter([("n", std::sync::Arc::new(numbers) as _)]);
        let sent = Batch(sent.expect("one column"));
        let payload = beside(&sent, 1000);
        let [buffer] = &payload.buffers[..] else { panic!("one is large") };
        let arrived: std::collections::HashMap<String, Batch> =
            decode_payload(&payload).expect("what was sent");
        let Batch(arrived) = &arrived["value"];
        assert_eq!(arrived, &sent.0);
        let column = arrived.column(0).to_data().buffers()[0].as_ptr();
        let aligned = buffer.as_ptr().addr() % 8 == 0;
        assert_eq!(buffer.as_ptr_range().contains(&column), aligned, "no copy");
    }

    #[test]
    fn what_is_no_stream_is_refused() {
        let good = Arrow::from_table(&table()).expect("a stream");
        for kind in [ArrowKind::Batch, ArrowKind::Array, ArrowKind::ChunkedArray, ArrowKind::Schema]
        {
            assert!(Arrow::new(kind, good.stream().clone()).table().is_err(), "{kind:?}");
        }
        assert!(Arrow::new(ArrowKind::Table, vec![0; 20]).table().is_err());
        assert!(Arrow::new(ArrowKind::Schema, Vec::new()).table().is_err());
        let mixed = Table {
            schema: record_batch!(("other", Int32, [1])).expect("one column").schema(),
            ..table()
        };
        assert!(encode(&mixed).is_err());
    }

    /// A worker may send anything.
    #[test]
    fn broken_streams_are_errors_and_no_panics() {
        let good = Arrow::from_table(&table()).expect("a stream").stream().to_vec();
        for place in 0..good.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut broken = good.clone();
                broken[place] ^= flip;
                let _ = Arrow::new(ArrowKind::Table, broken).table();
            }
            let _ = Arrow::new(ArrowKind::Table, good[..place].to_vec()).table();
        }
    }
}
