"""Host tools that yield, and adapters that iterate over them, over both ends of the line."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from snakepit import RemoteError


@pytest.fixture
def make(make_calling_back: Callable[..., Any]) -> Callable[..., Any]:
    return make_calling_back


@pytest.fixture
def pool(make: Callable[..., Any]) -> Any:
    pool = make()
    pool.register_tool("echo", lambda value: value)
    return pool


def test_what_a_generator_yields_is_iterated_over(pool: Any) -> None:
    @pool.tool
    def count(upto: int) -> Iterator[int]:
        yield from range(upto)

    @pool.tool
    async def acount(upto: int) -> Any:
        for number in range(upto):
            yield number

    for name in ["count", "acount"]:
        call = {"name": name, "arguments": {"upto": 5000}}
        assert pool.execute("collect", call) == list(range(5000))
        assert pool.execute("acollect", call) == list(range(5000))
    chunks = pool.execute_stream("pass_on", {"name": "count", "arguments": {"upto": 3000}})
    assert list(chunks) == list(range(3000))
    assert list(pool.execute_stream("apass_on", {"count": 50})) == list(range(50))


def test_a_reader_that_stops_closes_the_generator(pool: Any) -> None:
    closed = threading.Event()

    @pool.tool
    def forever() -> Iterator[int]:
        number = 0
        try:
            while True:
                yield number
                number += 1
        finally:
            made.append(number)
            closed.set()

    made: list[int] = []
    assert pool.execute("collect", {"name": "forever", "upto": 3}) == [0, 1, 2]
    assert closed.wait(30)
    assert made[0] <= 3 * 1024, "it is no more than a window ahead of its reader"


def test_the_wrong_verb_is_named(pool: Any) -> None:
    @pool.tool
    def count() -> Iterator[int]:
        yield 1

    assert "stream_host_tool" in pool.execute("caught", {"name": "count"})["message"]
    with pytest.raises(RemoteError, match="call_host_tool"):
        pool.execute("collect", {"name": "echo", "arguments": {"value": 1}})


def test_a_generator_that_fails_ends_after_its_items(pool: Any) -> None:
    @pool.tool
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    with pytest.raises(RemoteError, match="broken"):
        pool.execute("collect", {"name": "broken"})
