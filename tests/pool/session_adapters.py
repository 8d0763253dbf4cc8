"""Adapters that keep something for each session, and note how sessions end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snakepit_bridge import BaseAdapter, _sessions, thread_safe_method, tool


class Keeper(BaseAdapter):
    """Counts calls of each session in its state; writes down which sessions have ended."""

    def __init__(self, notes: str = "", hook: str = "note") -> None:
        self.notes = notes
        self.hook = hook
        self.main = threading.get_ident()
        if hook == "hang":
            _sessions.CLOSED_LIMIT = 0.5

    def session_closed(self, session_id: str) -> None:
        if self.hook == "hang":
            time.sleep(1000)
        if self.hook == "raise":
            raise ValueError("the hook is broken")
        context = self.session_context
        here = threading.get_ident() == self.main
        self.write("closed", session_id, context.session_id, context.state.get("calls"), here)

    def cleanup(self) -> None:
        self.write("cleanup")

    def write(self, *words: Any) -> None:
        if self.notes:
            with Path(self.notes).open("a") as notes:
                notes.write(" ".join(map(str, words)) + "\n")

    @tool
    def visit(self) -> list[Any]:
        context = self.session_context
        context.state["calls"] = context.state.get("calls", 0) + 1
        return [context.state["calls"], context.is_new, os.getpid(), context.generation]

    @tool
    def visits(self, upto: int) -> Iterator[list[Any]]:
        for _ in range(upto):
            yield self.visit()

    @tool
    def metadata(self) -> dict[str, Any]:
        return self.session_context.metadata

    @tool
    def hold(self, started: str, release: str) -> int:
        Path(started).touch()
        while not Path(release).exists():
            threading.Event().wait(0.005)
        return self.visit()[0]

    @tool
    def pid(self) -> int:
        return os.getpid()


class AsyncKeeper(BaseAdapter):
    """The same hook as a coroutine, and looks from everywhere at whose call it is."""

    def __init__(self, notes: str = "") -> None:
        self.notes = notes

    async def session_closed(self, session_id: str) -> None:
        import asyncio

        await asyncio.sleep(0)
        context = self.session_context
        with Path(self.notes).open("a") as notes:
            notes.write(f"closed {session_id} {context.session_id} {context.state['calls']}\n")

    @tool
    async def visit(self) -> int:
        import asyncio

        state = self.session_context.state
        await asyncio.sleep(0)
        assert self.session_context.state is state
        state["calls"] = state.get("calls", 0) + 1
        return state["calls"]

    @tool
    async def whose(self) -> list[Any]:
        import asyncio

        """In the coroutine, in tasks of it, and in threads that it waits for."""

        async def task() -> str | None:
            await asyncio.sleep(0)
            return self.session_context.session_id

        def thread() -> list[Any]:
            context = self.session_context
            return [context.session_id, context.state.get("calls")]

        return [
            self.session_context.session_id,
            await asyncio.create_task(task()),
            await asyncio.to_thread(thread),
            await asyncio.gather(task(), asyncio.to_thread(thread)),
        ]


class _Shared(BaseAdapter):
    """Sessions in a worker whose calls overlap. ``held``: the hook says that it began by the first
    file, and waits for the second."""

    __thread_safe__ = True

    def __init__(self, notes: str, held: list[str] | None = None) -> None:
        self.notes = Path(notes)
        self.held = [Path(path) for path in held or ()]

    def note(self, session_id: str) -> None:
        context = self.session_context
        with self.notes.open("a") as notes:
            notes.write(f"closed {session_id} {context.session_id} {context.state.get('calls')}\n")

    def cleanup(self) -> None:
        with self.notes.open("a") as notes:
            notes.write("cleanup\n")

    def count(self) -> list[Any]:
        context = self.session_context
        context.state["calls"] = context.state.get("calls", 0) + 1
        return [context.state["calls"], context.is_new]


class Threads(_Shared):
    """Its tools and its hook are plain functions."""

    def session_closed(self, session_id: str) -> None:
        self.note(session_id)
        if self.held:
            self.held[0].touch()
            while not self.held[1].exists():
                threading.Event().wait(0.005)

    @tool
    @thread_safe_method
    def visit(self) -> list[Any]:
        return self.count()

    @tool
    @thread_safe_method
    def hold(self, started: str, release: str) -> list[Any]:
        Path(started).touch()
        while not Path(release).exists():
            threading.Event().wait(0.005)
        return self.count()


class Turns(_Shared):
    """Its tools and its hook are coroutines."""

    async def session_closed(self, session_id: str) -> None:
        import asyncio

        self.note(session_id)
        if self.held:
            self.held[0].touch()
            while not self.held[1].exists():
                await asyncio.sleep(0.005)

    @tool
    async def visit(self) -> list[Any]:
        return self.count()

    @tool
    async def hold(self, started: str, release: str) -> list[Any]:
        import asyncio

        Path(started).touch()
        while not Path(release).exists():
            await asyncio.sleep(0.005)
        return self.count()
