"""Host tools as the face registers and runs them; the calls come from the test."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import pytest

import snakepit
from snakepit import ConfigError, _nesting
from snakepit._host_tools import HostTool

from .conftest import Adapter
from .fake_core import FakeHostCall


def called(pool: Any, name: str, arguments: Any = None, **more: Any) -> FakeHostCall:
    """Call a tool as a worker would, and wait for its answer."""
    queue, tool, *_ = pool._engine.registered[name, None]
    call = FakeHostCall(tool, {} if arguments is None else arguments, **more)
    queue.calls.put(call)
    assert call.answered.wait(20)
    return call


def test_what_was_said_reaches_the_engine(make_pool: Any) -> None:
    pool = make_pool()

    @pool.tool(session="s", timeout=2, params="mapping")
    def lookup(arguments: Any) -> Any:
        """Finds it."""

    @pool.tool
    def count() -> Iterator[int]:
        yield 1

    assert pool.host_tools() == [
        HostTool("lookup", "s", "Finds it.", 2.0, False, 0),
        HostTool("count", None, "", None, True, 0),
    ]
    assert pool.unregister_tool("lookup", session="s")
    assert not pool.unregister_tool("lookup", session="s")
    assert [tool.name for tool in pool.host_tools()] == ["count"]


def test_a_pool_without_tools_has_neither_queue_nor_list(make_pool: Any) -> None:
    pool = make_pool()
    assert pool.host_tools() == []
    assert not pool.unregister_tool("a")
    assert pool._toolbox is None


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("params", {"params": "dict"}),
        ("timeout", {"timeout": -1}),
        ("name", {"name": 7}),
        ("fn", {"fn": None}),
    ],
)
def test_what_makes_no_sense_is_refused(make_pool: Any, field: str, options: Any) -> None:
    given = {"name": "a", "fn": print, **options}
    with pytest.raises(ConfigError) as caught:
        make_pool().register_tool(given.pop("name"), given.pop("fn"), **given)
    assert caught.value.field == field


def test_each_kind_of_function_answers(make_pool: Any) -> None:
    pool = make_pool()

    class Callable:
        def __call__(self, x: int) -> int:
            return x + 1

    async def later(x: int) -> int:
        await asyncio.sleep(0)
        return x + 1

    async def items(x: int) -> AsyncIterator[int]:
        yield x
        yield x + 1

    def plain_items(x: int) -> Iterator[int]:
        yield x
        yield x + 1

    for name, function in {
        "plain": lambda x: x + 1,
        "object": Callable(),
        "partial": partial(lambda x, y: x + y, y=1),
        "later": later,
        "wrapped": lambda x: later(x),
        "partial_later": partial(later),
    }.items():
        pool.register_tool(name, function)
        assert called(pool, name, {"x": 1}).answer == ("value", 2), name
    for name, stream in {"items": items, "plain_items": plain_items}.items():
        pool.register_tool(name, stream)
        call = called(pool, name, {"x": 1})
        assert (call.items, call.answer) == ([1, 2], ("end",)), name


def test_what_is_raised_is_told_without_our_frames(make_pool: Any) -> None:
    pool = make_pool()

    def fail() -> None:
        raise ValueError("wrong")

    async def fail_later() -> None:
        raise ValueError("wrong")

    for function in (fail, fail_later):
        pool.register_tool(function.__name__, function)
        what, type_name, message, text, detail = called(pool, function.__name__).answer
        assert (what, type_name, message, detail) == ("failure", "ValueError", "wrong", None)
        assert "snakepit/_host_tools.py" not in text
        assert f"in {function.__name__}" in text


def test_a_function_knows_its_call_and_others_do_not(make_pool: Any) -> None:
    pool = make_pool()

    def about() -> Any:
        call = snakepit.current_call()
        assert call is not None
        return [call.name, call.caller, call.depth, repr(call)]

    pool.register_tool("about", about)
    told = ["about", "caller", 1, "<HostCall of 'about' by 'caller'>"]
    assert called(pool, "about").answer == ("value", told)
    assert snakepit.current_call() is None


def test_calls_from_inside_say_so(make_pool: Any) -> None:
    pool = make_pool()
    pool._engine.answer = lambda call, reply: reply.end("done")

    def inside() -> Any:
        pool.execute_stream("items")
        return [pool.execute("add", {"a": 1}), pool.submit("add").result()]

    pool.register_tool("inside", inside)
    pool.execute("outside")
    call = called(pool, "inside")
    assert call.answer == ("value", ["done", "done"])
    outside, stream, *calls = pool._engine.calls
    assert len(outside) == 5, "a call from outside says nothing of that"
    assert stream[-1] is call
    assert [made[-2:] for made in calls] == [(None, call)] * 2


def test_a_coroutine_runs_on_the_loop_that_made_the_call() -> None:
    async def main() -> tuple[Any, Any]:
        async with snakepit.AsyncPool(Adapter, size=1) as pool:
            engine: Any = pool._engine

            async def which() -> bool:
                return asyncio.get_running_loop() is loop

            loop = asyncio.get_running_loop()
            pool.register_tool("which", which)
            engine.answer = lambda call, reply: reply.end("done")
            await pool.execute("outside")
            within, origin = engine.calls[-1][-2:]
            call = await asyncio.to_thread(called, pool, "which", origin=origin)
            return within, call.answer

    assert asyncio.run(main()) == (None, ("value", True))


def test_a_cancelled_coroutine_ends(make_pool: Any) -> None:
    pool, began = make_pool(), threading.Event()

    async def wait() -> None:
        began.set()
        await asyncio.sleep(3600)

    pool.register_tool("wait", wait)
    queue, tool, *_ = pool._engine.registered["wait", None]
    call = FakeHostCall(tool, {})
    queue.calls.put(call)
    assert began.wait(20)
    call.cancel()
    assert call.answered.wait(20)
    assert call.answer[:2] == ("failure", "asyncio.exceptions.CancelledError")


def test_closing_says_which_function_goes_on(
    make_pool: Any, caplog: pytest.LogCaptureFixture
) -> None:
    pool, began, release = make_pool(), threading.Event(), threading.Event()

    def stuck() -> None:
        began.set()
        release.wait()

    pool.register_tool("stuck", stuck)
    queue, tool, *_ = pool._engine.registered["stuck", None]
    queue.calls.put(FakeHostCall(tool, {}))
    assert began.wait(20)
    assert pool.host_tools()[0].running == 1
    with caplog.at_level(logging.WARNING, "snakepit"):
        pool.close()
    assert "'stuck' still runs" in caplog.text
    release.set()


def test_the_flag_is_set_by_the_first_tool(make_pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_nesting, "seen", False)
    pool = make_pool()
    assert not _nesting.seen
    pool.register_tool("a", print)
    assert _nesting.seen
