//! Which device each place of a pool gets, and what tells a worker so.
//!
//! A worker sees its device alone, so whatever it runs calls that device the first of its family. It
//! is hidden from the others by the variables that the vendors' runtimes read before they open
//! anything. Indices are the ones that this process sees; what is written for the worker are the
//! machine's own, since the worker's runtime starts from nothing.

use super::device::{Device, Named};
use super::report::{Accelerator, CudaDevice, Hardware};

const CUDA: &str = "CUDA_VISIBLE_DEVICES";
const CUDA_ORDER: &str = "CUDA_DEVICE_ORDER";
const HIP: &str = "HIP_VISIBLE_DEVICES";
const ROCR: &str = "ROCR_VISIBLE_DEVICES";

/// No device has this number: it hides all.
const NOTHING: &str = "-1";

/// The places of a pool have these in turn.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Assignment {
    /// What the host calls each device.
    pub devices: Vec<String>,
    /// Variables of the workers, with a value for each of `devices`.
    pub variables: Vec<(&'static str, Vec<String>)>,
}

/// A device that was found.
enum Found<'a> {
    Cpu,
    Mps,
    Cuda(&'a CudaDevice),
    /// An instance, by its UUID.
    Instance(&'a str),
    Rocm(usize),
}

/// Finds the devices that `wanted` names: `cuda:1`, `rocm:0`, `cpu`, `mps`, or the UUID of a device
/// or an instance.
///
/// # Errors
/// Says which is wrong, and what there is.
pub fn assign<S: AsRef<str>>(wanted: &[S], hardware: &Hardware) -> Result<Assignment, String> {
    if wanted.is_empty() {
        return Err("a list needs at least one device".into());
    }
    let wanted: Vec<&str> = wanted.iter().map(AsRef::as_ref).collect();
    let found: Vec<_> =
        wanted.iter().map(|name| find(name, hardware)).collect::<Result<_, String>>()?;
    let is_cuda = |it: &Found<'_>| matches!(it, Found::Cuda(_) | Found::Instance(_));
    let (cuda, rocm) =
        (found.iter().any(is_cuda), found.iter().any(|it| matches!(it, Found::Rocm(_))));
    if cuda && rocm {
        return Err("devices of NVIDIA and of AMD cannot be mixed; make a pool for each".into());
    }
    let each = |write: fn(&Found<'_>) -> String| found.iter().map(write).collect::<Vec<_>>();
    let hides = cuda || rocm || found.iter().any(|it| matches!(it, Found::Cpu));
    let mut variables = Vec::new();
    if hides && !rocm {
        variables.push((CUDA, each(cuda_value)));
    }
    if cuda {
        // The order in which `physical_index` counts; CUDA's own is by speed.
        variables.push((CUDA_ORDER, each(|_| "PCI_BUS_ID".into())));
    }
    if rocm {
        // HIP counts what ROCr leaves, and would heed CUDA's variable as its own.
        variables.push((CUDA, each(hip_value)));
    }
    if hides && !cuda {
        variables.push((HIP, each(hip_value)));
        variables.push((ROCR, each(rocr_value)));
    }
    Ok(Assignment { devices: wanted.into_iter().map(shortened).collect(), variables })
}

fn cuda_value(found: &Found<'_>) -> String {
    match found {
        Found::Cuda(device) => device.physical_index.to_string(),
        Found::Instance(uuid) => (*uuid).to_owned(),
        _ => NOTHING.into(),
    }
}

fn hip_value(found: &Found<'_>) -> String {
    if matches!(found, Found::Rocm(_)) { "0".into() } else { NOTHING.into() }
}

fn rocr_value(found: &Found<'_>) -> String {
    match found {
        Found::Rocm(physical) => physical.to_string(),
        _ => NOTHING.into(),
    }
}

/// `cuda` is `cuda:0` by another name.
fn shortened(name: &str) -> String {
    match name.parse::<Named>() {
        Ok(named) => Device::new(named.kind, named.index.unwrap_or(0)).to_string(),
        Err(_) => name.to_owned(),
    }
}

fn find<'a>(name: &str, hardware: &'a Hardware) -> Result<Found<'a>, String> {
    if name.starts_with("GPU-") || name.starts_with("MIG-") {
        return by_uuid(name, hardware);
    }
    let named: Named = name.parse()?;
    let index = named.index.unwrap_or(0);
    let found = match named.kind {
        Accelerator::Cpu => Some(Found::Cpu),
        Accelerator::Mps => hardware.mps.as_ref().map(|_| Found::Mps),
        Accelerator::Cuda => match cuda(hardware).get(index) {
            Some(device) if device.mig_enabled => return Err(cut_up(name, device)),
            device => device.map(Found::Cuda),
        },
        Accelerator::Rocm => {
            let rocm = hardware.rocm.as_ref();
            let device = rocm.and_then(|rocm| rocm.devices.get(index));
            device.map(|device| Found::Rocm(device.physical_index))
        }
    };
    found.ok_or_else(|| missing(name, named.kind, hardware))
}

fn cuda(hardware: &Hardware) -> &[CudaDevice] {
    hardware.cuda.as_ref().map_or(&[], |cuda| &cuda.devices)
}

fn by_uuid<'a>(name: &str, hardware: &'a Hardware) -> Result<Found<'a>, String> {
    for device in cuda(hardware) {
        if device.uuid == name {
            return match device.mig_enabled {
                true => Err(cut_up(name, device)),
                false => Ok(Found::Cuda(device)),
            };
        }
        if let Some(instance) = device.mig_devices.iter().find(|it| it.uuid == name) {
            return Ok(Found::Instance(&instance.uuid));
        }
    }
    let rocm = hardware.rocm.iter().flat_map(|rocm| &rocm.devices);
    let found = rocm.into_iter().find(|device| device.uuid.as_deref() == Some(name));
    found
        .map(|device| Found::Rocm(device.physical_index))
        .ok_or_else(|| missing(name, Accelerator::Cuda, hardware))
}

