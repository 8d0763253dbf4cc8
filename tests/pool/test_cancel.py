"""Giving a call up, waiting or running; and a queue that is full."""

from __future__ import annotations

from concurrent.futures import CancelledError
from typing import Any

import pytest

from snakepit import Cancelled, QueueFull

from .conftest import Gates, until


@pytest.fixture
def one(make_pool: Any) -> Any:
    pool = make_pool(size=1)
    pool.await_ready(60)
    return pool


def test_a_waiting_call(one: Any, gates: Gates) -> None:
    held = one.submit("hold", {"started": gates("s"), "release": gates("go")})
    gates.wait("s")
    waiting = one.submit("hold", {"started": gates("never"), "release": gates("go")})
    assert waiting.cancel()
    assert (waiting.cancelled(), waiting.done()) == (True, True)
    with pytest.raises(Cancelled) as caught:
        waiting.result(30)
    assert isinstance(caught.value, CancelledError)
    gates.open("go")
    assert held.result(30) > 0
    assert one.execute("ping") == "pong"
    assert not gates.opened("never"), "it never ran"
    assert one.stats().cancelled == 1


def test_a_running_call_that_listens(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(size=1, grace=30)
    pool.await_ready(60)
    pid = pool.execute("pid")
    for tool in ("hold_politely", "hold_in_a_coroutine"):
        call = pool.submit(tool, {"started": gates(f"s-{tool}"), "ended": gates(f"e-{tool}")})
        gates.wait(f"s-{tool}")
        assert call.cancel()
        assert call.done(), "the caller is free at once"
        gates.wait(f"e-{tool}")
    assert pool.execute("pid") == pid, "its worker lives"


def test_a_running_call_that_does_not_listen(one: Any, gates: Gates) -> None:
    pid = one.execute("pid")
    call = one.submit("hold", {"started": gates("s"), "release": gates("never")})
    gates.wait("s")
    assert call.cancel()
    with pytest.raises(Cancelled):
        call.result(0)
    assert one.execute("pid", timeout=60) != pid, "after the grace its worker is replaced"


def test_a_finished_call(one: Any) -> None:
    call = one.submit("ping")
    assert call.result(30) == "pong"
    assert call.cancel() is False
    assert call.result(0) == "pong"


def test_a_dropped_future_does_not_cancel(one: Any, gates: Gates) -> None:
    one.submit("hold", {"started": gates("s"), "release": gates("go")})
    gates.wait("s")
    gates.open("go")
    until(lambda: one.stats().completed == 1, "it came to its end")


def test_a_full_queue(make_pool: Any, gates: Gates) -> None:
    pool = make_pool(size=1, max_queue=3)
    pool.await_ready(60)
    held = pool.submit("hold", {"started": gates("s"), "release": gates("go")})
    gates.wait("s")
    waiting = []
    with pytest.raises(QueueFull) as caught:  # noqa: PT012
        # Some may wait in the worker itself, but not without end.
        for _ in range(200):
            waiting.append(pool.submit("ping"))
    assert (caught.value.capacity, caught.value.may_have_run) == (3, False)
    assert len(waiting) >= 3
    with pytest.raises(QueueFull):
        pool.execute("ping")
    with pytest.raises(QueueFull):
        list(pool.execute_stream("count", {"upto": 1}))
    assert pool.stats().rejected == 3
    gates.open("go")
    assert held.result(30) > 0
    assert [call.result(30) for call in waiting] == ["pong"] * len(waiting)
    assert pool.execute("ping") == "pong", "there is room again"
