//! From Python values to msgpack: the walk over containers.
//!
//! Leaves run no Python code and hold no other values, so a borrowed reference is enough for
//! them. Everything else is held (a counted reference) before anything below it is looked at,
//! because Python code that runs inside (a `tzinfo`, a numpy dtype) may empty the container.

use std::{mem, ptr};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::{
    PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMemoryView, PyString, PyTuple,
};

use snakepit::value::format as extension;

use super::failure::{Failure, Step, type_name};
use super::outside::{Bulk, Encoded};
use super::write::Writer;
use super::{MAX_DEPTH, array, interop, number, refusal, registry, time, types};
use crate::memory::{CLOSED, SharedRef};

pub(super) struct Encoder<'py> {
    pub(super) out: Writer,
    pub(super) py: Python<'py>,
    depth: u32,
    /// Makes something that can travel of a value that cannot; None: that is an error.
    substitute: Option<Bound<'py, PyAny>>,
    /// Bytes from which on a body is left outside.
    threshold: usize,
    /// Bodies that are not in the message, by number.
    outside: Vec<Bulk<'py>>,
}

/// Which keys a dict may have.
#[derive(Clone, Copy)]
enum Keys {
    Scalars,
    Names,
}

impl<'py> Encoder<'py> {
    /// `threshold`: bytes from which on a body is left outside; None: nothing is.
    pub(super) fn new(
        py: Python<'py>,
        substitute: Option<&Py<PyAny>>,
        threshold: Option<usize>,
    ) -> Self {
        let substitute = substitute.map(|substitute| substitute.bind(py).clone());
        let threshold = threshold.unwrap_or(usize::MAX);
        Self { out: Writer::new(), py, depth: 0, substitute, threshold, outside: Vec::new() }
    }

