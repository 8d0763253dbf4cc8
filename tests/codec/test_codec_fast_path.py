"""What the pure codec gives to msgpack's C code, and what it must keep from it."""

from __future__ import annotations

import collections
import datetime
from typing import Any

import pytest

msgpack = pytest.importorskip("msgpack")

from snakepit_bridge._values import _plain  # noqa: E402


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth // 2):
        value = {"a": (value,)}
    return value


PLAIN = [{"x": 1}, [1.5, None, True, b"b", "é"], ({"a": [{}]},), {1: 2, None: 3}, nested(128)]


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: repr(value)[:30])
def test_plain_values_take_it(value: Any) -> None:
    packed = _plain.pack(value)
    assert packed == msgpack.packb(value)
    if _plain.UNPACKS:
        assert _plain.unpack(packed) == msgpack.unpackb(packed, strict_map_key=False)


def cycle() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


NOT_PLAIN = {
    "too deep": nested(130),
    "a cycle": cycle(),
    "a view as a key": {memoryview(b"a"): 1},
    "a tuple as a key": {(1,): 1},
    "msgpack's ExtType": [msgpack.ExtType(1, b"a")],
    "msgpack's Timestamp": [msgpack.Timestamp(1, 2)],
    "a subclass": [collections.OrderedDict(a=1)],
    "a date": {"a": [datetime.date.min]},
    "a set": [{1}],
    "a wide int": [2**64],
    "a lone surrogate": ["\ud800"],
    "a long text": ["é" * 20_000],
    "a long key": {"é" * 20_000: 1},
}


@pytest.mark.parametrize("value", NOT_PLAIN.values(), ids=NOT_PLAIN.keys())
def test_others_are_left_to_the_walk(value: Any) -> None:
    assert _plain.pack(value) is None


LEFT = {
    "too deep": msgpack.packb(nested(130)),
    "a date": b"\x91\xc7\x0a\x032024-01-02",
    "a timestamp": b"\x91\xd6\xff\0\0\0\1",
    "a timestamp in a large message": b"\x92\xc5\x03\xe8" + bytes(1000) + b"\xd6\xff\0\0\0\1",
    "a timestamp as a key": b"\x81\xd6\xff\0\0\0\1\1",
    "a list as a key": b"\x81\x90\1",
    "no UTF-8": b"\x91\xa1\xff",
    "two values": b"\1\1",
    "two values in a large message": b"\xc5\x03\xe8" + bytes(1001),
    "nothing": b"",
}


@pytest.mark.parametrize("packed", LEFT.values(), ids=LEFT.keys())
def test_other_messages_are_left_to_the_walk(packed: bytes) -> None:
    assert _plain.unpack(packed) is _plain.NOTHING