/// CUDA would silently take the first instance for the whole.
fn cut_up(name: &str, device: &CudaDevice) -> String {
    match &*device.mig_devices {
        [] => format!(
            "{name} ({}) is in MIG mode and has no instance; make one with `nvidia-smi mig -cgi`",
            device.name
        ),
        instances => {
            let names: Vec<_> = instances.iter().map(|it| format!("{:?}", it.uuid)).collect();
            format!("{name} ({}) is cut up; name its instances: {}", device.name, names.join(", "))
        }
    }
}

fn missing(name: &str, kind: Accelerator, hardware: &Hardware) -> String {
    let there: Vec<_> = hardware.devices().iter().map(Device::to_string).collect();
    let there = there.join(", ");
    let name: String = name.chars().take(80).collect();
    let (driver, hidden, variable) = match kind {
        Accelerator::Cuda => {
            let hidden = hardware.cuda.as_ref().map(|cuda| cuda.hidden);
            ("neither NVML nor nvidia-smi answers", hidden, CUDA)
        }
        Accelerator::Rocm => {
            let hidden = hardware.rocm.as_ref().map(|rocm| rocm.hidden);
            ("neither sysfs nor rocm-smi tells of one", hidden, ROCR)
        }
        Accelerator::Cpu | Accelerator::Mps => {
            return format!("there is no {name} here; there are: {there}");
        }
    };
    match hidden {
        None => format!(
            "there is no {name} here ({driver}); there are: {there}. Where you know better, \
             env={{\"{variable}\": …}} asks nobody"
        ),
        Some(0) => format!("there is no {name} here; there are: {there}"),
        Some(hidden) => format!(
            "there is no {name} that this process sees ({variable} hides {hidden}); there are: \
             {there}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::report::{Cpu, Cuda, MigDevice, Rocm, RocmDevice};

    fn nvidia() -> Hardware {
        let device = |index, physical_index, uuid: &str| CudaDevice {
            index,
            physical_index,
            uuid: uuid.into(),
            name: "NVIDIA A100".into(),
            ..CudaDevice::default()
        };
        let mut cut = device(2, 0, "GPU-c");
        cut.mig_enabled = true;
        cut.mig_devices = vec![MigDevice { uuid: "MIG-1".into(), ..MigDevice::default() }];
        let devices = vec![device(0, 2, "GPU-a"), device(1, 3, "GPU-b"), cut];
        let cuda = Cuda { devices, hidden: 1, ..Cuda::default() };
        Hardware::of("test".into(), Cpu::default(), Some(cuda), None, None)
    }

    fn amd() -> Hardware {
        let device = |index, physical_index| RocmDevice {
            index,
            physical_index,
            uuid: Some(format!("GPU-{index}")),
            ..RocmDevice::default()
        };
        let rocm = Rocm { devices: vec![device(0, 1), device(1, 0)], ..Rocm::default() };
        Hardware::of("test".into(), Cpu::default(), None, Some(rocm), None)
    }

    fn variables(wanted: &[&str], hardware: &Hardware) -> Vec<(&'static str, String)> {
        let made = assign(wanted, hardware).expect("good devices");
        made.variables.into_iter().map(|(name, values)| (name, values.join(" "))).collect()
    }

    #[test]
    fn a_worker_is_told_the_machines_own_numbers() {
        assert_eq!(
            variables(&["cuda:0", "cuda:1", "cpu", "MIG-1", "GPU-b"], &nvidia()),
            [(CUDA, "2 3 -1 MIG-1 3".to_owned()), (CUDA_ORDER, ["PCI_BUS_ID"; 5].join(" ")),]
        );
        let made = assign(&["cuda", "cpu:0"], &nvidia()).unwrap();
        assert_eq!(made.devices, ["cuda:0", "cpu"]);
    }

    #[test]
    fn amd_devices_are_picked_once_and_not_twice() {
        assert_eq!(
            variables(&["rocm:0", "GPU-1", "cpu"], &amd()),
            [(CUDA, "0 0 -1".to_owned()), (HIP, "0 0 -1".to_owned()), (ROCR, "1 0 -1".to_owned()),]
        );
    }

    #[test]
    fn a_worker_for_the_processors_sees_no_device() {
        let hidden = |name| (name, "-1".to_owned());
        assert_eq!(variables(&["cpu"], &amd()), [hidden(CUDA), hidden(HIP), hidden(ROCR)]);
    }

    #[test]
    fn what_is_wrong_is_told_with_what_is_right() {
        let told = |wanted: &[&str], hardware: &Hardware| assign(wanted, hardware).unwrap_err();
        assert!(told(&[], &amd()).contains("at least one"));
        assert!(told(&["gpu"], &amd()).contains("\"cuda:0\""));
        assert!(told(&["cuda:3"], &nvidia()).contains("CUDA_VISIBLE_DEVICES hides 1"));
        assert!(told(&["cuda:2"], &nvidia()).contains("\"MIG-1\""));
        assert!(told(&["GPU-c"], &nvidia()).contains("\"MIG-1\""));
        assert!(told(&["cuda:0"], &amd()).contains("neither NVML nor nvidia-smi"));
        assert!(told(&["rocm:2"], &amd()).contains("rocm:0, rocm:1, cpu"));
        assert!(told(&["mps"], &amd()).contains("no mps here"));
        assert!(told(&["GPU-x"], &amd()).contains("no GPU-x"));
        let mut both = nvidia();
        both.rocm = amd().rocm;
        assert!(told(&["cuda:0", "rocm:0"], &both).contains("a pool for each"));
    }
}