    pub(super) fn finish(self) -> Encoded<'py> {
        Encoded { message: self.out.finish(), outside: self.outside }
    }

    pub(super) fn stays_inside(&self, len: usize) -> bool {
        len < self.threshold
    }

    /// A body that may be large, and then is left outside. `tag`: [`extension::BYTES`] for what is
    /// no extension.
    pub(super) fn bulk(&mut self, tag: i8, head: &[u8], bulk: Bulk<'py>) -> Step {
        if !self.stays_inside(bulk.len()) {
            let number = self.outside.len() as u32; // each has some place in the message
            self.out.extension(extension::REFERENCE, 5 + head.len())?;
            self.out.append(&number.to_be_bytes());
            self.out.append(&[tag.cast_unsigned()]);
            self.out.append(head);
            self.outside.push(bulk);
            return Ok(());
        }
        match tag {
            extension::BYTES => self.out.bin(bulk.len())?,
            _ => self.out.extension(tag, head.len() + bulk.len())?,
        }
        self.out.append(head);
        bulk.append_to(&mut self.out)
    }

    #[inline]
    pub(super) fn value(&mut self, value: &Bound<'py, PyAny>) -> Step {
        if self.leaf(value.as_borrowed())? { Ok(()) } else { self.node(value) }
    }

    /// A dict whose keys are names of parameters.
    pub(super) fn arguments(&mut self, arguments: &Bound<'py, PyDict>) -> Step {
        self.dict(arguments, Keys::Names)
    }

    /// `value` is held by the caller: from here on Python code may run.
    pub(super) fn node(&mut self, value: &Bound<'py, PyAny>) -> Step {
        if value.is_exact_instance_of::<PyDict>() {
            // SAFETY: the line above checked the type.
            self.dict(unsafe { value.cast_unchecked() }, Keys::Scalars)
        } else if value.is_exact_instance_of::<PyList>() {
            // SAFETY: the line above checked the type.
            self.list(unsafe { value.cast_unchecked() })
        } else if value.is_exact_instance_of::<PyTuple>() {
            // SAFETY: the line above checked the type.
            self.tuple(unsafe { value.cast_unchecked() })
        } else if value.is_exact_instance_of::<PyBytes>() {
            // SAFETY: the line above checked the type.
            self.bytes(unsafe { value.cast_unchecked() })
        } else if value.is_exact_instance_of::<PyInt>() {
            // SAFETY: the line above checked the type.
            self.int(unsafe { value.cast_unchecked() })
        } else {
            self.other(value)
        }
    }

    fn dict(&mut self, dict: &Bound<'py, PyDict>, keys: Keys) -> Step {
        self.deeper(dict)?;
        with_critical_section(dict, || self.pairs(dict, keys))?;
        self.depth -= 1;
        Ok(())
    }

    fn pairs(&mut self, dict: &Bound<'py, PyDict>, keys: Keys) -> Step {
        let announced = dict.len();
        self.out.map(announced)?;
        let (mut position, mut key, mut item) = (0, ptr::null_mut(), ptr::null_mut());
        let mut seen = 0;
        // SAFETY: `dict` is a dict, the pointers are ours. That the dict may change between two
        // steps is allowed: PyDict_Next checks `position` against the dict as it is then.
        while unsafe { ffi::PyDict_Next(dict.as_ptr(), &mut position, &mut key, &mut item) } != 0 {
            seen += 1;
            if seen > announced {
                return Err(changed("dict", dict));
            }
            // SAFETY: both come from PyDict_Next and stay in the dict as long as nothing else
            // runs: until they are held, they are looked at by `leaf` and `short_str` alone.
            let (key, item) =
                unsafe { (Borrowed::from_ptr(self.py, key), Borrowed::from_ptr(self.py, item)) };
            // Without the GIL a lock inside a leaf may suspend the dict's critical section.
            #[cfg(Py_GIL_DISABLED)]
            let _held = (key.to_owned(), item.to_owned());

            if !key.is_exact_instance_of::<PyString>() {
                self.rare_pair(&key.to_owned(), &item.to_owned(), keys)?;
                continue;
            }
            // SAFETY: the line above checked the type.
            match self.short_str(unsafe { key.cast_unchecked() }) {
                Ok(true) => {}
                Ok(false) => {
                    self.rare_pair(&key.to_owned(), &item.to_owned(), keys)?;
                    continue;
                }
                Err(failure) => return Err(at_nth_key(failure, dict, seen)),
            }
            match self.leaf(item) {
                Ok(true) => {}
                Ok(false) => {
                    let (key, item) = (key.to_owned(), item.to_owned());
                    self.node(&item).map_err(|failure| failure.of(&item).at_key(&key))?;
                }
                Err(failure) => return Err(at_nth_key(failure, dict, seen)),
            }
        }
        if seen == announced { Ok(()) } else { Err(changed("dict", dict)) }
    }

    /// A pair whose key is no short `str`. Out of line, so that the usual pair stays small.
    #[inline(never)]
    fn rare_pair(&mut self, key: &Bound<'py, PyAny>, item: &Bound<'py, PyAny>, keys: Keys) -> Step {
        self.rare_key(key, keys)?;
        self.value(item).map_err(|failure| failure.of(item).at_key(key))
    }

    fn rare_key(&mut self, key: &Bound<'py, PyAny>, keys: Keys) -> Step {
        if let Ok(text) = key.cast::<PyString>() {
            return self.str(text).map_err(|failure| failure.at_key(key));
        }
        if matches!(keys, Keys::Names) {
            let what =
                format!("an argument's name must be str, not {}; use a string", type_name(key));
            return Err(Failure::new(what).of(key));
        }
        if self.leaf(key.as_borrowed())? {
            Ok(())
        } else if let Ok(int) = key.cast::<PyInt>() {
            self.int(int)
        } else if let Ok(float) = key.cast::<PyFloat>() {
            self.out.float(float.value());
            Ok(())
        } else if let Ok(bytes) = key.cast::<PyBytes>() {
            self.inline_bytes(bytes)
        } else {
            let what = format!(
                "a dict key must be None, bool, int, float, str or bytes, not {}; \
                 convert it, for example with str()",
                type_name(key)
            );
            Err(Failure::new(what).of(key))
        }
    }

    fn list(&mut self, list: &Bound<'py, PyList>) -> Step {
        self.deeper(list)?;
        let announced = list.len();
        self.out.array(announced)?;
        for index in 0..announced {
            let Some(item) = list_item(list, index) else { return Err(changed("list", list)) };
            match self.leaf(item.as_borrowed()) {
                Ok(true) => {}
                Ok(false) => {
                    let item = item.as_borrowed().to_owned();
                    self.node(&item).map_err(|failure| failure.of(&item).at_index(index))?;
                }
                Err(failure) => return Err(failure.at_index(index)),
            }
        }
        if list.len() != announced {
            return Err(changed("list", list));
        }
        self.depth -= 1;
        Ok(())
    }

    fn tuple(&mut self, tuple: &Bound<'py, PyTuple>) -> Step {
        self.deeper(tuple)?;
        self.out.array(tuple.len())?;
        for (index, item) in tuple.iter_borrowed().enumerate() {
            // A tuple does not change and is held: so are its items.
            self.value(&item).map_err(|failure| failure.of(&item).at_index(index))?;
        }
        self.depth -= 1;
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn other(&mut self, value: &Bound<'py, PyAny>) -> Step {
        if let Ok(shared) = value.cast_exact::<SharedRef>() {
            return self.shared(shared);
        }
        if let Some((name, encode)) = registry::encoder(value)? {
            return self.named(value, &name, &encode);
        }
        let (start, left) = (self.out.len(), self.outside.len());
        match (self.known(value), &self.substitute) {
            (Err(failure), Some(substitute)) if failure.is_refusal() => {
                let substitute = substitute.clone();
                self.out.truncate(start);
                self.outside.truncate(left);
                // A substitute may need one itself, without end.
                self.deeper(value)?;
                self.value(&substitute.call1((value,))?)?;
                self.depth -= 1;
                Ok(())
            }
            (encoded, _) => encoded,
        }
    }

    /// A value of a type that the program has registered: under its name, as its encoder's result.
    fn named(&mut self, value: &Bound<'py, PyAny>, name: &str, encode: &Bound<'py, PyAny>) -> Step {
        self.deeper(value)?;
        let plain = encode.call1((value,))?;
        let outer = mem::replace(&mut self.out, Writer::new());
        let encoded = self.value(&plain).map_err(|failure| failure.of(&plain));
        let message = mem::replace(&mut self.out, outer).finish();
        encoded?;
        self.out.extension(extension::NAMED, 1 + name.len() + message.len())?;
        self.out.append(&[name.len() as u8]);
        self.out.append(name.as_bytes());
        self.out.append(&message);
        self.depth -= 1;
        Ok(())
    }

    /// A value that was put before: its message as it is, and its buffers.
    fn shared(&mut self, shared: &Bound<'py, SharedRef>) -> Step {
        let payload = shared.get().payload().ok_or_else(|| Failure::new(CLOSED).of(shared))?;
        self.deeper(shared)?;
        if self.threshold == usize::MAX && !payload.buffers.is_empty() {
            let value = super::decode_payload(self.py, &payload, "value")?;
            self.value(&value)?;
        } else {
            self.out.extension(extension::SHARED, 4 + payload.bytes.len())?;
            self.out.append(&(self.outside.len() as u32).to_be_bytes());
            self.out.append(&payload.bytes);
            self.outside.extend(payload.buffers.iter().cloned().map(Bulk::Kept));
        }
        self.depth -= 1;
        Ok(())
    }

    fn known(&mut self, value: &Bound<'py, PyAny>) -> Step {
        // Before the subclasses: numpy's float64 is a float, its str_ a str.
        if time::encode(&mut self.out, value)?
            || number::encode(&mut self.out, value)?
            || array::encode(self, value)?
        {
            return Ok(());
        }
        // Subclasses of the plain types travel as the plain value, whatever they override.
        if let Ok(text) = value.cast::<PyString>() {
            self.str(text)
        } else if let Ok(int) = value.cast::<PyInt>() {
            self.int(int)
        } else if let Ok(float) = value.cast::<PyFloat>() {
            self.out.float(float.value());
            Ok(())
        } else if let Ok(dict) = value.cast::<PyDict>() {
            self.dict_subclass(dict)
        } else if let Ok(list) = value.cast::<PyList>() {
            self.list(list)
        } else if let Ok(tuple) = value.cast::<PyTuple>() {
            self.tuple(tuple)
        } else if let Ok(bytes) = value.cast::<PyBytes>() {
            self.bytes(bytes)
        } else if value.is_instance_of::<PyByteArray>() || value.is_instance_of::<PyMemoryView>() {
            self.memory(value)
        } else if interop::encode(self, value)? {
            Ok(())
        } else {
            Err(refusal::refuse(value))
        }
    }

    /// An OrderedDict's order is its own, not that of the dict inside it.
    fn dict_subclass(&mut self, dict: &Bound<'py, PyDict>) -> Step {
        if types::ORDERED_DICT.is_base_of(dict) {
            self.dict(&plain_dict(dict)?, Keys::Scalars)
        } else {
            self.dict(dict, Keys::Scalars)
        }
    }

    #[inline]
    fn deeper(&mut self, container: &Bound<'py, PyAny>) -> Step {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(too_deep().of(container)) } else { Ok(()) }
    }
}

