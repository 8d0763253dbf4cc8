"""What ``snakepit.hardware`` tells, as data: plain values below, for ``dataclasses.asdict``.

The fields are those of the engine's report (crates/core, ``hardware/report.rs``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Accelerator = Literal["cpu", "cuda", "rocm", "mps"]


class Device(NamedTuple):
    """A device, as this process numbers them; ``str()`` is what frameworks call it."""

    kind: Accelerator
    """Its family."""
    index: int | None = None  # type: ignore[assignment]  # rather than where in a tuple a value is
    """Its place in the family; ``None`` where that has one device only."""

    def __str__(self) -> str:
        return self.kind if self.index is None else f"{self.kind}:{self.index}"


@dataclass(frozen=True, slots=True)
class NumaNode:
    """A part of the machine with memory of its own."""

    id: int
    """The kernel's number for it."""
    cpus: list[int]
    """Its logical processors."""
    memory_total_mb: int
    """MiB of its memory."""


@dataclass(frozen=True, slots=True)
class Usable:
    """What this process may use: limits of its affinity and of its control group."""

    cores: int
    """So many threads can compute at once: processors of the affinity, or whole ones of ``quota``
    where that is less; at least 1."""
    cpus: list[int]
    """Logical processors that this process may run on."""
    quota: float | None
    """Processors' worth of time that the control group gets; ``None``: no limit."""
    memory_mb: int
    """MiB of memory that can be had in all: the machine's, or the control group's limit."""
    memory_limit_mb: int | None
    """That limit; ``None``: no limit."""


@dataclass(frozen=True, slots=True)
class Cpu:
    """The processors and the memory beside them."""

    model: str
    """As the processor names itself; empty where it does not."""
    cores: int
    """Physical cores that are online."""
    threads: int
    """Logical ones: what the system schedules on."""
    features: list[str]
    """Instruction sets that matter to numeric code and that all processors have, by the kernel's
    names and sorted: ``"avx2"``, ``"avx512f"``, ``"amx_tile"``, ``"neon"``."""
    numa_nodes: list[NumaNode]
    """The nodes of a machine whose memory is not uniform; one where it is."""
    memory_total_mb: int
    """MiB of memory."""
    memory_available_mb: int
    """MiB that can be had without swapping, for the whole machine."""
    usable: Usable
    """What this process gets of all that."""


@dataclass(frozen=True, slots=True)
class MigDevice:
    """An instance of a device that is cut up (MIG)."""

    uuid: str
    """``"MIG-…"``: the only name that CUDA takes."""
    name: str
    """Its profile: ``"1g.5gb"``."""
    memory_total_mb: int | None
    """MiB of memory; ``None`` where the driver does not tell."""
    memory_free_mb: int | None
    """MiB that nobody used when it was asked."""


@dataclass(frozen=True, slots=True)
class CudaDevice:
    """One device of NVIDIA."""

    index: int
    """What this process calls it: ``cuda:0``."""
    physical_index: int
    """What ``nvidia-smi`` calls it: its place in the order of the bus."""
    uuid: str
    """``"GPU-…"``: names it for good."""
    name: str
    """The product."""
    memory_total_mb: int | None
    """MiB of memory; ``None`` where the driver does not tell."""
    memory_free_mb: int | None
    """MiB that nobody used when it was asked."""
    compute_capability: str | None
    """``"8.0"``: what its code has to be compiled for."""
    mig_enabled: bool
    """Whether it is cut up into instances; programs then use these and not the whole."""
    mig_devices: list[MigDevice]
    """The instances that this process sees."""


@dataclass(frozen=True, slots=True)
class Cuda:
    """What a driver of NVIDIA says."""

    version: str | None
    """The newest CUDA that the driver can run: ``"12.4"``."""
    driver_version: str | None
    """The driver's own version."""
    cudnn_version: str | None
    """Of the cuDNN that programs would load, as far as its files tell: ``"9.1.0"``."""
    source: str
    """Who said so: ``"nvml"`` or ``"nvidia-smi"``."""
    devices: list[CudaDevice]
    """The devices that this process sees, in its order."""
    hidden: int
    """How many more ``CUDA_VISIBLE_DEVICES`` hides from it."""


