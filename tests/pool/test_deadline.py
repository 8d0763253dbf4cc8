"""A deadline frees the caller at once, and the worker within the grace."""

from __future__ import annotations

import time
from typing import Any

import pytest

from snakepit import CallTimeout

from .conftest import Gates, until


def test_a_tool_that_does_not_stop_loses_its_worker(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(size=1)
    pool.await_ready(60)
    pid = pool.execute("pid")
    with pytest.raises(CallTimeout) as caught:
        pool.execute("hold", {"started": gates("s"), "release": gates("never")}, timeout=0.5)
    error = caught.value
    assert (error.step, error.timeout, error.tool) == ("running", 0.5, "hold")
    assert error.may_have_run is True
    assert isinstance(error, TimeoutError)
    assert gates.opened("s")
    assert pool.execute("pid", timeout=60) != pid


def test_a_tool_that_stops_keeps_its_worker(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(size=1, grace=30)
    pool.await_ready(60)
    pid = pool.execute("pid")
    args = {"started": gates("s"), "ended": gates("e")}
    with pytest.raises(CallTimeout):
        pool.execute("hold_politely", args, timeout=0.5)
    gates.wait("e")
    assert pool.execute("pid") == pid


def test_a_coroutine_is_cancelled_and_keeps_its_worker(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(size=1, grace=30)
    pool.await_ready(60)
    pid = pool.execute("pid")
    args = {"started": gates("s"), "ended": gates("e")}
    with pytest.raises(CallTimeout):
        pool.execute("hold_in_a_coroutine", args, timeout=0.5)
    gates.wait("e")
    assert pool.execute("pid") == pid


def test_waiting_counts(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(size=1)
    pool.await_ready(60)
    held = pool.submit("hold", {"started": gates("s"), "release": gates("go")})
    gates.wait("s")
    begin = time.monotonic()
    with pytest.raises(CallTimeout) as caught:
        pool.execute("ping", timeout=0.3)
    assert time.monotonic() - begin < 10
    assert caught.value.step in ("queued", "sent")
    assert caught.value.may_have_run is False
    assert pool.stats().timeouts == 1
    gates.open("go")
    assert held.result(30) > 0, "the call before it goes on"


def test_no_time_at_all(pool: Any) -> None:
    with pytest.raises(CallTimeout) as caught:
        pool.execute("hold", {"release": "/never"}, timeout=0)
    assert caught.value.timeout == 0
    assert pool.execute("ping") == "pong"


def test_the_future_tells_it_too(pool: Any, gates: Gates) -> None:
    future = pool.submit("hold", {"release": gates("never")}, timeout=0.3)
    assert isinstance(future.exception(30), CallTimeout)
    until(lambda: pool.stats().ready == 2, "the worker is replaced")


def test_the_pools_default(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(size=1, timeout=0.5)
    pool.await_ready(60)
    with pytest.raises(CallTimeout) as caught:
        pool.execute("hold", {"release": gates("never")})
    assert caught.value.timeout == 0.5


def test_a_stream_that_stalls(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(size=1)
    pool.await_ready(60)
    gates.open("first")
    args = {"gates": [gates("first"), gates("never")]}
    with (  # noqa: PT012
        pytest.raises(CallTimeout),
        pool.execute_stream("count_in_steps", args, idle_timeout=0.5) as stream,
    ):
        assert next(stream) == 0
        next(stream)
    assert pool.execute("ping", timeout=60) == "pong"


def test_a_stream_that_takes_too_long_in_all(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(size=1)
    pool.await_ready(60)
    with (
        pytest.raises(CallTimeout),
        pool.execute_stream("count_forever", {"ended": gates("ended")}, timeout=0.7) as stream,
    ):
        for _ in stream:
            pass
    gates.wait("ended")


def test_a_silent_start_of_a_stream_counts_as_idle(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(size=1)
    pool.await_ready(60)
    args = {"gates": [gates("never")]}
    with pytest.raises(CallTimeout):
        list(pool.execute_stream("count_in_steps", args, idle_timeout=0.3))


def test_a_stream_that_idles_in_the_queue(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(size=1)
    busy = pool.submit("hold", {"started": gates("s"), "release": gates("go")})
    gates.wait("s")
    before = pool.stats().timeouts
    stream = pool.execute_stream("count", {"upto": 3}, idle_timeout=0.3)
    with pytest.raises(CallTimeout) as caught:
        next(stream)
    error = caught.value
    assert (error.step, error.may_have_run) == ("queued", False)
    assert (error.tool, error.timeout) == ("count", 0.3)
    with pytest.raises(StopIteration):
        next(stream)
    gates.open("go")
    assert busy.result(30) > 0, "the call before it is not disturbed"
    assert pool.stats().timeouts == before + 1
