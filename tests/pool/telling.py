"""An adapter whose work is told."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snakepit_bridge import BaseAdapter, telemetry, tool


class Telling(BaseAdapter):
    __thread_safe__ = True

    def initialize(self) -> None:
        telemetry.emit("adapter.initialized", {"tools": 1})

    def cleanup(self) -> None:
        telemetry.emit("adapter.cleaned", {"tools": 1})

    @tool
    def emits(self, name: str, count: int = 1, metadata: dict[str, Any] | None = None) -> bool:
        for number in range(count):
            telemetry.emit(name, {"number": number}, metadata)
        return telemetry.is_enabled()

    @tool
    def strange(self) -> None:
        facts = {"list": [1], "none": None, "flag": True, "half": 0.5, "huge": 1 << 70, "": "x"}
        facts["long"] = "x" * 5000
        facts["lone"] = "\ud800"
        telemetry.emit("two words\n", {"n": 1 << 70, "minus": -3}, facts, "id")

    @tool
    def before(self, name: str, until: str) -> None:
        """Emits one, and works until the file is there."""
        telemetry.emit(name, {})
        self._wait(until)

    @tool
    def asks(self) -> None:
        telemetry.emit("asking", {})
        self.session_context.call_host_tool("heard_so_far")

    @tool(supports_streaming=True)
    def streams(self, upto: int) -> Iterator[int]:
        for number in range(upto):
            telemetry.emit("item", {"number": number})
            yield number

    @tool
    async def overlaps(self, name: str) -> None:
        async with telemetry.span(name, {"kind": "coroutine"}):
            telemetry.emit(f"{name}.inside", {})

    @tool
    def beside(self, name: str, until: str) -> None:
        """A thread of its own emits one after this call, while nothing runs."""
        threading.Thread(
            target=lambda: (self._wait(until), telemetry.emit(name, {})), daemon=True
        ).start()

    @tool
    def forks(self) -> int:
        if (child := os.fork()) == 0:
            telemetry.emit("of.the.child", {})
            os._exit(0)
        return os.waitpid(child, 0)[1]

    @tool
    def dropped(self) -> int:
        return telemetry.dropped()

    def _wait(self, until: str) -> None:
        while not Path(until).exists():
            time.sleep(0.001)
