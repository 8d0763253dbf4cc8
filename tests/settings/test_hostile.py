"""Whatever a document, a file or the environment says: settings, or a ``ConfigError``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from snakepit import ConfigError
from snakepit._settings import explain
from snakepit._settings._document import read
from snakepit._settings._keys import HOST, OF_POOLS, Group
from snakepit._settings._origin import Origin
from snakepit._settings._original import NAMES
from snakepit._settings._resolve import resolve
from snakepit._settings._variables import variables

INNER = sorted(
    {name for kind in OF_POOLS.values() if isinstance(kind, Group) for name in kind.keys}
)
KEYS = sorted({*OF_POOLS, *HOST, *NAMES, "pools", "enabled", "dependent", *INNER})
SCALARS = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(["none", "5s", "1MiB", "m:C", "auto", "infinity", "", "{", "\ud800"]),
    st.text(max_size=5),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=3)), inner, max_size=3),
    ),
    max_leaves=6,
)
PAIRS = st.lists(st.lists(VALUES, min_size=2, max_size=2), min_size=1, max_size=2)
DOCUMENTS = st.one_of(
    st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4),
    st.tuples(st.sampled_from(KEYS), st.one_of(VALUES, PAIRS)).map(lambda pair: dict([pair])),
)


@hypothesis_settings(max_examples=400)
@given(DOCUMENTS)
def test_a_document(document: dict[str, Any]) -> None:
    told = refused_or_told(
        lambda: resolve([read(document, lambda path: Origin("file", "x.toml", len(path)))])
    )
    for row in explain(told) if told else ():
        json.dumps(row.as_json(), default=str)
        assert str(row.origin)
    for pool in told.pools.values() if told else ():
        refused_or_told(pool.values)


@hypothesis_settings(max_examples=400)
@given(
    st.dictionaries(
        st.lists(st.one_of(st.sampled_from(KEYS), st.text("ab_", max_size=3)), max_size=4).map(
            lambda parts: "SNAKEPIT_" + "__".join(parts).upper()
        ),
        st.one_of(
            st.sampled_from(["none", "5", "5s", "[1]", "{ a = 1 }", "[", "{ x", "true", "a,b"]),
            st.text(max_size=4),
        ),
        max_size=4,
    )
)
def test_an_environment(environ: dict[str, str]) -> None:
    told = refused_or_told(lambda: resolve([variables(environ)]))
    for row in explain(told) if told else ():
        assert row.origin.kind in ("default", "environment", "profile")


T = TypeVar("T")


def refused_or_told(ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except ConfigError as error:
        # A message that cannot be made, or a huge one, would be as bad as another exception.
        said = str(error), error.source
    assert all(said)
    assert len(said[0]) < 2000
    return None
