"""numpy: what arrives as an array, and scalars with their dtype both ways.

Arrays arrive read-only, over the bytes that were copied out of the message: whether they can be
written to must not depend on their size, and larger ones are to be views of memory that others see.
"""

from __future__ import annotations

from typing import Any

from snakepit_bridge._interop import _array, _dtype, _part

from ._extension import NUMPY_SCALAR, Extension, expect, loaded
from ._failure import Refused, type_name


def encode(kind: type[Any], value: Any) -> Extension | None:
    """None: no numpy scalar; arrays are ``_interop``'s."""
    if issubclass(kind, loaded("numpy", "generic")):
        return _scalar(kind, value)
    return None


def _scalar(kind: type[Any], scalar: Any) -> Extension:
    # Texts drop their trailing NULs as items of an array, which a scalar must not.
    if issubclass(kind, bytes):
        plain = bytes.__getitem__(scalar, slice(None))
        return NUMPY_SCALAR, _prefixed(f"|S{len(plain)}"), plain
    if issubclass(kind, str):
        characters = str.encode(scalar, "utf-32-le")
        return NUMPY_SCALAR, _prefixed(f"<U{len(characters) // 4}"), characters
    name, body = _dtype.text_of(scalar.dtype) or "", expect(scalar.tobytes(), bytes)
    if _dtype.item_size(name) != len(body):
        what = f"cannot encode {type_name(scalar)}; convert it with .item()"
        raise Refused.refusal(what).of(scalar)
    return NUMPY_SCALAR, _prefixed(name), body


def _prefixed(name: str) -> bytes:
    """numpy makes no name here that is longer than 255 bytes."""
    return bytes((len(name),)) + name.encode()


def decode_array(body: memoryview, data: Any = None) -> Any:
    name, size, rest = _read_dtype(body)
    shape, is_fortran, rest = _array.read_shape(rest)
    data = _part.bulk(rest, data)
    _array.check_size(shape, size, data)
    return _array.over(shape, _dtype.build(name), data, is_fortran)


def decode_scalar(body: memoryview) -> Any:
    name, size, rest = _read_dtype(body)
    if len(rest) != size:
        raise Refused("the numpy scalar's data does not fit its dtype")
    data, dtype = bytes(rest), _dtype.build(name)
    if name[1] == "S":
        return dtype.type(data)
    if name[1] == "U":
        return dtype.type(data.decode("utf-32-be" if name[0] == ">" else "utf-32-le"))
    return _array.over((), dtype, data, False)[()]


def _read_dtype(body: memoryview) -> tuple[str, int, memoryview]:
    """Name, bytes of an item, and what follows."""
    length, rest = _part.take_number(body, "B")
    encoded, rest = _part.take(rest, length)
    name, size = _dtype.named(encoded)
    return name, size, rest
