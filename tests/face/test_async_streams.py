"""Streams of ``AsyncPool`` over the fake engine."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

import snakepit

from .conftest import Adapter
from .test_async import engine, run


@pytest.fixture
def pool() -> Any:
    pool = snakepit.AsyncPool(Adapter, size=2)
    yield pool
    pool._engine.close(0.0)


def test_stream(pool: Any) -> None:
    engine(pool).items = [1, 2, 3]

    async def main() -> None:
        assert [chunk async for chunk in pool.execute_stream("train", {"e": 3})] == [1, 2, 3]
        assert engine(pool).calls == [("train", {"e": 3}, None, None, 300.0)]
        async with pool.execute_stream("train") as stream:
            assert await anext(stream) == 1
        assert engine(pool).chunks[1].closed
        with pytest.raises(StopAsyncIteration):
            await anext(stream)

    run(main)


def test_a_fast_stream_lets_other_tasks_run(pool: Any) -> None:
    engine(pool).items = range(3_000)

    async def main() -> None:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        async for _ in pool.execute_stream("train"):
            pass
        task.cancel()
        assert turns >= 10

    run(main)


def test_cancelling_the_reader_cancels_the_stream(pool: Any) -> None:
    async def main() -> None:
        stream = pool.execute_stream("train")
        # A chunk that never comes: the fake completes no future by itself.
        engine(pool).chunks[0].next_async = lambda inbox, future: False
        task = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert engine(pool).chunks[0].closed

    run(main)


def test_a_dropped_stream_is_cancelled(pool: Any) -> None:
    engine(pool).items = [1, 2, 3]

    async def main() -> None:
        async for chunk in pool.execute_stream("train"):
            assert chunk == 1
            break
        gc.collect()
        assert engine(pool).chunks[0].closed

    run(main)


def test_on_chunk_may_be_a_coroutine_function(pool: Any) -> None:
    engine(pool).items = [1, 2, 3]

    async def main() -> None:
        seen: list[int] = []
        await pool.execute_stream("train", on_chunk=seen.append)

        async def slowly(chunk: int) -> None:
            await asyncio.sleep(0)
            seen.append(-chunk)

        await pool.execute_in_session_stream("u", "train", on_chunk=slowly)
        assert seen == [1, 2, 3, -1, -2, -3]

        with pytest.raises(ZeroDivisionError):
            await pool.execute_stream("train", on_chunk=lambda chunk: 1 / 0)
        assert engine(pool).chunks[2].closed

    run(main)


class SilentChunks:
    """A stream whose next chunk comes when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []
        self.closed = False

    def next_async(self, inbox: Any, future: Any) -> bool:
        if self.closed:
            future.set_exception(StopAsyncIteration())
            return True
        self.waiting.append(future)
        return False

    def expire(self) -> None:
        self.closed = True
        for future in self.waiting:
            if not future.done():
                future.set_exception(snakepit.CallTimeout("train: nothing came", tool="train"))

    def close(self) -> None:
        self.closed = True


def silent_stream(pool: Any, **options: Any) -> Any:
    stream = pool.execute_stream("train", **options)
    stream._chunks = SilentChunks()
    return stream


def test_an_idle_stream_ends(pool: Any) -> None:
    async def main() -> None:
        stream = silent_stream(pool, idle_timeout=0.02)
        with pytest.raises(snakepit.CallTimeout, match="nothing came"):
            await anext(stream)
        assert stream._chunks.closed
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        slow = silent_stream(pool, idle_timeout=0.02)
        with pytest.raises(snakepit.CallTimeout):
            _ = [chunk async for chunk in slow]

    run(main)


def test_idle_time_starts_anew_with_each_chunk(pool: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        stream = silent_stream(pool, idle_timeout=30)
        for number in range(3):
            task = asyncio.create_task(anext(stream))
            await asyncio.sleep(0)
            stream._chunks.waiting[-1].set_result(number)
            assert await task == number
        timers = [t for t in loop._scheduled if not t.cancelled()]  # type: ignore[attr-defined]
        assert timers == [], "no timer outlives its wait"

        unlimited = silent_stream(pool, idle_timeout=None)
        task = asyncio.create_task(anext(unlimited))
        await asyncio.sleep(0)
        unlimited._chunks.waiting[-1].set_result(7)
        assert await task == 7

    run(main)


def test_one_task_reads_a_stream_at_a_time(pool: Any) -> None:
    async def main() -> None:
        stream = silent_stream(pool)
        first = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="already being read"):
            await anext(stream)
        stream._chunks.waiting[0].set_result(1)
        assert await first == 1, "the first is not disturbed"

        second = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        with pytest.raises(StopAsyncIteration):
            await anext(stream)  # Cancelled with its reader, but free for another.

    run(main)
