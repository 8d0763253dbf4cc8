"""What a value of another library becomes, and how it is refused."""

from __future__ import annotations

import importlib
import struct
from typing import Any, NamedTuple


class Part(NamedTuple):
    """One extension value."""

    tag: int
    head: bytes
    bulk: Any
    """A memoryview of bytes in a row, or an object with ``nbytes`` and ``write_into(buffer)``.

    The latter fills a writable buffer of that size: what would have to be laid out anew is then
    copied once, to where it travels from.
    """


class UnfitError(Exception):
    """A value that cannot travel, or bytes that are none.

    Args:
        what: What is wrong and what to do.
        path: Keys from the value to what is wrong inside of it.
    """

    def __init__(self, what: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(what)
        self.what = what
        self.path = path


def library(name: str) -> Any:
    """A module that a message asks for."""
    try:
        return importlib.import_module(name)
    except Exception as error:
        what = f"cannot build a value of {name}; install {name} in this interpreter"
        raise UnfitError(f"{what}: {type(error).__name__}: {error}") from error


def take(body: memoryview, size: int) -> tuple[memoryview, memoryview]:
    """The first bytes, and the rest."""
    if size > len(body):
        raise UnfitError("the bytes end inside a value")
    return body[:size], body[size:]


def take_number(body: memoryview, form: str) -> tuple[int, memoryview]:
    """A big-endian number, and what follows it."""
    layout = struct.Struct(f">{form}")
    part, rest = take(body, layout.size)
    return layout.unpack(part)[0], rest


def bulk(rest: memoryview, data: Any) -> Any:
    """The bulk behind a head: what follows, copied out of the message, or what lies elsewhere."""
    if data is None:
        return bytes(rest)
    if len(rest):
        raise UnfitError("the head is followed by bytes, though its bulk lies elsewhere")
    return data


def filled(bulk: Any) -> Any:
    """The bytes of a part's bulk."""
    if isinstance(bulk, memoryview):
        return bulk
    room = bytearray(bulk.nbytes)
    bulk.write_into(room)
    return memoryview(room)
