"""Traced calls in the worker: what is inside of what.

.. code-block:: text

    call ─▶ execution ─▶ ``telemetry.span`` ─▶ … ─▶ a host tool    told to the host, once
       └──▶ the adapter's own OpenTelemetry spans                  exported by the adapter itself

The host makes spans of what it is told and gives them ids of its own, so what the adapter exports
is inside of the call itself, whose id is the same everywhere.
"""

from __future__ import annotations

import sys
import time
from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._native import Call

inside: ContextVar[tuple[Call | None, bytes]] = ContextVar("snakepit_span", default=(None, b""))
"""The id of the span that runs here, and the call in which it began."""


class SpanClock:
    """The time of one span, in nanoseconds since the epoch, from when it begins.

    By the clock that it begins with: one that is set meanwhile changes no span.
    """

    __slots__ = ("_since", "began")

    def __init__(self) -> None:
        self.began, self._since = time.time_ns(), time.perf_counter_ns()

    def now(self) -> int:
        """The present moment."""
        return self.began + time.perf_counter_ns() - self._since


def innermost(call: Call) -> bytes:
    """The id of the innermost span of a traced call here; empty: nobody records the trace."""
    of, span_id = inside.get()
    if of is call:
        return span_id
    traced = call.trace
    return b"" if traced is None else traced[2]


def ids(traceparent: str) -> tuple[bytes, bytes, bool]:
    """Of the trace and of the span, and whether somebody records it."""
    trace_id, span_id = bytes.fromhex(traceparent[3:35]), bytes.fromhex(traceparent[36:52])
    return trace_id, span_id, bool(int(traceparent[53:55], 16) & 1)


def remote(api: Any, traceparent: str, tracestate: str) -> Any:
    """What stands for a span of another process. ``api``: the module ``opentelemetry.trace``."""
    return api.NonRecordingSpan(
        api.SpanContext(
            trace_id=int(traceparent[3:35], 16),
            span_id=int(traceparent[36:52], 16),
            is_remote=True,
            trace_flags=api.TraceFlags(int(traceparent[53:55], 16)),
            trace_state=api.TraceState.from_header([tracestate] if tracestate else []),
        )
    )


def attach(traceparent: str, tracestate: str) -> Any:
    """Have the adapter's own instrumentation be inside of the call; what ``detach`` takes back.

    Only where the adapter has imported OpenTelemetry: nobody else instruments anything.
    """
    trace, context = sys.modules.get("opentelemetry.trace"), sys.modules.get(_CONTEXT)
    if trace is None or context is None:
        return None
    try:
        around = remote(trace, traceparent, tracestate)
        return context.attach(trace.set_span_in_context(around))
    except Exception as error:
        # One that is half imported, or of another time. A call is not to fail for it.
        sys.stderr.write(f"OpenTelemetry in the adapter is not told of the call: {error!r}\n")
        return None


def detach(attached: Any) -> None:
    """Take back what ``attach`` did."""
    if attached is not None:
        sys.modules[_CONTEXT].detach(attached)


_CONTEXT = "opentelemetry.context"
