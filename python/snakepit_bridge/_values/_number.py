"""Numbers that msgpack has no type for, and UUIDs: wide ints, Decimal, UUID."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._extension import BIG_INT, DECIMAL, UUID, Extension, expect, loaded
from ._failure import Refused

if TYPE_CHECKING:
    import decimal
    import uuid

UUID_SIZE = 16


def encode_wide(value: int) -> Extension:
    """A plain int beyond 64 bits: two's complement.

    Never decimal text, which Python limits to 4300 digits and converts in quadratic time.
    """
    return BIG_INT, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True), b""


def encode(kind: type[Any], value: Any) -> Extension | None:
    """None: of none of the types here."""
    if kind is loaded("decimal", "Decimal"):
        return DECIMAL, str(value).encode(), b""
    if issubclass(kind, loaded("uuid", "UUID")):
        # Drivers bring their own subclasses of UUID; all know `bytes`.
        body = expect(value.bytes, bytes)
        if len(body) != UUID_SIZE:
            raise Refused("cannot encode a UUID whose .bytes are not 16; use uuid.UUID")
        return UUID, body, b""
    return None


def decode_wide(body: memoryview) -> int:
    return int.from_bytes(body, "big", signed=True)


def decode_decimal(body: memoryview) -> decimal.Decimal:
    from decimal import Decimal

    return Decimal(str(body, "utf-8"))


def decode_uuid(body: memoryview) -> uuid.UUID:
    if len(body) != UUID_SIZE:
        raise Refused(f"a UUID has 16 bytes, not {len(body)}")
    from uuid import UUID

    return UUID(bytes=bytes(body))
