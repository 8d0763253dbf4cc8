//! The host's half of the bindings: pools, replies, streams and sessions as Python objects.
//!
//! ```text
//! Python caller ──encode──▶ Pool ──detach──▶ Driver::wait(reply) ──attach──▶ decode ──▶ caller
//!                             │
//!                             ├─ submit ──▶ Reply            waits and decodes in result()
//!                             ├─ checked ──▶ Arguments       encoded, held against a schema
//!                             ├─ execute_async ──▶ Inbox     one eventfd wakes the loop for many
//!                             ├─ stream ──▶ Chunks
//!                             └─ register_tool ──▶ HostQueue ──▶ threads of Python's
//! ```
//!
//! Nothing here decides anything about a pool. No core lock is held while attached, except leaf
//! locks of bounded work.

mod breaker;
mod callbacks;
mod chunks;
mod config;
mod ending;
mod errors;
mod events;
mod hardware;
mod health;
mod host_tools;
mod inbox;
mod info;
mod leave;
mod life;
mod logs;
mod metrics;
mod pool;
mod raised;
mod remote;
mod reply;
mod retry;
mod rows;
mod runtime;
mod session;
mod spans;
mod submitted;
mod telemetry;
mod tools;

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use snakepit::environment;

/// Adds the host's classes to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("STRICT_ENVIRONMENT", PyTuple::new(py, environment::STRICT)?)?;
    module.add("STRICT_PREFIXES", PyTuple::new(py, environment::STRICT_PREFIXES)?)?;
    module.add("THREAD_COUNTS", PyTuple::new(py, environment::THREAD_COUNTS)?)?;
    module.add("OF_ONE_INTERPRETER", PyTuple::new(py, environment::OF_ONE_INTERPRETER)?)?;
    module.add("TELEMETRY_EVENTS", telemetry::names(py)?)?;
    module.add_class::<pool::Pool>()?;
    module.add_class::<session::Session>()?;
    module.add_class::<reply::Reply>()?;
    module.add_class::<chunks::Chunks>()?;
    module.add_class::<inbox::Inbox>()?;
    module.add_class::<host_tools::HostQueue>()?;
    module.add_class::<host_tools::HostCall>()?;
    module.add_class::<tools::Arguments>()?;
    module.add_function(wrap_pyfunction!(tools::check_arguments, module)?)?;
    module.add_function(wrap_pyfunction!(ending::cleanup, module)?)?;
    module.add_function(wrap_pyfunction!(ending::end_by, module)?)?;
    module.add_function(wrap_pyfunction!(remote::diagnose, module)?)?;
    module.add_class::<breaker::CircuitBreaker>()?;
    module.add_class::<breaker::Permit>()?;
    module.add_class::<retry::RetryPolicy>()?;
    module.add_class::<retry::RetryBudget>()?;
    module.add_class::<retry::Attempts>()?;
    module.add_class::<health::HealthMonitor>()?;
    module.add_class::<metrics::Metrics>()?;
    module.add_class::<metrics::Meter>()?;
    module.add_function(wrap_pyfunction!(metrics::metrics_text, module)?)?;
    module.add_function(wrap_pyfunction!(hardware::detect_hardware, module)?)?;
    module.add_function(wrap_pyfunction!(hardware::hardware_capabilities, module)?)?;
    module.add_function(wrap_pyfunction!(hardware::hardware_identity, module)?)?;
    module.add_function(wrap_pyfunction!(hardware::select_device, module)?)?;
    module.add_function(wrap_pyfunction!(hardware::device_info, module)?)?;
    module.add_function(wrap_pyfunction!(hardware::clear_hardware_cache, module)?)?;
    module.add_function(wrap_pyfunction!(hardware::usable_cores, module)?)?;
    module.add_function(wrap_pyfunction!(hardware::assign_devices, module)?)?;
    module.add_class::<events::Subscription>()?;
    module.add_class::<spans::SpanQueue>()?;
    module.add_class::<events::EventReader>()?;
    module.add_function(wrap_pyfunction!(telemetry::hears, module)?)?;
    module.add_function(wrap_pyfunction!(telemetry::tell, module)?)?;
    module.add_function(wrap_pyfunction!(logs::log_to, module)?)?;
    module.add_function(wrap_pyfunction!(callbacks::deliver_logs, module)?)?;
    module.add_function(wrap_pyfunction!(callbacks::leave, module)?)
}
