"""What travels arrives: equal, of the same type, in the same order."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import gc
import math
import sys
import uuid
import zoneinfo
from typing import Any, NamedTuple

import pytest
from codec_values import KEYS, PLAIN_SCALARS, SCALARS, UTC, Codec, nested, same, title
from hypothesis import given, settings

ODD_OFFSET = datetime.timezone(datetime.timedelta(hours=-3, minutes=-30, microseconds=-1))


@given(nested(SCALARS, KEYS))
@settings(max_examples=200, deadline=None)
def test_everything_arrives_as_it_was_sent(codec: Codec, value: Any) -> None:
    assert same(value, codec.there_and_back(value))


@given(nested(PLAIN_SCALARS, KEYS))
@settings(max_examples=200, deadline=None)
def test_plain_values_have_the_bytes_of_msgpack(codec: Codec, value: Any) -> None:
    msgpack = pytest.importorskip("msgpack")
    try:
        expected = msgpack.packb(value, strict_types=True)
    except OverflowError:  # a key beyond 64 bits
        return
    assert codec.encode(value) == expected
    assert same(value, codec.decode(expected))
    assert same(value, msgpack.unpackb(codec.encode(value), strict_map_key=False))


@given(nested(PLAIN_SCALARS, KEYS))
@settings(max_examples=200, deadline=None)
def test_plain_values_have_the_bytes_of_msgspec(codec: Codec, value: Any) -> None:
    msgspec = pytest.importorskip("msgspec")
    try:
        expected = msgspec.msgpack.encode(value)
    except OverflowError:  # a key beyond 64 bits
        return
    assert codec.encode(value) == expected


class Level(enum.IntEnum):
    LOW = 3


class Flags(enum.IntFlag):
    A = 1
    B = 2


class Color(str, enum.Enum):  # noqa: UP042 (StrEnum is of Python 3.11)
    RED = "red"


class StubbornInt(int):
    def to_bytes(self, *_: Any, **__: Any) -> bytes:
        raise RuntimeError

    def bit_length(self) -> int:
        raise RuntimeError


class StubbornDict(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError

    def __iter__(self) -> Any:
        raise RuntimeError

    def __len__(self) -> int:
        raise RuntimeError


class StubbornList(list[int]):
    def __iter__(self) -> Any:
        raise RuntimeError

    def __getitem__(self, _: Any) -> Any:
        raise RuntimeError


class StubbornStr(str):
    def encode(self, *_: Any, **__: Any) -> bytes:
        raise RuntimeError


class PlainFloat(float):
    pass


class DriverUuid(uuid.UUID):
    """As database drivers have them."""


class Point(NamedTuple):
    x: int
    y: int


def reordered() -> collections.OrderedDict[str, int]:
    ordered = collections.OrderedDict(a=1, b=2, c=3)
    ordered.move_to_end("a")
    return ordered


PLAIN_VALUES = [
    ((1, (2,)), [1, [2]]),
    (Point(1, 2), [1, 2]),
    (Level.LOW, 3),
    (Flags.A | Flags.B, 3),
    (Color.RED, "red"),
    (StubbornInt(7), 7),
    (StubbornInt(-(2**90)), -(2**90)),
    (StubbornDict(a=1), {"a": 1}),
    (StubbornList([1, 2]), [1, 2]),
    (StubbornStr("é" * 20_000), "é" * 20_000),
    (PlainFloat(-0.0), -0.0),
    (collections.OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    (reordered(), {"b": 2, "c": 3, "a": 1}),
    (collections.defaultdict(list, {"a": []}), {"a": []}),
    (DriverUuid(int=5), uuid.UUID(int=5)),
    (bytearray(b"ab"), memoryview(b"ab")),
    (memoryview(b"abcdef")[::2], memoryview(b"ace")),
    (memoryview(bytearray(4)).cast("i"), memoryview(bytes(4))),
    (memoryview(b""), memoryview(b"")),
    ({Level.LOW: 1, Color.RED: 2, PlainFloat(1.5): 3}, {3: 1, "red": 2, 1.5: 3}),
]


@pytest.mark.parametrize(("sent", "arrives"), PLAIN_VALUES, ids=title)
def test_subclasses_arrive_as_the_plain_value(codec: Codec, sent: Any, arrives: Any) -> None:
    assert same(arrives, codec.there_and_back(sent))
    assert same([arrives, {"k": arrives}], codec.there_and_back([sent, {"k": sent}]))


@pytest.mark.parametrize(
    "value",
    [
        datetime.datetime.min,
        datetime.datetime(1, 1, 1, tzinfo=UTC),
        datetime.datetime(2024, 1, 2, 3, 4, 5, 678, tzinfo=ODD_OFFSET),
        datetime.datetime(2024, 1, 2, fold=1),
        datetime.datetime(2024, 1, 2, fold=1, tzinfo=UTC),
        datetime.time(23, 59, 59, 999_999, fold=1),
        datetime.time(1, tzinfo=ODD_OFFSET),
        datetime.timedelta.min,
        datetime.timedelta.max,
        decimal.Decimal("-sNaN12"),
        decimal.Decimal("1E-9999"),
        -math.nan,
    ],
    ids=repr,
)
def test_edges_arrive(codec: Codec, value: Any) -> None:
    assert same(value, codec.there_and_back(value))


@pytest.mark.parametrize("fold", [0, 1])
def test_a_time_zone_arrives_by_name(codec: Codec, fold: int) -> None:
    paris = zoneinfo.ZoneInfo("Europe/Paris")
    twice = datetime.datetime(2024, 10, 27, 2, 30, tzinfo=paris, fold=fold)
    arrived = codec.there_and_back(twice)
    assert (arrived.tzinfo, arrived.fold) == (paris, fold)
    assert arrived.utcoffset() == twice.utcoffset()

    alone = codec.there_and_back(datetime.time(2, 30, tzinfo=paris, fold=fold))
    assert (alone.tzinfo, alone.fold, alone.hour) == (paris, fold, 2)


@pytest.mark.parametrize("bits", [62, 63, 64, 65, 127, 128, 4096, 100_000])
def test_ints_of_any_size_arrive(codec: Codec, bits: int) -> None:
    for value in (2**bits - 1, 2**bits, -(2**bits), -(2**bits) - 1):
        assert codec.there_and_back(value) == value
        assert codec.there_and_back({value: value}) == {value: value}


def test_a_key_that_is_nan_arrives(codec: Codec) -> None:
    ((key, value),) = codec.there_and_back({math.nan: 1}).items()
    assert math.isnan(key)
    assert value == 1


def test_the_last_of_repeated_keys_wins(codec: Codec) -> None:
    assert codec.decode(b"\x82\xa1a\x01\xa1a\x02") == {"a": 2}


@pytest.mark.parametrize(
    ("packed", "value"),
    [(b"\xca\x3f\xc0\x00\x00", 1.5), (b"\xcf" + bytes(8), 0), (b"\xd3" + b"\xff" * 8, -1)],
)
def test_longer_forms_than_ours_are_read(codec: Codec, packed: bytes, value: Any) -> None:
    assert same(value, codec.decode(packed))


def test_128_containers_nest_both_ways(codec: Codec) -> None:
    value: Any = 1
    for _ in range(64):
        value = {"a": [value]}
    assert codec.there_and_back(value) == value


def test_encoding_imports_nothing(codec: Codec) -> None:
    before = set(sys.modules)
    codec.encode([1, "a", b"b", 2**70, datetime.date(2024, 1, 1), (1,), Level.LOW])
    assert set(sys.modules) == before


def test_nothing_is_leaked(codec: Codec) -> None:
    value = {"a": [1.5, {"b": (2**70, "é" * 9)}], "d": datetime.date(2024, 1, 1), "u": b"x" * 99}
    packed = codec.encode(value)
    torn = packed[:-50]

    def rounds() -> int:
        for _ in range(300):
            codec.encode(value)
            codec.decode(packed)
            with pytest.raises(ValueError, match="inside a value"):
                codec.decode(torn)
            with pytest.raises(ValueError, match="set"):
                codec.encode([value, {1}])
        gc.collect()
        return sys.getallocatedblocks()

    rounds()  # fills caches
    before = rounds()
    # One block in a round would be 300; what else runs in this process has some of its own.
    assert rounds() - before < 250
