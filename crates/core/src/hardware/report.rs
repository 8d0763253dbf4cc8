//! What a machine has to compute with, as data. Memory is in MiB, as NVIDIA and AMD count it.

use std::fmt;

use serde::Serialize;

/// What this process may compute with; see [`super::detect`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Hardware {
    /// The best that there is: CUDA, else ROCm, else MPS, else the CPU.
    pub accelerator: Accelerator,
    /// Operating system and architecture: `linux-x86_64`.
    pub platform: String,
    /// The processors.
    pub cpu: Cpu,
    /// NVIDIA; none where no driver answers.
    pub cuda: Option<Cuda>,
    /// AMD; none where no driver answers.
    pub rocm: Option<Rocm>,
    /// Apple; none anywhere else.
    pub mps: Option<Mps>,
}

/// A family of devices.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    /// The processors of the machine.
    #[default]
    Cpu,
    /// NVIDIA.
    Cuda,
    /// AMD.
    Rocm,
    /// Apple.
    Mps,
}

impl Accelerator {
    /// `cpu`, `cuda`, `rocm` or `mps`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Rocm => "rocm",
            Self::Mps => "mps",
        }
    }
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The processors and the memory beside them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Cpu {
    /// As the processor names itself; empty where it does not.
    pub model: String,
    /// Physical cores that are online.
    pub cores: usize,
    /// Logical ones: what the system schedules on.
    pub threads: usize,
    /// Instruction sets that matter to numeric code and that *all* processors have, by the kernel's
    /// names and sorted: `avx2`, `avx512f`, `amx_tile`, `neon`, `sve`.
    pub features: Vec<String>,
    /// The nodes of a machine whose memory is not uniform; one where it is.
    pub numa_nodes: Vec<NumaNode>,
    /// MiB of memory.
    pub memory_total_mb: u64,
    /// MiB that can be had without swapping, for the whole machine.
    pub memory_available_mb: u64,
    /// What this process gets of all that.
    pub usable: Usable,
}

impl Cpu {
    /// Whether all processors have an instruction set.
    pub fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|has| has == feature)
    }
}

/// A part of the machine with memory of its own.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct NumaNode {
    /// The kernel's number for it.
    pub id: usize,
    /// Its logical processors.
    pub cpus: Vec<usize>,
    /// MiB of its memory.
    pub memory_total_mb: u64,
}

/// What this process may use: limits of its affinity and of its control group.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Usable {
    /// So many threads can compute at once, at least 1: the processors of the affinity, or the whole
    /// ones of the quota where that is less.
    pub cores: usize,
    /// Logical processors that this process may run on.
    pub cpus: Vec<usize>,
    /// Processors' worth of time that the control group gets (`cpu.max`); none: no limit.
    pub quota: Option<f64>,
    /// MiB of memory that can be had in all: the machine's, or the control group's limit.
    pub memory_mb: u64,
    /// That limit (`memory.max`); none: no limit.
    pub memory_limit_mb: Option<u64>,
}

/// What an NVIDIA driver says.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Cuda {
    /// The newest CUDA that the driver can run: `12.4`.
    pub version: Option<String>,
    /// The driver's own version: `550.54.15`.
    pub driver_version: Option<String>,
    /// Of the cuDNN that programs would load, as far as its files tell: `9.1.0`.
    pub cudnn_version: Option<String>,
    /// Who said so: `nvml` or `nvidia-smi`.
    pub source: &'static str,
    /// The devices that this process sees, in the order in which CUDA numbers them for it.
    pub devices: Vec<CudaDevice>,
    /// How many more `CUDA_VISIBLE_DEVICES` hides from it.
    pub hidden: usize,
}

/// One NVIDIA device.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CudaDevice {
    /// What this process calls it: `cuda:0`.
    pub index: usize,
    /// What `nvidia-smi` calls it: its place in the order of the bus.
    pub physical_index: usize,
    /// `GPU-` and a UUID: names it for good.
    pub uuid: String,
    /// The product.
    pub name: String,
    /// MiB of memory; none where the driver does not tell.
    pub memory_total_mb: Option<u64>,
    /// MiB that nobody used when it was asked.
    pub memory_free_mb: Option<u64>,
    /// `8.0`: what its code has to be compiled for.
    pub compute_capability: Option<String>,
    /// Whether it is cut up into instances (MIG); programs then use these and not the whole.
    pub mig_enabled: bool,
    /// The instances that this process sees.
    pub mig_devices: Vec<MigDevice>,
}

