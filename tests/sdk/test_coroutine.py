"""Coroutines and async generators: one loop, the right context, and ends that are real."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from snakepit_bridge._context import SessionContext, current
from snakepit_bridge._loop import LoopThread

from .conftest import Start
from .fake_core import WAIT, Call, RemoteFailure


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


def call(session: str | None = None) -> Call:
    return Call("tool", session, False, None)


def test_a_loop_that_never_ran_closes() -> None:
    LoopThread().close()


def test_close_can_be_repeated_and_later_calls_are_refused() -> None:
    thread = LoopThread()
    thread.close()
    thread.close()
    sleep = asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="closed"):
        thread.run(sleep, None)
    sleep.close()


def test_an_adapter_without_coroutines_pays_for_no_loop(start: Start) -> None:
    host = start(
        """
        from snakepit_bridge import BaseAdapter, tool
        class Adapter(BaseAdapter):
            @tool
            def ping(self): return "pong"
        """
    )
    host.await_ready()
    assert host.call("ping") == "pong"
    assert "snakepit-loop" not in {t.name for t in threading.enumerate()}


def test_the_loop_lives_from_initialize_to_cleanup(start: Start) -> None:
    host = start(
        """
        import asyncio
        from snakepit_bridge import BaseAdapter, tool
        ended = []
        class Adapter(BaseAdapter):
            async def initialize(self):
                self.queue = asyncio.Queue()
                self.loop = asyncio.get_running_loop()
                self.feeder = asyncio.create_task(self.feed())
            async def feed(self):
                try:
                    for i in range(2): await self.queue.put(i)
                    await asyncio.Event().wait()
                finally: ended.append("feeder")
            @tool
            async def take(self):
                assert asyncio.get_running_loop() is self.loop
                return await self.queue.get()
            @tool
            def ended(self): return ended
            async def cleanup(self):
                assert asyncio.get_running_loop() is self.loop
                ended.append("cleanup")
        """
    )
    host.await_ready()
    assert [host.call("take"), host.call("take")] == [0, 1]
    ended = host.call("ended")
    assert host.drain() == 0
    assert ended == ["cleanup", "feeder"], "background tasks end after cleanup"


def test_overlapping_coroutines_see_their_own_call(loop: LoopThread) -> None:
    arrived: dict[str | None, asyncio.Event] = {}

    async def session_of_a_task() -> str | None:
        return SessionContext(current.get()).session_id

    async def meet(mine: str, other: str) -> list[str | None]:
        events = [arrived.setdefault(name, asyncio.Event()) for name in (mine, other)]
        events[0].set()
        await events[1].wait()
        inner = asyncio.create_task(session_of_a_task())
        return [SessionContext(current.get()).session_id, await inner]

    found: dict[str, list[str | None]] = {}

    def tool(mine: str, other: str) -> None:
        current.set(call(mine))
        found[mine] = loop.run(meet(mine, other), current.get())

    threads = [threading.Thread(target=tool, args=pair) for pair in [("a", "b"), ("b", "a")]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)

    assert found == {"a": ["a", "a"], "b": ["b", "b"]}
    assert current.get() is None


def test_cancel_reaches_the_coroutine_and_the_call_ends_after_it(loop: LoopThread) -> None:
    the_call = call()
    seen: list[str] = []

    async def tool() -> None:
        try:
            the_call.cancel()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            seen.append("finally")

    with pytest.raises(asyncio.CancelledError):
        loop.run(tool(), the_call)
    assert seen == ["finally"]
    assert not the_call.watched, "the call must not keep a dead task"


def test_a_call_cancelled_before_its_start_ends(loop: LoopThread) -> None:
    the_call = call()
    the_call.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run(asyncio.Event().wait(), the_call)

    ended: list[str] = []
    chunks = loop.iterate(count(3, ended, on_two=lambda: None), the_call)
    with contextlib.suppress(asyncio.CancelledError):
        assert len(list(chunks)) <= 2


def test_a_coroutine_may_swallow_its_cancel(loop: LoopThread) -> None:
    the_call = call()

    async def tool() -> str:
        the_call.cancel()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "partial"
        return "never"

    assert loop.run(tool(), the_call) == "partial"


def test_a_cancel_that_comes_late_hits_nobody(loop: LoopThread) -> None:
    the_call = call()
    kept: list[Any] = []
    watch = the_call.on_cancel
    the_call.on_cancel = lambda callback: (kept.append(callback), watch(callback))[1]  # type: ignore[method-assign]

    async def answer() -> int:
        await asyncio.sleep(0)
        return 42

    assert loop.run(answer(), the_call) == 42
    kept[0]()
    assert loop.run(answer(), call()) == 42
    loop.close()
    kept[0]()


class Interrupt(Exception):
    pass


LOST_SIGNAL = 0.05
"""Seconds after which a coroutine goes on by itself: a signal that arrives just before Python
blocks does not wake it, and the handler runs when the wait ends."""


@pytest.fixture
def interrupt() -> Iterator[Callable[[], None]]:
    """Sends the main thread a signal whose handler raises ``Interrupt``."""
    main = threading.get_ident()

    def handler(*_: object) -> None:
        raise Interrupt

    before = signal.signal(signal.SIGUSR1, handler)
    yield lambda: signal.pthread_kill(main, signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


def test_a_signal_handler_that_raises_ends_the_coroutine_first(
    loop: LoopThread, interrupt: Callable[[], None]
) -> None:
    async def tool(ended: list[str]) -> None:
        try:
            interrupt()
            await asyncio.sleep(LOST_SIGNAL)
        finally:
            await asyncio.sleep(0)
            ended.append("finally")

    # Often, since the signal comes wherever the waiting thread happens to be.
    for _ in range(200):
        ended: list[str] = []
        with pytest.raises(Interrupt):
            loop.run(tool(ended), call())
        assert ended == ["finally"]


async def count(
    n: int, ended: list[str], on_two: Callable[[], object] | None = None, pause: float = WAIT
) -> AsyncIterator[tuple[int, str | None]]:
    try:
        for i in range(n):
            await asyncio.sleep(0)
            if i == 2 and on_two is not None:
                on_two()
                await asyncio.sleep(pause)
            yield i, SessionContext(current.get()).session_id
    finally:
        await asyncio.sleep(0)
        ended.append("finally")


def test_an_async_generator_is_a_plain_iterator(loop: LoopThread) -> None:
    ended: list[str] = []
    token = current.set(call("s"))
    try:
        chunks = loop.iterate(count(3, ended), current.get())
    finally:
        current.reset(token)

    assert list(chunks) == [(0, "s"), (1, "s"), (2, "s")]
    assert ended == ["finally"]
    assert list(chunks) == []


def test_an_async_generator_advances_only_when_asked(loop: LoopThread) -> None:
    made: list[int] = []

    async def source() -> AsyncIterator[int]:
        for i in range(10):
            made.append(i)
            yield i

    chunks = loop.iterate(source(), None)
    assert made == []
    assert next(chunks) == 0
    loop.run(asyncio.sleep(0.01), None)
    assert made == [0]
    chunks.close()


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_close_runs_the_generators_finally(loop: LoopThread, taken: int) -> None:
    ended: list[str] = []
    chunks = loop.iterate(count(3, ended), None)
    for _ in range(taken):
        next(chunks)
    chunks.close()
    chunks.close()
    assert ended == (["finally"] if taken else []), "a generator that never started has no end"
    with pytest.raises(StopIteration):
        next(chunks)


def test_cancel_in_the_middle_of_a_step_runs_the_generators_finally(loop: LoopThread) -> None:
    the_call = call()
    ended: list[str] = []
    chunks = loop.iterate(count(5, ended, on_two=the_call.cancel), the_call)
    assert [next(chunks)[0], next(chunks)[0]] == [0, 1]
    with pytest.raises(asyncio.CancelledError):
        next(chunks)
    assert ended == ["finally"]
    assert not the_call.watched


@pytest.mark.parametrize("order", ["cancel, close", "close, cancel", "cancel, next"])
def test_cancel_between_steps_runs_the_generators_finally_to_its_end(
    loop: LoopThread, order: str
) -> None:
    the_call = call()
    ended: list[str] = []

    async def source() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            if order == "close, cancel":
                the_call.cancel()
            await asyncio.sleep(0.01)
            ended.append("finally")

    chunks = loop.iterate(source(), the_call)
    next(chunks)
    if order != "close, cancel":
        the_call.cancel()
    if order == "cancel, next":
        assert list(chunks) == []
    else:
        chunks.close()
    assert ended == ["finally"]
    assert not the_call.watched


def test_a_reader_that_was_interrupted_can_close(
    loop: LoopThread, interrupt: Callable[[], None]
) -> None:
    for _ in range(200):
        ended: list[str] = []
        chunks = loop.iterate(count(5, ended, interrupt, LOST_SIGNAL), call())
        with pytest.raises(Interrupt):
            list(chunks)
        chunks.close()
        assert ended == ["finally"]


def test_a_stream_is_one_task_so_a_timeout_may_span_a_yield(loop: LoopThread) -> None:
    async def tasks() -> AsyncIterator[asyncio.Task[Any] | None]:
        yield asyncio.current_task()
        yield asyncio.current_task()

    first, second = loop.iterate(tasks(), None)
    assert first is second is not None


def test_an_error_in_an_async_generator_comes_after_its_chunks(start: Start) -> None:
    host = start(
        """
        from snakepit_bridge import BaseAdapter, tool
        class Adapter(BaseAdapter):
            @tool
            async def broken(self):
                yield 1
                raise KeyError("gone")
        """
    )
    host.await_ready()
    pending = host.begin("broken")
    chunks = pending.chunks()
    assert next(chunks) == 1
    with pytest.raises(RemoteFailure, match="KeyError") as caught:
        next(chunks)
    assert "in broken" in caught.value.traceback
    assert "snakepit_bridge" not in caught.value.traceback


def test_an_async_wrapper_of_foreign_awaitables_works(loop: LoopThread) -> None:
    class Later:
        def __await__(self) -> Iterator[Any]:
            yield from asyncio.sleep(0).__await__()
            return "later"

    assert loop.run(Later(), None) == "later"


def test_an_adapter_that_exits_in_a_background_task_does_not_take_the_loop(
    loop: LoopThread,
) -> None:
    async def leave() -> None:
        raise SystemExit(1)

    async def spawn() -> None:
        task = asyncio.create_task(leave())
        await asyncio.wait([task])
        task.exception()

    loop.run(spawn(), None)
    loop.run(asyncio.sleep(0), None)


def test_an_adapter_that_stops_the_loop_stops_nothing(loop: LoopThread) -> None:
    async def stop() -> None:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0)

    loop.run(stop(), None)
    loop.run(asyncio.sleep(0), None)