@dataclass(frozen=True, slots=True)
class RocmDevice:
    """One device of AMD."""

    index: int
    """What this process calls it: ``rocm:0``; PyTorch says ``cuda:0``."""
    physical_index: int
    """Its place among all devices of the machine."""
    uuid: str | None
    """``"GPU-…"``; ``None`` where it has no number."""
    name: str
    """The product."""
    gfx: str | None
    """What its code has to be compiled for: ``"gfx90a"``."""
    pci_bus: str | None
    """Where it sits: ``"0000:63:00.0"``."""
    memory_total_mb: int | None
    """MiB of memory; ``None`` where the driver does not tell."""
    memory_free_mb: int | None
    """MiB that nobody used when it was asked."""


@dataclass(frozen=True, slots=True)
class Rocm:
    """What AMD's driver says."""

    version: str | None
    """Of the ROCm that is installed: ``"6.2.0"``."""
    driver_version: str | None
    """Of the kernel's driver."""
    source: str
    """Who said so: ``"sysfs"`` or ``"rocm-smi"``."""
    devices: list[RocmDevice]
    """The devices that this process sees, in its order."""
    hidden: int
    """How many more ``ROCR_VISIBLE_DEVICES`` and ``HIP_VISIBLE_DEVICES`` hide from it."""


@dataclass(frozen=True, slots=True)
class Mps:
    """Apple's Metal."""

    device_name: str
    """The chip."""
    memory_total_mb: int
    """MiB of memory, which it shares with the processors."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """What this process may compute with."""

    accelerator: Accelerator
    """The best that there is: CUDA, else ROCm, else MPS, else the CPU."""
    platform: str
    """Operating system and architecture: ``"linux-x86_64"``."""
    cpu: Cpu
    """The processors."""
    cuda: Cuda | None
    """NVIDIA; ``None`` where no driver answers."""
    rocm: Rocm | None
    """AMD; ``None`` where no driver answers."""
    mps: Mps | None
    """Apple; ``None`` anywhere else."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What there is, in short."""

    cpu: bool
    """Always."""
    cuda: bool
    """A device of NVIDIA that this process sees."""
    rocm: bool
    """A device of AMD that this process sees."""
    mps: bool
    """A device of Apple."""
    avx: bool
    """256-bit floating point."""
    avx2: bool
    """And integers."""
    avx512: bool
    """512 bits (``avx512f``)."""
    amx: bool
    """Matrix tiles (``amx_tile``)."""
    neon: bool
    """ARM's 128 bits."""
    cudnn: bool
    """A cuDNN that programs would load."""
    cuda_version: str | None
    """Of the driver."""
    cudnn_version: str | None
    """Of its files."""
    rocm_version: str | None
    """Of what is installed."""


def cpu(told: dict[str, Any]) -> Cpu:
    """Read the engine's word on the processors."""
    nodes = [NumaNode(**node) for node in told["numa_nodes"]]
    return Cpu(**told | {"numa_nodes": nodes, "usable": Usable(**told["usable"])})


def cuda_device(told: dict[str, Any]) -> CudaDevice:
    """Read the engine's word on a device of NVIDIA."""
    instances = [MigDevice(**instance) for instance in told["mig_devices"]]
    return CudaDevice(**told | {"mig_devices": instances})


def cuda(told: dict[str, Any] | None) -> Cuda | None:
    """Read the engine's word on NVIDIA."""
    if told is None:
        return None
    return Cuda(**told | {"devices": [cuda_device(it) for it in told["devices"]]})


def rocm(told: dict[str, Any] | None) -> Rocm | None:
    """Read the engine's word on AMD."""
    if told is None:
        return None
    return Rocm(**told | {"devices": [RocmDevice(**it) for it in told["devices"]]})


def hardware(told: dict[str, Any]) -> Hardware:
    """Read the engine's word on all of it."""
    return Hardware(
        accelerator=told["accelerator"],
        platform=told["platform"],
        cpu=cpu(told["cpu"]),
        cuda=cuda(told["cuda"]),
        rocm=rocm(told["rocm"]),
        mps=None if told["mps"] is None else Mps(**told["mps"]),
    )
