"""Whatever a tool returns is printed as JSON that others can read."""

from __future__ import annotations

import datetime
import decimal
import json
import math
import uuid
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakepit._cli.plain import plain

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.dates()
    | st.datetimes()
    | st.timedeltas()
    | st.decimals()
    | st.uuids(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.none(), inner),
    max_leaves=6,
)


@settings(max_examples=50)
@given(VALUES)
def test_anything_becomes_strict_json(value: Any) -> None:
    json.loads(json.dumps(plain(value), allow_nan=False))


@settings(max_examples=50)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=6,
    ).filter(lambda value: "inf" not in repr(value))
)
def test_what_json_has_stays_as_it_is(value: Any) -> None:
    assert plain(value) == value


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (math.inf, None),
        (b"\x00\xff", "AP8="),
        (datetime.date(2020, 2, 29), "2020-02-29"),
        (datetime.timedelta(minutes=1.5), 90.0),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        (np.float64("nan"), None),
        (np.int8(3), 3),
        (np.array([1 + 2j]), ["(1+2j)"]),
        (np.array(["2020-02-29"], "datetime64[D]"), ["2020-02-29"]),
        (pa.table({"a": [1, 2], "b": ["x", None]}), [{"a": 1, "b": "x"}, {"a": 2, "b": None}]),
        ({1: {None: True, 1.5: (1, 2)}}, {"1": {"null": True, "1.5": [1, 2]}}),
    ],
)
def test_the_rest_has_a_form(value: Any, told: Any) -> None:
    assert plain(value) == told
