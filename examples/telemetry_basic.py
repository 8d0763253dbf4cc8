"""Telemetry: what pools tell of workers and calls, and what adapters measure, as events."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import snakepit
from snakepit import telemetry as events
from snakepit_bridge import BaseAdapter, telemetry, tool

Numbers = Mapping[str, float]
Facts = Mapping[str, Any]


class Model(BaseAdapter):
    @tool
    def longest(self, text: str) -> str:
        # A span is timed, and told as `.start`, then `.stop` or, where it is left so, `.exception`.
        with telemetry.span("inference", {"model": "small"}) as work:
            words = text.split()
            work.measurements["words"] = len(words)
            return max(words, key=len)  # ValueError where there are none

    @tool
    def crash(self) -> None:
        os._exit(3)


class Metrics:
    """What a program makes of events; theirs goes to Prometheus, StatsD or a log."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.words: Counter[str] = Counter()

    def count(self, event: str, numbers: Numbers, facts: Facts) -> None:
        self.events[event] += 1

    def inference(self, event: str, numbers: Numbers, facts: Facts) -> None:
        """From the adapter: its own numbers and facts, and who it was."""
        self.words[f"{facts['model']} on {facts['worker_id']}"] += int(numbers["words"])


def worker(event: str, numbers: Numbers, facts: Facts) -> None:
    name = f"worker {facts['worker_id']}, generation {facts['generation']}"
    if event.endswith(".spawned"):
        print(f"{name}: ready after {numbers['duration'] / 1000:.2f} s")
    elif event.endswith(".terminated"):
        print(f"{name}: ended, {facts['reason']}, a crash: {facts['crash']}")


def call(event: str, numbers: Numbers, facts: Facts) -> None:
    how = facts.get("error", "ok")
    print(f"call of {facts['command']}: {how} after {numbers['duration_ms'] / 1000:.2f} s")


def main() -> None:
    # Handlers hear all pools of this process, on a thread of their own: they hold up no call, and
    # one that raises is detached. What nobody listens to is not even made.
    metrics = Metrics()
    events.attach_many("counts", ["snakepit.grpc_worker.*", "snakepit.python.*"], metrics.count)
    events.attach("workers", "snakepit.pool.worker.*", worker)
    ends = [f"snakepit.grpc_worker.execute.{end}" for end in ("stop", "exception")]
    events.attach_many("calls", ends, call)
    events.attach("inference", "snakepit.python.inference.stop", metrics.inference)

    with snakepit.Pool(Model, size=1, name="demo", worker_output="drop") as pool:
        answer = pool.execute("longest", {"text": "what pools tell"})
        events.flush()  # for this output's order alone: until all that was told has been heard
        print("answer:", answer)
        for name, args in [("longest", {"text": ""}), ("crash", {}), ("longest", {"text": "on"})]:
            with suppress(ValueError, snakepit.WorkerDied):  # its event tells
                pool.execute(name, args)
            events.flush()

    events.flush()
    for handler in events.list_handlers():
        events.detach(handler.id)
    print("words:", dict(metrics.words))
    for event, number in sorted(metrics.events.items()):
        print(f"{number} x {event}")


if __name__ == "__main__":
    main()
