"""What becomes of values that cannot travel: a pool's rule, and the markers that it makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from snakepit._checks import choice, positive
from snakepit._life import Checked, rule
from snakepit.errors import ConfigError
from snakepit_bridge._graceful import DETAILS, MARKER, REPR, TYPE, Substitute

_MODES = ("error", "marker")
_LARGEST_REPR = 2000

Mode = Literal["error", "marker"]
Detail = Literal["none", "type", "repr_truncated", "repr_redacted_truncated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unserializable(Checked):
    """What becomes of a value that cannot travel, in either direction.

    ``"error"`` is an ``EncodeError`` with the value's path. With ``"marker"`` the value is first
    asked for what it says itself, by the first of the methods ``model_dump``, ``to_dict``,
    ``_asdict``, ``tolist`` and ``isoformat`` that its type has and that does not fail. What has
    none becomes a marker, a dict in its place::

        {"__ffi_unserializable__": True, "__type__": "my_app.Socket"}

    Keys of dicts, texts with lone surrogates and what is nested too deep are errors in any case.

    Raises:
        ConfigError: A value is wrong.
    """

    arguments: Mode = "marker"
    """Of calls, from the host to the worker."""
    results: Mode = "marker"
    """And chunks, from the worker to the host."""
    detail: Detail = "none"
    """What a marker says under ``__repr__``.

    ``"none"``: nothing. ``"type"``: the name of the type once more. ``"repr_truncated"``: the
    beginning of ``repr(value)``, which may hold secrets. ``"repr_redacted_truncated"``: the same
    without what looks like a key, a token or a password, as far as their usual shapes go.
    """
    max_repr: int = 500
    """Characters of it, from 0 to 2000."""
    max_elements: int = 1_000_000
    """An array of more elements becomes a marker and no list."""

    def __post_init__(self) -> None:
        choice("unserializable.arguments", self.arguments, _MODES)
        choice("unserializable.results", self.results, _MODES)
        choice("unserializable.detail", self.detail, DETAILS)
        positive("unserializable.max_repr", self.max_repr, least=0, most=_LARGEST_REPR)
        positive("unserializable.max_elements", self.max_elements, least=0, most=2**63 - 1)


Results = tuple[str, int, int]
"""Detail, characters and elements: what a worker is told."""


def read(value: object) -> tuple[Callable[[Any], Any] | None, Results | None]:
    """Return what a pool does with arguments, and what it tells its workers to do with results."""
    if isinstance(value, str) and value in _MODES:
        value = {"arguments": value, "results": value}
    elif not isinstance(value, Mapping | Unserializable):
        raise ConfigError(
            'unserializable: "error", "marker", a snakepit.Unserializable or a mapping is needed, '
            f"not {value!r}",
            field="unserializable",
            suggestion="marker",
        )
    arguments, results, *marker = rule("unserializable", Unserializable, value) or ()
    detail, max_repr, max_elements = marker
    told = (detail, max_repr, max_elements)
    return (
        Substitute(*told) if arguments == "marker" else None,
        told if results == "marker" else None,
    )


class UnserializableInfo(NamedTuple):
    """What a marker says of the value in whose place it is."""

    type_name: str | None
    """``module.Class``"""
    repr: str | None
    """A text of the value, where the pool wants one in its markers."""


def is_unserializable(value: object) -> bool:
    """Tell whether ``value``, as it arrived, is a marker in the place of one that cannot travel."""
    return isinstance(value, dict) and value.get(MARKER) is True


def unserializable_info(value: object) -> UnserializableInfo | None:
    """Return what a marker says; ``None``: ``value`` is no marker."""
    if not (isinstance(value, dict) and is_unserializable(value)):
        return None
    texts = (value.get(TYPE), value.get(REPR))
    return UnserializableInfo(*(text if isinstance(text, str) else None for text in texts))
