//! Bodies that travel beside the message: a reference is left in their place.
//!
//! Which memory they travel in is not the codec's business: it hands out what is to be sent, and
//! gets what has arrived, both by number.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyList, PyMemoryView};
use snakepit::value::format as extension;

use super::buffer::Buffer;
use super::decode::new_bytes;
use super::failure::{Failure, Step};
use super::write::Writer;
use super::{array, interop};

/// A message, and what is to be sent beside it.
pub(crate) struct Encoded<'py> {
    pub(crate) message: Vec<u8>,
    /// By number.
    pub(crate) outside: Vec<Bulk<'py>>,
}

/// A body's bulk that nobody has copied yet.
pub(crate) enum Bulk<'py> {
    /// Memory that stays where it is.
    Memory(Buffer<'py>),
    /// What writes itself: `write_into(buffer)` fills a writable buffer of so many bytes.
    Writes(Bound<'py, PyAny>, usize),
    /// What has been put already.
    Kept(snakepit::Buffer),
}

impl<'py> Bulk<'py> {
    /// As `_interop._part.Part` says.
    pub(super) fn of(bulk: Bound<'py, PyAny>) -> PyResult<Self> {
        if bulk.is_instance_of::<PyMemoryView>() {
            return Ok(Self::Memory(Buffer::contiguous(&bulk)?));
        }
        let len = bulk.getattr(intern!(bulk.py(), "nbytes"))?.extract()?;
        Ok(Self::Writes(bulk, len))
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Memory(buffer) => buffer.len(),
            Self::Writes(_, len) => *len,
            Self::Kept(buffer) => buffer.len(),
        }
    }

    pub(super) fn append_to(&self, out: &mut Writer) -> Step {
        match self {
            Self::Memory(buffer) => buffer.append_to(out),
            Self::Writes(writes, len) => {
                let room = PyByteArray::new_with(writes.py(), *len, |_| Ok(()))?;
                writes.call_method1(intern!(writes.py(), "write_into"), (&room,))?;
                Buffer::contiguous(&room)?.append_to(out);
            }
            Self::Kept(buffer) => out.append(buffer),
        }
        Ok(())
    }

    /// For tests of the codec: as Python has it.
    fn into_object(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Memory(buffer) => {
                let mut out = Writer::new();
                buffer.append_to(&mut out);
                Ok(PyMemoryView::from(new_bytes(py, &out.finish())?.as_any())?.into_any())
            }
            Self::Writes(writes, _) => Ok(writes),
            Self::Kept(buffer) => {
                Ok(PyMemoryView::from(new_bytes(py, &buffer)?.as_any())?.into_any())
            }
        }
    }
}

/// Appends what is to be sent beside a message to a list.
pub(super) fn list<'py>(
    py: Python<'py>,
    bulks: Vec<Bulk<'py>>,
    list: &Bound<'py, PyList>,
) -> PyResult<()> {
    bulks.into_iter().try_for_each(|bulk| list.append(bulk.into_object(py)?))
}

/// Memory that came beside a message, by number.
pub(crate) trait Arrived {
    /// An object with the buffer protocol, which cannot be written to, and the method `private()`
    /// for memory of its own. None: no such number came.
    fn get<'py>(&self, py: Python<'py>, number: usize) -> Option<PyResult<Bound<'py, PyAny>>>;
}

/// Nothing came.
impl Arrived for () {
    fn get<'py>(&self, _: Python<'py>, _: usize) -> Option<PyResult<Bound<'py, PyAny>>> {
        None
    }
}

/// For tests of the codec.
impl Arrived for Bound<'_, PyList> {
    fn get<'py>(&self, py: Python<'py>, number: usize) -> Option<PyResult<Bound<'py, PyAny>>> {
        let list = self.as_unbound().bind(py);
        list.get_item(number).ok().map(Ok)
    }
}

/// The value that a reference stands for.
pub(super) fn resolve<'py>(
    py: Python<'py>,
    body: &[u8],
    (arrived, base): (&dyn Arrived, usize),
) -> Step<Bound<'py, PyAny>> {
    let (number, tag, head) = extension::reference(body).ok_or_else(super::read::truncated)?;
    let number = base.saturating_add(number as usize);
    let Some(data) = arrived.get(py, number).transpose()? else {
        return Err(Failure::new(format!("no buffer {number} came with the message")));
    };
    match tag {
        extension::BYTES | extension::MEMORY if !head.is_empty() => {
            Err(Failure::new("plain bytes have no head"))
        }
        extension::BYTES => Ok(Buffer::contiguous(&data)?.to_bytes(py)?.into_any()),
        extension::MEMORY => read_only(&data),
        extension::ARRAY => array::decode_array_over(py, head, &data),
        extension::TENSOR => {
            let private = data.getattr_opt(intern!(py, "private"))?;
            let data = private.map_or(Ok(data), |private| private.call0())?;
            interop::decode(py, tag, head, Some(&data))
        }
        extension::RECORDS | extension::ARROW => {
            interop::decode(py, tag, head, Some(&read_only(&data)?))
        }
        _ => {
            let what = format!("a value of type {tag} does not travel beside the message");
            Err(Failure::new(what))
        }
    }
}

/// A view of memory that cannot be written to, whatever its owner allows.
pub(super) fn read_only<'py>(data: &Bound<'py, PyAny>) -> Step<Bound<'py, PyAny>> {
    let view = PyMemoryView::from(data)?;
    Ok(view.call_method0(intern!(data.py(), "toreadonly"))?)
}
