//! NVIDIA: what the driver's library says, else `nvidia-smi`, and what this process sees of it.

mod cudnn;
mod nvml;
mod smi;

use super::machine::Machine;
use super::report::{Cuda, CudaDevice};
use super::visible::{Names, shown};
use nvml::Answer;

/// None: no driver answers.
pub(super) fn detect(machine: &Machine) -> Option<Cuda> {
    let all = match nvml::ask(machine) {
        Answer::Told(cuda) => cuda,
        Answer::Nothing => by_tool(machine)?,
        Answer::Hung => return None,
    };
    let mut cuda = seen(all, machine.variable("CUDA_VISIBLE_DEVICES"));
    cuda.cudnn_version = cudnn::version(machine);
    Some(cuda)
}

fn by_tool(machine: &Machine) -> Option<Cuda> {
    let ask = |args: &[&str]| machine.ask("nvidia-smi", args);
    let columns =
        ask(&[smi::COLUMNS, smi::FORMAT]).or_else(|| ask(&[smi::OLD_COLUMNS, smi::FORMAT]));
    let (mut devices, driver_version) = smi::devices(&columns?);
    if devices.is_empty() {
        return None;
    }
    if devices.iter().any(|device| device.mig_enabled) {
        smi::add_instances(&ask(&["-L"]).unwrap_or_default(), &mut devices);
    }
    let version = ask(&[]).and_then(|table| smi::cuda_version(&table));
    Some(Cuda { version, driver_version, source: "nvidia-smi", devices, ..Cuda::default() })
}

/// What a variable leaves, numbered as CUDA will.
fn seen(all: Cuda, variable: Option<&str>) -> Cuda {
    let shown = shown(variable, &all.devices.iter().map(names).collect::<Vec<_>>());
    let mut devices: Vec<CudaDevice> = Vec::new();
    for it in &shown {
        let whole = &all.devices[it.device];
        let instance = it.instance.map(|place| whole.mig_devices[place].clone());
        match (instance, devices.iter_mut().find(|seen| seen.uuid == whole.uuid)) {
            (Some(instance), Some(seen)) => {
                if !seen.mig_devices.contains(&instance) {
                    seen.mig_devices.push(instance);
                }
            }
            (None, Some(_)) => {}
            (instance, None) => {
                let mut seen = whole.clone();
                seen.index = devices.len();
                if let Some(instance) = instance {
                    seen.mig_devices = vec![instance];
                }
                devices.push(seen);
            }
        }
    }
    let hidden = all.devices.len() - devices.len();
    Cuda { devices, hidden, ..all }
}

fn names(device: &CudaDevice) -> Names<'_> {
    let instances = device.mig_devices.iter().map(|it| &*it.uuid).collect();
    Names { uuid: Some(&device.uuid), instances }
}
