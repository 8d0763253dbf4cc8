//! What does not travel, and what to send instead.
//!
//! Runs only when a value has been refused, so it may look around; it goes by types alone, never
//! by instances, whose attributes may be anything.

use pyo3::prelude::*;
use pyo3::types::{PyComplex, PyFrozenSet, PySet};

use super::failure::{Failure, type_name};
use super::types;

#[cold]
pub(super) fn refuse(value: &Bound<'_, PyAny>) -> Box<Failure> {
    let what = format!("cannot encode {}; {}", type_name(value), remedy(value));
    Failure::refusal(what).of(value)
}

fn remedy(value: &Bound<'_, PyAny>) -> &'static str {
    let class = value.get_type();
    let has = |name: &str| class.hasattr(name).unwrap_or(false);
    let from = |library: &str| {
        let module = class.module().map(|module| module.to_string_lossy().into_owned());
        module.is_ok_and(|module| module.split('.').next() == Some(library))
    };
    if value.is_instance_of::<PySet>() || value.is_instance_of::<PyFrozenSet>() {
        "use a list"
    } else if value.is_instance_of::<PyComplex>() {
        "send its .real and .imag"
    } else if types::ENUM.is_base_of(value) {
        "send its .value or .name"
    } else if from("pandas") {
        pandas(value)
    } else if types::DATETIME.is_base_of(value) {
        "convert it to a plain datetime.datetime"
    } else if types::DATE.is_base_of(value) {
        "convert it to a plain datetime.date"
    } else if types::TIME.is_base_of(value) {
        "convert it to a plain datetime.time"
    } else if types::TIMEDELTA.is_base_of(value) {
        "convert it to a plain datetime.timedelta"
    } else if types::DECIMAL.is_base_of(value) {
        "convert it to a plain decimal.Decimal"
    } else if types::NDARRAY.is_base_of(value) {
        match has("filled") {
            true => "convert it with .filled()",
            false => "convert it with numpy.asarray()",
        }
    } else if has("__dataclass_fields__") {
        "use dataclasses.asdict()"
    } else if has("__dlpack__") {
        "convert it to a numpy.ndarray"
    } else if has("__fspath__") {
        "use str()"
    } else if has("keys") && has("__getitem__") {
        "use dict()"
    } else if has("read") && has("close") {
        "send its path or what it holds"
    } else if has("__await__") {
        "await it and send its result"
    } else if has("__iter__") {
        "use a list"
    } else if is_exception(value) {
        "raise it, or send str() of it"
    } else {
        "send plain values (None, bool, numbers, str, bytes, lists, dicts) instead"
    }
}

fn pandas(value: &Bound<'_, PyAny>) -> &'static str {
    let class = value.get_type();
    let has = |name: &str| class.hasattr(name).unwrap_or(false);
    if class.name().is_ok_and(|name| name == "NaTType" || name == "NAType") {
        "use None"
    } else if has("to_pydatetime") && types::DATETIME.is_base_of(value) {
        "convert it with .to_pydatetime()"
    } else if has("to_pytimedelta") && types::TIMEDELTA.is_base_of(value) {
        "convert it with .to_pytimedelta()"
    } else if has("to_numpy") {
        "convert it with .to_numpy() or .tolist()"
    } else {
        "convert it to plain values"
    }
}

fn is_exception(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<pyo3::exceptions::PyBaseException>()
}
