//! Types of the program that travel under a name: `snakepit_bridge._registry` keeps them.
//!
//! It hands its two dicts over when there is something in them, and is looked for when this module
//! is loaded later than that. Until then a look costs one load.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

struct Registry {
    /// Type to name and encoder.
    encoders: Py<PyDict>,
    /// Name to decoder.
    decoders: Py<PyDict>,
}

static REGISTRY: PyOnceLock<Registry> = PyOnceLock::new();

/// Encode and decode by these dicts, which grow as types are registered.
#[pyfunction]
pub(crate) fn use_registry(py: Python<'_>, encoders: Py<PyDict>, decoders: Py<PyDict>) {
    REGISTRY.get_or_init(py, || Registry { encoders, decoders });
}

/// Takes over the dicts of a module that was there first.
pub(crate) fn adopt(py: Python<'_>) -> PyResult<()> {
    let modules = py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?;
    if let Some(module) = modules.get_item("snakepit_bridge._registry")?
        && let Some(encoders) = module.getattr_opt("ENCODERS")?
        && let Some(decoders) = module.getattr_opt("DECODERS")?
    {
        use_registry(py, encoders.extract()?, decoders.extract()?);
    }
    Ok(())
}

/// Name and encoder of the nearest registered ancestor of the value's type.
pub(super) fn encoder<'py>(
    value: &Bound<'py, PyAny>,
) -> PyResult<Option<(String, Bound<'py, PyAny>)>> {
    let py = value.py();
    let Some(registry) = REGISTRY.get(py) else { return Ok(None) };
    let encoders = registry.encoders.bind(py);
    if encoders.is_empty() {
        return Ok(None);
    }
    for ancestor in value.get_type().mro() {
        if let Some(found) = encoders.get_item(ancestor)? {
            return found.extract().map(Some);
        }
    }
    Ok(None)
}

pub(super) fn decoder<'py>(py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(registry) = REGISTRY.get(py) else { return Ok(None) };
    registry.decoders.bind(py).get_item(name)
}
