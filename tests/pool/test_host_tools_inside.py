"""Host tools in time and inside each other: limits, cancels, calls of pools, event loops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import snakepit
from snakepit import CallTimeout, Cancelled, ReentrantCall, RemoteError

from .conftest import Gates, until

ADAPTER = "pool.calling_back:CallsBack"


@pytest.fixture
def make(make_calling_back: Callable[..., Any]) -> Callable[..., Any]:
    return make_calling_back


@pytest.fixture
def pool(make: Callable[..., Any]) -> Any:
    pool = make()
    pool.register_tool("echo", lambda value: value)
    return pool


# --- time and cancels -------------------------------------------------------------------------


def test_a_function_sees_its_call_and_the_time_left(pool: Any) -> None:
    @pool.tool
    def about() -> Any:
        call = snakepit.current_call()
        assert call is not None
        return [
            call.name,
            call.caller,
            call.session_id,
            call.depth,
            call.cancelled,
            call.remaining(),
        ]

    assert snakepit.current_call() is None
    *facts, left = pool.execute("back", {"name": "about"}, session="s", timeout=50)
    assert facts == ["about", "back", "s", 1, False]
    assert 0 < left <= 50
    assert pool.execute("back", {"name": "about"}, timeout=None)[-1] is None


def test_the_earlier_of_two_limits_counts(pool: Any) -> None:
    release = threading.Event()
    told = {"short": threading.Event(), "long": threading.Event()}

    def wait() -> None:
        call = snakepit.current_call()
        assert call is not None
        assert call.remaining() is not None
        while not release.is_set():
            if call.cancelled:
                told[call.name].set()
            time.sleep(0.001)

    pool.register_tool("short", wait, timeout=0.05)
    pool.register_tool("long", wait, timeout=500)
    caught = pool.execute("caught", {"name": "short"})
    assert caught["type_name"] == "TimeoutError"
    assert "TimeoutError" in caught["classes"]
    assert told["short"].wait(30), "the function is told"
    with pytest.raises(CallTimeout):
        pool.execute("back", {"name": "long"}, timeout=0.1)
    assert told["long"].wait(30)
    # The functions go on, and yet the worker let go of the call in time.
    assert pool.execute("ping") == "pong"
    assert [worker.ref.generation for worker in pool.list_workers()] == [1]
    release.set()
    until(lambda: all(tool.running == 0 for tool in pool.host_tools()), "both return")


def test_a_function_that_never_returns_keeps_nobody(make: Callable[..., Any], gates: Gates) -> None:
    pool = make()
    forever = threading.Event()
    pool.register_tool("stuck", lambda: forever.wait())
    with pytest.raises(CallTimeout):
        pool.execute("back", {"name": "stuck"}, timeout=0.1)
    assert [tool.running for tool in pool.host_tools()] == [1], "its thread is accounted for"
    assert pool.execute("ping") == "pong"
    began = time.monotonic()
    pool.close(drain=0)
    assert time.monotonic() - began < 20
    forever.set()


def test_a_cancel_reaches_a_coroutine_of_the_host(pool: Any) -> None:
    import asyncio

    began, ended = threading.Event(), threading.Event()

    async def wait() -> None:
        began.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    pool.register_tool("wait", wait)
    for tool in ["back", "aback"]:
        call = pool.submit(tool, {"name": "wait"})
        assert began.wait(30)
        call.cancel()
        with pytest.raises(Cancelled):
            call.result(30)
        assert ended.wait(30)
        began.clear()
        ended.clear()
    until(lambda: pool.execute("ping") == "pong", "the worker goes on")


# --- calls from inside ------------------------------------------------------------------------


def test_a_function_calls_its_own_pool(make: Callable[..., Any]) -> None:
    pool = make(size=2)

    @pool.tool
    def again(left: int) -> Any:
        return pool.execute("chain", {"left": left})

    assert pool.execute("chain", {"left": 1}) == "bottom"
    with pytest.raises(RemoteError, match="ReentrantCall"):
        pool.execute("chain", {"left": 2})
    assert pool.execute("ping") == "pong"


def test_a_pool_of_one_worker_refuses_what_would_wait_for_itself(make: Callable[..., Any]) -> None:
    pool = make()
    refused: list[BaseException] = []

    @pool.tool
    def again(left: int) -> Any:
        for form in (
            lambda: pool.execute("ping", timeout=None),
            lambda: pool.submit("ping", timeout=None).result(),
            lambda: list(pool.execute_stream("apass_on", {"count": 1})),
            lambda: pool.execute("ping", session="s", timeout=None),
        ):
            with pytest.raises(ReentrantCall) as caught:
                form()
            refused.append(caught.value)
        return pool.execute("chain", {"left": left}, timeout=None)

    with pytest.raises(RemoteError, match="ReentrantCall"):
        pool.execute("chain", {"left": 50}, timeout=60)
    assert [error.tool for error in refused] == ["ping", "ping", "apass_on", "ping"]
    assert not any(error.may_have_run for error in refused)
    assert pool.execute("ping") == "pong"


def test_a_session_whose_home_waits_is_refused(make: Callable[..., Any]) -> None:
    pool = make(size=2)

    @pool.tool
    def same_session() -> Any:
        with pytest.raises(ReentrantCall) as caught:
            pool.execute("ping", session="s", timeout=None)
        assert caught.value.session == "s"
        return pool.execute("ping")

    assert pool.execute("back", {"name": "same_session"}, session="s") == "pong"


def test_two_pools_that_call_each_other_end(make: Callable[..., Any]) -> None:
    one, two = make(name="one"), make(name="two")
    one.register_tool("again", lambda left: two.execute("chain", {"left": left}))
    two.register_tool("again", lambda left: one.execute("chain", {"left": left}))
    assert one.execute("chain", {"left": 1}) == "bottom"
    with pytest.raises(RemoteError, match="ReentrantCall"):
        one.execute("chain", {"left": 3})


def test_the_depth_is_limited(make: Callable[..., Any]) -> None:
    pools = [make(name=f"p{n}", host_tool_depth=2) for n in range(4)]
    for this, following in zip(pools, [*pools[1:], pools[0]], strict=True):
        this.register_tool(
            "again", lambda left, following=following: following.execute("chain", {"left": left})
        )
    assert pools[0].execute("chain", {"left": 2}) == "bottom"
    with pytest.raises(RemoteError, match="host_tool_depth allows 2"):
        pools[0].execute("chain", {"left": 3})


def test_calls_from_inside_end_with_the_call_around_them(make: Callable[..., Any]) -> None:
    pool, other = make(), make(name="other")
    inside: list[BaseException] = []
    done = threading.Event()

    @pool.tool
    def outward() -> None:
        try:
            other.execute("sleep", {"seconds": 60}, timeout=None)
        except BaseException as error:
            inside.append(error)
            raise
        finally:
            done.set()

    with pytest.raises(CallTimeout):
        pool.execute("back", {"name": "outward"}, timeout=0.3)
    assert done.wait(30)
    assert isinstance(inside[0], (CallTimeout, Cancelled))


def test_many_that_call_back_into_a_small_pool_all_end(make: Callable[..., Any]) -> None:
    pool = make(size=2)

    @pool.tool
    def again(left: int) -> Any:
        return pool.execute("chain", {"left": left})

    futures = [pool.submit("chain", {"left": 1}) for _ in range(60)]
    outcomes = [future.exception(60) for future in futures]
    refused = [error for error in outcomes if error is not None]
    assert all("ReentrantCall" in str(error) for error in refused)
    assert pool.execute("chain", {"left": 1}) == "bottom"
    assert pool.stats().timeouts == 0


# --- asyncio ----------------------------------------------------------------------------------


def test_an_async_pool_runs_coroutines_on_the_loop_that_calls(
    own_line: str, nothing_left: None
) -> None:
    import asyncio

    async def main() -> list[Any]:
        async with snakepit.AsyncPool(ADAPTER, size=2, line=own_line, grace=0.3) as pool:
            await pool.await_ready(60)
            loop = asyncio.get_running_loop()

            @pool.tool
            async def where() -> bool:
                return asyncio.get_running_loop() is loop

            @pool.tool
            async def again(left: int) -> Any:
                return await pool.execute("chain", {"left": left})

            results = [await pool.execute(form, {"name": "where"}) for form in ("back", "aback")]
            results.append(await pool.execute("chain", {"left": 1}))
            with pytest.raises(RemoteError, match="ReentrantCall"):
                await pool.execute("chain", {"left": 2})
            calls = (pool.execute("back", {"name": "where"}) for _ in range(50))
            results.append(all(await asyncio.gather(*calls)))
            return results

    assert asyncio.run(main()) == [True, True, "bottom", True]


def test_a_cancelled_task_cancels_what_its_call_called(own_line: str, nothing_left: None) -> None:
    import asyncio

    async def main() -> bool:
        async with snakepit.AsyncPool(ADAPTER, size=1, line=own_line, grace=0.3) as pool:
            began, ended = asyncio.Event(), asyncio.Event()

            @pool.tool
            async def wait() -> None:
                began.set()
                try:
                    await asyncio.sleep(3600)
                finally:
                    ended.set()

            task = asyncio.create_task(pool.execute("back", {"name": "wait"}))
            await asyncio.wait_for(began.wait(), 60)
            task.cancel()
            await asyncio.wait_for(ended.wait(), 30)
            return await pool.execute("ping") == "pong"

    assert asyncio.run(main())


def test_a_fork_of_a_worker_asks_nobody(pool: Any) -> None:
    assert "fork" in pool.execute("ask_in_a_fork")
    assert pool.execute("ping") == "pong"
