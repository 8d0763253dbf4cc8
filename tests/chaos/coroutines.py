"""What tasks ask of an ``AsyncPool``, in a loop on a thread of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from snakepit import AsyncPool, SessionLost, SnakepitError

from .callers import LONG, chosen, data, hurried, nasty, plain, stream
from .ledger import Ledger
from .oracle import Call, Chunks, SessionModel


class Coroutines:
    """One task's work; the names of ``Caller``."""

    def __init__(self, current: Callable[[], AsyncPool], ledger: Ledger, random: Random) -> None:
        self._current = current
        self._ledger = ledger
        self._random = random
        self._acts: list[tuple[Callable[[AsyncPool], Awaitable[None]], int]] = [
            (self.execute, 30),
            (self.gather, 12),
            (self.map, 6),
            (self.stream, 10),
            (self.session, 10),
            (self.hurry, 8),
            (self.give_up, 8),
            (self.misbehave, 8),
        ]

    async def act(self) -> None:
        """Do the next thing, whole."""
        await chosen(self._random, self._acts)(self._current())

    async def execute(self, pool: AsyncPool) -> None:
        await self._execute(pool, *plain(self._random))

    async def misbehave(self, pool: AsyncPool) -> None:
        tool, args, timeout = nasty(self._random)
        await self._execute(pool, tool, args, timeout=timeout)

    async def hurry(self, pool: AsyncPool) -> None:
        tool, args, timeout = hurried(self._random)
        await self._execute(pool, tool, args, timeout=timeout)

    async def gather(self, pool: AsyncPool) -> None:
        many = range(self._random.randint(1, 20))
        await asyncio.gather(*(self._execute(pool, *plain(self._random)) for _ in many))

    async def _execute(
        self, pool: AsyncPool, tool: str, args: dict[str, Any], **asked: Any
    ) -> None:
        call = self._ledger.begin(pool.name, tool, args, **asked)
        await self._end(call, pool.execute(tool, call.args, **asked))

    async def _end(self, call: Call, outcome: Awaitable[Any]) -> None:
        try:
            value = await outcome
        except SnakepitError as error:
            self._ledger.error(call, error)
        else:
            self._ledger.answer(call, value)

    async def give_up(self, pool: AsyncPool) -> None:
        """Cancel the task that waits for a call."""
        seconds = self._random.choice((0.01, 0.1, LONG))
        tool = self._random.choice(("work", "heed", "seize", "work_later"))
        call = self._ledger.begin(pool.name, tool, {"seconds": seconds})
        task = asyncio.ensure_future(pool.execute(tool, call.args))
        await asyncio.sleep(self._random.uniform(0, 0.12))
        given_up = time.monotonic()
        if task.cancel():
            call.given_up = given_up
        try:
            await self._end(call, task)
        except asyncio.CancelledError:
            self._ledger.drop(call)

    async def map(self, pool: AsyncPool) -> None:
        calls: list[Call] = []

        def items():
            for _ in range(self._random.randint(0, 30)):
                call = self._ledger.begin(pool.name, "echo", {"data": data(self._random)})
                calls.append(call)
                yield call.args

        answered = 0
        try:
            async for value in pool.map("echo", items(), in_flight=self._random.randint(1, 8)):
                self._ledger.answer(calls[answered], value)
                answered += 1
        except SnakepitError as error:
            self._ledger.error(calls[answered], error)
            for call in calls[answered + 1 :]:
                self._ledger.drop(call)

    async def stream(self, pool: AsyncPool) -> None:
        tool, args = stream(self._random)
        stop = self._random.randint(0, args["upto"]) if self._random.random() < 0.4 else None
        call = self._ledger.begin(pool.name, tool, args)
        check = Chunks(call)
        wrong = None
        try:
            async with pool.execute_stream(tool, call.args) as chunks:
                async for chunk in chunks:
                    wrong = check.take(chunk)
                    if wrong or (stop is not None and chunk[1] >= stop):
                        break
                else:
                    wrong = check.end()
        except SnakepitError as error:
            self._ledger.error(call, error)
            return
        if wrong is not None:
            self._ledger.complain(f"{call}: {wrong}")
        self._ledger.drop(call) if stop is not None else self._ledger.answer(call, None)

    async def session(self, pool: AsyncPool) -> None:
        name = f"{self._random.randrange(1 << 30)}"
        session = pool.session(name)
        model = SessionModel(pool.name)
        for _ in range(self._random.randint(1, 12)):
            timeout = self._random.choice((None, None, None, 0.05, 0.5))
            call = self._ledger.begin(pool.name, "bump", {}, timeout=timeout, session=name)
            call.home = model.home
            try:
                value = await session.execute("bump", call.args, timeout=timeout)
            except SnakepitError as error:
                self._ledger.error(call, error)
                if isinstance(error, SessionLost) or pool.closed:
                    return
                model.may_have_run()
            else:
                self._ledger.answer(call, value, model.answered(value))
