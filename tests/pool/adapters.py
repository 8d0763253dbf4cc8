"""Adapters of these tests. Imported by workers, so it imports little.

Tests and tools meet through files: a tool creates one to say that it runs, and waits for one that
the test creates. No test has to guess how long something takes.
"""

from __future__ import annotations

import builtins
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from snakepit_bridge import BaseAdapter, tool


def touch(path: str | None) -> None:
    if path is not None:
        with open(path, "x"):
            pass


def wait_for(path: str) -> None:
    while not os.path.exists(path):
        time.sleep(0.002)


class Basic(BaseAdapter):
    def __init__(self, greeting: str = "hello") -> None:
        super().__init__()
        self.greeting = greeting
        self.initialized = False
        self.memory: dict[str | None, dict[str, Any]] = {}

    def initialize(self) -> None:
        self.initialized = True

    # --- plain calls ----------------------------------------------------------------------------

    @tool
    def ping(self) -> str:
        """Answers."""
        return "pong"

    @tool
    def add(self, a: Any, b: Any) -> Any:
        return a + b

    @tool
    def echo(self, value: Any) -> Any:
        return value

    @tool
    def describe(self, value: Any) -> list[str]:
        return [type(value).__name__, repr(value)]

    @tool
    def greet(self) -> list[Any]:
        return [self.greeting, self.initialized]

    @tool
    def pid(self) -> int:
        return os.getpid()

    @tool
    def place(self) -> list[Any]:
        return [self.worker.pool, self.worker.slot, self.worker.generation]

    @tool
    def environment(self, names: list[str]) -> list[str | None]:
        return [os.environ.get(name) for name in names]

    @tool
    def interpreter(self) -> dict[str, Any]:
        return {"version": list(sys.version_info[:2]), "prefix": sys.prefix, "path": sys.path}

    @tool
    def imported(self, name: str) -> str:
        return str(getattr(__import__(name), "__file__", None))

    @tool
    def say(self, text: str, stream: str = "stdout") -> None:
        print(text, file=getattr(sys, stream), flush=True)

    @tool
    def chatter(self, started: str, release: str) -> None:
        touch(started)
        while not os.path.exists(release):
            os.write(1, b"a\n" * 1000)

    @tool
    async def add_later(self, a: int, b: int) -> int:
        import asyncio

        await asyncio.sleep(0.001)
        return a + b

    # --- calls that take their time -------------------------------------------------------------

    @tool
    def hold(self, release: str, started: str | None = None) -> int:
        """Says that it runs, and ends when the test wants it."""
        touch(started)
        wait_for(release)
        return os.getpid()

    @tool
    def hold_politely(self, started: str, ended: str) -> str:
        """Runs until it is told to stop, as a good tool does."""
        touch(started)
        while not self.session_context.cancelled:
            time.sleep(0.002)
        touch(ended)
        return "stopped early"

    @tool
    async def hold_in_a_coroutine(self, started: str, ended: str) -> None:
        import asyncio

        touch(started)
        try:
            await asyncio.Event().wait()
        finally:
            touch(ended)

    @tool
    def remaining(self) -> float | None:
        return self.session_context.remaining()

    # --- failures -------------------------------------------------------------------------------

    @tool
    def fail(self, kind: str, text: str = "no") -> None:
        raise getattr(builtins, kind)(text)

    @tool
    def fail_of_its_own(self) -> None:
        raise OwnError("mine")

    @tool
    def leave(self) -> None:
        raise SystemExit(5)

    @tool
    def unspeakable(self) -> Any:
        return {"layers": [1, {2, 3}]}

    @tool
    def large(self, size: int) -> bytes:
        return bytes(size)

    @tool
    def die(self, how: str, started: str | None = None, release: str | None = None) -> None:
        touch(started)
        if release is not None:
            wait_for(release)
        print(f"about to die by {how}", file=sys.stderr, flush=True)
        if how.startswith("SIG"):
            os.kill(os.getpid(), getattr(signal, how))
            time.sleep(60)
        os._exit(int(how))

    @tool
    def seize(self, started: str, release: str) -> str:
        import ctypes

        """Holds the interpreter's lock, in C, until something is written to a named pipe."""
        pipe = os.open(release, os.O_RDWR)
        touch(started)
        ctypes.PyDLL(None).read(pipe, ctypes.create_string_buffer(1), 1)
        os.close(pipe)
        return "released"

    @tool
    def hoard(self, size: int, pause: float = 0.0) -> int:
        """Keeps so many bytes more with each call."""
        hoard = self.memory.setdefault("hoard", {})
        hoard[str(len(hoard))] = b"x" * size
        time.sleep(pause)
        return os.getpid()

    @tool
    def die_once(self, mark: str) -> int:
        """The first worker that runs it dies; the next one answers."""
        if not os.path.exists(mark):
            touch(mark)
            os._exit(3)
        return os.getpid()

    @tool
    def die_while(self, mark: str) -> str:
        """Dies as long as the test wants it."""
        if os.path.exists(mark):
            os._exit(3)
        return "well"

    # --- sessions -------------------------------------------------------------------------------

    @tool
    def who(self) -> list[Any]:
        context = self.session_context
        return [os.getpid(), context.session_id, context.is_new]

    @tool
    def remember(self, key: str, value: Any) -> int:
        self.memory.setdefault(self.session_context.session_id, {})[key] = value
        return os.getpid()

    @tool
    def recall(self, key: str) -> Any:
        return self.memory[self.session_context.session_id][key]

    # --- streams --------------------------------------------------------------------------------

    @tool
    def count(self, upto: int) -> Iterator[int]:
        yield from range(upto)

    @tool
    async def count_later(self, upto: int) -> AsyncIterator[int]:
        import asyncio

        for number in range(upto):
            await asyncio.sleep(0)
            yield number

    @tool
    def count_and_tell(self, upto: int, progress: str, ended: str) -> Iterator[int]:
        """Writes down how far it has come, and that it was closed."""
        with open(progress, "wb", buffering=0) as file:
            try:
                for number in range(upto):
                    os.pwrite(file.fileno(), b"%10d" % number, 0)
                    yield number
            finally:
                touch(ended)

    @tool
    def count_in_steps(self, gates: list[str]) -> Iterator[int]:
        """Gives each number when its gate opens."""
        for number, gate in enumerate(gates):
            wait_for(gate)
            yield number

    @tool
    async def count_forever(self, ended: str) -> AsyncIterator[int]:
        number = 0
        try:
            while True:
                yield number
                number += 1
        finally:
            touch(ended)

    @tool
    def blobs(self, number: int, size: int) -> Iterator[bytes]:
        for each in range(number):
            yield bytes([each]) * size

    @tool
    def count_and_fail(self, upto: int) -> Iterator[int]:
        yield from range(upto)
        raise ValueError("enough")

    @tool
    def count_and_die(self, upto: int) -> Iterator[int]:
        yield from range(upto)
        time.sleep(0.05)  # So that the host has seen them: how many is asserted.
        os._exit(3)

    @tool
    def count_sessions(self, upto: int) -> Iterator[list[Any]]:
        for _ in range(upto):
            yield self.who()


