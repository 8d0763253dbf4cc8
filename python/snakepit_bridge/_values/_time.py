"""Dates and times of the standard library, by their ISO texts.

``isoformat`` drops two things: ``fold``, which goes in a byte in front, and the name of a
``ZoneInfo``, which goes in brackets behind. Other time zones arrive as fixed offsets. Subclasses
are refused elsewhere: pandas' Timestamp is a datetime, and would lose its nanoseconds here.
"""

from __future__ import annotations

import datetime
import struct
from typing import Any, TypeVar

from ._extension import DATE, DATETIME, TIME, TIMEDELTA, Extension, expect, loaded
from ._failure import Refused

Clock = TypeVar("Clock", datetime.datetime, datetime.time)

_SPAN = struct.Struct(">iII")


def encode(kind: type[Any], value: Any) -> Extension | None:
    """None: of none of the types here."""
    if kind is datetime.datetime:
        return DATETIME, _clock(value), b""
    if kind is datetime.date:
        return DATE, value.isoformat().encode(), b""
    if kind is datetime.timedelta:
        return TIMEDELTA, _SPAN.pack(value.days, value.seconds, value.microseconds), b""
    if kind is datetime.time:
        return TIME, _clock(value), b""
    return None


def _clock(value: datetime.datetime | datetime.time) -> bytes:
    body = bytes((value.fold,)) + value.isoformat().encode()
    zone: Any = value.tzinfo
    # By its type: asking any other zone for `key` may run code of others.
    if not issubclass(type(zone), loaded("zoneinfo", "ZoneInfo")) or zone.key is None:
        return body
    return body + b"[" + str.encode(expect(zone.key, str)) + b"]"


def decode_date(body: memoryview) -> datetime.date:
    return datetime.date.fromisoformat(str(body, "utf-8"))


def decode_datetime(body: memoryview) -> datetime.datetime:
    return _decode_clock(datetime.datetime, bytes(body))


def decode_time(body: memoryview) -> datetime.time:
    return _decode_clock(datetime.time, bytes(body))


def decode_span(body: memoryview) -> datetime.timedelta:
    if len(body) != _SPAN.size:
        raise Refused(f"a timedelta has 12 bytes, not {len(body)}")
    return datetime.timedelta(*_SPAN.unpack(body))


def _decode_clock(kind: type[Clock], body: bytes) -> Clock:
    if body[:1] not in (b"\0", b"\1"):
        raise Refused("a time starts with its fold, 0 or 1")
    text, bracket, name = body[1:].partition(b"[")
    value = kind.fromisoformat(text.decode())
    if not bracket:
        return value.replace(fold=body[0])
    if not name.endswith(b"]"):
        raise Refused("a zone ends with ']'")
    return value.replace(fold=body[0], tzinfo=_zone(name[:-1].decode()))


def _zone(key: str) -> datetime.tzinfo:
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(key)
    except Exception as error:
        what = "this interpreter does not know the time zone; install tzdata"
        raise Refused(what, error) from None
