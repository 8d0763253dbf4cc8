"""How workers live: when they are probed, replaced and started. What is decided is the engine's."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

from snakepit._checks import positive
from snakepit._duration import interval, limit, seconds
from snakepit.errors import ConfigError

if TYPE_CHECKING:
    from snakepit._duration import Duration


class Checked:
    """Refuses keywords that there are not, with the one that was meant."""

    __slots__ = ()

    def __new__(cls, *args: object, **keywords: object) -> Self:
        known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        for key in keywords.keys() - set(known):
            letters = (f"_{c.lower()}" if c.isupper() else c for c in cls.__name__)
            field = "".join(letters).removeprefix("_")
            close = difflib.get_close_matches(key, known, 1)
            hint = f'did you mean "{close[0]}"?' if close else f"there are {', '.join(known)}"
            raise ConfigError(
                f'{field}: there is no "{key}"; {hint}',
                field=field,
                suggestion=close[0] if close else None,
            )
        return super().__new__(cls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat(Checked):
    """When workers are asked whether their interpreter makes progress.

    A thread of the worker answers with the interpreter's lock in hand. So a worker that holds that
    lock in C, or is stopped, does not answer: it is *stalled*, gets no new calls, and serves again
    once it answers. Workers that answer calls are not asked. Both ends of the line answer, the pure
    Python one too; a worker in another language does if its program serves the control socket.

    Raises:
        ConfigError: A value is wrong.
    """

    interval: Duration = 2.0
    """Seconds from the last sign of progress to the next probe; at least 0.01."""
    timeout: Duration = 10.0
    """A probe that is not answered for so many seconds is missed, and another one is sent; at least
    0.01."""
    missed: int = 1
    """So many missed in a row make a worker stalled."""
    initial_delay: Duration = 0.0
    """Seconds from ready to the first probe, beside ``interval``."""

    def __post_init__(self) -> None:
        for name in ("interval", "timeout"):
            interval(f"heartbeat.{name}", getattr(self, name))
        seconds("heartbeat.initial_delay", self.initial_delay)
        positive("heartbeat.missed", self.missed, most=2**32 - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recycle(Checked):
    """When a worker is replaced by a fresh one. Every limit may be left out.

    The replacement starts beside the worker, which serves until it is ready: no call fails, and
    limits are passed a little. Then the worker gets no calls but those of its sessions, for
    ``session_drain`` at most; what they kept in it is lost with it (``SessionLost``). It goes when
    it has no call left, however long its last one takes. It is there beside its replacement,
    which is itself not replaced before it is gone: a pool has at most twice as many processes as
    workers. One that is worn out again and again without having answered a call is replaced more
    and more slowly, up to 2 s apart.

    Raises:
        ConfigError: A value is wrong.

    Example:
        >>> snakepit.Pool("my_app:Model", size=4, recycle=snakepit.Recycle(memory=2 * 1024**3))
    """

    calls: int | None = None
    """After so many answered calls."""
    age: Duration | None = None
    """So many seconds after it became ready; at least 0.01."""
    memory: int | None = None
    """When its process tree holds so many bytes: anonymous memory, resident and swapped. Measured
    once a second. A worker that holds as much before its first call is left alone, since a fresh
    one would be no better; the log warns once of a limit that is too low."""
    memory_growth: float | None = None
    """When it holds so many times what it held after ``initialize()``."""
    jitter: float = 0.1
    """``calls`` and ``age`` are shortened by up to this part, differently for each worker, so that
    they do not all go at once."""
    session_drain: Duration = 60.0
    """Seconds that a worker which is being replaced waits for its sessions."""
    at_once: float = 0.25
    """Of at most this part of the pool replacements start at a time, and always of at least one."""

    def __post_init__(self) -> None:
        for name in ("calls", "memory"):
            if (value := getattr(self, name)) is not None:
                positive(f"recycle.{name}", value, most=2**63 - 1)
        if self.age is not None:
            interval("recycle.age", self.age)
        seconds("recycle.session_drain", self.session_drain)
        growth = self.memory_growth
        if growth is not None and _number("memory_growth", growth) <= 1:
            _refuse("recycle", "memory_growth must be above 1, like 2.0 for twice as much")
        if not 0 <= _number("jitter", self.jitter) < 1:
            _refuse("recycle", "jitter must be from 0 to below 1")
        if not 0 < _number("at_once", self.at_once) <= 1:
            _refuse("recycle", "at_once must be above 0, and at most 1")


Rule = TypeVar("Rule", bound=Checked)


def rule(field: str, kind: type[Rule], value: object) -> tuple[Any, ...] | None:
    """Return the fields of a ``Heartbeat``, ``Recycle`` or ``Limits`` as the engine takes them.

    Args:
        field: The parameter that it was given for.
        kind: Which of them.
        value: One of them, a mapping of its keywords, or ``None``.
    """
    if value is None:
        return None
    if isinstance(value, Mapping):
        value = kind(**value)
    if not isinstance(value, kind):
        raise ConfigError(
            f"{field}: a snakepit.{kind.__name__}, a mapping or None is needed, not {value!r}",
            field=field,
        )
    spans = ("interval", "timeout", "initial_delay", "age", "session_drain")
    each = ((item.name, getattr(value, item.name)) for item in fields(value))  # type: ignore[arg-type]
    return tuple(limit(name, item) if name in spans else item for name, item in each)


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        _refuse("recycle", f"{name} must be a number, not {value!r}")
    return value


def _refuse(field: str, message: str) -> NoReturn:
    raise ConfigError(f"{field}: {message}", field=field)