/// An instance of a device that is cut up.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MigDevice {
    /// `MIG-` and a UUID; the only name that CUDA takes.
    pub uuid: String,
    /// Its profile: `1g.5gb`.
    pub name: String,
    /// MiB of memory; none where the driver does not tell.
    pub memory_total_mb: Option<u64>,
    /// MiB that nobody used when it was asked.
    pub memory_free_mb: Option<u64>,
}

/// What AMD's driver says.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Rocm {
    /// Of the ROCm that is installed: `6.2.0`.
    pub version: Option<String>,
    /// Of the kernel's driver.
    pub driver_version: Option<String>,
    /// Who said so: `sysfs` or `rocm-smi`.
    pub source: &'static str,
    /// The devices that this process sees, in the order in which HIP numbers them for it.
    pub devices: Vec<RocmDevice>,
    /// How many more `ROCR_VISIBLE_DEVICES` and `HIP_VISIBLE_DEVICES` hide from it.
    pub hidden: usize,
}

/// One AMD device.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RocmDevice {
    /// What this process calls it: `rocm:0`.
    pub index: usize,
    /// Its place among all devices of the machine.
    pub physical_index: usize,
    /// `GPU-` and the chip's number; none where it has none.
    pub uuid: Option<String>,
    /// The product.
    pub name: String,
    /// What its code has to be compiled for: `gfx90a`.
    pub gfx: Option<String>,
    /// Where it sits: `0000:63:00.0`.
    pub pci_bus: Option<String>,
    /// MiB of memory; none where the driver does not tell.
    pub memory_total_mb: Option<u64>,
    /// MiB that nobody used when it was asked.
    pub memory_free_mb: Option<u64>,
}

/// Apple's Metal.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Mps {
    /// The chip: `Apple M2 Pro`.
    pub device_name: String,
    /// MiB of memory, which it shares with the processors.
    pub memory_total_mb: u64,
}

/// What there is, in short; see [`super::capabilities`].
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Capabilities {
    /// Always.
    pub cpu: bool,
    /// A device of NVIDIA that this process sees.
    pub cuda: bool,
    /// A device of AMD that this process sees.
    pub rocm: bool,
    /// A device of Apple.
    pub mps: bool,
    /// 256-bit floating point.
    pub avx: bool,
    /// And integers.
    pub avx2: bool,
    /// 512 bits (`avx512f`).
    pub avx512: bool,
    /// Matrix tiles (`amx_tile`).
    pub amx: bool,
    /// ARM's 128 bits.
    pub neon: bool,
    /// A cuDNN that programs would load.
    pub cudnn: bool,
    /// Of the driver: `12.4`.
    pub cuda_version: Option<String>,
    /// `9.1.0`.
    pub cudnn_version: Option<String>,
    /// `6.2.0`.
    pub rocm_version: Option<String>,
}

impl Hardware {
    /// What there is, in short.
    pub fn capabilities(&self) -> Capabilities {
        let cuda = self.cuda.as_ref();
        let cudnn_version = cuda.and_then(|cuda| cuda.cudnn_version.clone());
        Capabilities {
            cpu: true,
            cuda: cuda.is_some_and(|cuda| !cuda.devices.is_empty()),
            rocm: self.rocm.as_ref().is_some_and(|rocm| !rocm.devices.is_empty()),
            mps: self.mps.is_some(),
            avx: self.cpu.has("avx"),
            avx2: self.cpu.has("avx2"),
            avx512: self.cpu.has("avx512f"),
            amx: self.cpu.has("amx_tile"),
            neon: self.cpu.has("neon"),
            cudnn: cudnn_version.is_some(),
            cuda_version: cuda.and_then(|cuda| cuda.version.clone()),
            cudnn_version,
            rocm_version: self.rocm.as_ref().and_then(|rocm| rocm.version.clone()),
        }
    }

    /// Puts the parts together.
    pub(crate) fn of(
        platform: String,
        cpu: Cpu,
        cuda: Option<Cuda>,
        rocm: Option<Rocm>,
        mps: Option<Mps>,
    ) -> Self {
        let mut all = Self { accelerator: Accelerator::Cpu, platform, cpu, cuda, rocm, mps };
        let has = all.capabilities();
        all.accelerator = match (has.cuda, has.rocm, has.mps) {
            (true, ..) => Accelerator::Cuda,
            (_, true, _) => Accelerator::Rocm,
            (.., true) => Accelerator::Mps,
            _ => Accelerator::Cpu,
        };
        all
    }
}
