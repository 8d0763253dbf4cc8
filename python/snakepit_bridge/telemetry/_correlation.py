"""The correlation id: one word for all that belongs to one piece of work, over processes.

It is a context variable, so coroutines and threads that overlap each have their own, and a task
begins with that of its parent. It ends with the call in which it was set, so a tool that sets it
and does not take it back leaves nothing to the worker's next call.
"""

from __future__ import annotations

import logging
import os
from contextvars import ContextVar
from typing import TYPE_CHECKING

from snakepit_bridge._context import current as current_call

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextvars import Token

    from snakepit_bridge._native import Call

    Held = tuple[Call | None, str | None]

CORRELATION_HEADER = "x-snakepit-correlation-id"
"""Under which name the id travels in headers and gRPC metadata."""

_held: ContextVar[Held] = ContextVar("snakepit_correlation_id", default=(None, None))
"""The id, and the call in which it was set."""


def new_correlation_id() -> str:
    """A new random id: 32 hexadecimal digits."""
    return os.urandom(16).hex()


def set_correlation_id(value: str | None) -> Token[Held]:
    """Make ``value`` the id of this thread or coroutine, and return what takes it back."""
    return _held.set((current_call.get(), value))


def reset_correlation_id(token: Token[Held] | None) -> None:
    """Take back what ``set_correlation_id`` did; None: nothing.

    A token of another context, for instance of a generator that another task closes, changes
    nothing: that context has ended, or restores itself.
    """
    if token is None:
        return
    try:
        _held.reset(token)
    except ValueError:
        return


def get_correlation_id(default: str | None = None) -> str | None:
    """The id of this thread or coroutine; ``default`` where there is none."""
    call, value = _held.get()
    return default if value is None or call is not current_call.get() else value


def outgoing_metadata(initial: Iterable[tuple[str, str]] | None = None) -> list[tuple[str, str]]:
    """``initial`` and the id under ``CORRELATION_HEADER``, where there is one."""
    metadata = list(initial or ())
    value = get_correlation_id()
    if value is not None:
        metadata.append((CORRELATION_HEADER, value))
    return metadata


class _CorrelationFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if not getattr(record, "correlation_id", None):
            record.correlation_id = get_correlation_id("-")
        return True


def correlation_filter() -> logging.Filter:
    """A filter for a log handler that gives records ``correlation_id``: the id, or ``-``."""
    return _CorrelationFilter()
