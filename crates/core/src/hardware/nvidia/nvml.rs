//! The driver's own library, loaded while it is asked and not before: the only way that needs no
//! tool, and the quickest.

use std::path::Path;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

use crate::hardware::machine::Machine;
use crate::hardware::report::{Cuda, CudaDevice, MigDevice};

const MIB: u64 = 1 << 20;

/// More than any machine has; a library that says otherwise is not believed.
const MOST_DEVICES: u32 = 1024;
const MOST_INSTANCES: u32 = 64;

/// What came of it.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    Told(Cuda),
    /// There is none, or it could not.
    Nothing,
    /// It did not come back: whoever asks the same driver otherwise will not, either.
    Hung,
}

/// Asks the first library that can be loaded.
pub(super) fn ask(machine: &Machine) -> Answer {
    if machine.nvml.is_empty() {
        return Answer::Nothing;
    }
    let Some(question) = machine.asked.begin(machine.deadline) else { return Answer::Hung };
    let told = machine.aside(move |machine| {
        let told = machine.nvml.iter().find_map(|library| cuda(library).ok());
        drop(question);
        told
    });
    match told.wait() {
        Some(Some(cuda)) => Answer::Told(cuda),
        Some(None) => Answer::Nothing,
        None => Answer::Hung,
    }
}

fn cuda(library: &Path) -> Result<Cuda, NvmlError> {
    let nvml = Nvml::builder().lib_path(library.as_os_str()).init()?;
    let version = nvml.sys_cuda_driver_version().ok();
    let mut devices = Vec::new();
    for index in 0..nvml.device_count()?.min(MOST_DEVICES) {
        // One that has fallen off its bus must not take the others along.
        if let Ok(device) = nvml.device_by_index(index)
            && let Ok(read) = read(&device, index)
        {
            devices.push(read);
        }
    }
    Ok(Cuda {
        version: version.map(|it| format!("{}.{}", it / 1000, it % 1000 / 10)),
        driver_version: nvml.sys_driver_version().ok(),
        source: "nvml",
        devices,
        ..Cuda::default()
    })
}

fn read(device: &nvml_wrapper::Device<'_>, index: u32) -> Result<CudaDevice, NvmlError> {
    let memory = device.memory_info().ok();
    let capability = device.cuda_compute_capability().ok();
    let mig_enabled = device.mig_mode().is_ok_and(|mode| mode.current == 1);
    let name = device.name().unwrap_or_default();
    Ok(CudaDevice {
        physical_index: index as usize,
        uuid: device.uuid()?,
        memory_total_mb: memory.as_ref().map(|memory| memory.total / MIB),
        memory_free_mb: memory.map(|memory| memory.free / MIB),
        compute_capability: capability.map(|it| format!("{}.{}", it.major, it.minor)),
        mig_enabled,
        mig_devices: if mig_enabled { instances(device, &name) } else { Vec::new() },
        name,
        ..CudaDevice::default()
    })
}

fn instances(device: &nvml_wrapper::Device<'_>, whole: &str) -> Vec<MigDevice> {
    // Places, some of them empty.
    let most = device.mig_device_count().unwrap_or(0).min(MOST_INSTANCES);
    let instance = |index| {
        let instance = device.mig_device_by_index(index).ok()?;
        let memory = instance.memory_info().ok();
        // "NVIDIA A100-SXM4-80GB MIG 1g.10gb"
        let name = instance.name().unwrap_or_default();
        let profile = name.strip_prefix(whole).map_or(&*name, str::trim);
        Some(MigDevice {
            uuid: instance.uuid().ok()?,
            name: profile.strip_prefix("MIG ").unwrap_or(profile).into(),
            memory_total_mb: memory.as_ref().map(|memory| memory.total / MIB),
            memory_free_mb: memory.map(|memory| memory.free / MIB),
        })
    };
    (0..most).filter_map(instance).collect()
}
