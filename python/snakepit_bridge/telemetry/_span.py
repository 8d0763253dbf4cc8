"""Spans: the time that a piece of work takes, as events at its start and end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ._correlation import (
    get_correlation_id,
    new_correlation_id,
    reset_correlation_id,
    set_correlation_id,
)
from ._hub import emit
from ._traced import begun

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token
    from types import TracebackType

    from ._correlation import Held
    from ._traced import Traced


class Span:
    """What ``span`` returns: a context manager for ``with`` and ``async with``, to enter once."""

    def __init__(
        self,
        operation: str,
        metadata: Mapping[str, Any] | None = None,
        correlation_id: str | None = None,
    ) -> None:
        self.operation = operation
        self.metadata: dict[str, Any] = dict(metadata or {})
        """What all its events carry; what is added meanwhile shows in the last one."""
        self.measurements: dict[str, Any] = {}
        """Numbers for the last event, beside ``duration`` and ``duration_ms``."""
        self.correlation_id = correlation_id or get_correlation_id() or new_correlation_id()
        """The id given, else that of this thread or coroutine, else a new one; inside of the span
        it is that of everything.
        """
        self._token: Token[Held] | None = None
        self._started: int | None = None
        self._traced: Traced | None = None

    def __enter__(self) -> Span:  # noqa: PYI034, not in 3.10
        if self._started is not None:
            raise RuntimeError(f"telemetry: span {self.operation!r} was entered already")
        now = time.time_ns()
        emit(f"{self.operation}.start", {"system_time": now}, self.metadata, self.correlation_id)
        self._token = set_correlation_id(self.correlation_id)
        self._traced = begun(self.operation, self.metadata)
        self._started = time.perf_counter_ns()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        ended = time.perf_counter_ns()
        reset_correlation_id(self._token)
        duration = ended - (ended if self._started is None else self._started)
        took = {"duration": duration, "duration_ms": duration / 1e6}
        measurements = {**self.measurements, **took}
        metadata, how, raised = self.metadata, "stop", None
        if kind is not None:
            how, raised = "exception", f"{kind.__name__}: {text_of(error)}"
            metadata = {**metadata, "error_type": kind.__name__, "error_message": text_of(error)}
        if self._traced is not None:
            self._traced.end(metadata, self.measurements, raised)
        emit(f"{self.operation}.{how}", measurements, metadata, self.correlation_id)

    async def __aenter__(self) -> Span:  # noqa: PYI034, not in 3.10
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)


def text_of(error: BaseException | None) -> str:
    """What it says, whatever its ``__str__`` does."""
    try:
        return str(error)
    except Exception:
        return "<str() of the exception raised>"


def span(
    operation: str,
    metadata: Mapping[str, Any] | None = None,
    correlation_id: str | None = None,
) -> Span:
    """Time what is inside of ``with span(…):`` (or ``async with``).

    Emits ``<operation>.start`` with ``system_time`` (nanoseconds since the epoch), then
    ``<operation>.stop`` with ``duration`` (nanoseconds) and ``duration_ms``, or
    ``<operation>.exception`` with the same and, in the metadata, ``error_type`` and
    ``error_message``. The exception goes on.

    In a call that is traced (``docs/opentelemetry.md``) it is a span of the trace as well, with the
    metadata and measurements as its attributes.

    Args:
        operation: Dotted name.
        metadata: What describes the work; all its events carry it.
        correlation_id: Default: that of this thread or coroutine, else a new one.

    Example:
        >>> with span("inference", {"model": "small"}) as work:
        ...     work.measurements["tokens"] = 128
    """
    return Span(operation, metadata, correlation_id)
