"""An async iterator of the adapter's loop, pulled as a plain iterator by the thread of its call.

One task of the loop runs it from its first chunk to its last, so a timeout or task group may span a
``yield``. It advances only when a chunk is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from ._task import LoopTask, post

if TYPE_CHECKING:
    from ._native import Call

T = TypeVar("T")

_END: Final = object()


class AsyncChunks(Iterator[T]):
    """The chunks of an async iterator, pulled one by one by a single sync reader."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, source: AsyncIterator[T], call: Call | None
    ) -> None:
        self._loop = loop
        self._source = source
        self._call = call
        self._events: SimpleQueue[Any] = SimpleQueue()
        self._task: LoopTask | None = LoopTask(loop, lambda: loop.create_task(self._pump()))
        self._task.on_end = self._on_end_here
        self._started = False
        self._over = False
        # Only touched on the loop's thread.
        self._asked: asyncio.Future[None] | None = None
        self._more = False
        self._stepping = False
        self._ending = False

    def __next__(self) -> T:
        task = self._task
        if task is None:
            raise StopIteration
        if not self._started:
            self._started = True
            task.start(self._call, self._end)
        post(self._loop, self._ask_here)
        event = _END if self._over and self._events.empty() else self._events.get()
        if event is not _END:
            return cast("T", event)
        self._finish(task)
        raise StopIteration

    def close(self) -> None:
        """End the generator, as ``generator.close`` does; returns when its ``finally`` has run."""
        task = self._task
        if task is None or not self._started:
            self._task = None
            return
        self._end()
        while not self._over:
            # Perhaps a chunk that was under way when a signal handler interrupted the reader.
            self._events.get()
        try:
            self._finish(task)
        except asyncio.CancelledError:
            # It was in the middle of a step.
            return

    def _finish(self, task: LoopTask) -> None:
        self._task = None
        task.release()
        task.result()

    def _end(self) -> None:
        post(self._loop, self._end_here)

    def _on_end_here(self) -> None:
        self._over = True
        self._events.put(_END)

    async def _pump(self) -> None:
        source = self._source
        try:
            while await self._wanted():
                self._stepping = True
                try:
                    chunk = await source.__anext__()
                except StopAsyncIteration:
                    return
                finally:
                    self._stepping = False
                self._events.put(chunk)
                del chunk
        finally:
            aclose = getattr(source, "aclose", None)
            if aclose is not None:
                await aclose()

    async def _wanted(self) -> bool:
        """Wait until the reader wants one more chunk; False: it wants none."""
        if not self._more and not self._ending:
            self._asked = self._loop.create_future()
            try:
                await self._asked
            finally:
                self._asked = None
        self._more = False
        return not self._ending

    def _ask_here(self) -> None:
        self._more = True
        self._wake_here()

    def _end_here(self) -> None:
        """The reader closes, the call is cancelled, or both: the generator must notice once only.

        A second cancel would cut short the ``finally`` that the first one runs.
        """
        if self._ending:
            return
        self._ending = True
        if self._task is not None and (self._stepping or not self._task.begun):
            self._task.abandon_here()
        else:
            self._wake_here()

    def _wake_here(self) -> None:
        if self._asked is not None and not self._asked.done():
            self._asked.set_result(None)
