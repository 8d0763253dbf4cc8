"""Adapters of which several calls run at once; tests and tools meet through files."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from snakepit_bridge import BaseAdapter, ThreadSafeAdapter, thread_safe_method, tool

from .adapters import touch, wait_for

told: ContextVar[str] = ContextVar("told", default="nothing")


async def wait_in_turn(path: str) -> None:
    while not Path(path).exists():
        await asyncio.sleep(0.002)


class _Tools(BaseAdapter):
    """What both kinds of workers offer."""

    def __init__(self, cleaned: str | None = None) -> None:
        super().__init__()
        self.cleaned = cleaned
        self.signalled = False
        signal.signal(signal.SIGUSR1, self._signalled)

    async def initialize(self) -> None:
        self.loop = asyncio.get_running_loop()

    def _signalled(self, *_: object) -> None:
        self.signalled = True

    def cleanup(self) -> None:
        touch(self.cleaned)

    @tool
    async def signal(self) -> bool:
        """Waits for the handler, which runs on the main thread."""
        os.kill(os.getpid(), signal.SIGUSR1)
        while not self.signalled:
            await asyncio.sleep(0.002)
        return True

    @tool
    @thread_safe_method
    def pid(self) -> int:
        return os.getpid()

    @tool
    @thread_safe_method
    def thread(self) -> str:
        return threading.current_thread().name

    @tool
    async def meet_in_turn(self, me: str, other: str) -> list[Any]:
        told.set(me)
        touch(me)
        await wait_in_turn(other)
        ours = asyncio.get_running_loop() is self.loop
        return [self.session_context.session_id, told.get() == me, ours]

    @tool
    async def hold_in_turn(self, started: str, ended: str) -> None:
        touch(started)
        try:
            await asyncio.sleep(600)
        finally:
            touch(ended)

    @tool
    async def cling(self, started: str) -> None:
        """Is not moved by cancels."""
        touch(started)
        while True:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                continue

    @tool
    async def die(self, other: str) -> None:
        await wait_in_turn(other)
        os.kill(os.getpid(), signal.SIGKILL)

    @tool
    async def raise_in_turn(self, text: str) -> None:
        raise LookupError(text)

    @tool
    async def count_in_turn(self, upto: int, ended: str | None = None) -> AsyncIterator[Any]:
        try:
            for number in range(upto):
                yield [self.session_context.session_id, number]
        finally:
            touch(ended)

    @tool
    @thread_safe_method
    def count(self, upto: int, size: int = 0, ended: str | None = None) -> Iterator[Any]:
        try:
            for number in range(upto):
                yield [self.session_context.session_id, number, b"x" * size]
        finally:
            touch(ended)

    @tool
    @thread_safe_method
    def unfit(self, ended: str) -> Iterator[Any]:
        try:
            yield 1
            yield object()
        finally:
            touch(ended)

    @tool
    @thread_safe_method
    def environment(self, names: list[str]) -> list[str | None]:
        return [os.environ.get(name) for name in names]


class Threads(ThreadSafeAdapter, _Tools):
    """In the thread profile."""

    config: str = ""

    @tool
    @thread_safe_method
    def meet(self, me: str, other: str) -> list[Any]:
        told.set(me)
        touch(me)
        wait_for(other)
        self.set_thread_local("me", me)
        return [
            self.session_context.session_id,
            told.get() == me,
            self.get_thread_local("me") == me,
        ]

    @tool
    @thread_safe_method
    def hold(self, started: str, release: str) -> int:
        touch(started)
        wait_for(release)
        return os.getpid()

    @tool
    @thread_safe_method
    def hold_politely(self, started: str, ended: str) -> None:
        touch(started)
        while not self.session_context.cancelled:
            time.sleep(0.002)
        touch(ended)

    @tool
    @thread_safe_method
    def fail(self, text: str) -> None:
        raise LookupError(text)

    @tool
    @thread_safe_method
    def burn(self, rounds: int) -> float:
        """Seconds of this thread's own time on a core."""
        begin, value = time.thread_time(), 1
        for _ in range(rounds):
            value = (value * 1103515245 + 12345) % 2147483648
        return time.thread_time() - begin

    turn, quickest = 0, float("inf")

    @tool
    @thread_safe_method
    def rally(self, player: int, turns: int, wanted: float, limit: float) -> float:
        """Two players return a ball, and neither ever waits for anything but by looking.

        Seconds that the quickest rally of so many turns took, up to one that took what is wanted.
        """
        end, hits = time.perf_counter() + limit, [float("-inf")] * turns
        while self.quickest > wanted and hits[-1] < end:
            while self.turn % 2 != player:
                if self.quickest <= wanted or time.perf_counter() > end:
                    return self.quickest
            hits = [*hits[1:], time.perf_counter()]
            self.quickest = min(self.quickest, hits[-1] - hits[0])
            self.turn += 1
        return self.quickest

    @tool
    def load(self, name: str) -> None:
        __import__(name)

    @tool
    def numpy_sum(self) -> int:
        import numpy as np

        return int(np.arange(100).sum())

    @tool
    @thread_safe_method
    def stats(self) -> dict[str, Any]:
        return {
            key: value for key, value in self.get_stats().items() if key != "thread_utilization"
        }

    # --- what the checks find -------------------------------------------------------------------

    @tool
    def unmarked(self, me: str, other: str) -> None:
        touch(me)
        wait_for(other)

    @tool
    @thread_safe_method
    def write(self, locked: bool) -> None:
        if not locked:
            self.config = "changed"
            return
        with self.acquire_lock():
            self.config = "changed"


class Inherits(Threads):
    pass


class Silent(BaseAdapter):
    """Does not say that it is thread-safe."""

    @tool
    def ping(self) -> str:
        return "pong"


class Coroutines(_Tools):
    """In the async profile."""

    @tool
    def where(self) -> bool:
        """A tool that is no coroutine runs between the steps of the others."""
        return asyncio.get_running_loop() is self.loop

    @tool
    async def trickle_in_turn(self, started: str, release: str) -> AsyncIterator[int]:
        yield 1
        touch(started)
        await wait_in_turn(release)
        yield 2
