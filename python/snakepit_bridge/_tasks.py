"""The async profile: each call is a task of one event loop.

A tool that is no coroutine runs on the loop's thread too, between the steps of the others, which it
keeps waiting. So no two threads are ever in the adapter, and it needs no locks but asyncio's.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

from ._concurrent import enter
from ._lifecycle import require_chunks
from ._task import post

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from ._loop import LoopThread
    from ._native import Job, Jobs

_END: Final = object()


class Tasks:
    """Takes up calls on a loop. Methods that end in ``_here`` run on the loop's thread."""

    def __init__(self, jobs: Jobs, thread: LoopThread) -> None:
        self._jobs = jobs
        self._loop = thread.loop
        self._context = copy_context()
        self._running: dict[asyncio.Task[None], Job] = {}
        self._waiting: list[asyncio.Future[None]] = []
        """Streams that wait for room."""
        post(self._loop, self._start_here)

    def close(self) -> None:
        """No more calls come."""
        post(self._loop, lambda: self._loop.remove_reader(self._jobs.fileno()))

    def _start_here(self) -> None:
        self._loop.add_reader(self._jobs.fileno(), self._rung_here)
        self._rung_here()

    def _rung_here(self) -> None:
        with suppress(BlockingIOError):  # at the first look
            os.read(self._jobs.fileno(), 8)
        waiting, self._waiting = self._waiting, []
        for stream in waiting:
            if not stream.done():
                stream.set_result(None)
        while (job := self._jobs.get_nowait()) is not None:
            self._context.copy().run(self._begin_here, job)

    def _begin_here(self, job: Job) -> None:
        enter(job.call)
        try:
            if (begun := job.begin()) is None:
                return
            function, keywords = begun
            result = function(**keywords)
            if job.streams:
                self._spawn_here(job, self._stream(job, result))
            elif hasattr(type(result), "__await__"):
                self._spawn_here(job, self._finish(job, result))
            else:
                job.reply(result)
        except BaseException as error:
            job.fail(error)

    def _spawn_here(self, job: Job, steps: Coroutine[Any, Any, None]) -> None:
        # A copy of this call's context.
        task = self._loop.create_task(steps)
        self._running[task] = job
        task.add_done_callback(self._ended_here)
        job.call.on_cancel(lambda: post(self._loop, task.cancel))

    def _ended_here(self, task: asyncio.Task[None]) -> None:
        job = self._running.pop(task)
        job.call.on_cancel(None)
        if task.cancelled():
            # Before its first step; else it has answered, and this counts for nothing.
            job.fail(asyncio.CancelledError())

    async def _finish(self, job: Job, awaitable: Any) -> None:
        try:
            result = await awaitable
        except BaseException as error:
            job.fail(error)
        else:
            job.reply(result)

    async def _stream(self, job: Job, produced: Any) -> None:
        try:
            if hasattr(type(produced), "__await__"):
                produced = await produced
            items = require_chunks(job.tool, produced)
            try:
                while await self._room(job):
                    item = await _next(items)
                    if item is _END:
                        job.end()
                        return
                    job.add(item)
                    del item
            except BaseException:
                await _close(items)
                raise
        except BaseException as error:
            job.fail(error)
            return
        try:
            await _close(items)
        except BaseException as error:
            job.stop(error)
        else:
            job.stop()

    async def _room(self, job: Job) -> bool:
        while (room := job.room()) is None:
            waits = self._loop.create_future()
            self._waiting.append(waits)
            await waits
        return room


async def _next(items: Any) -> Any:
    if hasattr(type(items), "__anext__"):
        try:
            return await items.__anext__()
        except StopAsyncIteration:
            return _END
    item = next(items, _END)
    # The others have a turn between two items of a plain generator.
    await asyncio.sleep(0)
    return item


async def _close(items: AsyncIterator[Any] | Any) -> None:
    if (aclose := getattr(items, "aclose", None)) is not None:
        await aclose()
    elif (close := getattr(items, "close", None)) is not None:
        close()
