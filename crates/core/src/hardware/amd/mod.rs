//! AMD: what the kernel's driver shows in sysfs, and where that lacks something, `rocm-smi`.

mod kfd;
mod smi;

use super::machine::Machine;
use super::report::{Rocm, RocmDevice};
use super::visible::{Names, Shown, shown};

const MIB: u64 = 1 << 20;
const NODES: &str = "sys/class/kfd/kfd/topology/nodes";

/// None: no driver answers.
pub(super) fn detect(machine: &Machine) -> Option<Rocm> {
    let mut devices = by_sysfs(machine);
    let mut source = "sysfs";
    let mut driver_version =
        machine.read("sys/module/amdgpu/version").map(|text| text.trim().to_owned());
    // It is a program in Python, and slow: only asked for what is missing.
    if (devices.is_empty() || devices.iter().any(|device| device.name.is_empty()))
        && machine.has_tool("rocm-smi")
    {
        let (told, driver) = smi::devices(&machine.ask("rocm-smi", &smi::ARGS).unwrap_or_default());
        if devices.is_empty() {
            (devices, source) = (told, "rocm-smi");
        } else {
            name(&mut devices, &told);
        }
        driver_version = driver_version.or(driver);
        if driver_version.is_none() && !devices.is_empty() {
            let said = machine.ask("rocm-smi", &smi::DRIVER_ARGS).unwrap_or_default();
            driver_version = smi::devices(&said).1;
        }
    }
    if devices.is_empty() {
        return None;
    }
    for device in devices.iter_mut().filter(|device| device.name.is_empty()) {
        device.name = device.gfx.as_ref().map_or_else(smi::unnamed, |gfx| format!("AMD {gfx}"));
    }
    let rocm = Rocm { version: version(machine), driver_version, source, ..Rocm::default() };
    Some(seen(rocm, devices, machine))
}

fn by_sysfs(machine: &Machine) -> Vec<RocmDevice> {
    let nodes = machine
        .list(NODES)
        .into_iter()
        .filter_map(|node| kfd::node(&machine.read(format!("{NODES}/{node}/properties"))?));
    let device = |(physical_index, node): (usize, kfd::Node)| {
        let read = |name: &str| {
            let minor = node.render_minor?;
            machine.read(format!("sys/class/drm/renderD{minor}/device/{name}"))
        };
        let bytes = |name| read(name)?.trim().parse::<u64>().ok();
        let (total, used) = (bytes("mem_info_vram_total"), bytes("mem_info_vram_used"));
        RocmDevice {
            physical_index,
            name: read("product_name").unwrap_or_default().trim().to_owned(),
            uuid: node.uuid,
            gfx: node.gfx,
            pci_bus: node.pci_bus,
            memory_total_mb: total.map(|bytes| bytes / MIB),
            memory_free_mb: total.zip(used).map(|(total, used)| total.saturating_sub(used) / MIB),
            ..RocmDevice::default()
        }
    };
    nodes.enumerate().map(device).collect()
}

/// Gives names to those that have none, by where they sit.
fn name(devices: &mut [RocmDevice], told: &[RocmDevice]) {
    for device in devices.iter_mut().filter(|device| device.name.is_empty()) {
        let fits = |it: &&RocmDevice| it.pci_bus.is_some() && it.pci_bus == device.pci_bus;
        if let Some(named) = told.iter().find(fits) {
            device.name.clone_from(&named.name);
        }
    }
}

/// Of what is installed: `6.2.0-66` is 6.2.0 and a build.
fn version(machine: &Machine) -> Option<String> {
    let path = machine.variable("ROCM_PATH").filter(|path| path.starts_with('/'));
    let folder = path.unwrap_or("/opt/rocm");
    let text = machine.read(format!("{folder}/.info/version"))?;
    let version = text.trim().split('-').next().unwrap_or_default().to_owned();
    version.starts_with(|c: char| c.is_ascii_digit()).then_some(version)
}

