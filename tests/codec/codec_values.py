"""What the codec's tests share: when an arrived value is the right one, and values to send.

Not a test. ``same`` is stricter than ``==``: types, signs of zero, NaN bits and key order count.
"""

from __future__ import annotations

import datetime
import struct
from typing import Any

from hypothesis import strategies as st

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
    | st.datetimes(timezones=st.none() | st.just(datetime.UTC))
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


def same(sent: Any, arrived: Any) -> bool:
    """Whether ``arrived`` is the very value that ``sent`` is."""
    if type(sent) is not type(arrived):
        return False
    if isinstance(sent, float):
        return struct.pack("d", sent) == struct.pack("d", arrived)
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
            and sent.tobytes() == arrived.tobytes()
        )
    return repr(sent) == repr(arrived)  # Decimal: sNaN does not compare, 1.0 is not 1.00