/// `dict(mapping)`.
pub(super) fn plain_dict<'py>(mapping: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let plain = mapping.py().get_type::<PyDict>().call1((mapping,))?;
    Ok(plain.cast_into::<PyDict>()?)
}

#[cold]
fn too_deep() -> Box<Failure> {
    Failure::new(format!(
        "nested deeper than {MAX_DEPTH} containers (is there a cycle?); flatten it"
    ))
}

#[cold]
fn changed(kind: &str, container: &Bound<'_, PyAny>) -> Box<Failure> {
    Failure::new(format!("{kind} changed while it was encoded; send a copy")).of(container)
}

/// Names the key by its place: by the time a leaf has failed, the borrowed one may be gone.
#[cold]
fn at_nth_key(failure: Box<Failure>, dict: &Bound<'_, PyDict>, place: usize) -> Box<Failure> {
    match dict.keys().get_item(place - 1) {
        Ok(key) => failure.at_key(&key),
        Err(_) => failure,
    }
}

/// None: the list has become shorter than `index`.
#[cfg(not(Py_GIL_DISABLED))]
#[inline]
fn list_item<'a, 'py>(
    list: &'a Bound<'py, PyList>,
    index: usize,
) -> Option<Borrowed<'a, 'py, PyAny>> {
    // SAFETY: `list` is a list and the call checks the index. The item stays in the list as long
    // as nothing else runs: until it is held, it is looked at by `leaf` alone.
    let item = unsafe {
        let item = ffi::PyList_GetItem(list.as_ptr(), index.cast_signed());
        Borrowed::from_ptr_or_opt(list.py(), item)
    };
    if item.is_none() {
        drop(PyErr::take(list.py())); // the IndexError
    }
    item
}

/// None: the list has become shorter than `index`.
#[cfg(Py_GIL_DISABLED)]
#[inline]
fn list_item<'py>(list: &Bound<'py, PyList>, index: usize) -> Option<Bound<'py, PyAny>> {
    list.get_item(index).ok()
}
