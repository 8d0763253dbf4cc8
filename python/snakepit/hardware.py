"""What there is to compute with: processors, and devices of NVIDIA, AMD and Apple.

What is said is what *this process* gets: devices that ``CUDA_VISIBLE_DEVICES`` and its kin leave,
processors of its affinity, time and memory of its control group. A driver or a tool that is
missing, fails or hangs is *not available*: nothing here raises for it, or takes longer than some
two seconds. The first question looks, the others remember, until ``clear_cache()``.

Example:
    >>> from snakepit import hardware
    >>> str(hardware.select_with_fallback(["cuda", "mps", "cpu"]))
    'cuda:0'
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from snakepit import _core
from snakepit.errors import ConfigError

__all__ = [
    "Capabilities",
    "Cpu",
    "Cuda",
    "CudaDevice",
    "Device",
    "Hardware",
    "MigDevice",
    "Mps",
    "NumaNode",
    "Rocm",
    "RocmDevice",
    "Usable",
    "capabilities",
    "clear_cache",
    "detect",
    "device_info",
    "identity",
    "select",
    "select_with_fallback",
]

Accelerator = Literal["cpu", "cuda", "rocm", "mps"]


class Device(NamedTuple):
    """A device, as this process numbers them; ``str()`` is what frameworks call it."""

    kind: Accelerator
    """Its family."""
    index: int | None = None
    """Its place in the family; ``None`` where that has one device only."""

    def __str__(self) -> str:
        return self.kind if self.index is None else f"{self.kind}:{self.index}"


class NumaNode(NamedTuple):
    """A part of the machine with memory of its own."""

    id: int
    """The kernel's number for it."""
    cpus: list[int]
    """Its logical processors."""
    memory_total_mb: int
    """MiB of its memory."""


class Usable(NamedTuple):
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


class Cpu(NamedTuple):
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


class MigDevice(NamedTuple):
    """An instance of a device that is cut up (MIG)."""

    uuid: str
    """``"MIG-…"``: the only name that CUDA takes."""
    name: str
    """Its profile: ``"1g.5gb"``."""
    memory_total_mb: int | None
    """MiB of memory; ``None`` where the driver does not tell."""
    memory_free_mb: int | None
    """MiB that nobody used when it was asked."""


class CudaDevice(NamedTuple):
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


class Cuda(NamedTuple):
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


class RocmDevice(NamedTuple):
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


class Rocm(NamedTuple):
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


class Mps(NamedTuple):
    """Apple's Metal."""

    device_name: str
    """The chip."""
    memory_total_mb: int
    """MiB of memory, which it shares with the processors."""


class Hardware(NamedTuple):
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


class Capabilities(NamedTuple):
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


def detect() -> Hardware:
    """Return what this process may compute with.

    Looked up once and remembered, free memory included, until ``clear_cache()``. Takes some
    milliseconds, or 2.5 seconds at most where a driver hangs; other threads run meanwhile.

    Example:
        >>> here = hardware.detect()
        >>> here.accelerator, here.cpu.usable.cores
        ('cpu', 2)
    """
    told = _core.detect_hardware(packages())
    return Hardware(
        accelerator=told["accelerator"],
        platform=told["platform"],
        cpu=_cpu(told["cpu"]),
        cuda=_cuda(told["cuda"]),
        rocm=_rocm(told["rocm"]),
        mps=told["mps"] and Mps(**told["mps"]),
    )


def capabilities() -> Capabilities:
    """Return what there is, in short."""
    return Capabilities(**_core.hardware_capabilities(packages()))


def select(device: str | tuple[str, int | None] = "auto") -> Device:
    """Return the device that is meant, if there is one.

    Args:
        device: ``"auto"``: the best. ``"cuda"``, ``"rocm"``, ``"mps"`` or ``"cpu"``: the first of
            that family. ``"cuda:1"`` or ``("cuda", 1)``: that one.

    Raises:
        ConfigError: It names no device.
        DeviceNotAvailable: There is none; ``error.available`` tells which there are.
    """
    return select_with_fallback([device])


def select_with_fallback(devices: Iterable[str | tuple[str, int | None]]) -> Device:
    """Return the first of ``devices`` that there is; each as in ``select()``.

    Raises:
        ConfigError: One of them names no device, whether it would have been taken or not.
        DeviceNotAvailable: There is none of them.

    Example:
        >>> hardware.select_with_fallback(["cuda", "mps", "cpu"])
        Device(kind='cuda', index=0)
    """
    wanted = [devices] if isinstance(devices, str) else list(devices)
    kind, index = _core.select_device([name(each) for each in wanted], packages())
    return Device(kind, index)


def device_info(
    device: str | tuple[str, int | None] = "auto",
) -> Cpu | CudaDevice | RocmDevice | Mps:
    """Return all that is known of a device; which, and what is raised, as in ``select()``."""
    kind, told = _core.device_info(name(device), packages())
    match kind:
        case "cuda":
            return _cuda_device(told)
        case "rocm":
            return RocmDevice(**told)
        case "mps":
            return Mps(**told)
        case _:
            return _cpu(told)


def identity() -> dict[str, Any]:
    """Return what a lock file tells of this machine: plain values, keys sorted.

    The same machine tells the same: no free memory, no clock, no number of one very chip, nothing
    of the limits of this process. The devices are those that this process sees.

    Example:
        >>> Path("hardware.lock").write_text(json.dumps(hardware.identity(), indent=2))
    """
    return _core.hardware_identity(packages())


def clear_cache() -> None:
    """Forget what was found, so that the next question is answered anew.

    For free memory, devices that came or went, and variables that changed.
    """
    _core.clear_hardware_cache()


def packages() -> list[str]:
    """Directories with Python packages, some of which bring cuDNN; for this package only."""
    return [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]


def name(device: object, field: str = "device") -> str:
    """Return a device as the engine takes it; for this package only.

    Raises:
        ConfigError: It is neither a text nor a pair.
    """
    if isinstance(device, tuple) and len(device) == 2 and isinstance(device[0], str):
        kind, index = device
        device = kind if index is None else f"{kind}:{index}"
    if isinstance(device, str) and device.isascii():
        return device
    raise ConfigError(
        f'{field}: {device!a:.80} names no device; "cpu", "cuda:0", "rocm:0" and "mps" do',
        field=field,
        suggestion="cuda:0",
    )


def _cpu(told: dict[str, Any]) -> Cpu:
    nodes = [NumaNode(**node) for node in told["numa_nodes"]]
    return Cpu(**told | {"numa_nodes": nodes, "usable": Usable(**told["usable"])})


def _cuda_device(told: dict[str, Any]) -> CudaDevice:
    instances = [MigDevice(**instance) for instance in told["mig_devices"]]
    return CudaDevice(**told | {"mig_devices": instances})


def _cuda(told: dict[str, Any] | None) -> Cuda | None:
    return told and Cuda(**told | {"devices": [_cuda_device(it) for it in told["devices"]]})


def _rocm(told: dict[str, Any] | None) -> Rocm | None:
    return told and Rocm(**told | {"devices": [RocmDevice(**it) for it in told["devices"]]})
