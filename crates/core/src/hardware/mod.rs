//! What there is to compute with: processors, NVIDIA's, AMD's and Apple's devices.
//!
//! ```text
//! machine ─ files, tools, variables ─▶ cpu     /proc, /sys, control groups
//!   one deadline for all, each        nvidia  NVML, loaded while it is asked; else nvidia-smi
//!   on a thread of its own            amd     sysfs; else rocm-smi
//!                                     apple   sysctl
//! report ◀─────────────────────────────┘  what this process *sees*: visible
//!   ├─ select    which device to use           ├─ identity   for lock files
//!   └─ assign    which one each place of a pool gets
//! ```
//!
//! A tool or a driver that is missing, fails or hangs (2 s) is *not available*: nothing here fails
//! or waits for longer. Nothing of a vendor is linked, and nothing is loaded before it is asked for.
//!
//! ```
//! use snakepit::hardware;
//!
//! let here = hardware::detect();
//! println!("{} with {} usable cores", here.accelerator, here.cpu.usable.cores);
//! let device = hardware::select_with_fallback(&["cuda", "mps", "cpu"])?;
//! println!("{device}"); // cuda:0
//! # Ok::<(), hardware::DeviceError>(())
//! ```

mod amd;
mod apple;
mod assign;
mod cpu;
mod device;
mod identity;
mod machine;
mod nvidia;
mod report;
mod select;
#[cfg(test)]
mod tests;
mod visible;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

#[doc(hidden)]
pub use assign::{Assignment, assign};
pub use device::Device;
pub use identity::{Gpu, Identity};
pub use report::{
    Accelerator, Capabilities, Cpu, Cuda, CudaDevice, Hardware, MigDevice, Mps, NumaNode, Rocm,
    RocmDevice, Usable,
};
pub use select::DeviceError;

use crate::process::PerProcess;
use machine::Machine;

/// What was found; a forked child looks for itself.
static FOUND: PerProcess<Mutex<Option<Arc<Hardware>>>> = PerProcess::new();

fn found() -> MutexGuard<'static, Option<Arc<Hardware>>> {
    FOUND.get(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes of memory that this process may use, by now. None: nothing tells.
pub(crate) fn usable_memory() -> Option<u64> {
    cpu::usable_memory(&Machine::at(Path::new("/")))
}

/// Processors that this process may use, whole ones: those that it may run on, or what the quota of
/// its control groups is worth. As [`Usable::cores`], without a look at the rest of the machine.
#[doc(hidden)]
pub fn usable_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What this process may compute with. Looked up once and remembered, free memory included, until
/// [`clear_cache`]. Blocks for some milliseconds, and for 2.5 s at most where a driver hangs.
pub fn detect() -> Arc<Hardware> {
    detect_with(&site_packages)
}

/// As [`detect`]; `packages` says where Python packages are, some of which bring libraries.
#[doc(hidden)]
pub fn detect_with(packages: &dyn Fn() -> Vec<PathBuf>) -> Arc<Hardware> {
    if let Some(known) = &*found() {
        return known.clone();
    }
    // Two that come at once both look: none waits for the other with a lock in hand.
    let new = Arc::new(look(&Machine::here(&packages())));
    found().get_or_insert(new).clone()
}

/// Forgets what was found, so that the next question is answered anew: free memory, devices that
/// came or went, variables that changed.
pub fn clear_cache() {
    *found() = None;
}

/// What there is, in short.
pub fn capabilities() -> Capabilities {
    detect().capabilities()
}

/// The device that `wanted` names: `auto` (the best), a family (`cuda`: its first), or one
/// (`cuda:1`), as this process numbers them.
///
/// # Errors
/// [`DeviceError::Unknown`] for what is no name, [`DeviceError::NotAvailable`] where there is none.
pub fn select(wanted: &str) -> Result<Device, DeviceError> {
    detect().select(wanted)
}

/// The first of `wanted` that there is; each as in [`select()`].
///
/// # Errors
/// As in [`select()`].
pub fn select_with_fallback<S: AsRef<str>>(wanted: &[S]) -> Result<Device, DeviceError> {
    detect().select_with_fallback(wanted)
}

/// All that is known of the device that `wanted` names, as in [`select()`].
///
/// # Errors
/// As in [`select()`].
pub fn device_info(wanted: &str) -> Result<DeviceInfo, DeviceError> {
    let here = detect();
    here.select(wanted).map(|device| here.info(device))
}

/// What a lock file tells of this machine.
pub fn identity() -> Identity {
    detect().identity()
}

/// What is known of one device.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum DeviceInfo {
    /// The processors.
    Cpu(Cpu),
    /// One of NVIDIA.
    Cuda(CudaDevice),
    /// One of AMD.
    Rocm(RocmDevice),
    /// Apple's.
    Mps(Mps),
}

impl Hardware {
    /// What is known of a device; of one that is not there, what is known of the processors.
    pub fn info(&self, device: Device) -> DeviceInfo {
        let index = device.index.unwrap_or(0);
        let found = match device.kind {
            Accelerator::Cpu => None,
            Accelerator::Cuda => {
                let cuda = self.cuda.as_ref().and_then(|cuda| cuda.devices.get(index));
                cuda.cloned().map(DeviceInfo::Cuda)
            }
            Accelerator::Rocm => {
                let rocm = self.rocm.as_ref().and_then(|rocm| rocm.devices.get(index));
                rocm.cloned().map(DeviceInfo::Rocm)
            }
            Accelerator::Mps => self.mps.clone().map(DeviceInfo::Mps),
        };
        found.unwrap_or_else(|| DeviceInfo::Cpu(self.cpu.clone()))
    }
}

fn look(machine: &Machine) -> Hardware {
    let platform = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
    let cuda = machine.aside(nvidia::detect);
    let rocm = machine.aside(amd::detect);
    let mps = machine.aside(apple::detect);
    let processors = machine.aside(cpu::detect);
    let cpu = processors.wait().unwrap_or_else(cpu::unknown);
    Hardware::of(platform, cpu, cuda.wait().flatten(), rocm.wait().flatten(), mps.wait().flatten())
}

/// Of the virtual environment that is active, where one is.
fn site_packages() -> Vec<PathBuf> {
    let Some(venv) = std::env::var_os("VIRTUAL_ENV") else { return Vec::new() };
    let versions =
        std::fs::read_dir(PathBuf::from(venv).join("lib")).into_iter().flatten().flatten();
    versions.map(|version| version.path().join("site-packages")).collect()
}
