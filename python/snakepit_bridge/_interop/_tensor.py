"""Tensors: torch's as such, those of others as numpy arrays, by DLPack.

DLPack is a contract inside one process; here it is only how a tensor's memory is found. A tensor on
a device is copied to the host's memory first, and ``staged`` counts that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from . import _dtype
from ._array import array_part, check_size, over, read_shape
from ._own import own
from ._part import Part, UnfitError, bulk, library, take, take_number

TENSOR = 15
_HOST = frozenset({1, 3, 11})
"""DLPack's numbers of the host's memory: plain, pinned for CUDA, pinned for ROCm."""
_DEVICES = {
    2: "cuda",
    4: "opencl",
    7: "vulkan",
    8: "metal",
    10: "rocm",
    13: "cuda_managed",
    14: "oneapi",
}

staged: dict[str, int] = {}
"""Tensors that were copied from a device to be sent, by its kind."""

_TORCH_ONLY = (
    "bfloat16",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
)
"""Types of torch that numpy has not."""


def encode(kind: type[Any], value: Any) -> Part | None:
    """None: it is no tensor."""
    numpy: Any = sys.modules.get("numpy")
    array = getattr(numpy, "ndarray", None)
    if isinstance(array, type) and issubclass(kind, array):
        return None  # masked arrays and the like: the mask is not in the memory
    try:
        if not (hasattr(kind, "__dlpack__") and hasattr(kind, "__dlpack_device__")):
            return None
    except Exception:  # of a metaclass
        return None
    torch: Any = sys.modules.get("torch")
    tensor = getattr(torch, "Tensor", None)
    if isinstance(tensor, type) and issubclass(kind, tensor):
        return _torch(torch, value)
    return array_part(_as_array(kind, value))


def _torch(torch: Any, tensor: Any) -> Part:
    if tensor.layout is not torch.strided or tensor.is_quantized:
        what = "cannot encode a sparse or quantized torch.Tensor; send .to_dense() or .dequantize()"
        raise UnfitError(what)
    plain = tensor.detach()
    if plain.device.type != "cpu":
        _staged(plain.device.type, plain.element_size() * plain.numel())
        try:
            plain = plain.cpu()
        except Exception as error:
            what = f"cannot encode a torch.Tensor on {tensor.device}; send .cpu()"
            raise UnfitError(f"{what}: {type(error).__name__}: {error}") from error
    plain = plain.resolve_conj().resolve_neg()
    text = str(plain.dtype).rpartition(".")[2]
    try:
        if text in _TORCH_ONLY:
            same_size = torch.int16 if plain.element_size() == 2 else torch.uint8
            return array_part(plain.view(same_size).numpy(), TENSOR, text)
        return array_part(plain.numpy(), TENSOR)
    except (TypeError, RuntimeError) as error:
        what = f"cannot encode a torch.Tensor of {plain.dtype}; convert it with .to()"
        raise UnfitError(f"{what}: {error}") from error


def _as_array(kind: type[Any], value: Any) -> Any:
    name = f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}"
    try:
        numpy = library("numpy")
    except UnfitError:
        raise UnfitError(f"cannot encode {name}; install numpy") from None
    reason: Exception | None = None
    for make in _ways(numpy, kind, value):
        try:
            array = make(value)
        except Exception as error:
            reason = reason or error
            continue
        if type(array) is numpy.ndarray:
            if (device := _device(value)) is not None:
                _staged(device, array.nbytes)
            return array
    why = f": {type(reason).__name__}: {reason}" if reason else ""
    raise UnfitError(f"cannot encode {name}; convert it to a numpy.ndarray{why}")


def _ways(numpy: Any, kind: type[Any], value: Any) -> list[Any]:
    """How it may become an array, without a copy first."""
    if _device(value) is None:
        ways = [numpy.from_dlpack]
    else:
        # numpy before 2.1 knows no `device=`; cupy refuses to be converted but by `get`.
        ways = [lambda it: numpy.from_dlpack(it, device="cpu")]
        if hasattr(kind, "get"):
            ways.append(lambda it: it.get())
    if hasattr(kind, "__array__"):  # items that DLPack or numpy has no number for
        ways.append(numpy.asarray)
    return ways


def _device(value: Any) -> str | None:
    """What kind of device its items are on; None: they are in the host's memory."""
    device = int(value.__dlpack_device__()[0])
    return None if device in _HOST else _DEVICES.get(device, f"device {device}")


def _staged(device: str, nbytes: int) -> None:
    staged[device] = staged.get(device, 0) + 1
    on_staged(device, nbytes)


def _emit(device: str, nbytes: int) -> None:
    from snakepit_bridge.telemetry import emit

    emit("zero_copy.staged", {"bytes": nbytes}, {"device": device})


on_staged: Callable[[str, int], object] = _emit
"""Told of each copy, with its bytes: an event of the adapter, unless a host tells it as its own."""


def decode(body: memoryview, data: Any) -> Any:
    """A tensor that may be written to, where torch is; else a numpy array that may not."""
    size, rest = take_number(body, "B")
    name, rest = take(rest, size)
    text, item = _dtype.named(name)
    shape, is_fortran, rest = read_shape(rest)
    data = bulk(rest, data)
    check_size(shape, item, data)
    try:
        torch = library("torch")
    except UnfitError:
        return over(shape, _dtype.build(text), memoryview(data).toreadonly(), is_fortran)
    # torch knows no tensor that may only be read.
    data = own(data)
    kind = _torch_type(torch, text)
    if not len(memoryview(data)):
        return torch.empty(shape, dtype=kind)
    flat = torch.frombuffer(data, dtype=kind)
    if not is_fortran:
        return flat.reshape(shape)
    return flat.reshape(shape[::-1]).permute(*range(len(shape))[::-1])


def _torch_type(torch: Any, text: str) -> Any:
    if text in _TORCH_ONLY:
        kind = getattr(torch, text, None)
    else:
        numpy = library("numpy")
        dtype = _dtype.build(text)
        if dtype.byteorder == ">":
            raise UnfitError("no torch.Tensor has items of that byte order")
        kind = torch.from_numpy(numpy.empty(0, dtype)).dtype
    if kind is None:
        raise UnfitError(f"this torch has no {text}; update it")
    return kind
