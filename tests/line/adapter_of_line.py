"""The adapter whose tools the tests of the line call."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from snakepit_bridge import BaseAdapter, tool
from snakepit_bridge._context import current


class Quota(Exception):
    pass


class TightQuota(Quota):
    pass


class Adapter(BaseAdapter):
    def __init__(self) -> None:
        super().__init__()
        self.ran: list[Any] = []

    @tool
    def echo(self, value: Any = None) -> Any:
        return value

    @tool
    def note(self, value: Any) -> None:
        self.ran.append(value)

    @tool
    def noted(self) -> list[Any]:
        return self.ran

    @tool
    def fail(self, how: str) -> None:
        raise {"exit": SystemExit, "interrupt": KeyboardInterrupt, "close": GeneratorExit}.get(
            how, ValueError
        )(how)

    @tool
    def chain(self) -> None:
        try:
            {}["first"]
        except KeyError as error:
            error.__notes__ = ["of the first"]  # add_note() is of Python 3.11
            try:
                raise OSError("second") from error
            except OSError as second:
                raise ValueError("third").with_traceback(None) from second

    @tool
    def handled(self, hides: bool) -> None:
        try:
            {}["first"]
        except KeyError:
            if hides:
                raise ValueError("second") from None
            raise ValueError("second")  # noqa: B904

    @tool
    def group(self, size: int) -> None:
        members = [ValueError(f"member {number}") for number in range(size)]
        raise ExceptionGroup("some", [*members, ExceptionGroup("inner", [TypeError("deep")])])

    @tool
    def endless(self, depth: int, size: int) -> None:
        error: Exception = ValueError("x" * size)
        for number in range(depth):
            outer = Quota(f"{number} {'x' * size}")
            outer.__cause__ = error
            error = outer
        raise error

    @tool
    def quota(self, user: Any, limit: Any) -> None:
        raise TightQuota(user, limit)

    @tool
    def unfit(self) -> Any:
        return {"deep": [object()]}

    @tool
    def large(self, size: int) -> bytes:
        return bytes(size)

    @tool
    def about(self) -> dict[str, Any]:
        call = current.get()
        assert call is not None
        return {
            "id": call.id,
            "tool": call.tool,
            "session": call.session_id,
            "new": call.session_new,
            "left": call.remaining(),
        }

    @tool
    def block(self, file: str) -> str:
        """Holds the main thread until the file is there."""
        while not Path(file).exists():
            time.sleep(0.001)
        return "released"

    @tool
    def until_cancelled(self, file: str) -> str:
        call, called = current.get(), threading.Event()
        assert call is not None
        threads: list[str] = []

        def on_cancel() -> None:
            threads.append(threading.current_thread().name)
            called.set()

        call.on_cancel(on_cancel)
        Path(file).touch()
        assert called.wait(20)
        assert call.cancelled
        assert threads != [threading.main_thread().name]
        call.on_cancel(called.clear)
        assert not called.is_set(), "what comes after the cancel is called at once"
        return "cleaned up"

    @tool
    def fail_when_cancelled(self) -> None:
        call = current.get()
        assert call is not None
        while not call.cancelled:
            time.sleep(0.001)
        raise ValueError("gave up")

    @tool
    async def sleep(self) -> None:
        import asyncio

        await asyncio.sleep(60)

    @tool
    def fork(self) -> int:
        return os.fork()

    @tool
    def count(self, upto: int, file: str = "", size: int = 0) -> Iterator[Any]:
        try:
            for number in range(upto):
                self.ran.append(number)
                yield bytes(size) if size else number
        finally:
            if file:
                Path(file).touch()

    @tool
    async def count_async(self, upto: int) -> AsyncIterator[int]:
        for number in range(upto):
            yield number

    @tool
    def broken(self) -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    @tool
    def unfit_item(self, file: str) -> Iterator[Any]:
        try:
            yield 1
            yield object()
        finally:
            Path(file).touch()

    @tool
    def unfit_twice(self) -> Iterator[Any]:
        try:
            yield type("Unfit" * 10_000, (), {})()
        finally:
            raise ValueError("\n".join(["y" * 1000] * 90) + "x" * 30_000)

    @tool
    def stubborn(self) -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            raise ValueError("not like this")

    @tool
    def item_then_block(self, file: str) -> Iterator[str]:
        yield "first"
        yield "second"
        yield self.block(file)
