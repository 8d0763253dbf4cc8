"""What an inline pool tells of its calls: the events of a pool with workers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from snakepit import _core
from snakepit.errors import (
    Cancelled,
    EncodeError,
    MessageTooLarge,
    PoolClosed,
    RemoteError,
    SessionLost,
    SnakepitError,
    StartError,
    ToolNotFound,
)

if TYPE_CHECKING:
    from snakepit._inline_trace import TracedInline

_START = "snakepit.grpc_worker.execute.start"
_STOP = "snakepit.grpc_worker.execute.stop"
_EXCEPTION = "snakepit.grpc_worker.execute.exception"

_WORDS: dict[type[SnakepitError], str] = {
    Cancelled: "cancelled",
    EncodeError: "encode_result",
    MessageTooLarge: "too_large",
    PoolClosed: "pool_closed",
    RemoteError: "remote",
    StartError: "start",
    ToolNotFound: "tool_not_found",
}
"""The words that a pool with workers has for what ends a call."""


class ToldCall:
    """A call from its start to its end; of one whose start nobody heard nothing is told."""

    def __init__(
        self, pool: str, tool: str, session_id: str | None, traced: TracedInline | None
    ) -> None:
        self.traced = traced
        self._open = any(_core.hears(event) for event in (_START, _STOP, _EXCEPTION))
        if not self._open:
            return
        self._since = time.perf_counter()
        self._metadata: dict[str, str | int | float | bool] = {"pool": pool, "command": tool}
        if session_id is not None:
            self._metadata["session_id"] = session_id
        _core.tell(_START, {"system_time": time.time_ns()}, self._metadata)

    def begun(self) -> None:
        """The one worker has it."""
        if self.traced is not None:
            self.traced.begun()
        if self._open:
            self._metadata["worker_id"] = f"{self._metadata['pool']}/0"

    def ended(self, error: BaseException | None = None) -> None:
        """It has an outcome; the first one counts."""
        if self.traced is not None:
            self.traced.ended("ok" if error is None else word(error), error)
        if not self._open:
            return
        self._open = False
        took = {"duration_ms": (time.perf_counter() - self._since) * 1e3}
        if error is None:
            _core.tell(_STOP, took, self._metadata)
        else:
            _core.tell(_EXCEPTION, took, {**self._metadata, "error": word(error)})


def word(error: BaseException | None) -> str:
    """How a call ended that has this error, or none, in events as in metrics."""
    if error is None:
        return "ok"
    if isinstance(error, SessionLost):
        name = type(error).__name__  # SessionExpired, SessionClosed
        return "session_" + name.removeprefix("Session").lower()
    for kind, known in _WORDS.items():
        if isinstance(error, kind):
            return known
    # An interrupt: nobody waits any more.
    return "cancelled"
