"""Bodies that travel beside the message: a reference is left in their place.

Which memory they travel in is not the codec's business: it hands out what is to be sent, and gets
what has arrived, both by number.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from snakepit_bridge import _interop

from . import _array
from ._extension import ARRAY, MEMORY
from ._failure import Refused

BYTES = 0
"""Instead of an extension's type: plain bytes."""
_REFERENCE = struct.Struct(">Ib")


class Outside:
    """What is to be sent beside one message.

    Args:
        threshold: Bytes from which on a body travels here.
    """

    def __init__(self, threshold: int) -> None:
        self.threshold = threshold
        self.bulks: list[Any] = []
        """By number; each as in ``_interop._part.Part.bulk``."""

    def leave(self, tag: int, head: bytes, bulk: Any) -> bytes:
        """The body of the reference to ``bulk``."""
        self.bulks.append(bulk)
        return _REFERENCE.pack(len(self.bulks) - 1, tag) + head


def resolve(body: memoryview, arrived: Sequence[Any]) -> Any:
    """The value that a reference stands for, over memory that has arrived beside the message."""
    if len(body) < _REFERENCE.size:
        raise Refused("the bytes end inside a value")
    number, tag = _REFERENCE.unpack_from(body)
    head = body[_REFERENCE.size :]
    if number >= len(arrived):
        raise Refused(f"no buffer {number} came with the message")
    data = arrived[number]
    if tag in (BYTES, MEMORY):
        if len(head):
            raise Refused("plain bytes have no head")
        return bytes(data) if tag == BYTES else memoryview(data).toreadonly()
    if tag == ARRAY:
        return _array.decode_array(head, memoryview(data).toreadonly())
    if tag == _interop.TENSOR:
        data = getattr(data, "private", lambda: data)()
    elif tag in (_interop.RECORDS, _interop.ARROW):
        data = memoryview(data).toreadonly()
    else:
        raise Refused(f"a value of type {tag} does not travel beside the message")
    return _interop.decode(tag, head, data)
