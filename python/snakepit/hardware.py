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
from typing import Any

from snakepit import _core
from snakepit import _hardware_report as _report
from snakepit._hardware_report import (
    Capabilities,
    Cpu,
    Cuda,
    CudaDevice,
    Device,
    Hardware,
    MigDevice,
    Mps,
    NumaNode,
    Rocm,
    RocmDevice,
    Usable,
)
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


def detect() -> Hardware:
    """Return what this process may compute with.

    Looked up once and remembered, free memory included, until ``clear_cache()``. Takes some
    milliseconds, or 2.5 seconds at most where a driver hangs; other threads run meanwhile.

    Example:
        >>> here = hardware.detect()
        >>> here.accelerator, here.cpu.usable.cores
        ('cpu', 2)
    """
    return _report.hardware(_core.detect_hardware(packages()))


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
            return _report.cuda_device(told)
        case "rocm":
            return RocmDevice(**told)
        case "mps":
            return Mps(**told)
        case _:
            return _report.cpu(told)


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
