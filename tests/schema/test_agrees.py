"""The host's check of arguments agrees with a validator of JSON Schema that others wrote.

Over the schemas that adapters' signatures become, and over the keywords in them at random.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

jsonschema = pytest.importorskip("jsonschema")

try:
    from snakepit import _core

    if not os.path.exists(_core.__file__):
        raise ImportError
except ImportError:
    pytest.skip("the check is the native half's: make build", allow_module_level=True)

NAMES = st.sampled_from(["a", "b", "c"])
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0.5, 1.0, -2.0, 1e300]),
    st.text("xyß", max_size=3),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)
KINDS = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])


def _merged(parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {key: value for part in parts for key, value in part.items()}


SIMPLE = st.one_of(
    st.just({}),
    KINDS.map(lambda kind: {"type": kind}),
    st.lists(KINDS, min_size=1, max_size=3, unique=True).map(lambda kinds: {"type": kinds}),
    st.lists(LEAVES, min_size=1, max_size=3).map(lambda values: {"enum": values}),
    LEAVES.map(lambda value: {"const": value}),
    st.integers(-3, 3).map(lambda bound: {"minimum": bound}),
    st.integers(-3, 3).map(lambda bound: {"exclusiveMaximum": bound}),
    st.sampled_from([1, 2, 3]).map(lambda unit: {"multipleOf": unit}),
    st.integers(0, 2).map(lambda bound: {"minLength": bound, "minItems": bound}),
    st.integers(0, 2).map(lambda bound: {"maxLength": bound, "maxItems": bound}),
)


def _containers(inner: Any) -> Any:
    some = st.lists(inner, min_size=1, max_size=3)
    members = st.dictionaries(NAMES, inner, max_size=3)
    others = st.one_of(st.booleans(), inner)
    return st.one_of(
        some.map(lambda all_: {"anyOf": all_}),
        some.map(lambda all_: {"allOf": all_}),
        st.tuples(some, others).map(lambda p: {"prefixItems": p[0], "items": p[1]}),
        inner.map(lambda schema: {"items": schema}),
        st.tuples(members, others, st.lists(NAMES, unique=True)).map(
            lambda p: {"properties": p[0], "additionalProperties": p[1], "required": p[2]}
        ),
        st.just({"$ref": "#/$defs/d"}),
    )


SCHEMAS = st.recursive(
    st.lists(SIMPLE, max_size=2).map(_merged),
    lambda inner: st.lists(_containers(inner), min_size=1, max_size=2).map(_merged),
    max_leaves=6,
)


@settings(max_examples=1000, deadline=None)
@given(SCHEMAS, SCHEMAS, st.dictionaries(NAMES, VALUES, max_size=3))
@example({"properties": {"a": {"enum": [None], "const": False}}}, {}, {"a": None})
def test_random_schemas(schema: dict[str, Any], shared: dict[str, Any], args: Any) -> None:
    # The definition refers to nothing, or both would go round for ever.
    shared = json.loads(json.dumps(shared).replace("#/$defs/d", "#/$defs/e"))
    whole = {**schema, "$defs": {"d": shared, "e": {"type": "integer"}}}
    right = jsonschema.Draft202012Validator(whole).is_valid(args)
    wrong = _core.check_arguments(json.dumps(whole), _core.encode(args))
    assert (wrong is None) == right, wrong


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["user", "mode", "note", "x"]), VALUES, max_size=4))
def test_schemas_of_signatures(args: dict[str, Any]) -> None:
    from pool.describing import Described

    from snakepit_bridge._schema import parameters

    text = parameters("greet", Described().greet, "")
    jsonschema.Draft202012Validator.check_schema(json.loads(text))
    right = jsonschema.Draft202012Validator(json.loads(text)).is_valid(args)
    wrong = _core.check_arguments(text, _core.encode(args))
    assert (wrong is None) == right, wrong
