"""Call Python functions in two other processes: ping, echo, add.

The name is that of the project which Snakepit descends from. Worker processes are reached over a
Unix socket; no package for gRPC is needed.
"""

from __future__ import annotations

import datetime
import os
from typing import Any

import snakepit
from snakepit_bridge import BaseAdapter, tool


class Basic(BaseAdapter):
    """Lives in each worker, as long as the worker does; its tools are called by name."""

    def initialize(self) -> None:
        """Once, before the worker is ready: load models and open files here."""
        self.pings = 0

    @tool
    def ping(self) -> str:
        self.pings += 1  # what an adapter holds stays; each worker has an adapter of its own
        return "pong"

    @tool
    def echo(self, value: Any) -> Any:
        return value

    @tool
    def add(self, a: float, b: float = 1) -> float:
        """Add two numbers."""
        return a + b

    @tool
    def pid(self) -> int:
        return os.getpid()


def main() -> None:
    # A class of this very script will do. In a project it has a module: "my_app.adapters:Basic".
    with snakepit.Pool(Basic, size=2) as pool:
        print("ping:", pool.execute("ping"))
        print("add:", pool.execute("add", {"a": 2, "b": 3}))
        print("in another process:", pool.execute("pid") != os.getpid())

        # Values keep their types: what goes there comes back, and not as JSON.
        sent = {"when": datetime.date(2026, 2, 28), "raw": b"\x00\xff", "big": 2**80, 1: None}
        print("echo keeps types:", pool.execute("echo", {"value": sent}) == sent)

        # `submit` gives a future and goes on; `map` keeps a window of calls under way, in order.
        later = [pool.submit("add", {"a": n}) for n in range(3)]
        print("submit:", [future.result() for future in later])
        print("map:", list(pool.map("add", ({"a": n, "b": n} for n in range(5)))))

        # An error says what to do, and the worker lives on.
        wrong: list[dict[str, Any]] = [{"a": 1, "c": 2}, {"a": "one"}]
        for name, args in [("ad", None), *(("add", args) for args in wrong)]:
            try:
                pool.execute(name, args, validate_arguments=True)
            except snakepit.SnakepitError as error:
                print(f"{type(error).__name__}: {error}")

        print("tools:", ", ".join(f"{it.name}({', '.join(parameters(it))})" for it in pool.tools()))
        stats = pool.stats()
        print(f"{stats.completed} calls done, {stats.worker_deaths} workers died")


def parameters(tool: snakepit.ToolInfo) -> list[str]:
    """What a pool knows of its tools is made of their signatures."""
    return [
        f"{name}: {it.get('type', 'any')}" for name, it in tool.parameters["properties"].items()
    ]


if __name__ == "__main__":  # workers import this file: without the guard, they would run it
    main()
