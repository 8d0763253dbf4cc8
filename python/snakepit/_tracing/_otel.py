"""Spans of OpenTelemetry, made of what is told of calls: the one module that knows its API.

The SDK gives each span an id of its own, so spans that begin in workers are known here by the
worker's id, and what is inside of one finds it by that. Nothing is told of a call that is over.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import attach
from opentelemetry.context import detach as detach
from opentelemetry.trace import SpanKind, StatusCode

from snakepit_bridge._trace import ids, remote
from snakepit_bridge.telemetry._span import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from snakepit import _core

_MOST = 65_536
"""Spans that may be open; of more, the oldest are ended."""

_ERROR = 2


class _Open:
    """A span that has begun and not ended."""

    __slots__ = ("inside", "is_call", "parent", "span")

    def __init__(self, span: Span, parent: bytes | None) -> None:
        self.span = span
        self.parent = parent
        self.is_call = parent is None
        self.inside = dict[bytes, None]()
        """What has begun inside of it and not ended, by its id, oldest first."""


class HostSpan:
    """The span of a call of a host tool, or what stands for one that nobody records."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._context = trace.set_span_in_context(span)

    def attach(self) -> Token[Context]:
        """Make it the current one, here."""
        return attach(self._context)

    def detach(self, token: Token[Context]) -> None:
        """Take back what ``attach`` did."""
        detach(token)

    def end(self, error: BaseException | None = None) -> None:
        """It has ended, by an error or well; the first time counts."""
        if not self._span.is_recording():
            return
        if error is not None:
            self._span.record_exception(error)
            self._span.set_status(StatusCode.ERROR, f"{type(error).__name__}: {text_of(error)}")
        self._span.end()


class Spans:
    """Those that are open. ``told`` is called by one thread at a time, all else by any."""

    def __init__(self) -> None:
        # Of whatever provider there is when it begins a span.
        self._tracer = trace.get_tracer("snakepit")
        self._lock = threading.Lock()
        self._open = dict[bytes, _Open]()

    def begun(self, tool: str) -> tuple[str, str] | None:
        """Begin the span of a call: its ``traceparent`` and ``tracestate``; ``None``: no trace."""
        span = self._tracer.start_span(f"call {tool}", kind=SpanKind.CLIENT)
        own = span.get_span_context()
        if not own.is_valid:
            return None
        if not own.trace_flags.sampled:
            span.end()  # Nothing more will be told of it.
        elif span.is_recording():
            self._add(own.span_id.to_bytes(8), _Open(span, None))
        header = f"00-{own.trace_id:032x}-{own.span_id:016x}-{own.trace_flags:02x}"
        return header, own.trace_state.to_header()

    def entered(self, name: str, traceparent: str, tracestate: str) -> HostSpan:
        """Begin the span of a host tool's call, inside of one of a worker's."""
        around = self._get(ids(traceparent)[1])
        if around is None:
            return HostSpan(remote(trace, traceparent, tracestate))
        context = trace.set_span_in_context(around.span)
        return HostSpan(self._tracer.start_span(f"host_tool {name}", context))

    def attach(self, span_id: bytes) -> Token[Context] | None:
        """Make an open span the current one, here; ``None``: it is not open."""
        found = self._get(span_id)
        return None if found is None else attach(trace.set_span_in_context(found.span))

    def told(self, row: _core._SpanRow) -> None:
        """A span has begun, or ended, or both."""
        span_id, parent, name, start, end, attributes, status, message = row
        known = self._get(span_id)
        if known is None:
            around = None if parent is None else self._get(parent)
            if around is None:
                return  # Its call is over.
            if end is None and around.is_call:
                # Made again: whoever executed it before is gone.
                self._give_up(around, start, "its worker died")
            context = trace.set_span_in_context(around.span)
            span = self._tracer.start_span(name, context, start_time=start)
            if end is None:
                span.set_attributes(attributes)
                around.inside[span_id] = None
                self._add(span_id, _Open(span, parent))
                return
        elif end is None:
            return
        else:
            span = known.span
            self._give_up(known, end, message if status == _ERROR else None)
            self._forget(span_id, known)
        _end(span, end, attributes, message or "" if status == _ERROR else None)

    def _give_up(self, around: _Open, end: int, why: str | None) -> None:
        """What is inside of a span ends with it. ``why``: it went wrong."""
        for span_id in [*around.inside]:
            found = self._get(span_id)
            if found is not None:
                self._give_up(found, end, why)
                self._forget(span_id, found)
                _end(found.span, end, {"snakepit.unfinished": True}, why)
        around.inside.clear()

    def _get(self, span_id: bytes) -> _Open | None:
        with self._lock:
            return self._open.get(span_id)

    def _add(self, span_id: bytes, opened: _Open) -> None:
        with self._lock:
            self._open[span_id] = opened
            surplus = [*self._surplus()]
        for old in surplus:
            old.span.set_attribute("snakepit.unfinished", True)
            old.span.end()

    def _surplus(self) -> Iterator[_Open]:
        while len(self._open) > _MOST:
            yield self._open.pop(next(iter(self._open)))

    def _forget(self, span_id: bytes, opened: _Open) -> None:
        with self._lock:
            self._open.pop(span_id, None)
            around = None if opened.parent is None else self._open.get(opened.parent)
        if around is not None:
            around.inside.pop(span_id, None)


def _end(span: Span, end: int, attributes: dict[str, Any], error: str | None) -> None:
    span.set_attributes(attributes)
    if error is not None:
        span.set_status(StatusCode.ERROR, error)
    span.end(end_time=end)
