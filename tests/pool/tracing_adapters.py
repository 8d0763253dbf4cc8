"""An adapter whose calls are traced, and which knows OpenTelemetry itself."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from opentelemetry import trace

from snakepit_bridge import BaseAdapter, telemetry, tool


class Traced(BaseAdapter):
    __thread_safe__ = True

    @tool
    def inner(self) -> list[Any]:
        """What OpenTelemetry says is around it: trace, span, flags, state."""
        around = trace.get_current_span().get_span_context()
        return [
            f"{around.trace_id:032x}",
            f"{around.span_id:016x}",
            around.trace_flags.sampled,
            around.trace_state.to_header(),
        ]

    @tool
    def work(self) -> Any:
        logging.getLogger("model").warning("at work")
        with telemetry.span("load", {"rows": 3}) as load:
            load.measurements["bytes"] = 4.5
            with telemetry.span("parse"):
                pass
            return self.session_context.call_host_tool("lookup", {"depth": 1})

    @tool
    async def awork(self) -> Any:
        async with telemetry.span("load"):
            return await self.session_context.acall_host_tool("lookup", {"depth": 1})

    @tool(supports_streaming=True)
    def count(self, upto: int) -> Iterator[int]:
        for number in range(upto):
            with telemetry.span(f"item {number}"):
                yield number

    @tool(supports_streaming=True)
    async def acount(self, upto: int) -> AsyncIterator[int]:
        for number in range(upto):
            yield number

    @tool
    def fail(self) -> None:
        with telemetry.span("risky"):
            raise ValueError("as asked")

    @tool
    def die(self, marks: str, after: float = 0.0) -> str:
        """Dies at its first call, once so much time has passed."""
        mark = Path(marks)
        if mark.exists():
            return "alive"
        mark.touch()
        time.sleep(after)
        os.kill(os.getpid(), signal.SIGKILL)
        return "not reached"
