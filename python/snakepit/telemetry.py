"""What pools tell of their calls and workers: named events, for whoever attaches to them.

.. code-block:: text

    pool ──(somebody wants it?)──▶ queue of 16384 ──a batch──▶ one thread ──▶ handlers
                                   the oldest are dropped       (one after the other)

An event has a dotted name, measurements (numbers by name) and metadata (text, numbers and flags by
name); ``docs/telemetry.md`` lists them all, and ``EVENTS`` their names. What the pools' adapters
tell arrives as ``snakepit.python.`` and their name for it. An event that no handler wants is not
even made.

Handlers are those of all pools of the process, of pools that are opened later, too. They hold up no
call: they run on a thread of their own, some milliseconds after the event. One that raises is
detached, and the logger ``snakepit.telemetry`` tells why.

Example:
    >>> from snakepit import telemetry
    >>> def spawned(event, measurements, metadata):
    ...     print(f"Worker {metadata['worker_id']} spawned in {measurements['duration']:.0f} ms")
    >>> telemetry.attach("worker-spawned", "snakepit.pool.worker.spawned", spawned)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from snakepit import _core, _nesting
from snakepit._dispatch import HandlerInfo, dispatcher
from snakepit.errors import ConfigError

__all__ = [
    "EVENTS",
    "Handler",
    "HandlerInfo",
    "attach",
    "attach_many",
    "detach",
    "dropped",
    "flush",
    "list_handlers",
]

Handler: TypeAlias = Callable[[str, Mapping[str, Any], Mapping[str, Any]], object]
"""``handler(event, measurements, metadata)``: the event's name, and what it carries."""

EVENTS: tuple[str, ...] = _core.TELEMETRY_EVENTS
"""The names of all events that pools tell by themselves."""


def attach(handler_id: str, pattern: str, handler: Handler) -> None:
    """Have ``handler(event, measurements, metadata)`` called for events of all pools, from now on.

    It runs on the thread that runs all handlers, so it should be quick; it may use pools. What it
    raises is logged, and detaches it.

    Args:
        handler_id: A name of yours, to detach it by.
        pattern: The event's name, or a glob over names: ``*`` stands for anything, dots included,
            ``?`` for one character, ``[ab]`` for one of these.
        handler: Gets the name of the event and two dicts, which are its own.

    Raises:
        ConfigError: A handler of that id is attached, or the id or the pattern is no text.

    Example:
        >>> telemetry.attach("python-call", "snakepit.grpc_worker.execute.stop", print)
    """
    attach_many(handler_id, (pattern,), handler)


def attach_many(handler_id: str, patterns: Iterable[str], handler: Handler) -> None:
    """Attach one handler to the events that match any of several patterns; see ``attach``."""
    if isinstance(patterns, str):
        raise ConfigError("patterns: one text is for attach(); give several", field="patterns")
    globs = tuple(patterns)
    _check("handler_id", "a text of yours", handler_id)
    for pattern in globs:
        _check("pattern", "the name of an event, or a glob over names", pattern)
    if not callable(handler):
        raise ConfigError(f"handler: {handler!r} cannot be called", field="handler")
    if not dispatcher.attach(HandlerInfo(handler_id, globs, handler)):
        raise ConfigError(
            f"handler_id: {handler_id!r} is attached; detach it first, or take another id",
            field="handler_id",
        )


def _check(field: str, what: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{field}: {what}, not {value!r}", field=field)


def detach(handler_id: str) -> bool:
    """Take a handler away. False: there is none of that id.

    One call of it may be under way; another one does not come.
    """
    return dispatcher.detach(handler_id)


def list_handlers(event: str | None = None) -> list[HandlerInfo]:
    """Return the handlers that are attached, oldest first.

    Args:
        event: The name of an event: only those that would be called for it. Default: all.
    """
    return [each for each in dispatcher.handlers if event is None or each.hears(event)]


def dropped() -> int:
    """How many events were dropped since handlers were too slow, since the process began."""
    return dispatcher.dropped


def flush(timeout: float | None = None) -> bool:
    """Wait until handlers were called for all that was told before. False: not within ``timeout``.

    Spans of traced calls (``docs/opentelemetry.md``) that have ended before are with OpenTelemetry
    then, too.

    Args:
        timeout: Seconds to wait; ``None``: as long as it takes.

    Raises:
        RuntimeError: A handler calls it, which would wait for itself.
    """
    if _nesting.tracing is not None:
        _nesting.tracing.catch_up()
    return dispatcher.flush(timeout)
