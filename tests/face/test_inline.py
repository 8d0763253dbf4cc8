"""``inline=True``: the adapter in this process, with the errors and values of a worker."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any, ClassVar

import pytest

import snakepit
from snakepit import (
    AdapterSourceError,
    EncodeError,
    MessageTooLarge,
    PoolClosed,
    RemoteError,
    StartError,
    ToolNotFound,
)
from snakepit_bridge import BaseAdapter, tool

pytestmark = pytest.mark.filterwarnings("error")


class Inline(BaseAdapter):
    ended: ClassVar[list[str]] = []

    def __init__(self, factor: int = 2) -> None:
        super().__init__()
        self.factor = factor
        self.thread: int | None = None

    async def initialize(self) -> None:
        self.thread = threading.get_ident()

    def cleanup(self) -> None:
        self.ended.append("cleanup")

    @tool
    def times(self, number: int) -> int:
        return number * self.factor

    @tool
    def where(self) -> list[int]:
        return [os.getpid(), threading.get_ident()]

    @tool
    def pair(self) -> tuple[int, int]:
        return (1, 2)

    @tool
    def fail(self, kind: str) -> None:
        raise {"value": ValueError, "key": KeyError, "stop": StopIteration}[kind]("no")

    @tool
    def unspeakable(self) -> object:
        return object()

    @tool
    async def later(self, number: int) -> int:
        await asyncio.sleep(0)
        return number

    @tool(supports_streaming=True)
    def refuse_to_count(self) -> Any:
        raise StopIteration("no")

    @tool
    def count(self, upto: int) -> Any:
        try:
            yield from range(upto)
        finally:
            self.ended.append("count")

    @tool
    def who(self) -> list[Any]:
        context = self.session_context
        return [context.session_id, context.is_new, context.remaining() is None]


@pytest.fixture
def pool() -> Any:
    Inline.ended = []
    with snakepit.Pool(Inline, size=1, inline=True) as pool:
        yield pool


def test_it_runs_here_on_this_thread(pool: Any) -> None:
    assert pool.execute("where") == [os.getpid(), threading.get_ident()]


def test_values_travel_as_to_a_worker(pool: Any) -> None:
    assert pool.execute("times", {"number": 4}) == 8
    assert pool.execute("pair") == [1, 2]
    with pytest.raises(EncodeError) as caught:
        pool.execute("times", {"number": object()})
    assert caught.value.may_have_run is False
    with pytest.raises(EncodeError) as caught:
        pool.execute("unspeakable")
    assert caught.value.may_have_run is True


def test_adapter_args() -> None:
    with snakepit.Pool(Inline, size=1, inline=True, adapter_args={"factor": 5}) as pool:
        assert pool.execute("times", {"number": 4}) == 20


def test_any_class_will_do() -> None:
    class Local:
        @tool
        def ping(self) -> str:
            return "pong"

    with snakepit.Pool(Local, size=1, inline=True) as pool:
        assert pool.execute("ping") == "pong"
    with snakepit.Pool(f"{__name__}:Inline", size=1, inline=True) as pool:
        assert pool.execute("times", {"number": 1}) == 2


def test_errors(pool: Any) -> None:
    with pytest.raises(KeyError) as caught:
        pool.execute("fail", {"kind": "key"})
    error = caught.value
    assert isinstance(error, RemoteError)
    assert isinstance(error.__cause__, KeyError)
    assert (error.type_name, error.tool, str(error.worker)) == ("KeyError", "fail", "default/0")
    assert error.remote_traceback is not None
    assert "in fail" in error.remote_traceback
    assert "snakepit/_inline" not in error.remote_traceback, "our own frames would hide the cause"

    with pytest.raises(TypeError):
        pool.execute("times", {"wrong": 1})
    with pytest.raises(ToolNotFound) as missing:
        pool.execute("tims")
    assert missing.value.suggestions[0] == "times"
    assert pool.execute("times", {"number": 1}) == 2, "the adapter lives"


def test_messages_have_a_limit() -> None:
    pool = snakepit.Pool(Inline, size=1, inline=True, max_message=1024)
    with pool, pytest.raises(MessageTooLarge) as caught:
        pool.execute("times", {"number": "x" * 2000})
    assert caught.value.limit == 1024
    assert (caught.value.size or 0) > 2000


def test_coroutines_and_futures(pool: Any) -> None:
    assert pool.execute("later", {"number": 3}) == 3
    future = pool.submit("times", {"number": 3})
    assert (future.done(), future.result()) == (True, 6)
    assert isinstance(pool.submit("fail", {"kind": "value"}).exception(), ValueError)
    assert isinstance(pool.submit("tims").exception(), ToolNotFound)
    with pytest.raises(EncodeError):
        pool.submit("times", {"number": object()})
    assert list(pool.map("times", ({"number": n} for n in range(4)))) == [0, 2, 4, 6]


def test_streams(pool: Any) -> None:
    assert list(pool.execute_stream("count", {"upto": 3})) == [0, 1, 2]
    with pool.execute_stream("count", {"upto": 3}) as stream:
        assert next(stream) == 0
        assert pool.execute("times", {"number": 1}) == 2, "between two chunks"
    assert Inline.ended == ["count", "count"]
    with pytest.raises(TypeError, match="execute_stream"):
        pool.execute("count", {"upto": 3})
    with pytest.raises(TypeError, match="execute"):
        pool.execute_stream("pair")


def test_sessions(pool: Any) -> None:
    assert pool.execute("who") == [None, False, False]
    assert pool.execute("who", timeout=None) == [None, False, True]
    session = pool.session("u")
    assert session.generation == 0
    assert session.execute("who") == ["u", True, False]
    assert session.execute("who") == ["u", False, False]
    assert session.generation == 1
    assert pool.execute("who", session="v") == ["v", True, False]


def test_life(pool: Any) -> None:
    (worker,) = pool.list_workers()
    assert (worker.state, worker.pid) == ("starting", os.getpid())
    pool.await_ready()
    pool.execute("pair")
    (worker,) = pool.list_workers()
    assert (worker.state, worker.calls, worker.ref.generation) == ("ready", 1, 1)
    pool.recycle(worker.ref)
    assert Inline.ended == ["cleanup"]
    pool.execute("pair")
    assert pool.list_workers()[0].ref.generation == 2
    stats = pool.stats()
    assert (stats.requests, stats.errors, stats.ready) == (2, 0, 1)
    pool.close()
    assert Inline.ended == ["cleanup", "cleanup"]
    with pytest.raises(PoolClosed):
        pool.execute("pair")


def test_an_adapter_that_cannot_start() -> None:
    class Broken:
        def __init__(self) -> None:
            raise OSError("no device")

        @tool
        def ping(self) -> None: ...

    with snakepit.Pool(Broken, size=1, inline=True) as pool:
        with pytest.raises(StartError, match="no device") as caught:
            pool.await_ready()
        assert caught.value.remote_traceback is not None
        assert isinstance(caught.value.__cause__, OSError)

    pool = snakepit.Pool("no_such_module:Broken", size=1, inline=True)
    with pool, pytest.raises(AdapterSourceError, match="no_such_module"):
        pool.execute("ping")


def test_threads_take_turns(pool: Any) -> None:
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda: results.append(pool.execute("times", {"number": 1})))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [2] * 8


def test_asyncio() -> None:
    async def main() -> None:
        async with snakepit.AsyncPool(Inline, size=1, inline=True) as pool:
            assert await pool.execute("times", {"number": 2}) == 4
            assert await pool.execute("later", {"number": 2}) == 2
            with pytest.raises(ValueError, match="no"):
                await pool.execute("fail", {"kind": "value"})
            assert [c async for c in pool.execute_stream("count", {"upto": 2})] == [0, 1]

    asyncio.run(main())


def test_stop_iteration_is_an_error_like_any_other(pool: Any) -> None:
    for use in (
        lambda: pool.execute("fail", {"kind": "stop"}),
        lambda: pool.submit("fail", {"kind": "stop"}).result(),
        lambda: list(pool.map("fail", [{"kind": "stop"}])),
        lambda: list(pool.execute_stream("refuse_to_count")),
    ):
        with pytest.raises(RemoteError) as caught:
            use()
        assert caught.value.type_name == "StopIteration"
    stats = pool.stats()
    assert (stats.errors, stats.completed) == (4, 0)
    assert list(pool.execute_stream("count", {"upto": 2})) == [0, 1]


def test_a_name_that_is_no_text(pool: Any) -> None:
    for use, field in (
        (lambda: pool.execute("\ud800"), "tool"),
        (lambda: pool.submit("\ud800"), "tool"),
        (lambda: pool.execute_stream("\ud800"), "tool"),
        (lambda: pool.session("\ud800"), "session"),
    ):
        with pytest.raises(snakepit.ConfigError) as caught:
            use()
        assert caught.value.field == field


def test_a_closed_pool_counts_what_it_refuses(pool: Any) -> None:
    pool.close()
    for use in (pool.execute, pool.submit, pool.execute_stream):
        with pytest.raises(PoolClosed):
            use("times", {"number": 1})
    stats = pool.stats()
    assert (stats.rejected, stats.requests, stats.errors) == (3, 0, 0)
