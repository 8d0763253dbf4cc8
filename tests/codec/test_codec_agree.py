"""The two codecs are one: the same bytes, the same values, the same words when they refuse."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import math
import random
import uuid
import zoneinfo
from typing import Any, NamedTuple

import pytest
from codec_values import KEYS, SCALARS, Codec, load, nested, same, title
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_codec_refusals import REFUSED
from test_codec_roundtrip import PLAIN_VALUES

SURROGATES = st.text(st.characters(max_codepoint=0xE000), max_size=4)


@pytest.fixture(scope="session")
def native() -> Codec:
    return load("native")


@pytest.fixture(scope="session")
def others() -> list[Codec]:
    return [load("pure"), load("walk")]


class Level(enum.IntEnum):
    LOW = 3


class Shade(enum.Enum):
    DARK = 1


class Point(NamedTuple):
    x: Any
    y: Any


class Text(str):
    __slots__ = ()


class Real(float):
    pass


class Bag(collections.UserDict[Any, Any]):
    pass


class Moon(datetime.tzinfo):
    def utcoffset(self, _: datetime.datetime | None) -> datetime.timedelta:
        raise LookupError("no \ud800 such place")


def odd_scalars() -> st.SearchStrategy[Any]:
    """What hides behind a plain type, what is refused, and what raises."""
    return st.one_of(
        SURROGATES,
        SURROGATES.map(Text),
        st.floats().map(Real),
        st.binary(max_size=20).map(bytearray),
        st.binary(max_size=20).map(lambda data: memoryview(data)[::-2]),
        st.builds(lambda: datetime.datetime(2024, 1, 1, tzinfo=Moon())),
        st.builds(lambda character: character * 20_000, st.sampled_from(["é", "\ud800"])),
        st.binary(min_size=3, max_size=3).map(lambda data: data * 30_000),
        st.sampled_from(
            [
                Level.LOW,
                Shade.DARK,
                {1},
                1j,
                object(),
                int,
                ValueError("no"),
                Bag(a=1),
                datetime.datetime(2024, 10, 27, 2, fold=1, tzinfo=zoneinfo.ZoneInfo("Asia/Tokyo")),
                -(2**63) - 1,
                2**64,
            ]
        ),
    )


def numpy_values() -> st.SearchStrategy[Any]:
    """Arrays and scalars of any dtype, those that are refused included; nothing without numpy."""
    try:
        import numpy as np
        from hypothesis.extra import numpy as npst
    except ImportError:
        return st.nothing()
    dtypes = npst.scalar_dtypes() | npst.array_dtypes(max_size=2)
    arrays = npst.arrays(dtypes, npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    refused = [np.array([object()]), np.zeros(2, "V4"), np.ma.masked_array([1], [True])]
    return (
        arrays
        | arrays.map(lambda array: array.T)
        | npst.arrays(dtypes, ()).map(lambda array: array[()])
        | SURROGATES.map(np.str_)
        | st.sampled_from(refused)
    )


def anything() -> st.SearchStrategy[Any]:
    """Values of all kinds in containers of all kinds, with keys that may be wrong."""
    odd_keys = (
        SURROGATES
        | SURROGATES.map(Text)
        | st.floats().map(Real)
        | st.sampled_from([Level.LOW, Shade.DARK, (1,), datetime.date.min, decimal.Decimal(1)])
    )
    keys = KEYS | st.floats() | odd_keys

    def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        lists = st.lists(inner, max_size=5)
        dicts = st.dictionaries(keys, inner, max_size=5)
        return st.one_of(
            lists,
            lists.map(tuple),
            st.builds(Point, inner, inner),
            st.dictionaries(KEYS, inner, max_size=5),
            dicts,
            dicts.map(collections.OrderedDict),
            dicts.map(lambda items: collections.defaultdict(list, items)),
        )

    return st.recursive(SCALARS | odd_scalars() | numpy_values(), containers, max_leaves=30)


def travelling() -> st.SearchStrategy[Any]:
    """Values that all arrive."""
    return nested(SCALARS, KEYS | st.floats())


def encoded(codec: Codec, value: Any) -> bytes | tuple[str, ...]:
    """The bytes, or all that the refusal says."""
    try:
        return codec.encode(value, "result")
    except codec.EncodeError as error:
        return str(error), error.path, error.type_name, type(error.__cause__).__name__


def decoded(codec: Codec, packed: bytes) -> tuple[Any, ...]:
    """The value and None, or None and all that the refusal says."""
    try:
        return codec.decode(packed, "args"), None
    except codec.DecodeError as error:
        return None, (str(error), error.path, type(error.__cause__).__name__)


def exactly(one: Any, other: Any) -> bool:
    """``same``, and the very time zones besides."""
    if not same(one, other):
        return False
    if isinstance(one, list):
        return all(map(exactly, one, other))
    if isinstance(one, dict):
        return all(map(exactly, one.values(), other.values()))
    if isinstance(one, datetime.datetime | datetime.time):
        return repr(one) == repr(other)
    return True


def agree(native: Codec, others: list[Codec], packed: bytes) -> None:
    value, refusal = decoded(native, packed)
    for codec in others:
        same_value, same_refusal = decoded(codec, packed)
        assert refusal == same_refusal
        assert exactly(value, same_value)


@given(anything())
@example({"deep": [{}] * 3, "a": {(1,): 1}})
@example([{"k\ud800": 1}])
@example({Text("k\ud800"): 1})
@settings(max_examples=500, deadline=None)
def test_they_encode_alike(native: Codec, others: list[Codec], value: Any) -> None:
    packed = encoded(native, value)
    for codec in others:
        assert packed == encoded(codec, value)
    if isinstance(packed, bytes):
        agree(native, others, packed)


@pytest.mark.parametrize("value", [row[0] for row in [*REFUSED, *PLAIN_VALUES]], ids=title)
def test_they_treat_odd_types_alike(native: Codec, others: list[Codec], value: Any) -> None:
    for whole in (value, [value], {"a": (value, 1)}):
        told = encoded(native, whole)
        assert [told, told] == [encoded(codec, whole) for codec in others]


@pytest.mark.parametrize("depth", [1, 127, 128, 129, 130])
@pytest.mark.parametrize(
    "wrap", [lambda v: [v], lambda v: (v,), lambda v: {"k": v}, lambda v: Point(v, 0)]
)
@pytest.mark.parametrize("core", [1, [], {}, (), {1}, "\ud800", [1, 2], {"a": 1}], ids=repr)
def test_they_count_depth_alike(
    native: Codec, others: list[Codec], wrap: Any, core: Any, depth: int
) -> None:
    value = core
    for _ in range(depth):
        value = wrap(value)
    told = encoded(native, value)
    assert [told, told] == [encoded(codec, value) for codec in others]


@given(st.binary(max_size=200))
@settings(max_examples=500, deadline=None)
def test_they_read_any_bytes_alike(native: Codec, others: list[Codec], packed: bytes) -> None:
    agree(native, others, packed)


HEADS = st.sampled_from([bytes([marker]) for marker in range(0x80, 0xE0)])
PIECES = HEADS | st.binary(max_size=3) | st.sampled_from([b"\xa1k", b"\0\0\0\1", b"\0\2", b"\1"])


@given(st.lists(PIECES, max_size=40).map(b"".join))
@settings(max_examples=500, deadline=None)
def test_they_read_what_looks_like_msgpack_alike(
    native: Codec, others: list[Codec], packed: bytes
) -> None:
    agree(native, others, packed)


@given(travelling(), st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_they_read_damaged_messages_alike(
    native: Codec, others: list[Codec], value: Any, dice: random.Random
) -> None:
    packed = bytearray(native.encode(value))
    for _ in range(dice.randint(1, 3)):
        packed[dice.randrange(len(packed))] = dice.randrange(256)
    agree(native, others, bytes(packed))


SEEDS: list[Any] = [
    datetime.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=zoneinfo.ZoneInfo("Europe/Paris")),
    datetime.time(1, 2, 3),
    datetime.timedelta(1, 2, 3),
    datetime.date(2024, 1, 2),
    decimal.Decimal("1.5E+7"),
    uuid.UUID(int=7),
    2**70,
    {2**70: math.pi, -(2**40): "é" * 40, 300: b"", -200: {70_000: None}},
]


def seeds() -> list[Any]:
    try:
        import numpy as np
    except ImportError:
        return SEEDS
    arrays = [np.arange(2, dtype="i4"), np.array("2024-01-01", "M8[s]"), np.zeros((1, 0), "S3")]
    return [
        *SEEDS,
        *arrays,
        np.str_("ab"),
        np.bytes_(b"ab"),
        np.float32(1.5),
        np.timedelta64(5, "m"),
    ]


@pytest.mark.parametrize("seed", seeds(), ids=repr)
def test_they_read_every_wrong_byte_alike(native: Codec, others: list[Codec], seed: Any) -> None:
    intact = native.encode([seed])
    for place in range(len(intact)):
        for byte in range(256):
            agree(native, others, intact[:place] + bytes([byte]) + intact[place + 1 :])
        agree(native, others, intact[:place])
