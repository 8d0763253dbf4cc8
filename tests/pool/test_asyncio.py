"""``AsyncPool`` over real workers: cancellation, many loops, closed loops, interpreter exit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import snakepit
from snakepit import AsyncPool, CallTimeout, PoolClosed, ToolNotFound, WorkerDied

from .conftest import BASIC, Gates, Host, marked_processes, until


@pytest.fixture
def pool() -> Iterator[AsyncPool]:
    pool = AsyncPool(BASIC, size=2, grace=0.3)
    yield pool
    asyncio.run(pool.close(drain=0))


async def wait_for(gates: Gates, name: str) -> None:
    while not gates.opened(name):
        await asyncio.sleep(0.005)


def test_calls(pool: AsyncPool) -> None:
    async def main() -> None:
        await pool.await_ready(60)
        assert await pool.execute("ping") == "pong"
        answers = await asyncio.gather(*(pool.execute("add", {"a": n, "b": 1}) for n in range(500)))
        assert answers == list(range(1, 501))
        assert [await pool.submit("ping") for _ in range(3)] == ["pong"] * 3
        assert [r async for r in pool.map("echo", ({"value": n} for n in range(50)))] == list(
            range(50)
        )
        assert (pool.stats().ready, len(pool.list_workers())) == (2, 2)

    asyncio.run(main(), debug=True)


def test_failures(pool: AsyncPool, gates: Gates) -> None:
    async def main() -> None:
        with pytest.raises(KeyError):
            await pool.execute("fail", {"kind": "KeyError"})
        with pytest.raises(ToolNotFound):
            await pool.execute("pign")
        with pytest.raises(WorkerDied):
            await pool.execute("die", {"how": "SIGKILL"})
        with pytest.raises(CallTimeout):
            await pool.execute("hold", {"release": gates("never")}, timeout=0.3)
        assert await pool.execute("ping") == "pong"

    asyncio.run(main(), debug=True)


def test_the_loop_is_free_meanwhile(pool: AsyncPool, gates: Gates) -> None:
    async def main() -> None:
        held = asyncio.create_task(
            pool.execute("hold", {"started": gates("s"), "release": gates("go")})
        )
        await wait_for(gates, "s")
        assert not held.done()
        gates.open("go")
        assert await held > 0

    asyncio.run(main(), debug=True)


@pytest.mark.parametrize("how", ["task", "submit", "wait_for", "task group"])
def test_cancelling(pool: AsyncPool, gates: Gates, how: str) -> None:
    args = {"started": gates("s"), "ended": gates("ended")}

    async def main() -> None:
        if how == "wait_for":
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(pool.execute("hold_in_a_coroutine", args), 1.0)
        elif how == "task group":
            with pytest.raises(ExceptionGroup):  # noqa: PT012
                async with asyncio.TaskGroup() as group:
                    group.create_task(pool.execute("hold_in_a_coroutine", args))
                    await wait_for(gates, "s")
                    raise LookupError
        else:
            call = "hold_in_a_coroutine", args
            future: asyncio.Future[Any] = (
                pool.submit(*call) if how == "submit" else asyncio.create_task(pool.execute(*call))
            )
            await wait_for(gates, "s")
            future.cancel()
            with pytest.raises(asyncio.CancelledError):
                await future
        await wait_for(gates, "ended")
        assert pool.stats().cancelled == 1
        assert await pool.execute("ping") == "pong"

    asyncio.run(main(), debug=True)


def test_one_loop_after_the_other(pool: AsyncPool) -> None:
    async def main(number: int) -> int:
        return await pool.execute("add", {"a": number, "b": 1})  # type: ignore[no-any-return]

    assert [asyncio.run(main(n)) for n in range(20)] == list(range(1, 21))


def test_many_loops_at_once(pool: AsyncPool) -> None:
    failures: list[BaseException] = []

    async def main(base: int) -> None:
        answers = await asyncio.gather(
            *(pool.execute("add", {"a": base, "b": n}) for n in range(200))
        )
        assert answers == [base + n for n in range(200)]

    def run(base: int) -> None:
        try:
            asyncio.run(main(base))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(n * 1000,)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_call_that_outlives_its_loop_is_cancelled(pool: AsyncPool, gates: Gates) -> None:
    args = {"started": gates("s"), "ended": gates("ended")}

    async def main() -> None:
        pool.submit("hold_in_a_coroutine", args)
        await wait_for(gates, "s")

    asyncio.run(main(), debug=True)
    gates.wait("ended")


def test_a_result_for_a_closed_loop_is_dropped(pool: AsyncPool, gates: Gates) -> None:
    async def start() -> None:
        pool.submit("hold", {"started": gates("s"), "release": gates("go")})
        await wait_for(gates, "s")

    loop = asyncio.new_event_loop()
    loop.run_until_complete(start())
    loop.close()  # Without notice: as some frameworks do.
    gates.open("go")
    until(lambda: pool.stats().running == 0, "the call is over")

    async def use() -> None:
        assert await pool.execute("ping") == "pong"

    asyncio.run(use(), debug=True)


def test_streams(pool: AsyncPool, gates: Gates) -> None:
    async def main() -> None:
        for tool in ("count", "count_later"):
            chunks = [c async for c in pool.execute_stream(tool, {"upto": 5000})]
            assert chunks == list(range(5000))
        async with pool.execute_stream("count_forever", {"ended": gates("left")}) as stream:
            assert [await anext(stream) for _ in range(3)] == [0, 1, 2]
        await wait_for(gates, "left")

        async for _ in pool.execute_stream("count_forever", {"ended": gates("broken off")}):
            break
        await wait_for(gates, "broken off")

        with pytest.raises(ValueError, match="enough"):
            async for _ in pool.execute_stream("count_and_fail", {"upto": 3}):
                pass
        seen: list[int] = []
        await pool.execute_stream("count", {"upto": 3}, on_chunk=seen.append)
        assert seen == [0, 1, 2]

    asyncio.run(main(), debug=True)


def test_cancelling_the_reader_of_a_stream(pool: AsyncPool, gates: Gates) -> None:
    async def main() -> None:
        async def read() -> None:
            async for _ in pool.execute_stream("count_forever", {"ended": gates("ended")}):
                gates.open("reading")

        task = asyncio.create_task(read())
        await wait_for(gates, "reading")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await wait_for(gates, "ended")

    asyncio.run(main(), debug=True)


def test_a_stream_that_waits(pool: AsyncPool, gates: Gates) -> None:
    async def main() -> None:
        names = [gates("g0"), gates("g1")]
        stream = pool.execute_stream("count_in_steps", {"gates": names})
        gates.open("g0")
        assert await anext(stream) == 0
        waiting = asyncio.create_task(anext(stream))
        assert await pool.execute("ping") == "pong", "meanwhile"
        assert not waiting.done()
        gates.open("g1")
        assert await waiting == 1
        with pytest.raises(StopAsyncIteration):
            await anext(stream)

    asyncio.run(main(), debug=True)


def test_sessions(pool: AsyncPool) -> None:
    async def main() -> None:
        async with pool.session("user") as session:
            homes = await asyncio.gather(*(session.execute("who") for _ in range(20)))
            assert len({pid for pid, *_ in homes}) == 1
            assert {name for _, name, _ in homes} == {"user"}
            async for pid, name, _ in session.execute_stream("count_sessions", {"upto": 3}):
                assert (pid, name) == (homes[0][0], "user")

    asyncio.run(main(), debug=True)


def test_the_block_and_a_closed_pool(gates: Gates) -> None:
    async def main() -> None:
        async with AsyncPool(BASIC, size=1, grace=0.3) as pool:
            assert await pool.execute("ping") == "pong"
        with pytest.raises(PoolClosed):
            await pool.execute("ping")
        with pytest.raises(PoolClosed):
            pool.submit("ping")
        assert marked_processes() == []

    asyncio.run(main(), debug=True)


def test_start_errors() -> None:
    async def main() -> None:
        async with AsyncPool("pool.adapters:FailsToInitialize", size=1) as pool:
            with pytest.raises(snakepit.StartError, match=r"weights\.bin"):
                await pool.await_ready(60)
            with pytest.raises(snakepit.StartError):
                await pool.execute("ping")

    asyncio.run(main(), debug=True)


@pytest.mark.parametrize(
    "end",
    [
        "asyncio.run(main())",
        "loop = asyncio.new_event_loop(); loop.run_until_complete(main())",
        "loop = asyncio.new_event_loop(); loop.run_until_complete(main()); loop.close()",
        "threading.Thread(target=asyncio.run, args=(main(),), daemon=True).start(); done.wait()",
    ],
    ids=["run", "open loop", "closed loop", "daemon thread"],
)
def test_interpreter_exit_with_an_open_pool(host: Host, gates: Gates, end: str) -> None:
    code, out, err = host.run_script(
        f"""
