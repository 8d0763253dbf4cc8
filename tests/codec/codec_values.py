"""What the codec's tests share: the codecs, values to send, when an arrived one is the right one.

Not a test. ``same`` is stricter than ``==``: types, signs of zero, NaN bits and key order count.
"""

from __future__ import annotations

import datetime
import pkgutil
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import strategies as st


def title(value: Any) -> str:
    """A test's name for ``value``, the same in every process: no address."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))[:40]


CODECS = {
    "native": ("snakepit._core:encode", "snakepit._core:decode", "snakepit.errors"),
    "pure": (
        "snakepit_bridge._values:encode",
        "snakepit_bridge._values:decode",
        "snakepit_bridge.errors",
    ),
    "walk": (
        "snakepit_bridge._values._encode:walk",
        "snakepit_bridge._values._decode:walk",
        "snakepit_bridge.errors",
    ),
}
"""The native codec, that of the grpcio end, and the latter without its fast path."""


@dataclass(frozen=True)
class Codec:
    """One of them."""

    encode: Callable[..., bytes]
    decode: Callable[..., Any]
    EncodeError: type[Any]
    DecodeError: type[Any]

    def there_and_back(self, value: Any) -> Any:
        return self.decode(self.encode(value))


def load(name: str) -> Codec:
    """One of ``CODECS``; skips where this interpreter lacks what it needs."""
    encode, decode, errors = CODECS[name]
    try:
        return Codec(
            pkgutil.resolve_name(encode),
            pkgutil.resolve_name(decode),
            pkgutil.resolve_name(f"{errors}:EncodeError"),
            pkgutil.resolve_name(f"{errors}:DecodeError"),
        )
    except ImportError as error:
        pytest.skip(f"no {name} codec here: {error}")


UTC = datetime.timezone(datetime.timedelta(0))
"""``datetime.UTC`` is of Python 3.11."""

PLAIN_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=True)
    | st.text()
    | st.binary()
)
SCALARS = (
    PLAIN_SCALARS
    | st.integers()
    | st.dates()
    | st.datetimes(timezones=st.none() | st.just(UTC))
    | st.times()
    | st.timedeltas()
    | st.decimals()
    | st.uuids()
)
KEYS = st.none() | st.booleans() | st.integers() | st.text() | st.binary()


def nested(scalars: st.SearchStrategy[Any], keys: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Lists and dicts of ``scalars``."""
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=8) | st.dictionaries(keys, inner, max_size=8),
        max_leaves=40,
    )


def _items(value: Any) -> bytes:
    """With what lies between fields: ``tobytes`` leaves that to chance as it copies structures."""
    if value.dtype.names is not None and value.ndim:
        value = value.view(f"V{value.dtype.itemsize}")
    return bytes(value.tobytes())


def same(sent: Any, arrived: Any) -> bool:
    """Whether ``arrived`` is the very value that ``sent`` is."""
    if type(sent) is not type(arrived):
        return False
    if isinstance(sent, float):
        return struct.pack("d", sent) == struct.pack("d", arrived)
    if isinstance(sent, memoryview):
        return arrived.readonly and sent.tobytes() == arrived.tobytes()
    if isinstance(sent, list):
        return len(sent) == len(arrived) and all(map(same, sent, arrived))
    if isinstance(sent, dict):
        return same([*sent], [*arrived]) and same([*sent.values()], [*arrived.values()])
    if isinstance(sent, datetime.datetime | datetime.time):
        return bool(
            sent.replace(tzinfo=None) == arrived.replace(tzinfo=None)
            and sent.fold == arrived.fold
            and sent.utcoffset() == arrived.utcoffset()
        )
    if type(sent).__module__ == "numpy":
        return bool(
            sent.dtype == arrived.dtype
            and sent.shape == arrived.shape
            and (sent.flags.c_contiguous or not sent.flags.f_contiguous or arrived.flags.fnc)
            and _items(sent) == _items(arrived)
        )
    if type(sent).__module__.startswith("pyarrow"):
        return bool(sent.equals(arrived))
    return repr(sent) == repr(arrived)  # Decimal: sNaN does not compare, 1.0 is not 1.00
