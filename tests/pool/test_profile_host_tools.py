"""Host tools in workers that run several calls at once: every profile, over both ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from line.ends import OWN_ENDS, params, worker

from snakepit import CallTimeout, RemoteError

from .conftest import Gates, until

ADAPTER = "pool.calling_back:Overlapping"


@pytest.fixture(params=params(OWN_ENDS))
def line(request: pytest.FixtureRequest) -> str:
    """The end of the line that the workers have."""
    worker(*request.param)  # skips where it cannot be had
    return str(request.param[0])


class Asks:
    """A pool of one worker with four calls at once, and the tools that ask there."""

    def __init__(self, pool: Any, is_async: bool) -> None:
        self.pool = pool
        self.back = "aback" if is_async else "back"
        self.chain = "achain" if is_async else "chain"
        self.collect = "acollect_slowly" if is_async else "collect"


@pytest.fixture(params=["thread", "thread with coroutines", "async"])
def asks(request: pytest.FixtureRequest, make_pool: Callable[..., Any], line: str) -> Asks:
    profile: dict[str, Any] = {"profile": "thread", "threads_per_worker": 4}
    if request.param == "async":
        profile = {"profile": "async", "max_in_flight": 4}
    pool = make_pool(ADAPTER, size=1, line=line, **profile)
    pool.await_ready(60)
    pool.register_tool("echo", lambda value: value)
    return Asks(pool, request.param != "thread")


def test_each_call_gets_its_own_answers(asks: Asks) -> None:
    def ask(number: int) -> Any:
        arguments = {"name": "echo", "arguments": {"value": [number, "x" * (number % 7) * 1000]}}
        return asks.pool.execute(asks.back, arguments, timeout=60)

    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(ask, range(300)))
    assert answers == [[number, "x" * (number % 7) * 1000] for number in range(300)]


def test_several_ask_at_once_and_are_answered_in_any_order(asks: Asks) -> None:
    arrived = threading.Semaphore(0)
    release = {name: threading.Event() for name in "abc"}

    def wait(name: str) -> str:
        arrived.release()
        assert release[name].wait(60)
        return name

    pool = asks.pool
    pool.register_tool("wait", wait)
    calls = {
        name: pool.submit(asks.back, {"name": "wait", "arguments": {"name": name}})
        for name in "abc"
    }
    for _ in "abc":
        assert arrived.acquire(timeout=60), "all of them ask at the same time"
    assert pool.execute("echo", {"value": "beside them"}) == "beside them"
    for name in "cab":
        release[name].set()
        assert calls[name].result(60) == name
        assert all(not calls[other].done() for other in "abc" if not release[other].is_set())


def test_a_call_from_inside_runs_beside_its_ancestors_while_there_is_a_place(asks: Asks) -> None:
    pool = asks.pool

    def again(left: int) -> Any:
        return pool.execute(asks.chain, {"left": left})

    pool.register_tool("again", again)
    assert pool.execute(asks.chain, {"left": 3}, timeout=60) == "bottom", "four places"
    with pytest.raises(RemoteError) as caught:
        pool.execute(asks.chain, {"left": 50}, timeout=60)
    assert "ReentrantCall" in str(caught.value)
    assert pool.execute("ping") == "pong"
    assert pool.stats().running == 0
    assert pool.stats().worker_deaths == 0


def test_streams_of_the_host_come_in_order_beside_each_other(asks: Asks) -> None:
    def count(base: int) -> Iterator[int]:
        yield from range(base, base + 3000)

    pool = asks.pool
    pool.register_tool("count", count)
    calls = [
        pool.submit(asks.collect, {"name": "count", "arguments": {"base": 10_000 * number}})
        for number in range(3)
    ]
    for number, call in enumerate(calls):
        assert call.result(60) == list(range(10_000 * number, 10_000 * number + 3000))


def test_a_tool_of_one_session_is_not_there_for_another_one_beside_it(asks: Asks) -> None:
    pool = asks.pool
    with pool.session("mine") as mine, pool.session("other") as other:
        pool.register_tool("secret", lambda: 42, session="mine")
        ask = {"name": "secret"}
        calls = [session.submit(asks.back, ask) for session in (mine, other, mine, other)]
        assert [calls[0].result(60), calls[2].result(60)] == [42, 42]
        for call in (calls[1], calls[3]):
            with pytest.raises(RemoteError, match="secret"):
                call.result(60)


def test_one_that_never_returns_costs_its_call_alone(asks: Asks) -> None:
    never = threading.Event()
    pool = asks.pool
    pool.register_tool("never", never.wait)
    before = pool.execute("pid")
    try:
        with pytest.raises(CallTimeout):
            pool.execute(asks.back, {"name": "never"}, timeout=0.5)
        cancelled = pool.submit(asks.back, {"name": "never"})
        until(lambda: pool.stats().running == 1, "it runs")
        assert cancelled.cancel()
        until(lambda: pool.info().workers[0].running == 0, "both have let go of it")
        assert pool.execute("pid") == before
        ask = {"name": "echo", "arguments": {"value": 1}}
        assert [pool.execute(asks.back, ask) for _ in range(4)] == [1] * 4
        assert pool.stats().worker_deaths == 0
    finally:
        never.set()


def test_a_call_that_has_ended_asks_for_nothing(asks: Asks) -> None:
    asks.pool.execute("keep")
    assert "has ended" in asks.pool.execute("too_late")
    assert asks.pool.execute("ping") == "pong"
    assert asks.pool.stats().worker_deaths == 0


def test_a_pool_that_closes_waits_for_what_they_ask(asks: Asks, gates: Gates) -> None:
    started, release = threading.Event(), threading.Event()

    def wait() -> str:
        started.set()
        assert release.wait(60)
        return "answered"

    asks.pool.register_tool("wait", wait)
    call = asks.pool.submit(asks.back, {"name": "wait"})
    assert started.wait(60)
    closing = threading.Thread(target=asks.pool.close, kwargs={"drain": 60})
    closing.start()
    release.set()
    assert call.result(60) == "answered"
    closing.join(60)
    assert not closing.is_alive()
