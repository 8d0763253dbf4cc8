"""An event as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_NAME = 256
"""Characters of an event's name."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that an adapter measured."""

    name: str
    """Dotted, for instance ``model.inference``."""
    measurements: dict[str, int | float]
    metadata: dict[str, Any]
    correlation_id: str | None
    """The id given, else that of the emitting thread or coroutine; None: neither."""
    time_ns: int
    """When, in nanoseconds since the epoch."""


def checked(
    name: object,
    measurements: Mapping[str, Any],
    metadata: Mapping[str, Any] | None,
    correlation_id: str | None,
    time_ns: int,
) -> Event:
    """An event of these parts, copied, so that the emitter may change its own afterwards.

    Raises:
        TypeError: The name is no text, a measurement no number, a key no text.
        ValueError: The name is empty or longer than 256 characters.
    """
    if not isinstance(name, str):
        raise TypeError(f"telemetry: an event's name is a string, not {type(name).__name__}")
    if not 0 < len(name) <= MAX_NAME:
        raise ValueError(f"telemetry: an event's name has 1 to {MAX_NAME} characters")
    numbers = {_key(name, key): _number(name, key, value) for key, value in measurements.items()}
    facts = {} if metadata is None else {_key(name, key): metadata[key] for key in metadata}
    return Event(name, numbers, facts, correlation_id, time_ns)


def _key(name: str, key: object) -> str:
    if isinstance(key, str):
        return key
    raise TypeError(f"telemetry: {name}: keys are strings, not {key!r}")


def _number(name: str, key: str, value: Any) -> int | float:
    if isinstance(value, (int, float)):
        return value
    # NumPy's and PyTorch's numbers, Decimal: text has no __float__, so it is refused.
    if hasattr(type(value), "__float__"):
        return float(value)
    raise TypeError(
        f"telemetry: {name}: measurement {key!r} is a number, not {type(value).__name__}; "
        "what describes an event goes into metadata"
    )
