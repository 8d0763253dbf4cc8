"""The event loop of an adapter's coroutines: one, persistent, in a thread of its own.

.. code-block:: text

    thread of the call                            loop thread
    run(coroutine, call) ──call_soon_threadsafe──▶ task (a copy of the caller's context)
         waits           ◀───────────done───────── its end, whatever that is
    host cancels: call.on_cancel ─────────────────▶ task.cancel()

Not for the host's loops, and imported only by adapters that have something to await: asyncio
would be most of a small worker's memory.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING, TypeVar

from ._chunks import AsyncChunks
from ._task import LoopTask

if TYPE_CHECKING:
    from ._native import Call

T = TypeVar("T")


class LoopThread:
    """An event loop, running in a daemon thread until ``close``."""

    def __init__(self) -> None:
        self._loop = self.loop = asyncio.new_event_loop()
        self._closing: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._drive, name="snakepit-loop", daemon=True)
        self._thread.start()

    def run(self, awaitable: Awaitable[T], call: Call | None) -> T:
        """Wait for ``awaitable`` on the loop; cancelled with ``call``.

        Returns or raises only when it has really ended, its ``finally`` blocks included.
        """
        task = LoopTask(self._loop, lambda: _future(awaitable, self._loop))
        try:
            task.start(call, task.cancel)
            task.wait()
        except BaseException:
            # A signal handler of the adapter raised. The coroutine must not outlive its call.
            task.abandon()
            raise
        result: T = task.result()
        return result

    def iterate(self, source: AsyncIterator[T], call: Call | None) -> AsyncChunks[T]:
        """Pull an async iterator from sync code; ``close`` runs its ``aclose`` on the loop."""
        return AsyncChunks(self._loop, source, call)

    def close(self) -> None:
        """Cancel what still runs, end async generators, stop the thread. Idempotent."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._close)
        self._thread.join()

    def _close(self) -> None:
        if not self._closing.done():
            self._closing.set_result(None)

    def _drive(self) -> None:
        loop = self._loop
        asyncio.set_event_loop(loop)
        while not self._closing.done():
            try:
                loop.run_until_complete(self._closing)
            except (KeyboardInterrupt, SystemExit):
                # asyncio lets these out of the loop; whoever awaits the task gets them anyway.
                continue
            except RuntimeError:
                # The adapter stopped the loop, which must go on, or closed it, which ends it all.
                if loop.is_closed():
                    return
        try:
            leftovers = asyncio.all_tasks(loop)
            for task in leftovers:
                task.cancel()
            if leftovers:
                loop.run_until_complete(asyncio.gather(*leftovers, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            loop.close()


async def _await(awaitable: Awaitable[T]) -> T:
    return await awaitable


def _future(awaitable: Awaitable[T], loop: asyncio.AbstractEventLoop) -> asyncio.Future[T]:
    if asyncio.iscoroutine(awaitable):
        return loop.create_task(awaitable)
    return loop.create_task(_await(awaitable))
