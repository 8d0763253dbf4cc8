"""The execution of a traced call: a span of its trace."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from snakepit_bridge._trace import SpanClock, ids

if TYPE_CHECKING:
    from .outlet import Outlet

_OK, _ERROR = 1, 2
_MAX_TEXT = 1024
"""Characters of what is said of an error."""


class Execution:
    """One that has begun."""

    def __init__(self, start: Any, outlet: Outlet) -> None:
        parent: str = start.traceparent
        trace_id, around, recorded = ids(parent)
        span_id = os.urandom(8) if recorded else b""
        self.told: tuple[str, str, bytes] = (parent, start.tracestate, span_id)
        """What the SDK knows of it: ``_native.Call.trace``."""
        self._outlet = outlet
        self._ids = (trace_id, span_id, around)
        self._tool: str = start.tool
        self._call_id: int = start.call_id
        self._clock = SpanClock()
        self._tell(0)

    def end(self, failure: Any) -> None:
        """Before it is answered. ``failure``: what with; ``None``: it went well."""
        ended = self._clock.now()
        if failure is None:
            self._tell(ended, _OK)
            return
        kind, message = failure.type_name, failure.message
        said = f"{kind}: {message}" if kind else message
        self._tell(ended, _ERROR, said[:_MAX_TEXT], kind)

    def _tell(self, end: int, status: int = 0, message: str = "", kind: str = "") -> None:
        if not self.told[2]:
            return
        facts: dict[str, str | float | bool] = {"snakepit.tool": self._tool}
        if kind:
            facts["error.type"] = kind
        name = f"execute {self._tool}"
        self._outlet.span(
            self._ids, name, self._clock.began, end, facts, status, message, self._call_id
        )


def begun(start: Any, outlet: Outlet) -> Execution | None:
    """Begin the execution of a call; ``None``: it is not traced."""
    return Execution(start, outlet) if start.traceparent else None
