"""Bytes from the other side may be anything: a value or a DecodeError, nothing else."""

from __future__ import annotations

import datetime
import decimal
import random
import uuid
from typing import Any

import pytest
from codec_values import KEYS, SCALARS, UTC, Codec, nested
from hypothesis import given, settings
from hypothesis import strategies as st

MALFORMED = {
    "nothing": b"",
    "reserved marker": b"\xc1",
    "two values": b"\x01\x01",
    "str that ends early": b"\xa5abc",
    "str of 4 GiB": b"\xdb\xff\xff\xff\xff",
    "bytes of 4 GiB": b"\xc6\xff\xff\xff\xffabc",
    "list of 2**32": b"\xdd\xff\xff\xff\xff",
    "dict of 2**32": b"\xdf\xff\xff\xff\xff",
    "dict of one with half a pair": b"\x81\xa1a",
    "extension of 4 GiB": b"\xc9\xff\xff\xff\xff\x01",
    "extension without a type": b"\xd4",
    "unknown extension": b"\xd4\x7f\x00",
    "msgpack's own timestamp": b"\xd6\xff\x00\x00\x00\x00",
    "buffers beside the message": b"\xd4\x08\x00",
    "129 lists": b"\x91" * 129 + b"\x01",
    "129 dicts": b"\x81\x01" * 129 + b"\x01",
    "a list as a key": b"\x81\x90\x01",
    "a dict as a key": b"\x81\x80\x01",
    "a date as a key": b"\x81\xc7\x0a\x032024-01-02\x01",
    "key that is no UTF-8": b"\x81\xa1\xff\x01",
    "empty datetime": b"\xc7\x00\x02",
    "datetime of fold 2": b"\xc7\x14\x02\x022024-01-02T03:04:05",
    "datetime without text": b"\xd4\x02\x00",
    "datetime of no zone": b"\xc7\x1a\x02\x002024-01-02T03:04:05[Moon]",
    "datetime of an open zone": b"\xc7\x16\x02\x002024-01-02T03:04:05[U",
    "datetime of a path": b"\xc7\x1d\x02\x002024-01-02T03:04:05[/../a/b]",
    "date of month 13": b"\xc7\x0a\x032024-13-01",
    "decimal of letters": b"\xd6\x04abcd",
    "decimal beyond all exponents": b"\xc7\x19\x041E+9999999999999999999999",
    "UUID of four bytes": b"\xd6\x05abcd",
    "time of hour 25": b"\xc7\x06\x09\x0025:00",
    "timedelta of one byte": b"\xd4\x0a\x00",
    "timedelta of too many days": b"\xc7\x0c\x0a\x7f\xff\xff\xff" + bytes(8),
}


@pytest.mark.parametrize("packed", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_messages_are_refused(codec: Codec, packed: bytes) -> None:
    with pytest.raises(codec.DecodeError, match=r"^value") as caught:
        codec.decode(packed)
    assert caught.value.path.startswith("value")


@pytest.mark.parametrize("packed", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_messages_are_refused_in_large_ones(codec: Codec, packed: bytes) -> None:
    bulk = b"\xc5\x02\x58" + bytes(600)
    with pytest.raises(codec.DecodeError, match=r"^value"):
        codec.decode(b"\x92" + bulk + packed)


def value_or_decode_error(codec: Codec, packed: bytes) -> Any:
    try:
        return codec.decode(packed)
    except codec.DecodeError:
        return None


@given(st.binary(max_size=300))
@settings(max_examples=1000, deadline=None)
def test_any_bytes(codec: Codec, packed: bytes) -> None:
    value_or_decode_error(codec, packed)


@given(nested(SCALARS, KEYS), st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_damaged_messages(codec: Codec, value: Any, dice: random.Random) -> None:
    packed = bytearray(codec.encode(value))
    for _ in range(dice.randint(1, 3)):
        packed[dice.randrange(len(packed))] = dice.randrange(256)
    value_or_decode_error(codec, bytes(packed))


SEEDS = [
    datetime.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    datetime.time(1, 2, 3),
    datetime.timedelta(1, 2, 3),
    datetime.date(2024, 1, 2),
    decimal.Decimal("1.5E+7"),
    uuid.UUID(int=7),
    2**200,
]


@pytest.mark.parametrize("seed", SEEDS, ids=repr)
def test_damaged_extensions(codec: Codec, seed: Any) -> None:
    intact = codec.encode([seed])
    for place in range(len(intact)):
        for byte in range(256):
            value_or_decode_error(codec, intact[:place] + bytes([byte]) + intact[place + 1 :])
        value_or_decode_error(codec, intact[:place])


def test_damaged_arrays(codec: Codec) -> None:
    np = pytest.importorskip("numpy")
    for seed in (np.arange(3, dtype="i4"), np.array("2024-01-01", "M8[s]"), np.str_("ab")):
        intact = codec.encode([seed])
        for place in range(len(intact)):
            for byte in range(256):
                value_or_decode_error(codec, intact[:place] + bytes([byte]) + intact[place + 1 :])


def test_every_cut_of_a_message_is_refused(codec: Codec) -> None:
    packed = codec.encode({"a": [1, 2.5, "text", b"bytes" * 60, {"b": 2**70}], "c": "é" * 40})
    for end in range(len(packed)):
        with pytest.raises(codec.DecodeError):
            codec.decode(packed[:end])
