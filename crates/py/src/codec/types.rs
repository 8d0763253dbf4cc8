//! Python types that the interpreter does not hand us by itself.
//!
//! Encoding never imports a module: an instance cannot exist before its type's module is in
//! `sys.modules`. Decoding imports what it has to build.

use pyo3::ffi::PyTypeObject;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

pub(super) static DATE: Type = Type::new("datetime", "date");
pub(super) static DATETIME: Type = Type::new("datetime", "datetime");
pub(super) static TIME: Type = Type::new("datetime", "time");
pub(super) static TIMEDELTA: Type = Type::new("datetime", "timedelta");
pub(super) static ZONE_INFO: Type = Type::new("zoneinfo", "ZoneInfo");
pub(super) static DECIMAL: Type = Type::new("decimal", "Decimal");
pub(super) static UUID: Type = Type::new("uuid", "UUID");
pub(super) static ENUM: Type = Type::new("enum", "Enum");
pub(super) static ORDERED_DICT: Type = Type::new("collections", "OrderedDict");
pub(super) static NDARRAY: Type = Type::new("numpy", "ndarray");
pub(super) static MEMMAP: Type = Type::new("numpy", "memmap");
pub(super) static NUMPY_SCALAR: Type = Type::new("numpy", "generic");
pub(super) static DTYPE: Type = Type::new("numpy", "dtype");

pub(super) struct Type {
    module: &'static str,
    name: &'static str,
    found: PyOnceLock<Py<PyType>>,
}

impl Type {
    const fn new(module: &'static str, name: &'static str) -> Self {
        Self { module, name, found: PyOnceLock::new() }
    }

    /// Whether `value` is of exactly this type.
    #[inline]
    pub(super) fn is_type_of(&self, value: &Bound<'_, PyAny>) -> bool {
        self.loaded(value.py()).is_some_and(|found| found.as_type_ptr() == value.get_type_ptr())
    }

    /// Whether `value` is of this type or a subclass, going by its real type alone: neither
    /// `__class__` nor `__instancecheck__` is asked.
    pub(super) fn is_base_of(&self, value: &Bound<'_, PyAny>) -> bool {
        self.loaded(value.py())
            .is_some_and(|found| is_subtype(value.get_type_ptr(), found.as_type_ptr()))
    }

    /// The type, if its module has been imported by anyone.
    #[inline]
    pub(super) fn loaded<'py>(&self, py: Python<'py>) -> Option<&Bound<'py, PyType>> {
        match self.found.get(py) {
            Some(found) => Some(found.bind(py)),
            None => self.look(py),
        }
    }

    /// The type; imports its module if need be.
    pub(super) fn import<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyType>> {
        self.found.import(py, self.module, self.name)
    }

    #[cold]
    fn look<'py>(&self, py: Python<'py>) -> Option<&Bound<'py, PyType>> {
        // A dict look-up: a missing module is no error here, and must not cost one.
        let modules = py.import("sys").ok()?.getattr("modules").ok()?.cast_into::<PyDict>().ok()?;
        let module = modules.get_item(self.module).ok()??;
        // A module that is being imported lacks its names: ask again next time.
        let found = module.getattr(self.name).ok()?.cast_into::<PyType>().ok()?;
        Some(self.found.get_or_init(py, || found.unbind()).bind(py))
    }
}

fn is_subtype(of: *mut PyTypeObject, base: *mut PyTypeObject) -> bool {
    // SAFETY: both are types of live objects, and we are attached; reads two `tp_mro` only.
    unsafe { pyo3::ffi::PyType_IsSubtype(of, base) != 0 }
}
