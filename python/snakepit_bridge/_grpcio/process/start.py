"""The start message, read by hand: it says where protobuf can be imported from.

Not for any other message; those are made of the protocol's own description (``_grpcio.messages``).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Start:
    """``snakepit.v1.Start``."""

    def __init__(self) -> None:
        self.token = b""
        self.socket_path = ""
        self.sys_path: list[str] = []
        self.bridge_path = ""
        self.max_message = 0


def read_start(raw: bytes) -> Start:
    """Decode a start message; unknown fields are passed over.

    Raises:
        ValueError: It is malformed.
    """
    start = Start()
    for number, value in _fields(raw):
        if number == 1 and isinstance(value, bytes):
            start.token = value
        elif number == 2 and isinstance(value, bytes):
            start.socket_path = value.decode()
        elif number == 3 and isinstance(value, bytes):
            start.sys_path.append(value.decode())
        elif number == 4 and isinstance(value, bytes):
            start.bridge_path = value.decode()
        elif number == 5 and isinstance(value, int):
            start.max_message = value
    return start


def _fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(raw, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(raw, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"malformed start message: wire type {kind} of field {number}")
        if size > len(raw) - at:
            raise ValueError(f"malformed start message: field {number} is cut")
        at += size
        yield number, raw[at - size : at]


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(raw) and shift < 64:
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError("malformed start message: a number is cut, or too long")
