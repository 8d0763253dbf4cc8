"""The tasks as tools of a Snakepit adapter."""

from __future__ import annotations

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
