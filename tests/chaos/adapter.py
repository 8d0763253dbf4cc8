"""The tools of the chaos run. Each answers with the number of its call, so that no answer can pass
for another's. Imported by workers: it imports little.
"""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from snakepit_bridge import BaseAdapter, tool

# How long what a tool starts lives, unless it is ended with its worker.
CHILD_SECONDS = "20"


class Chaos(BaseAdapter):
    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str | None, int] = {}

    # --- what works -----------------------------------------------------------------------------

    @tool
    def echo(self, number: int, data: bytes) -> list[Any]:
        return [number, data]

    @tool
    def digest(self, number: int, data: bytes) -> list[Any]:
        return [number, len(data), hashlib.sha256(data).hexdigest()]

    @tool
    def grow(self, number: int, size: int) -> list[Any]:
        return [number, bytes([number % 251]) * size]

    @tool
    def work(self, number: int, seconds: float) -> list[int]:
        """Does not look whether it was cancelled."""
        time.sleep(seconds)
        return [number]

    @tool
    def heed(self, number: int, seconds: float) -> list[int]:
        """Looks whether it was cancelled."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.session_context.cancelled:
            time.sleep(0.002)
        return [number]

    @tool
    async def work_later(self, number: int, seconds: float) -> list[int]:
        await asyncio.sleep(seconds)
        return [number]

    @tool
    def bump(self, number: int) -> list[Any]:
        """How often this session was here."""
        session = self.session_context.session_id
        self.counts[session] = self.counts.get(session, 0) + 1
        place = [self.worker.slot, self.worker.generation]
        return [number, place, self.counts[session], self.session_context.is_new]

    @tool
    def count(self, number: int, upto: int, size: int, pause: float = 0.0) -> Iterator[list[Any]]:
        for each in range(upto):
            if pause:
                time.sleep(pause)
            yield [number, each, bytes([each % 251]) * size]

    @tool
    async def count_later(self, number: int, upto: int, size: int) -> AsyncIterator[list[Any]]:
        for each in range(upto):
            await asyncio.sleep(0)
            yield [number, each, bytes([each % 251]) * size]

    # --- what misbehaves, and returns -----------------------------------------------------------

    @tool
    def fail(self, number: int) -> None:
        raise ValueError(f"call {number}")

    @tool
    def seize(self, number: int, seconds: float) -> list[int]:
        """Holds the interpreter's lock, in C."""
        ctypes.PyDLL(None).usleep(int(seconds * 1e6))
        return [number]

    @tool
    def ignore_sigterm(self, number: int, seconds: float) -> list[int]:
        before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            time.sleep(seconds)
        finally:
            signal.signal(signal.SIGTERM, before)
        return [number]

    @tool
    def allocate(self, number: int, mebibytes: int) -> list[int]:
        block = bytearray(b"x") * (mebibytes << 20)
        return [number, len(block) >> 20]

    @tool
    def flood(self, number: int, lines: int) -> list[int]:
        for line in range(lines):
            print("chaos", number, line, file=sys.stderr if line % 2 else sys.stdout)
        return [number]

    @tool
    def children(self, number: int, kind: str) -> list[int]:
        """Leaves a child behind: plain, in a session of its own, or below nobody."""
        sleep = ["sleep", CHILD_SECONDS]
        if kind == "below_nobody":
            script = f"sleep {CHILD_SECONDS} >/dev/null 2>&1 &"
            subprocess.run(["sh", "-c", script], start_new_session=True, check=True)
        else:
            # Reaped by nobody here, which is a fault of its own.
            self._child = subprocess.Popen(sleep, start_new_session=kind == "session")
        return [number]

    # --- what ends its worker -------------------------------------------------------------------

    @tool
    def leave(self, number: int, code: int) -> None:
        os._exit(code)

    @tool
    def crash(self, number: int, name: str) -> None:
        os.kill(os.getpid(), getattr(signal, name))
        time.sleep(60)
