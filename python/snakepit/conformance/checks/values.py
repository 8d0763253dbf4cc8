"""Values of every type of docs/values.md, there and back.

A worker may refuse a type that its language lacks; it may not answer another value.
"""

from __future__ import annotations

import datetime
import decimal
import math
import struct
import uuid
from collections.abc import Sequence
from typing import Any

from snakepit import _core
from snakepit.conformance.check import Bench, Skip, Violation, check, plain_words
from snakepit.conformance.host import shown
from snakepit.conformance.protocol import failure_kind

_EDGES = [0, 5, 7, 8, 15, 16, 31, 32, 53, 63]
INTEGERS = sorted(
    {sign * (2**bits + step) for sign in (1, -1) for bits in _EDGES for step in (-1, 0, 1)}
    - {-(2**63) - 1}
    | {2**64 - 1}
)
_ZONE = datetime.timezone(datetime.timedelta(hours=-3, minutes=-30))
_MOMENT = datetime.datetime(2024, 10, 27, 2, 30, 5, 678, fold=1)
_DEPTH = 127  # with the arguments' own map 128


def _extension(kind: int, body: bytes) -> bytes:
    return b"\xc7" + bytes([len(body), kind]) + body


def _array() -> bytes:
    """Two by two little-endian float32, without numpy."""
    items = struct.pack("<4f", 1, 2, 3, 4)
    return _extension(6, b"\x03<f4" + struct.pack(">BQQ", 2, 2, 2) + items)


def _nested() -> Any:
    value: Any = None
    for _ in range(_DEPTH):
        value = [value]
    return value


# Python's values are encoded; what stands here as an `_Encoded` is so already.
class _Encoded(bytes):
    pass


NEEDED: dict[str, tuple[str, Sequence[Any]]] = {
    "null-bool": ("null and booleans", [None, True, False]),
    "int": ("integers of up to 64 bits", INTEGERS),
    "float": (
        "floats: fractions, NaN, infinities, negative zero",
        [1.5, -0.1, 5e-324, 1e300, 2.0**60, math.inf, -math.inf, math.nan, -0.0],
    ),
    "text": (
        "texts",
        ["", "a", "é", "😀", "a\0b", "\ufeffa", *("x" * n for n in (31, 32, 255, 256, 65536))],
    ),
    "bytes": ("byte strings", [b"", b"a\0\xff\xfe", *(b"x" * n for n in (255, 256, 65536))]),
    "list": ("lists", [[], [1, "a", None, [True]], *([0] * n for n in (15, 16, 65536))]),
    "map": (
        "maps of texts",
        [{}, {"a": {"b": [{}]}}, {"__proto__": 1, "constructor": 2, "": 3}]
        + [{f"k{i}": i for i in range(n)} for n in (15, 16)],
    ),
    "nested": ("128 containers inside each other", [_nested()]),
}
"""Types that every worker must carry."""

OPTIONAL: dict[str, tuple[str, Sequence[Any]]] = {
    "map-order": ("the order of a map", [{"b": 1, "a": 2, "10": 3, "9": 4}]),
    "map-keys": ("maps with keys that are no texts", [{None: 1, True: 2, 3: 3, 2.5: 4, b"k": 5}]),
    "float-whole": ("floats without a fraction", [1.0, 0.0, -3.0]),
    "int-wide": (
        "integers beyond 64 bits",
        [2**64, -(2**63) - 1, 2**80 + 1, -(2**80), 2**71 - 1, 2**71, -(2**71), 10**40],
    ),
    "datetime": ("datetimes", [_MOMENT, _MOMENT.replace(tzinfo=_ZONE), datetime.datetime.max]),
    "date": ("dates", [datetime.date(2024, 2, 29)]),
    "time": ("times", [datetime.time(1, 2, 3, 4), datetime.time(tzinfo=_ZONE)]),
    "timedelta": ("timedeltas", [datetime.timedelta(-1, 2, 3), datetime.timedelta.max]),
    "decimal": ("decimals", [decimal.Decimal("1.10"), decimal.Decimal("-Infinity")]),
    "uuid": ("UUIDs", [uuid.UUID(int=2**127 + 5)]),
    "array": ("numpy arrays", [_Encoded(_array())]),
    "scalar": ("numpy scalars", [_Encoded(_extension(7, b"\x03<f2" + b"\x00\x3e"))]),
}
"""Types that a worker may refuse, by a failure, where its language has none like it."""


def _register(name: str, what: str, values: Sequence[Any], needed: bool) -> None:
    @check(f"value-{name}", f"{what}: there and back", "values")
    def there_and_back(bench: Bench) -> None:
        host = bench.worker()
        with plain_words():
            for value in values:
                sent = bytes(value) if isinstance(value, _Encoded) else _core.encode(value)
                # The arguments by hand: a map of one pair, whose value stands as it is.
                result = host.outcome(host.call("echo", raw=b"\x81\xa5value" + sent))
                if result.WhichOneof("outcome") == "value":
                    _judge(value, sent, bytes(result.value))
                elif needed or failure_kind(result.failure) not in ("ENCODE", "DECODE"):
                    raise Violation(f"the value {_short(value)}", shown(result))
                else:
                    raise Skip(f"it does not carry {what}: {result.failure.message:.80}")


def _judge(value: Any, sent: bytes, answered: bytes) -> None:
    if answered == sent:
        return
    try:
        back = _core.decode(answered)
        again = _core.encode(back)
    except Exception as error:
        raise Violation(f"the value {_short(value)}", f"{answered[:40]!r}: {error}") from error
    if again == sent:
        got = f"a longer form, {answered[:40]!r}"
        raise Violation(f"{_short(value)} in its shortest form, {sent[:40]!r}", got)
    # Not so -0.0: the integer 0 is another value.
    whole = isinstance(value, float) and type(back) is int and back == value
    if whole and math.copysign(1, value) == math.copysign(1, back):
        raise Skip("it answers the integer of the same value: its language has one number type")
    if isinstance(value, dict) and back == value and sorted(answered) == sorted(sent):
        raise Skip("it does not keep the order of a map")
    raise Violation(f"the value {_short(value)}", f"another value, {_short(back)}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


for _needed, _vectors in ((True, NEEDED), (False, OPTIONAL)):
    for _name, (_what, _values) in _vectors.items():
        _register(_name, _what, _values, _needed)
