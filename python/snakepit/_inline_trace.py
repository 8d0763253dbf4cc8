"""The spans of traced calls of an inline pool: those of a pool with workers, without a wait."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from snakepit import _nesting
from snakepit_bridge._trace import SpanClock, ids

if TYPE_CHECKING:
    from snakepit import _core

    Facts = dict[str, str | int | float | bool]

_OK, _ERROR = 1, 2


class TracedInline:
    """A call of which somebody has begun the span."""

    def __init__(
        self, pool: str, tool: str, session_id: str | None, trace: tuple[str, str]
    ) -> None:
        parent, state = trace
        _, self._call_id, self.recorded = ids(parent)
        self._execution = os.urandom(8) if self.recorded else b""
        self.told = (parent, state, self._execution)
        """What the SDK knows of it: ``Call.trace`` of ``snakepit_bridge._native``."""
        self._tool = tool
        self._facts: Facts = {"snakepit.pool": pool, "snakepit.tool": tool}
        if session_id is not None:
            self._facts["snakepit.session"] = session_id
        self._clock = SpanClock()
        self._begun: int | None = None
        self._over = False

    def begun(self) -> None:
        """The adapter has it."""
        self._begun = self._clock.now()
        row = (self._execution, self._call_id, f"execute {self._tool}", self._begun, None)
        self._tell((*row, self._worker(), 0, None))

    def ended(self, outcome: str, error: BaseException | None) -> None:
        """It has an outcome; the first one counts."""
        if self._over:
            return
        self._over = True
        now, how = self._clock.now(), (_OK, None) if error is None else (_ERROR, _text(error))
        facts: Facts = {**self._facts, "snakepit.outcome": outcome}
        rows: list[_core._SpanRow] = []
        if self._begun is not None:
            facts |= self._worker()
            name = f"execute {self._tool}"
            row = (self._execution, self._call_id, name, self._begun, now, self._worker())
            rows.append((*row, *how))
        rows.append(
            (self._call_id, None, f"call {self._tool}", self._clock.began, now, facts, *how)
        )
        self._tell(*rows)

    def attach(self) -> Any:
        """Make the execution the current span, here; what ``detach`` takes back."""
        tracing = _nesting.tracing
        return None if tracing is None else tracing.attach(self._execution)

    def detach(self, attached: Any) -> None:
        """Take back what ``attach`` did."""
        if attached is not None and _nesting.tracing is not None:
            _nesting.tracing.detach(attached)

    def _worker(self) -> Facts:
        return {"snakepit.worker": f"{self._facts['snakepit.pool']}/0"}

    def _tell(self, *rows: _core._SpanRow) -> None:
        if self.recorded and _nesting.tracing is not None:
            _nesting.tracing.tell(rows)


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