import asyncio, threading, warnings, snakepit
warnings.simplefilter("ignore", ResourceWarning)  # The loops that are left open here.
done = threading.Event()
pool = snakepit.AsyncPool("pool.adapters:Basic", size=2, grace=0.3)
async def main():
    print(await pool.execute("ping"), flush=True)
    pool.submit("hold", {{"started": {gates("s")!r}, "release": {gates("never")!r}}})
    stream = pool.execute_stream("count", {{"upto": 10**9}})
    print(await anext(stream), flush=True)
    while not __import__("os").path.exists({gates("s")!r}):
        await asyncio.sleep(0.01)
    done.set()
{end}
"""
    )
    assert (code, out, err) == (0, "pong\n0\n", "")


def test_a_stream_that_idles(pool: AsyncPool, gates: Gates) -> None:
    async def main() -> None:
        gates.open("first")
        args = {"gates": [gates("first"), gates("never")]}
        stream = pool.execute_stream("count_in_steps", args, idle_timeout=1)
        await pool.await_ready(60)
        assert await anext(stream) == 0
        with pytest.raises(CallTimeout) as caught:
            await asyncio.wait_for(anext(stream), 30)
        assert (caught.value.tool, caught.value.timeout) == ("count_in_steps", 1.0)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        with pytest.raises(CallTimeout):
            await asyncio.wait_for(
                pool.execute_stream("count_in_steps", args, idle_timeout=0.5, on_chunk=print), 30
            )
        assert await pool.execute("ping", timeout=60) == "pong"

    asyncio.run(main(), debug=True)


def test_two_readers_of_one_stream(pool: AsyncPool, gates: Gates) -> None:
    async def main() -> None:
        stream = pool.execute_stream("count_in_steps", {"gates": [gates("g0"), gates("g1")]})
        first = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="already being read"):
            await asyncio.wait_for(anext(stream), 30)
        gates.open("g0")
        assert await asyncio.wait_for(first, 30) == 0
        gates.open("g1")
        assert await asyncio.wait_for(anext(stream), 30) == 1

    asyncio.run(main(), debug=True)


def test_a_stream_that_outlives_its_loop_is_cancelled(pool: AsyncPool, gates: Gates) -> None:
    kept = []

    async def main() -> None:
        stream = pool.execute_stream("count_forever", {"ended": gates("ended")})
        kept.append(stream)
        assert await anext(stream) == 0

    asyncio.run(main(), debug=True)
    gates.wait("ended")
    until(lambda: pool.stats().running == 0, "the worker is free")
    kept.clear()
