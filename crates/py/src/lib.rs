//! Python bindings: the host's classes and the worker's native end of the line.
//!
//! Thin: no decision about a pool is made here. `host` is what `snakepit` wraps, `worker` what
//! `snakepit_bridge` runs on, `codec` and `memory` serve both.

use pyo3::prelude::*;

mod codec;
mod host;
mod memory;
mod report;
mod worker;

#[pymodule(gil_used = false)]
mod _core {
    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        let build = if cfg!(Py_GIL_DISABLED) { "free-threaded" } else { "abi3" };
        module.add("__build__", build)?;
        module.add_function(wrap_pyfunction!(codec::encode_py, module)?)?;
        module.add_function(wrap_pyfunction!(codec::decode_py, module)?)?;
        module.add_function(wrap_pyfunction!(codec::use_registry, module)?)?;
        codec::adopt(module.py())?;
        super::memory::register(module)?;
        super::host::register(module)?;
        super::worker::register(module)?;
        // Added by PyO3; a private module has no list of public names.
        module.delattr("__all__")
    }
}