/// ROCr hides devices, and HIP some of those that it leaves.
fn seen(rocm: Rocm, all: Vec<RocmDevice>, machine: &Machine) -> Rocm {
    let count = all.len();
    let pick = |variable: Option<&str>, from: Vec<RocmDevice>| -> Vec<RocmDevice> {
        let names =
            from.iter().map(|device| Names { uuid: device.uuid.as_deref(), instances: Vec::new() });
        let shown: Vec<Shown> = shown(variable, &names.collect::<Vec<_>>());
        shown.into_iter().map(|it| from[it.device].clone()).collect()
    };
    // HIP heeds CUDA's variable where its own is not set; so do programs that were ported.
    let hip = machine.variable("HIP_VISIBLE_DEVICES");
    let hip = hip.or_else(|| machine.variable("CUDA_VISIBLE_DEVICES"));
    let mut devices = pick(hip, pick(machine.variable("ROCR_VISIBLE_DEVICES"), all));
    for (index, device) in devices.iter_mut().enumerate() {
        device.index = index;
    }
    Rocm { hidden: count - devices.len(), devices, ..rocm }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GPU: &str = include_str!("../recorded/kfd-mi210");

    fn machine() -> (tempfile::TempDir, Machine) {
        let second = GPU
            .replace("unique_id 1801979520617338022", "unique_id 7")
            .replace("drm_render_minor 128", "drm_render_minor 129");
        let node = |number: &str| format!("{NODES}/{number}/properties");
        Machine::of_files(&[
            (&node("0"), "cpu_cores_count 64\nsimd_count 0\n"),
            (&node("2"), GPU),
            (&node("10"), &second),
            ("sys/class/drm/renderD128/device/mem_info_vram_total", "68702699520\n"),
            ("sys/class/drm/renderD128/device/mem_info_vram_used", "10960896\n"),
            ("sys/class/drm/renderD128/device/product_name", "AMD Instinct MI210\n"),
            ("sys/module/amdgpu/version", "6.8.5\n"),
            ("opt/rocm/.info/version", "6.2.0-66\n"),
        ])
    }

    fn physical(rocm: &Rocm) -> Vec<usize> {
        rocm.devices.iter().map(|device| device.physical_index).collect()
    }

    #[test]
    fn devices_come_in_the_order_of_their_nodes() {
        let (_root, machine) = machine();
        let rocm = detect(&machine).unwrap();
        assert_eq!(
            (rocm.version.as_deref(), rocm.driver_version.as_deref()),
            (Some("6.2.0"), Some("6.8.5"))
        );
        let [first, second] = &*rocm.devices else { panic!("{rocm:?}") };
        assert_eq!((&*first.name, first.memory_total_mb), ("AMD Instinct MI210", Some(65_520)));
        assert_eq!((&*second.name, second.index), ("AMD gfx90a", 1));
        assert_eq!(second.uuid.as_deref(), Some("GPU-0000000000000007"));
    }

    #[test]
    fn what_the_variables_hide_is_counted() {
        let (_root, machine) = machine();
        let with = |name, value| detect(&machine.clone().with_variable(name, value)).unwrap();
        assert_eq!(physical(&with("ROCR_VISIBLE_DEVICES", "1,0")), [1, 0]);
        assert_eq!(physical(&with("HIP_VISIBLE_DEVICES", "1")), [1]);
        assert_eq!(physical(&with("ROCR_VISIBLE_DEVICES", "GPU-0000000000000007")), [1]);
        let none = with("CUDA_VISIBLE_DEVICES", "");
        assert_eq!((physical(&none), none.hidden), (vec![], 2));
        let both = machine
            .with_variable("ROCR_VISIBLE_DEVICES", "1")
            .with_variable("HIP_VISIBLE_DEVICES", "0");
        assert_eq!(physical(&detect(&both).unwrap()), [1]);
    }

    #[test]
    fn the_tool_is_asked_where_sysfs_is_silent() {
        let json = include_str!("../recorded/rocm-smi-6.0.json");
        let (_root, silent) = Machine::of_files(&[("said", json)]);
        assert_eq!(detect(&silent), None);
        let file = silent.resolved("said").unwrap();
        let script = format!("cat {}", file.display());
        let rocm = detect(&silent.with_tool("rocm-smi", &script)).unwrap();
        assert_eq!((rocm.source, physical(&rocm)), ("rocm-smi", vec![0, 1]));
        assert_eq!(rocm.driver_version.as_deref(), Some("6.3.6"));
    }
}
