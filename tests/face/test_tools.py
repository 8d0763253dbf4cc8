"""Listing tools, and holding arguments against their schemas: what the faces make of it."""

from __future__ import annotations

import asyncio
import pickle
import threading
from typing import Any

import pytest

import snakepit
from snakepit import ArgumentError, ConfigError, StartError, ToolInfo

MISMATCH = ArgumentError(
    'add: args["a"]: expected an integer, got nothing',
    parameter="a",
    path='args["a"]',
    expected="an integer",
    got="nothing",
    tool="add",
)


def test_tools_are_listed_with_their_schema_as_data(make_pool: Any) -> None:
    tools = make_pool().tools(timeout=5)
    assert [(t.name, t.description, t.streaming) for t in tools] == [
        ("add", "Adds.", False),
        ("count", "", True),
    ]
    assert tools[0].parameters == {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert all(type(tool) is ToolInfo for tool in tools)


def test_each_list_is_the_callers_own(make_pool: Any) -> None:
    pool = make_pool()
    assert [tool.thread_safe for tool in pool.tools()] == [True, False]
    pool.tools()[0].parameters["properties"].clear()
    assert pool.tools()[0].parameters["properties"]


def test_a_pool_that_cannot_start_tells_so(make_pool: Any) -> None:
    pool = make_pool()
    pool._engine.readiness = StartError("no")
    with pytest.raises(StartError):
        pool.tools()
    with pytest.raises(ConfigError, match="timeout"):
        pool.tools(timeout=-1)


def test_an_event_loop_goes_on_while_tools_are_awaited() -> None:
    async def main() -> None:
        pool = snakepit.AsyncPool("m:C", size=1)
        engine: Any = pool._engine
        engine.knows_tools, engine.ready_gate = False, threading.Event()
        asked = asyncio.ensure_future(pool.tools())
        await asyncio.sleep(0)
        assert not asked.done()
        engine.ready_gate.set()
        assert [tool.name for tool in await asked] == ["add", "count"]
        engine.knows_tools = True
        assert len(await pool.tools()) == 2
        await pool.close()

    asyncio.run(main())


@pytest.mark.parametrize("how", ["execute", "submit", "execute_stream"])
def test_arguments_are_checked_where_the_pool_or_the_call_says_so(make_pool: Any, how: str) -> None:
    for whole, call, checks in [
        (False, None, False),
        (True, None, True),
        (True, False, False),
        (False, True, True),
    ]:
        pool = make_pool(validate_arguments=whole)
        engine = pool._engine
        engine.answer = lambda _, reply: reply.end(3)
        getattr(pool, how)("add", {"a": 1}, timeout=7, validate_arguments=call)
        sent = ("checked", {"a": 1}) if checks else {"a": 1}
        assert engine.checks == ([("add", {"a": 1}, 7.0, True)] if checks else [])
        assert engine.calls[0][:2] == ("add", sent)
        assert engine.calls[0][3] == 7.0


@pytest.mark.parametrize("how", ["execute", "submit", "execute_stream"])
def test_what_is_not_as_the_schema_says_is_not_sent(make_pool: Any, how: str) -> None:
    pool = make_pool(validate_arguments=True)
    pool._engine.mismatch = MISMATCH
    with pytest.raises(ArgumentError) as caught:
        getattr(pool, how)("add", {})
    assert caught.value.parameter == "a"
    assert pool._engine.calls == []


def test_the_other_face_checks_too() -> None:
    async def main() -> None:
        pool = snakepit.AsyncPool("m:C", size=1, validate_arguments=True)
        engine: Any = pool._engine
        engine.answer = lambda _, reply: reply.end(3)
        assert await pool.execute("add", {"a": 1}) == 3
        assert await pool.submit("add", {"a": 1}) == 3
        engine.knows_tools = False
        # What may not wait becomes a task, which may.
        assert await pool.submit("add", {"a": 1}, timeout=9) == 3
        pool.execute_stream("count", {"a": 1})
        assert [check[2:] for check in engine.checks] == [
            (300.0, True),
            (None, False),
            (9.0, True),
            (None, False),
        ]
        engine.mismatch = MISMATCH
        with pytest.raises(ArgumentError):
            await pool.execute("add", {})
        with pytest.raises(ArgumentError):
            await pool.submit("add", {})
        engine.knows_tools = True
        with pytest.raises(ArgumentError):
            pool.submit("add", {})
        assert len(engine.calls) == 4
        await pool.close()

    asyncio.run(main())


def test_the_error_is_both_of_what_python_would_raise() -> None:
    assert isinstance(MISMATCH, ValueError)
    assert isinstance(MISMATCH, TypeError)
    assert not isinstance(MISMATCH, snakepit.RemoteError)
    assert not MISMATCH.may_have_run
    copy = pickle.loads(pickle.dumps(MISMATCH))
    assert (str(copy), copy.path, copy.got) == (str(MISMATCH), 'args["a"]', "nothing")


def test_the_parameter_is_true_or_false(make_pool: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        make_pool(validate_arguments="yes")
    assert caught.value.field == "validate_arguments"


def test_a_tool_name_that_is_no_text_is_refused(make_pool: Any) -> None:
    with pytest.raises(ConfigError, match="tool"):
        make_pool().execute("\ud800", {}, validate_arguments=True)
