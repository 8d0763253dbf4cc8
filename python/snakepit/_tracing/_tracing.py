"""Takes up what is told of spans: in batches on a thread of its own, or when somebody must know."""

from __future__ import annotations

import atexit
import logging
import threading
from typing import TYPE_CHECKING, Protocol

from snakepit import _core
from snakepit._tracing._otel import HostSpan, Spans, detach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextvars import Token

    from opentelemetry.context import Context

_LOG = logging.getLogger("snakepit.telemetry")

_ROOM = 65_536
"""Records that may wait; some eight a call."""

_GATHER = 0.02
"""Seconds in which a batch is gathered: no more often does the thread wake."""

_PATIENCE = 1.0
"""Seconds that a call waits for an exporter that is busy with what came before."""


class Asked(Protocol):
    """A call of a host tool, native or inline."""

    @property
    def name(self) -> str: ...
    @property
    def trace(self) -> tuple[str, str] | None:
        """``traceparent`` and ``tracestate`` of the span inside of which it is called."""


class Tracing:
    """The traces of one process."""

    def __init__(self) -> None:
        self.queue = _core.SpanQueue(_ROOM)
        self._spans = Spans()
        self._taking = threading.Lock()
        """Whoever has it makes spans of what it takes, in the order in which it was told."""
        self._dropped = 0
        self._here = True
        threading.Thread(target=self._serve, name="snakepit-spans", daemon=True).start()
        # Before what an SDK does at the end, where that was set up before the first pool.
        atexit.register(self._finish)

    def be_a_child(self) -> None:
        """Of a fork: whatever its parent traced goes on there alone."""
        self._here = False

    def begun(self, tool: object) -> tuple[str, str] | None:
        """Begin the span of a call, inside of the current one: its ``traceparent``, ``tracestate``.

        What the core tells of the call's end ends it. ``None``: there is no trace.
        """
        if not self._here or not isinstance(tool, str) or not tool.isascii():
            return None  # There is no such tool, and perhaps no text at all.
        return self._spans.begun(tool)

    def entered(self, call: Asked) -> HostSpan | None:
        """Begin the span of a call of a host tool. ``None``: its caller is not traced."""
        trace = call.trace
        if trace is None or not self._here:
            return None
        # Its caller's span may have been told a moment ago.
        self.catch_up()
        return self._spans.entered(call.name, *trace)

    def tell(self, rows: Iterable[_core._SpanRow]) -> None:
        """Take up what an inline pool tells, which no queue has."""
        self._take(lambda: rows)

    def catch_up(self) -> None:
        """Make spans of all that was told until now."""
        if self._here:
            self._take(self.queue.take)

    def attach(self, span_id: bytes) -> Token[Context] | None:
        """Make an open span the current one, here; ``None``: it is not open."""
        return self._spans.attach(span_id)

    def detach(self, token: Token[Context]) -> None:
        """Take back what ``attach`` did."""
        detach(token)

    def _take(self, told: Callable[[], Iterable[_core._SpanRow]]) -> None:
        if not self._taking.acquire(timeout=_PATIENCE):
            return  # Whoever has it takes what is told meanwhile, or the next one does.
        try:
            for row in told():
                try:
                    self._spans.told(row)
                except Exception:
                    # Of somebody's span processor; no call is to fail for it.
                    _LOG.exception("a span could not be passed on")
        finally:
            self._taking.release()

    def _serve(self) -> None:
        while self.queue.wait(_GATHER):
            self.catch_up()
            dropped = self.queue.dropped
            if dropped > self._dropped:
                more, self._dropped = dropped - self._dropped, dropped
                _LOG.warning("%d records of spans dropped: too many waited", more)

    def _finish(self) -> None:
        if self._here:
            self.catch_up()
            self.queue.close()
