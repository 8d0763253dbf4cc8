"""Tools that take and give large values."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from collections.abc import Iterator
from typing import Any

import snakepit_bridge
from snakepit_bridge import BaseAdapter, tool


def anonymous() -> int:
    """Bytes of memory that are this process's own."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("RssAnon:"))
    return int(line.split()[1]) * 1024


class Data(BaseAdapter):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []

    @tool
    def echo(self, value: Any) -> Any:
        return value

    @tool
    def describe(self, value: Any) -> list[Any]:
        """Its type; whether it may be written to; whether it owns its memory."""
        if type(value).__name__ == "ndarray":
            return ["ndarray", value.flags.writeable, value.base is None, str(value.dtype)]
        return [type(value).__name__, not getattr(value, "readonly", True), None, None]

    @tool
    def total(self, array: Any) -> float:
        return float(array.sum())

    @tool
    def column(self, table: Any, name: str) -> list[Any]:
        """Sum of one column, and by how much this process has grown."""
        import pyarrow.compute as pc

        before = anonymous()
        total = pc.sum(table.column(name)).as_py()
        return [total, anonymous() - before]

    @tool
    def changed(self, array: Any) -> list[Any]:
        """Sum after a tenth of it was written to, by how much this process has grown, and where."""
        before = anonymous()
        own = snakepit_bridge.writable(array)
        own[: len(own) // 10] += 1.0
        grown = anonymous() - before
        return [float(own.sum()), float(array.sum()), grown, type(own.base).__name__]

    @tool
    def keep(self, value: Any) -> int:
        self.kept.append(value)
        return len(self.kept)

    @tool
    def kept_total(self) -> float:
        return float(sum(float(value.sum()) for value in self.kept))

    @tool
    def forget(self) -> None:
        self.kept.clear()

    @tool
    def born(self, length: int) -> Any:
        array = snakepit_bridge.empty(length)
        array[:] = range(length) if length < 100_000 else 1.0
        return {"whole": array, "part": array[length // 2 :], "kind": type(array.base).__name__}

    @tool
    def make(self, length: int) -> Any:
        import numpy as np

        return np.arange(float(length))

    @tool(supports_streaming=True)
    def frames(self, count: int, length: int) -> Iterator[Any]:
        import numpy as np

        for number in range(count):
            yield {"number": number, "frame": np.full(length, float(number))}

    @tool
    def ask(self, name: str, value: Any = None) -> list[Any]:
        """What a function of the host answers, and what that is here."""
        answer = self.session_context.call_host_tool(name, value=value)
        return [*self.describe(answer)[:2], answer]

    @tool
    def ask_for_many(self, name: str, count: int) -> list[Any]:
        items = self.session_context.stream_host_tool(name, count=count)
        return [[item.flags.writeable, float(item.sum()), len(item)] for item in items]

    @tool
    def ask_and_keep(self, name: str) -> None:
        self.kept.append(self.session_context.call_host_tool(name))

    @tool
    def ask_in_vain(self, name: str, value: Any, seconds: float) -> None:
        """Waits no longer than that for the answer."""
        reply = self.session_context._ask(name, {"value": value}, {}, streaming=False)
        time.sleep(seconds)
        reply.close()

    @tool
    def use_up_descriptors(self) -> None:
        import snakepit_bridge.errors  # noqa: F401, no file can be read then

        most = max(map(int, os.listdir("/proc/self/fd")))
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most + 1, hard))
        with contextlib.suppress(OSError):
            while True:
                os.dup(2)

    @tool
    def die(self, array: Any) -> None:
        array.sum()
        os.kill(os.getpid(), signal.SIGKILL)


class SharedData(BaseAdapter):
    """For workers that run several calls at once."""

    __thread_safe__ = True

    @tool
    async def echo(self, value: Any) -> Any:
        return value

    @tool
    async def ask(self, name: str, value: Any = None) -> list[Any]:
        answer = await self.session_context.acall_host_tool(name, value=value)
        return [type(answer).__name__, answer.flags.writeable, answer]
