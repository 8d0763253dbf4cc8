"""Numbers of the msgpack extension types, and the headers that are written by hand.

The numbers are wire format: never renumber, only add. ``docs/values.md`` tells what each body
holds.
"""

from __future__ import annotations

import sys
from typing import Any, TypeVar, cast

from ._failure import Refused

T = TypeVar("T")

BIG_INT = 1
DATETIME = 2
DATE = 3
DECIMAL = 4
UUID = 5
ARRAY = 6
NUMPY_SCALAR = 7
REFERENCE = 8
TIME = 9
TIMEDELTA = 10
NAMED = 11
MEMORY = 12
# 13 to 15 are those of `_interop`.
SHARED = 16

Extension = tuple[int, bytes, bytes]
"""Type, and the body in two parts: the second may be large, and is not copied to join them."""


def text_header(size: int) -> bytes:
    if size < 32:
        return bytes((0xA0 | size,))
    return bytes((0xD9, size)) if size < 256 else _long(0xDA, size)


def bytes_header(size: int) -> bytes:
    return bytes((0xC4, size)) if size < 256 else _long(0xC5, size)


def list_header(size: int) -> bytes:
    return bytes((0x90 | size,)) if size < 16 else _long(0xDC, size)


def dict_header(size: int) -> bytes:
    return bytes((0x80 | size,)) if size < 16 else _long(0xDE, size)


def header(tag: int, size: int) -> bytes:
    """Of an extension whose body has ``size`` bytes."""
    if size in (1, 2, 4, 8, 16):
        return bytes((0xD3 + size.bit_length(), tag))
    if size < 256:
        return bytes((0xC7, size, tag))
    return _long(0xC8, size) + bytes((tag,))


def _long(marker: int, size: int) -> bytes:
    """16 bits behind ``marker``, or 32 behind the next one."""
    if size < 2**16:
        return bytes((marker,)) + size.to_bytes(2, "big")
    if size < 2**32:
        return bytes((marker + 1,)) + size.to_bytes(4, "big")
    raise Refused("longer than 2**32 - 1; send it in parts")


class _Nothing:
    """Of what no value is an instance."""


def loaded(module: str, name: str) -> type[Any]:
    """A type, if its module has been imported by anyone: encoding never imports one.

    No instance can exist before that. A module that is being imported lacks its names.
    """
    try:
        found = getattr(sys.modules.get(module), name, None)
    except Exception:  # of a module that loads itself when it is first asked
        return _Nothing
    return found if isinstance(found, type) else _Nothing


def expect(value: Any, kind: type[T]) -> T:
    """What an attribute gave, if it is of the type that it should have."""
    if issubclass(type(value), kind):
        return cast("T", value)
    name = type(value).__name__
    raise TypeError(f"'{name}' object is not an instance of '{kind.__name__}'")
