//! What there is to compute with, as plain values; `snakepit.hardware` gives them their classes.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use serde::Serialize;
use snakepit::hardware::{self, Device, DeviceError, DeviceInfo, Hardware};
use snakepit::value;

use super::errors::{config_error, device_error};
use crate::codec;

/// A family and a place in it.
type Place = (&'static str, Option<usize>);

/// Devices, and for each variable a value a device.
type Assigned = (Vec<String>, HashMap<&'static str, Vec<String>>);

fn detected(py: Python<'_>, packages: Vec<PathBuf>) -> Arc<Hardware> {
    py.detach(|| hardware::detect_with(&|| packages.clone()))
}

/// As dicts, lists and texts.
fn plain<'py>(py: Python<'py>, told: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    let bytes = value::encode(told).map_err(|error| {
        pyo3::exceptions::PyRuntimeError::new_err(format!("hardware: {error:?}"))
    })?;
    codec::decode(py, &bytes, "hardware")
}

fn place(device: Device) -> Place {
    (device.kind.as_str(), device.index)
}

/// Look for all that there is; `packages`: directories with Python packages.
#[pyfunction]
pub(super) fn detect_hardware(
    py: Python<'_>,
    packages: Vec<PathBuf>,
) -> PyResult<Bound<'_, PyAny>> {
    plain(py, &*detected(py, packages))
}

/// What there is, in short.
#[pyfunction]
pub(super) fn hardware_capabilities(
    py: Python<'_>,
    packages: Vec<PathBuf>,
) -> PyResult<Bound<'_, PyAny>> {
    plain(py, &detected(py, packages).capabilities())
}

/// What a lock file tells of this machine.
#[pyfunction]
pub(super) fn hardware_identity(
    py: Python<'_>,
    packages: Vec<PathBuf>,
) -> PyResult<Bound<'_, PyAny>> {
    plain(py, &detected(py, packages).identity())
}

/// The first of the devices that there is.
#[pyfunction]
pub(super) fn select_device(
    py: Python<'_>,
    wanted: Vec<String>,
    packages: Vec<PathBuf>,
) -> PyResult<Place> {
    let found = detected(py, packages).select_with_fallback(&wanted);
    found.map(place).map_err(|error| device_error(py, &error))
}

/// Its family, and what is known of it.
#[pyfunction]
pub(super) fn device_info<'py>(
    py: Python<'py>,
    wanted: &str,
    packages: Vec<PathBuf>,
) -> PyResult<(&'static str, Bound<'py, PyAny>)> {
    let all = detected(py, packages);
    let found = all.select(wanted).map(|device| (device.kind.as_str(), all.info(device)));
    let (kind, info): (_, DeviceInfo) =
        found.map_err(|error: DeviceError| device_error(py, &error))?;
    Ok((kind, plain(py, &info)?))
}

/// Forget what was found.
#[pyfunction]
pub(super) fn clear_hardware_cache() {
    hardware::clear_cache();
}

/// Processors that this process may use.
#[pyfunction]
pub(super) fn usable_cores() -> usize {
    hardware::usable_cores()
}

/// Which device each place of a pool has, in turn, and the variables that tell a worker so.
#[pyfunction]
pub(super) fn assign_devices(
    py: Python<'_>,
    devices: Vec<String>,
    packages: Vec<PathBuf>,
) -> PyResult<Assigned> {
    let assigned = hardware::assign(&devices, &detected(py, packages));
    let assigned = assigned.map_err(|message| config_error(py, "devices", message))?;
    Ok((assigned.devices, assigned.variables.into_iter().collect()))
}
