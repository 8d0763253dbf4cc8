"""``AsyncPool``: loops, cancellation, streams."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

import snakepit
from snakepit._inbox import _inboxes, inbox_of, off_loop

from .conftest import Adapter
from .fake_core import Inbox


@pytest.fixture
def pool() -> Any:
    pool = snakepit.AsyncPool(Adapter, size=2)
    yield pool
    pool._engine.close(0.0)


def engine(pool: snakepit.AsyncPool) -> Any:
    return pool._engine


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(main(), debug=True)


async def called(pool: snakepit.AsyncPool, count: int = 1) -> None:
    """Waits until so many calls have reached the engine."""
    while len(engine(pool).replies) < count:
        await asyncio.sleep(0)


def test_execute(pool: Any) -> None:
    async def main() -> None:
        task = asyncio.create_task(pool.execute("add", {"a": 1}, timeout=3, idempotent=True))
        await called(pool)
        assert engine(pool).calls == [("add", {"a": 1}, None, 3.0, True)]
        threading.Thread(target=engine(pool).replies[0].end, args=(7,)).start()
        assert await task == 7

    run(main)


def test_failure(pool: Any) -> None:
    async def main() -> None:
        engine(pool).answer = lambda call, reply: reply.end(error=snakepit.QueueFull("full"))
        with pytest.raises(snakepit.QueueFull):
            await pool.execute("add")

    run(main)


def test_cancelling_the_task_cancels_the_call(pool: Any) -> None:
    async def main() -> None:
        task = asyncio.create_task(pool.execute("slow"))
        await called(pool)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert engine(pool).replies[0].cancelled()

    run(main)


def test_a_timeout_of_the_caller_cancels_the_call(pool: Any) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pool.execute("slow"), 0.01)
        assert engine(pool).replies[0].cancelled()

    run(main)


def test_submit(pool: Any) -> None:
    async def main() -> None:
        future = pool.submit("slow")
        assert isinstance(future, asyncio.Future)
        assert len(engine(pool).calls) == 1, "started before anybody awaits it"
        engine(pool).replies[0].end(3)
        assert await future == 3

        given_up = pool.submit("slow")
        given_up.cancel()
        await asyncio.sleep(0)
        assert engine(pool).replies[1].cancelled()

    run(main)


def test_submit_needs_a_loop(pool: Any) -> None:
    with pytest.raises(RuntimeError, match="loop"):
        pool.submit("slow")


def test_one_inbox_serves_a_loop_and_closes_with_it(pool: Any) -> None:
    async def main() -> None:
        engine(pool).answer = lambda call, reply: reply.end(call[0])
        tools = [f"tool{n}" for n in range(50)]
        assert await asyncio.gather(*map(pool.execute, tools)) == tools
        assert len(_inboxes) == 1

    for _ in range(3):
        run(main)
    assert len(Inbox.made) == 3
    assert all(inbox.closed for inbox in Inbox.made)
    assert not _inboxes


def test_calls_of_a_loop_that_ended_are_cancelled(pool: Any) -> None:
    async def main() -> None:
        pool.submit("nobody waits for it")

    run(main)
    assert engine(pool).replies[0].cancelled()


def test_a_loop_closed_without_notice_is_cleared_up_by_the_next(pool: Any) -> None:
    async def main() -> None:
        pool.submit("nobody waits for it")

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
    reply = engine(pool).replies[0]
    reply_of_closed_loop_ends_silently = not reply.done()
    assert reply_of_closed_loop_ends_silently

    run(main)
    assert reply.cancelled()
    assert all(inbox.closed for inbox in Inbox.made)


def test_a_call_that_ends_after_its_loop_is_dropped_silently(pool: Any) -> None:
    async def main() -> None:
        pool.submit("late")

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
    engine(pool).replies[0].end("too late")


def test_many_loops_at_once(pool: Any) -> None:
    engine(pool).answer = lambda call, reply: reply.end(call[1]["n"])
    failures: list[BaseException] = []

    async def main(base: int) -> None:
        answers = await asyncio.gather(*(pool.execute("n", {"n": base + i}) for i in range(50)))
        assert answers == list(range(base, base + 50))

    def loop(base: int) -> None:
        try:
            asyncio.run(main(base))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=loop, args=(n * 100,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_loop_that_cannot_watch_a_descriptor() -> None:
    class Proactor(asyncio.SelectorEventLoop):
        def add_reader(self, *args: Any) -> Any:
            raise NotImplementedError

    async def main() -> None:
        with pytest.raises(snakepit.SnakepitError, match="Proactor"):
            inbox_of(asyncio.get_running_loop())

    loop = Proactor()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
    assert Inbox.made[0].closed


def test_the_loop_is_free_while_the_pool_starts_and_closes(pool: Any) -> None:
    async def main() -> None:
        gate = engine(pool).ready_gate = threading.Event()
        waiting = asyncio.create_task(pool.await_ready(30))
        await asyncio.sleep(0)
        assert not waiting.done()
        gate.set()
        await waiting
        engine(pool).readiness = snakepit.StartError("no")
        with pytest.raises(snakepit.StartError):
            await pool.await_ready()
        await pool.close(drain=1)
        assert engine(pool).drains == [1.0]

    run(main)


def test_what_blocks_off_the_loop_may_outlive_it() -> None:
    gate = threading.Event()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(off_loop(gate.wait), 0.01)

    run(main)  # Ends, although the thread still waits.
    gate.set()
    for thread in threading.enumerate():
        if thread.name == "snakepit-wait":
            thread.join(10)
            assert not thread.is_alive()


def test_the_block(pool: Any) -> None:
    async def main() -> None:
        async with pool:
            pass
        assert engine(pool).drains == [30.0]

    run(main)


def test_an_exception_leaving_the_block(pool: Any) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="out"):
            async with pool:
                raise ValueError("out")
        assert engine(pool).drains == [0.0]

    run(main)


def test_map(pool: Any) -> None:
    engine(pool).answer = lambda call, reply: reply.end(call[1]["n"] * 10)

    async def numbers() -> AsyncIterator[dict[str, int]]:
        for n in range(5):
            yield {"n": n}

    async def main() -> None:
        expected = [0, 10, 20, 30, 40]
        assert [r async for r in pool.map("square", numbers())] == expected
        assert [r async for r in pool.map("square", [{"n": n} for n in range(5)])] == expected

    run(main)


def test_closing_map_cancels_what_is_under_way(pool: Any) -> None:
    engine(pool).answer = lambda call, reply: reply.end(0) if call[1]["n"] == 0 else None

    async def main() -> None:
        results = pool.map("square", ({"n": n} for n in range(9)), in_flight=3)
        assert await anext(results) == 0
        await results.aclose()
        await asyncio.sleep(0)
        assert [reply.cancelled() for reply in engine(pool).replies] == [False, True, True]

    run(main)


def test_a_cancelled_reader_of_map_cancels_the_calls(pool: Any) -> None:
    async def main() -> None:
        async def read() -> None:
            async for _ in pool.map("slow", [{}] * 9, in_flight=3):
                pass

        task = asyncio.create_task(read())
        await called(pool, 3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.01)
        assert all(reply.cancelled() for reply in engine(pool).replies)

    run(main)


# --- streams ------------------------------------------------------------------------------------


def test_sessions(pool: Any) -> None:
    engine(pool).answer = lambda call, reply: reply.end(call[2].id)
    engine(pool).items = [1]

    async def main() -> None:
        async with pool.session("u", affinity="hint") as session:
            assert (session.id, session.affinity) == ("u", "hint")
            assert await session.execute("load") == "u"
            assert await session.submit("load") == "u"
            assert [c async for c in session.execute_stream("train")] == [1]
            await session.execute_stream("train", on_chunk=print)
        assert await pool.execute_in_session("v", "load") == "v"
        assert await pool.execute("load", session="w") == "w"
        assert await pool.execute("load", session=session) == "u"

    run(main)


def test_a_name_that_is_no_text(pool: Any) -> None:
    async def main() -> None:
        for use, field in (
            (lambda: pool.execute("\ud800"), "tool"),
            (lambda: pool.submit("\ud800"), "tool"),
            (lambda: pool.execute_stream("\ud800"), "tool"),
            (lambda: pool.execute("load", session="\ud800"), "session"),
        ):
            with pytest.raises(snakepit.ConfigError) as caught:
                await use()
            assert caught.value.field == field

    run(main)
