"""Streams of progress, back-pressure, and what more workers are good for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import snakepit
from snakepit_bridge import BaseAdapter, tool

CALLS = 8
SECONDS = 0.05


class Trainer(BaseAdapter):
    def initialize(self) -> None:
        self.closed = 0

    @tool
    def train(self, epochs: int) -> Iterator[dict[str, Any]]:
        """A tool that yields is a stream."""
        loss = 1.0
        for epoch in range(1, epochs + 1):
            loss *= 0.5
            yield {"epoch": epoch, "loss": loss}

    @tool
    def numbers(self) -> Iterator[int]:
        """Without an end: it is the reader who decides."""
        self.sent = 0
        try:
            while True:
                self.sent += 1
                yield self.sent
        finally:  # reader gone, deadline passed or pool closed: the generator is closed
            self.closed += 1

    @tool
    def state(self) -> dict[str, int]:
        return {"sent": self.sent, "closed": self.closed}

    @tool
    def invert(self, values: list[float]) -> Iterator[float]:
        for value in values:
            yield 1 / value

    @tool
    def work(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds


def main() -> None:
    with snakepit.Pool(Trainer, size=1) as pool:
        for chunk in pool.execute_stream("train", {"epochs": 3}):
            print(f"epoch {chunk['epoch']}: loss {chunk['loss']}")

        # With a callback it is the original's form of the same.
        losses: list[float] = []
        pool.execute_stream("train", {"epochs": 5}, on_chunk=lambda it: losses.append(it["loss"]))
        print("by callback:", losses)

        # Leaving the block ends the stream in the worker, too. A slow reader holds the generator
        # up: it is ahead by a window of chunks at most, and memory grows on neither side.
        with pool.execute_stream("numbers") as numbers:
            first = list(islice(numbers, 3))
        state = pool.execute("state")
        print(f"read {first} of {state['sent']} made so far; generators closed: {state['closed']}")

        # An error in the middle comes where it happened, behind what was sent before.
        try:
            for value in pool.execute_stream("invert", {"values": [1, 2, 0, 4]}):
                print("inverted:", value)
        except ZeroDivisionError as error:
            print("then:", type(error).__name__)

    for size in (1, 4):
        with snakepit.Pool(Trainer, size=size) as pool:
            pool.await_ready()
            started = time.perf_counter()
            waited = sum(pool.map("work", ({"seconds": SECONDS} for _ in range(CALLS))))
            took = time.perf_counter() - started
            print(f"workers: {size}; {CALLS} calls that wait {waited:.1f} s in all: {took:.2f} s")


if __name__ == "__main__":
    main()
