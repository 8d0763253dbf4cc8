"""Adapters whose start takes as long as the test wants.

Where they meet is in the environment, since an import has no arguments: ``HANGS_IN`` names a file
that they make, ``HANGS_UNTIL`` one that they wait for.
"""

from __future__ import annotations

import os

from snakepit_bridge import BaseAdapter, tool

from .adapters import touch, wait_for


def hang() -> None:
    touch(os.environ["HANGS_IN"])
    wait_for(os.environ["HANGS_UNTIL"])


def seize() -> None:
    """Hold the interpreter's lock in C, until something is written to a named pipe."""
    import ctypes

    pipe = os.open(os.environ["HANGS_UNTIL"], os.O_RDWR)
    touch(os.environ["HANGS_IN"])
    ctypes.PyDLL(None).read(pipe, ctypes.create_string_buffer(1), 1)
    os.close(pipe)


class Waits(BaseAdapter):
    @tool
    def ping(self) -> str:
        return "pong"


class HangsInConstructor(Waits):
    def __init__(self) -> None:
        super().__init__()
        hang()


class HangsInInitialize(Waits):
    def initialize(self) -> None:
        hang()


class HangsInCoroutine(Waits):
    async def initialize(self) -> None:
        import asyncio

        touch(os.environ["HANGS_IN"])
        while not os.path.exists(os.environ["HANGS_UNTIL"]):
            await asyncio.sleep(0.002)


class SecondHangs(Waits):
    """The first worker of a slot starts at once; each one after it waits."""

    def __init__(self, first: str) -> None:
        super().__init__()
        if os.path.exists(first):
            hang()
        else:
            touch(first)

    @tool
    def hold(self, started: str, release: str) -> None:
        touch(started)
        wait_for(release)


class SecondFails(Waits):
    """The first worker of a slot starts, and no other one does."""

    def __init__(self, first: str) -> None:
        super().__init__()
        touch(first)
