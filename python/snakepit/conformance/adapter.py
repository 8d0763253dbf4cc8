"""The conformance tools in Python (``docs/protocol.md#conformance-tools``)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snakepit_bridge import BaseAdapter, tool

_LOOK = 0.001
"""Seconds between two looks at whether the call is cancelled."""


class Conformance(BaseAdapter):
    """What ``python -m snakepit.conformance`` calls.

    Args:
        fail: A text fails the start with that message.
    """

    __thread_safe__ = True

    def __init__(self, fail: str = "") -> None:
        super().__init__()
        if fail:
            raise ValueError(fail)

    @tool(description="the value")
    def echo(self, value: Any) -> Any:
        return value

    @tool(description="fails with that message")
    def fail(self, message: str) -> None:
        raise ValueError(message)

    @tool(description="so many zero bytes")
    def large(self, size: int) -> bytes:
        return bytes(size)

    @tool(description="streams 0 to upto - 1, or so many bytes each; then ends, fails or waits")
    def count(self, upto: int, size: int = 0, then: str = "end") -> Iterator[Any]:
        for number in range(upto):
            yield bytes(size) if size else number
        if then == "fail":
            raise ValueError("count failed")
        if then == "wait":
            self._wait()

    @tool(description="makes the file, then waits until it is cancelled")
    def wait(self, started: str) -> None:
        Path(started).touch()
        self._wait()

    @tool(description="what the worker knows of the call and of itself")
    def about(self) -> dict[str, Any]:
        context, worker = self.session_context, self.worker
        return {
            "session": context.session_id,
            "new": context.is_new,
            "left": context.remaining(),
            "pool": worker.pool,
            "slot": worker.slot,
            "generation": worker.generation,
        }

    @tool(description="a value that cannot travel")
    def unencodable(self) -> Any:
        return {"deep": [object()]}

    @tool(description="tells so many events of that name, numbered")
    def measure(self, name: str, count: int) -> None:
        from snakepit_bridge import telemetry

        for number in range(count):
            telemetry.emit(name, {"number": number})

    def _wait(self) -> None:
        while not self.session_context.cancelled:
            time.sleep(_LOOK)
        raise InterruptedError("cancelled while it waited")


class Coroutines(Conformance):
    """The same for the async profile, where a plain tool that waits would hold up all others."""

    @tool(description="makes the file, then waits until it is cancelled")
    async def wait(self, started: str) -> None:  # type: ignore[override]
        from asyncio import Event

        Path(started).touch()
        await Event().wait()
