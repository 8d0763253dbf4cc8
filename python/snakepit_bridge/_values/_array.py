"""numpy: arrays in C order with their dtype, and scalars with theirs.

Arrays arrive read-only, over the bytes that were copied out of the message: whether they can be
written to must not depend on their size, and larger ones are to be views of memory that others see.
"""

from __future__ import annotations

import re
import struct
from typing import Any

from ._extension import ARRAY, NUMPY_SCALAR, Extension, expect, loaded
from ._failure import Refused, type_name

_LARGEST = 2**64 - 1
_DTYPE = re.compile(r"[<>|]([biufcmMSU])([0-9]+)(\[.*\])?", re.DOTALL)


def encode(kind: type[Any], value: Any) -> Extension | None:
    """None: neither an array nor a numpy scalar."""
    # Other subclasses mean more than their items: a mask, a matrix product.
    if kind is loaded("numpy", "ndarray") or kind is loaded("numpy", "memmap"):
        return _array(value)
    if issubclass(kind, loaded("numpy", "generic")):
        return _scalar(kind, value)
    return None


def _array(array: Any) -> Extension:
    name = array.dtype.str
    if not _item_size(name):
        raise _refuse_dtype(array)
    shape = struct.pack(f">B{array.ndim}Q", array.ndim, *array.shape)
    return ARRAY, _prefixed(name) + shape, array.tobytes()


def _scalar(kind: type[Any], scalar: Any) -> Extension:
    # Texts drop their trailing NULs as items of an array, which a scalar must not.
    if issubclass(kind, bytes):
        plain = bytes.__getitem__(scalar, slice(None))
        return NUMPY_SCALAR, _prefixed(f"|S{len(plain)}"), plain
    if issubclass(kind, str):
        characters = str.encode(scalar, "utf-32-le")
        return NUMPY_SCALAR, _prefixed(f"<U{len(characters) // 4}"), characters
    name, body = scalar.dtype.str, expect(scalar.tobytes(), bytes)
    if _item_size(name) != len(body):
        what = f"cannot encode {type_name(scalar)}; convert it with .item()"
        raise Refused.refusal(what).of(scalar)
    return NUMPY_SCALAR, _prefixed(name), body


def _prefixed(name: str) -> bytes:
    """numpy makes no name here that is longer than 255 bytes."""
    return bytes((len(name),)) + name.encode()


def _item_size(name: str) -> int | None:
    """Bytes of an item; None for a malformed dtype and one that does not travel.

    An allow-list, applied in both directions before numpy sees a name: an array of objects over
    foreign bytes would be an array of foreign pointers.
    """
    match = _DTYPE.fullmatch(name)
    if match is None:
        return None
    kind, digits, unit = match.groups()
    size = int(digits) if len(digits.lstrip("0")) <= 10 else _LARGEST
    if size >= 2**32 or (unit is not None and kind not in "mM"):
        return None
    if kind in "SU":
        return size if kind == "S" else 4 * size
    fits = size == 8 if kind in "mM" else size > 0
    return size if fits else None


def _refuse_dtype(array: Any) -> Refused:
    kind = type_name(array)
    if array.dtype.names is not None:
        what = f"cannot encode structured {kind}; send its fields as a dict of arrays"
    elif array.dtype.kind == "O":
        what = f"cannot encode {kind} of objects; convert it to a list"
    else:
        name = array.dtype
        what = f"cannot encode {kind} of dtype {name}; convert it with .astype() or .tolist()"
    return Refused.refusal(what).of(array)


def decode_array(body: memoryview) -> Any:
    name, size, rest = _read_dtype(body)
    dimensions = struct.unpack(">B", _part(rest, 1))[0]
    shape = struct.unpack(f">{dimensions}Q", _part(rest[1:], 8 * dimensions))
    data = rest[1 + 8 * dimensions :]
    expected = size
    for length in shape:
        expected *= length
        if expected > _LARGEST:  # a zero behind it would not mend that
            break
    if size == 0 or expected != len(data):
        raise Refused("the array's data does not fit its shape and dtype")
    numpy = _numpy()
    return numpy.ndarray(shape, numpy.dtype(name), bytes(data))


def decode_scalar(body: memoryview) -> Any:
    name, size, rest = _read_dtype(body)
    if len(rest) != size:
        raise Refused("the numpy scalar's data does not fit its dtype")
    data, numpy = bytes(rest), _numpy()
    dtype = numpy.dtype(name)
    if name[1] == "S":
        return dtype.type(data)
    if name[1] == "U":
        return dtype.type(data.decode("utf-32-be" if name[0] == ">" else "utf-32-le"))
    return numpy.ndarray((), dtype, data)[()]


def _read_dtype(body: memoryview) -> tuple[str, int, memoryview]:
    """Name, bytes of an item, and what follows."""
    length = _part(body, 1)[0]
    encoded = bytes(_part(body[1:], length))
    try:
        name = encoded.decode()
    except UnicodeDecodeError:
        name = ""
    size = _item_size(name)
    if size is None:
        raise Refused("no dtype that may travel")
    return name, size, body[1 + length :]


def _part(body: memoryview, size: int) -> memoryview:
    if size > len(body):
        raise Refused("the bytes end inside a value")
    return body[:size]


def _numpy() -> Any:
    try:
        import numpy
    except Exception as error:
        raise Refused(
            "cannot build a numpy value; install numpy in this interpreter", error
        ) from None
    return numpy
