//! What `nvidia-smi` prints.
//!
//! Its table is for people and its XML leaves out what code must be compiled for, so it is asked for
//! columns. CUDA's version is no column, and stands in the head of the table alone.

use crate::hardware::report::{CudaDevice, MigDevice};

/// The columns, the name last, since it alone may hold a comma.
pub(super) const COLUMNS: &str = "--query-gpu=index,uuid,memory.total,memory.free,driver_version,\
                                  compute_cap,mig.mode.current,name";
/// Those that drivers before 510 know, too.
pub(super) const OLD_COLUMNS: &str =
    "--query-gpu=index,uuid,memory.total,memory.free,driver_version,name";
pub(super) const FORMAT: &str = "--format=csv,noheader,nounits";

/// The devices and the driver's version, from either set of columns. A row that cannot be read is
/// left out.
pub(super) fn devices(text: &str) -> (Vec<CudaDevice>, Option<String>) {
    let mut driver = None;
    let mut devices: Vec<CudaDevice> =
        text.lines().filter_map(|line| device(line, &mut driver)).collect();
    devices.sort_by_key(|device| device.physical_index);
    devices.dedup_by_key(|device| device.physical_index);
    (devices, driver)
}

fn device(line: &str, driver: &mut Option<String>) -> Option<CudaDevice> {
    let (front, name) = line.rsplit_once(',')?;
    let mut columns = front.split(',').map(str::trim);
    let index = columns.next()?.parse().ok()?;
    let uuid = columns.next()?;
    let total = columns.next()?;
    let free = columns.next()?;
    let version = columns.next()?;
    let (capability, mig) = (columns.next(), columns.next());
    if columns.next().is_some() || !uuid.starts_with("GPU-") {
        return None;
    }
    *driver = told(version);
    Some(CudaDevice {
        physical_index: index,
        uuid: uuid.into(),
        name: name.trim().into(),
        memory_total_mb: total.parse().ok(),
        memory_free_mb: free.parse().ok(),
        compute_capability: capability.and_then(told),
        mig_enabled: mig == Some("Enabled"),
        ..CudaDevice::default()
    })
}

/// `[N/A]`, `[Not Supported]` and `[Unknown Error]` are what it says where it has nothing to say.
fn told(text: &str) -> Option<String> {
    let text = text.trim();
    text.starts_with(|c: char| c.is_ascii_digit()).then(|| text.to_owned())
}

/// Adds the instances that `nvidia-smi -L` lists below each device.
pub(super) fn add_instances(text: &str, devices: &mut [CudaDevice]) {
    let mut current = None;
    for line in text.lines() {
        let Some(uuid) =
            line.rsplit_once("(UUID: ").and_then(|(_, uuid)| uuid.trim().strip_suffix(')'))
        else {
            continue;
        };
        if line.starts_with("GPU ") {
            current = devices.iter().position(|device| device.uuid == uuid);
        } else if let (Some(place), Some(instance)) = (current, line.trim().strip_prefix("MIG "))
            && uuid.starts_with("MIG-")
        {
            let name = instance.split_ascii_whitespace().next().unwrap_or_default();
            devices[place].mig_devices.push(MigDevice {
                uuid: uuid.into(),
                name: name.into(),
                ..MigDevice::default()
            });
        }
    }
}

/// CUDA's version in the head of the table, under either of the names that it has had.
pub(super) fn cuda_version(text: &str) -> Option<String> {
    let head = text.lines().take(12);
    let mut versions = head.filter_map(|line| {
        let behind = line.split_once("CUDA Version:").or(line.split_once("CUDA UMD Version:"))?.1;
        told(behind.split_ascii_whitespace().next()?)
    });
    versions.next()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_devices_and_one_that_is_cut_up() {
        let (mut devices, driver) = devices(include_str!("../recorded/nvidia-smi-query.csv"));
        assert_eq!(driver.as_deref(), Some("550.127.05"));
        assert_eq!(devices.len(), 3);
        let first = &devices[0];
        assert_eq!((first.physical_index, &*first.name), (0, "NVIDIA A100-SXM4-80GB"));
        assert_eq!((first.memory_total_mb, first.memory_free_mb), (Some(81_920), Some(81_050)));
        assert_eq!(first.compute_capability.as_deref(), Some("8.0"));
        let modes: Vec<bool> = devices.iter().map(|device| device.mig_enabled).collect();
        assert_eq!(modes, [false, true, false]);
        add_instances(include_str!("../recorded/nvidia-smi-list"), &mut devices);
        let counts: Vec<usize> = devices.iter().map(|device| device.mig_devices.len()).collect();
        assert_eq!(counts, [0, 4, 0]);
        let instance = &devices[1].mig_devices[1];
        assert_eq!(&*instance.uuid, "MIG-000d40d3-5924-5906-9879-8b69bf58689b");
        assert_eq!(&*instance.name, "1g.20gb");
    }

    #[test]
    fn an_old_driver_and_one_that_does_not_tell() {
        let old =
            "0, GPU-9de3d0e8-33f5-10dc-0c79-2c88a7ab0a23, 40536, 40533, 460.80, A100-PCIE-40GB\n";
        let (found, driver) = devices(old);
        assert_eq!((&*found[0].name, driver.as_deref()), ("A100-PCIE-40GB", Some("460.80")));
        assert_eq!(found[0].compute_capability, None);
        let shared = "0, GPU-0a1b2c3d-0000-0000-0000-000000000000, [N/A], [N/A], 580.95.05, 12.1, [N/A], NVIDIA GB10";
        let (found, _) = devices(shared);
        assert_eq!((found[0].memory_total_mb, found[0].mig_enabled), (None, false));
        assert_eq!(found[0].compute_capability.as_deref(), Some("12.1"));
    }

    #[test]
    fn the_version_of_cuda_under_both_names() {
        assert_eq!(
            cuda_version(include_str!("../recorded/nvidia-smi-table")).as_deref(),
            Some("12.4")
        );
        let new = "| NVIDIA-SMI 610.57.04   KMD Version: 610.57.04   CUDA UMD Version: 13.3     |";
        assert_eq!(cuda_version(new).as_deref(), Some("13.3"));
        assert_eq!(cuda_version("| CUDA Version: N/A |"), None);
    }

    #[test]
    fn what_it_says_instead_of_devices_is_none() {
        for said in [
            "",
            "No devices were found\n",
            "Field \"compute_cap\" is not a valid field to query.\n",
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
            "0, GPU-x\n",
            "x, GPU-x, 1, 1, 1, 1, 1, y",
            "0, nonsense, 1, 1, 1, 1, 1, y",
            "\u{fffd}\u{fffd},,,,,,,,,,,,",
        ] {
            assert_eq!(devices(said).0, [], "{said}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_too_garbled(text in "(([0-9]|GPU-|MIG |\\(UUID: |\\PC){0,6}[, \n]?){0,30}") {
            let (mut found, _) = devices(&text);
            add_instances(&text, &mut found);
            cuda_version(&text);
        }
    }
}
