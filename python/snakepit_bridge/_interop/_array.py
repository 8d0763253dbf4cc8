"""numpy's arrays: which memory they are, in which order, and back.

Items travel in C order, or in Fortran order where that is how they lie. Whatever lies otherwise is
laid out when it is copied to where it travels from.
"""

from __future__ import annotations

import struct
import sys
from typing import Any

from . import _dtype
from ._part import Part, UnfitError, bulk, library, take, take_number

ARRAY = 6
RECORDS = 13
FORTRAN = 0x80
"""In the number of dimensions, which are 64 at most."""
_FORTRAN_ORDER = (0, None, "F")


def encode(kind: type[Any], value: Any) -> Part | None:
    """An array of structures, or of items that numpy itself has no name for."""
    numpy: Any = sys.modules.get("numpy")
    # Other subclasses mean more than their items: a mask, a matrix product.
    exact = getattr(numpy, "ndarray", None), getattr(numpy, "memmap", None)
    return array_part(value) if kind in exact else None


def array_part(array: Any, tag: int = ARRAY, text: str | None = None) -> Part:
    """Any array whose items may travel, under another name of their type where one is given."""
    dtype = array.dtype
    if dtype.names is not None:
        if not dtype.itemsize:
            raise UnfitError("cannot encode an array of structures without fields; send its shape")
        described = _dtype.written(dtype)
        tag, head = RECORDS, struct.pack(">I", len(described)) + described
    else:
        text = text or _dtype.text_of(dtype)
        if text is None:
            raise UnfitError(f"cannot encode numpy.ndarray {_why(dtype)}")
        head = bytes((len(text),)) + text.encode()
    flags = array.flags
    is_fortran = flags.f_contiguous and not flags.c_contiguous
    order = FORTRAN if is_fortran else 0
    head += struct.pack(f">B{array.ndim}Q", array.ndim | order, *array.shape)
    if is_fortran:
        return Part(tag, head, memory(array.T))
    return Part(tag, head, memory(array) if flags.c_contiguous else _Strided(array))


def _why(dtype: Any) -> str:
    if dtype.kind == "O":
        return "of objects; convert it to a list"
    return f"of dtype {dtype}; convert it with .astype() or .tolist()"


def memory(array: Any) -> memoryview:
    """The bytes of an array in C order; numpy exports no items of ml_dtypes, and no dates."""
    return memoryview(array.reshape(-1).view("u1"))


class _Strided:
    """An array that is laid out in C order when it is written."""

    def __init__(self, array: Any) -> None:
        self._array = array
        self.nbytes: int = array.nbytes

    def write_into(self, buffer: Any) -> None:
        numpy, array = library("numpy"), self._array
        if array.dtype.names is not None:  # numpy copies fields, and leaves what is between them
            array = array.view(f"V{array.itemsize}")
        numpy.copyto(numpy.ndarray(array.shape, array.dtype, buffer), array)


def read_shape(body: memoryview) -> tuple[tuple[int, ...], bool, memoryview]:
    """Lengths, whether the items are in Fortran order, and what follows."""
    dimensions, rest = take_number(body, "B")
    is_fortran, dimensions = bool(dimensions & FORTRAN), dimensions & ~FORTRAN
    lengths, rest = take(rest, 8 * dimensions)
    return struct.unpack(f">{dimensions}Q", lengths), is_fortran, rest


def check_size(shape: tuple[int, ...], item: int, data: Any) -> None:
    """Whether these bytes are that array."""
    expected = item
    for length in shape:
        expected *= length
        if expected > _dtype.LARGEST:  # a zero behind it would not mend that
            break
    if item == 0 or expected != memoryview(data).nbytes:
        raise UnfitError("the array's data does not fit its shape and dtype")


def over(shape: tuple[int, ...], dtype: Any, data: Any, is_fortran: bool) -> Any:
    """An array over memory, of which it copies nothing."""
    order = _FORTRAN_ORDER if is_fortran else ()
    return library("numpy").ndarray(shape, dtype, data, *order)


def decode_records(body: memoryview, data: Any) -> Any:
    size, rest = take_number(body, "I")
    described, rest = take(rest, size)
    dtype = _dtype.read(bytes(described))
    shape, is_fortran, rest = read_shape(rest)
    data = bulk(rest, data)
    check_size(shape, dtype.itemsize, data)
    return over(shape, dtype, data, is_fortran)
