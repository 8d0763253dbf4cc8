"""The tasks as tools of a Snakepit adapter."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import tasks
from snakepit_bridge import BaseAdapter, tool


class BenchAdapter(BaseAdapter):
    @tool
    def noop(self, x: int) -> dict[str, Any]:
        return tasks.noop({"x": x})

    @tool
    def echo(self, data: bytes) -> bytes:
        return data

    @tool
    def pid(self, seconds: float) -> int:
        return tasks.pid({"seconds": seconds})

    @tool
    def nap(self, file: str, seconds: float) -> int:
        return tasks.nap({"file": file, "seconds": seconds})

    @tool(supports_streaming=True)
    def items(self, count: int) -> Iterator[dict[str, Any]]:
        return tasks.items(count)

    @tool
    def round_trips(self, calls: int) -> list[float]:
        """Seconds that each call of a host tool takes."""
        context, times = self.session_context, []
        for _ in range(calls):
            begin = time.perf_counter()
            context.call_host_tool("noop", x=1)
            times.append(time.perf_counter() - begin)
        return times

    @tool
    async def around_trips(self, calls: int) -> list[float]:
        """The same, awaited."""
        context, times = self.session_context, []
        for _ in range(calls):
            begin = time.perf_counter()
            await context.acall_host_tool("noop", x=1)
            times.append(time.perf_counter() - begin)
        return times
