//! What makes two machines the same to code that was built for one: for lock files.

use std::fmt;

use serde::Serialize;

use super::report::{Accelerator, Hardware};

/// What a lock file tells of a machine; see [`super::identity()`]. The same machine tells the same: no
/// free memory, no clock, no number of one very chip, nothing of the limits of this process. Written
/// out it is JSON with sorted keys.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Identity {
    // In the order of their names, which is that of the keys.
    /// The best that there is.
    pub accelerator: Accelerator,
    /// Sorted.
    pub cpu_features: Vec<String>,
    /// As the processor names itself.
    pub cpu_model: String,
    /// Of the driver.
    pub cuda_version: Option<String>,
    /// Of its files.
    pub cudnn_version: Option<String>,
    /// Of NVIDIA's driver, else of AMD's.
    pub driver_version: Option<String>,
    /// How many devices this process sees.
    pub gpu_count: usize,
    /// Those, sorted: their order on the bus says nothing.
    pub gpus: Vec<Gpu>,
    /// Operating system and architecture.
    pub platform: String,
    /// Of the ROCm that is installed.
    pub rocm_version: Option<String>,
    /// Of this format: 1.
    pub version: u32,
}

/// A device in an [`Identity`].
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
pub struct Gpu {
    /// What its code has to be compiled for: `8.0`, `gfx90a`.
    pub architecture: Option<String>,
    /// MiB of memory.
    pub memory_total_mb: Option<u64>,
    /// The product.
    pub name: String,
}

impl Hardware {
    /// What a lock file tells of this machine.
    pub fn identity(&self) -> Identity {
        let (cuda, rocm) = (self.cuda.as_ref(), self.rocm.as_ref());
        let nvidia = cuda.iter().flat_map(|cuda| &cuda.devices).map(|device| Gpu {
            architecture: device.compute_capability.clone(),
            memory_total_mb: device.memory_total_mb,
            name: device.name.clone(),
        });
        let amd = rocm.iter().flat_map(|rocm| &rocm.devices).map(|device| Gpu {
            architecture: device.gfx.clone(),
            memory_total_mb: device.memory_total_mb,
            name: device.name.clone(),
        });
        let mut gpus: Vec<Gpu> = nvidia.chain(amd).collect();
        gpus.sort();
        let driver = cuda.and_then(|cuda| cuda.driver_version.as_ref());
        Identity {
            accelerator: self.accelerator,
            cpu_features: self.cpu.features.clone(),
            cpu_model: self.cpu.model.clone(),
            cuda_version: cuda.and_then(|cuda| cuda.version.clone()),
            cudnn_version: cuda.and_then(|cuda| cuda.cudnn_version.clone()),
            driver_version: driver
                .or_else(|| rocm.and_then(|rocm| rocm.driver_version.as_ref()))
                .cloned(),
            gpu_count: gpus.len(),
            gpus,
            platform: self.platform.clone(),
            rocm_version: rocm.and_then(|rocm| rocm.version.clone()),
            version: 1,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string_pretty(self).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::report::{Cpu, Cuda, CudaDevice};

    fn machine(free: u64, uuids: [&str; 2]) -> Hardware {
        let device = |index: usize, name: &str, uuid: &str| CudaDevice {
            index,
            name: name.into(),
            uuid: uuid.into(),
            memory_free_mb: Some(free),
            memory_total_mb: Some(81_920),
            ..CudaDevice::default()
        };
        let mut devices = vec![device(0, "B", uuids[0]), device(1, "A", uuids[1])];
        if free == 0 {
            devices.reverse();
        }
        let cuda = Cuda { devices, ..Cuda::default() };
        let cpu = Cpu { memory_available_mb: free, ..Cpu::default() };
        Hardware::of("linux-x86_64".into(), cpu, Some(cuda), None, None)
    }

    #[test]
    fn what_changes_from_one_look_to_the_next_is_not_in_it() {
        let (one, other) = (machine(0, ["x", "y"]), machine(500, ["v", "w"]));
        assert_eq!(one.identity().to_string(), other.identity().to_string());
    }

    #[test]
    fn it_is_json_with_sorted_keys() {
        let text = machine(1, ["x", "y"]).identity().to_string();
        let keys: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("  \"")?.split_once('"').map(|(key, _)| key))
            .collect();
        assert!(keys.is_sorted() && keys.len() == 11, "{text}");
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&read["gpus"][0]["name"], &read["gpu_count"]), (&"A".into(), &2.into()));
    }
}
