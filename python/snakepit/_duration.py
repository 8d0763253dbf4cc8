"""Durations: seconds as a number, or a ``timedelta``; checked once, where they enter."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from snakepit.errors import ConfigError

if TYPE_CHECKING:
    from datetime import timedelta

    Duration = float | timedelta
    """Seconds, or a ``timedelta``; not negative."""


class Unset(enum.Enum):
    """Type of ``UNSET``: a parameter that was left out, where ``None`` has a meaning of its own."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET

# Some 30 years. What is larger is a mistake of units, or a way to say "none", which is None.
_LONGEST = 1e9
_SHORTEST = 0.01


def seconds(field: str, value: Duration) -> float:
    """Return ``value`` in seconds.

    Raises:
        ConfigError: It is negative, not a number, infinite or of another type.
    """
    if type(value) is float and 0.0 <= value <= _LONGEST:
        return value
    return _seconds(field, value)


def interval(field: str, value: Duration) -> float:
    """Like ``seconds``, for what a pool does again and again; at least 0.01.

    With next to no pause that would keep a core busy with nothing else.
    """
    checked = seconds(field, value)
    if checked < _SHORTEST:
        raise ConfigError(f"{field}: must be at least {_SHORTEST} s, not {value!r}", field=field)
    return checked


def limit(field: str, value: Duration | None) -> float | None:
    """Like ``seconds``; ``None`` stays ``None`` and means no limit."""
    return None if value is None else seconds(field, value)


def lifetime(field: str, value: Duration | None) -> float | None:
    """Like ``limit``, for how long something may last; above zero."""
    checked = limit(field, value)
    if checked == 0:
        raise ConfigError(f"{field}: must be above zero; None means no limit", field=field)
    return checked


def _seconds(field: str, value: object) -> float:
    # Found by its method: importing datetime would make every host pay for it at start.
    total_seconds = getattr(value, "total_seconds", None)
    number = total_seconds() if callable(total_seconds) else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise ConfigError(
            f"{field}: a number of seconds or a timedelta is needed, not {value!r}", field=field
        )
    if not number >= 0:
        raise ConfigError(f"{field}: cannot be negative or NaN, but is {value!r}", field=field)
    if number > _LONGEST:
        raise ConfigError(
            f"{field}: {value!r} is too long; None means no limit where one may be left out",
            field=field,
            suggestion="None",
        )
    return float(number)
