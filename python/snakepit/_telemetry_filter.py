"""Which events of adapters their workers send; looked at in the worker, before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from snakepit._life import Checked
from snakepit.errors import ConfigError

# Those of the engine (crates/core, config/telemetry.rs).
_MOST_PATTERNS = 64
_LONGEST_PATTERN = 256

Told = tuple[float, list[str], list[str]]
"""What the engine takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryFilter(Checked):
    """Which events of adapters reach the host, of those that somebody listens to.

    Patterns are globs (``*``, ``?``, ``[a-z]``) over the name as the adapter gives it, without
    ``snakepit.python.``.

    Raises:
        ConfigError: A value is wrong.

    Example:
        >>> quiet = snakepit.TelemetryFilter(sampling=0.1, deny=["debug.*"])
        >>> snakepit.Pool("my_app:Model", telemetry=quiet)
    """

    sampling: float = 1.0
    """The part that is sent, from 0 to 1. Events of one correlation id are sent together, or none
    of them is."""
    allow: Sequence[str] = ()
    """One of these must match; none: every name does. At most 64, of 256 characters at most."""
    deny: Sequence[str] = ()
    """None of these may match."""

    def __post_init__(self) -> None:
        part: object = self.sampling
        if isinstance(part, bool) or not isinstance(part, int | float) or not 0 <= part <= 1:
            raise ConfigError(
                f"telemetry.sampling: must be a number from 0 to 1, not {part!r}",
                field="telemetry.sampling",
            )
        for field in ("allow", "deny"):
            _patterns(f"telemetry.{field}", getattr(self, field))


def _patterns(field: str, patterns: object) -> list[str]:
    listed = [patterns] if isinstance(patterns, str) else patterns
    if not isinstance(listed, Sequence) or not all(isinstance(each, str) for each in listed):
        raise ConfigError(f"{field}: a list of globs is needed, not {patterns!r:.80}", field=field)
    if len(listed) > _MOST_PATTERNS:
        raise ConfigError(
            f"{field}: at most {_MOST_PATTERNS} patterns may be, not {len(listed)}", field=field
        )
    for pattern in listed:
        if not 0 < len(pattern) <= _LONGEST_PATTERN:
            raise ConfigError(
                f"{field}: a pattern has 1 to {_LONGEST_PATTERN} characters, not {len(pattern)}",
                field=field,
            )
    return list(listed)


def read(value: object) -> Told:
    """What the engine takes, of a filter or what one is made of."""
    if isinstance(value, Mapping):
        value = TelemetryFilter(**value)
    if not isinstance(value, TelemetryFilter):
        raise ConfigError(
            f"telemetry: a snakepit.TelemetryFilter or a mapping is needed, not {value!r:.80}",
            field="telemetry",
        )
    allow, deny = _patterns("telemetry.allow", value.allow), _patterns("telemetry.deny", value.deny)
    return float(value.sampling), allow, deny


def changed(sampling: float, allow: Any, deny: Any) -> Told:
    """The same of the arguments of ``set_telemetry``."""
    return read(TelemetryFilter(sampling=sampling, allow=allow, deny=deny))
