"""A pool's rule for what cannot travel, as it is told to the engine and to workers."""

from __future__ import annotations

from typing import Any

import pytest

import snakepit
from snakepit import ConfigError, Unserializable, is_unserializable, unserializable_info


def told(make_pool: Any, **options: Any) -> tuple[bool, Any]:
    config = make_pool(**options)._engine.config
    return config.substitute is not None, config.unserializable


USUAL = ("none", 500, 1_000_000)


@pytest.mark.parametrize(
    ("rule", "arguments", "results"),
    [
        ("error", False, None),
        ("marker", True, USUAL),
        (Unserializable(), True, USUAL),
        ({"arguments": "error"}, False, USUAL),
        (Unserializable(results="error", detail="type"), True, None),
        ({"detail": "type", "max_repr": 0, "max_elements": 7}, True, ("type", 0, 7)),
    ],
)
def test_each_direction_has_its_rule(
    make_pool: Any, rule: Any, arguments: bool, results: Any
) -> None:
    assert told(make_pool, unserializable=rule) == (arguments, results)


def test_the_default_is_an_error(make_pool: Any) -> None:
    assert told(make_pool) == (False, None)


def test_arguments_become_markers_in_the_host(make_pool: Any) -> None:
    substitute = make_pool(unserializable="marker")._engine.config.substitute
    assert substitute({1}) == {"__ffi_unserializable__": True, "__type__": "builtins.set"}


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("markers", "a snakepit.Unserializable or a mapping is needed"),
        (True, "is needed, not True"),
        ({"arguments": "drop"}, 'unserializable.arguments: must be one of "error", "marker"'),
        ({"detail": "repr"}, "unserializable.detail: must be one of"),
        ({"max_repr": 2001}, "unserializable.max_repr: must be at most 2000"),
        ({"max_elements": -1}, "unserializable.max_elements: must be at least 0"),
        ({"max_rep": 1}, 'did you mean "max_repr"?'),
    ],
)
def test_wrong_rules_are_refused(make_pool: Any, rule: Any, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_pool(unserializable=rule)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("value", "info"),
    [
        (
            {"__ffi_unserializable__": True, "__type__": "a.B", "__repr__": "B()"},
            ("a.B", "B()"),
        ),
        ({"__ffi_unserializable__": True, "__type__": "a.B"}, ("a.B", None)),
        ({"__ffi_unserializable__": True}, (None, None)),
        ({"__ffi_unserializable__": 1}, None),
        ({"__unserializable__": True}, None),
        ({}, None),
        (None, None),
        ([True], None),
    ],
)
def test_markers_are_known(value: Any, info: Any) -> None:
    assert is_unserializable(value) == (info is not None)
    assert unserializable_info(value) == info
    if info is not None:
        assert isinstance(unserializable_info(value), snakepit.UnserializableInfo)
