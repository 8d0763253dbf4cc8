//! The memory of values that lies beside their messages.
//!
//! ```text
//! encode ─▶ Encoded ─▶ place ─▶ Payload      bulk is copied to where both ends see it, if it is not
//!                        ▲                   there: Room is memory of that kind, to be written to
//!                        └─ SharedRef        a payload that is kept, and sent again
//! Payload ─▶ View (read-only, by the buffer protocol) ─▶ arrays, memoryviews, Arrow data
//!             └─ Own (copy on write) ─▶ tensors of torch, arrays that are to be written to
//! ```
//!
//! # Invariants behind the `unsafe` of this module
//!
//! 1. Memory that Python gets is kept by the object that exports it, and an export keeps that object.
//! 2. A [`view::View`] is never written to through what it exports; other processes may write to its memory
//!    meanwhile, which no code of ours relies on (`snakepit::Buffer` says so).
//! 3. Memory that is copied is kept by a buffer of Python's that outlives the copy. Another thread of
//!    the program may write to it meanwhile and gets torn data, as with every copy of such memory.

mod place;
mod room;
mod shared;
mod view;

use pyo3::prelude::*;

pub(crate) use place::{Place, payload};
pub(crate) use room::{Room, room};
pub(crate) use shared::{CLOSED, SharedRef};

/// Adds the classes to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<view::View>()?;
    module.add_class::<view::Own>()?;
    module.add_class::<Room>()?;
    module.add_class::<SharedRef>()?;
    module.add_function(wrap_pyfunction!(shared::keep, module)?)
}

/// What came beside a message, as the codec wants it.
impl crate::codec::Arrived for &[snakepit::Buffer] {
    fn get<'py>(&self, py: Python<'py>, number: usize) -> Option<PyResult<Bound<'py, PyAny>>> {
        let view = view::View::new(<[_]>::get(self, number)?);
        Some(Bound::new(py, view).map(Bound::into_any))
    }
}
