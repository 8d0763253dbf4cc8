//! What is in a dict, by identity.

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// A key and its value.
pub(crate) type Item = (Py<PyAny>, Py<PyAny>);

/// Whether these very objects are in it, in this order, and no others.
#[cfg(not(Py_GIL_DISABLED))]
pub(crate) fn has_items(dict: &Bound<'_, PyDict>, items: &[Item]) -> bool {
    let (mut position, mut key, mut item) = (0, std::ptr::null_mut(), std::ptr::null_mut());
    let found = items.iter().all(|(known, value)| {
        // SAFETY: it is a dict, and nothing runs between these calls that could change it. What they
        // find is compared with what is held, and not looked at.
        let next = unsafe {
            pyo3::ffi::PyDict_Next(dict.as_ptr(), &raw mut position, &raw mut key, &raw mut item)
        };
        next != 0 && key == known.as_ptr() && item == value.as_ptr()
    });
    found && dict.len() == items.len()
}

/// Whether these very objects are in it, in this order, and no others.
#[cfg(Py_GIL_DISABLED)]
pub(crate) fn has_items(dict: &Bound<'_, PyDict>, items: &[Item]) -> bool {
    let same = |((key, item), (known, value)): ((Bound<'_, _>, Bound<'_, _>), &Item)| {
        key.is(known) && item.is(value)
    };
    dict.len() == items.len() && dict.iter().zip(items).all(same)
}
