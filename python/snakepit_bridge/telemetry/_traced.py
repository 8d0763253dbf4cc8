"""The part of ``span`` that is a span of a trace: in a call that is traced and recorded."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from snakepit_bridge import _context, _trace

from . import _plain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token

    from snakepit_bridge._native import Call, Outlet

_OK, _ERROR = 1, 2


class Traced:
    """A span that has begun, inside of the innermost one here."""

    def __init__(
        self, call: Call, outlet: Outlet, trace_id: bytes, parent: bytes, operation: str
    ) -> None:
        self._call = call
        self._outlet = outlet
        self._ids = (trace_id, os.urandom(8), parent)
        self._name = _plain.key(operation)
        self._clock = _trace.SpanClock()
        self._token: Token[tuple[Call | None, bytes]] | None = None

    def begin(self, metadata: Mapping[str, Any]) -> None:
        """Tell the host."""
        self._tell(0, _plain.facts(metadata), 0, "")
        self._token = _trace.inside.set((self._call, self._ids[1]))

    def end(
        self, metadata: Mapping[str, Any], measurements: Mapping[str, Any], error: str | None
    ) -> None:
        """Tell the host how it ended. ``error``: what was raised; ``None``: nothing."""
        ended = self._clock.now()
        if self._token is not None:
            try:
                _trace.inside.reset(self._token)
            except ValueError:
                # Of another context, which has ended or restores itself: see _correlation.
                self._token = None
        status = _OK if error is None else _ERROR
        # The others are refused where they are emitted.
        numbers = {k: it for k, it in measurements.items() if hasattr(type(it), "__float__")}
        facts = {**_plain.facts(metadata), **_plain.numbers(numbers)}
        self._tell(ended, facts, status, _plain.text(error or ""))

    def _tell(self, end: int, facts: dict[str, Any], status: int, message: str) -> None:
        self._outlet.span(
            self._ids, self._name, self._clock.began, end, facts, status, message, self._call.id
        )


def begun(operation: str, metadata: Mapping[str, Any]) -> Traced | None:
    """Begin a span; ``None``: nobody records one here."""
    call, outlet = _context.current.get(), _context.outlet
    if call is None or outlet is None or (trace := call.trace) is None or not trace[2]:
        return None
    trace_id, _, _ = _trace.ids(trace[0])
    traced = Traced(call, outlet, trace_id, _trace.innermost(call), operation)
    traced.begin(metadata)
    return traced