class OwnError(Exception):
    """An exception that no host knows."""


class WithoutBase:
    """Any class with tools will do."""

    @tool
    def ping(self) -> str:
        return "pong"


class FailsToInitialize(BaseAdapter):
    def initialize(self) -> None:
        print("the model is missing", file=sys.stderr, flush=True)
        raise FileNotFoundError("weights.bin")


class StartsOnceAllowed(BaseAdapter):
    """Cannot be initialized before a file is there."""

    def __init__(self, permit: str) -> None:
        super().__init__()
        self.permit = permit

    def initialize(self) -> None:
        if not os.path.exists(self.permit):
            raise RuntimeError("not allowed yet")

    @tool
    def ping(self) -> str:
        return "pong"


class FailsToConstruct(BaseAdapter):
    def __init__(self, path: str) -> None:
        raise PermissionError(path)


class HangsInInitialize(BaseAdapter):
    def initialize(self) -> None:
        print("downloading for a very long time", file=sys.stderr, flush=True)
        time.sleep(600)


class StartsSlowly(BaseAdapter):
    def initialize(self) -> None:
        time.sleep(0.6)


class DiesInInitialize(BaseAdapter):
    def initialize(self) -> None:
        print("cannot open the device", file=sys.stderr, flush=True)
        os._exit(9)


class CleansUp(BaseAdapter):
    def __init__(self, directory: str) -> None:
        super().__init__()
        self.directory = directory

    async def cleanup(self) -> None:
        import asyncio

        await asyncio.sleep(0)
        touch(os.path.join(self.directory, f"cleanup-{self.worker.slot}"))

    @tool
    def ping(self) -> str:
        return "pong"


class StartsChildren(BaseAdapter):
    @tool
    def spawn(self, detached: bool) -> int:
        """Starts a grandchild, in a session of its own where ``detached``."""
        import subprocess

        child = subprocess.Popen(["sleep", "600"], start_new_session=detached)
        return child.pid
