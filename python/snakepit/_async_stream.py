"""A stream of chunks, read by a coroutine."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, Self

from snakepit._inbox import inbox_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from snakepit._engine import NativeChunks

# A reader that never has to wait would starve the loop's other tasks.
_ITEMS_A_TURN = 256


class AsyncStream:
    """Chunks of a streaming call, in order; an asynchronous iterator and context manager.

    As with ``Stream``, a slow reader stops the worker, and leaving the block, ``aclose()``,
    dropping the stream, or cancelling the task that waits for a chunk cancels the call. One task
    reads at a time: another one gets a ``RuntimeError`` while the first waits for a chunk.

    Example:
        >>> async with pool.execute_stream("train", {"epochs": 3}) as chunks:
        ...     async for chunk in chunks:
        ...         print(chunk["loss"])
    """

    __slots__ = ("_chunks", "_idle_timeout", "_reading", "_turn")

    def __init__(self, chunks: NativeChunks, idle_timeout: float | None) -> None:
        self._chunks = chunks
        self._idle_timeout = idle_timeout
        self._reading = False
        self._turn = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if self._reading:
            raise RuntimeError("the stream is already being read by another task")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._reading = True
        try:
            if not self._chunks.next_async(inbox_of(loop), future):
                self._turn = 0
                return await self._arrival(loop, future)
            self._turn += 1
            if self._turn == _ITEMS_A_TURN:
                self._turn = 0
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            # The chunk that was awaited may be lost, so the stream is of no more use.
            self._chunks.close()
            raise
        finally:
            self._reading = False
        return future.result()

    async def _arrival(self, loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any]) -> Any:
        if self._idle_timeout is None:
            return await future
        # The loop's own timer; the engine ends the call then, and the future tells it.
        timer = loop.call_later(self._idle_timeout, self._chunks.expire)
        try:
            return await future
        finally:
            timer.cancel()

    async def aclose(self) -> None:
        """End the stream; cancels the call if it still runs. Idempotent."""
        self._chunks.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._chunks.close()

    def __del__(self) -> None:
        self._chunks.close()


async def feed_async(stream: AsyncStream, on_chunk: Callable[[Any], object]) -> None:
    """Call ``on_chunk`` with every chunk and await what it returns where that is awaitable."""
    async with stream:
        async for chunk in stream:
            answer = on_chunk(chunk)
            if inspect.isawaitable(answer):
                await answer
