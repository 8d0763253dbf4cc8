"""What the inline engine counts and measures of its calls."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from snakepit import _core
from snakepit._inline_telling import word
from snakepit.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snakepit._inline_call import InlineCall
    from snakepit.errors import ToolNotFound


class InlineCounts:
    """Counters since the pool was made, as those of pools with workers; under the engine's lock."""

    def __init__(self) -> None:
        self._meter = _core.Meter()
        self.requests = self.completed = self.errors = self.cancelled = 0
        self.rejected = self.restarts = self.streaming = 0

    def declare(self, tools: Sequence[str]) -> None:
        """The adapter has these tools."""
        self._meter.declare(tools)

    def refused(self) -> None:
        """A call came to the closed pool."""
        self.rejected += 1
        self._meter.refused()

    def streamed(self) -> None:
        """A stream was admitted."""
        self.streaming += 1
        self._meter.streamed()

    def ended(self, call: InlineCall, error: BaseException | None = None) -> None:
        """A call has come to its end."""
        now = time.monotonic()
        self._count(call.tool, error, now - call.made, now - call.begun)

    def unknown(self, tool: str, error: ToolNotFound, made: float) -> None:
        """A call, made then, named a tool that there is none of."""
        self._count(tool, error, time.monotonic() - made, 0.0)

    def _count(self, tool: str, error: BaseException | None, took: float, ran: float) -> None:
        if error is None:
            self.completed += 1
        elif isinstance(error, Cancelled):
            self.cancelled += 1
        else:
            self.errors += 1
        self._meter.ended(tool, word(error), took, ran)

    def metrics(self, pool: str, ready: bool, sessions: int) -> _core.Metrics:
        told = (
            self.requests,
            self.completed,
            self.errors,
            self.cancelled,
            self.rejected,
            self.restarts,
            sessions,
        )
        return self._meter.metrics(pool, told, ready, self.streaming)

    def stats(self, ready: bool, sessions: int) -> _core._Stats:
        return {
            "requests": self.requests,
            "errors": self.errors,
            "queued": 0,
            "running": 0,
            "completed": self.completed,
            "cancelled": self.cancelled,
            "timeouts": 0,
            "queue_timeouts": 0,
            "rejected": self.rejected,
            "shed": 0,
            "retries": 0,
            "retries_refused": 0,
            "quarantined": 0,
            "worker_deaths": 0,
            "restarts": self.restarts,
            "workers": 1,
            "ready": int(ready),
            "sessions": sessions,
            "restart_reasons": {},
            "queued_bytes": 0,
            "retry_tokens": 0,
            "circuit": None,
            "barred": 0,
            "shared_memory": None,
        }
