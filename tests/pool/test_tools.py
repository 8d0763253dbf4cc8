"""What a pool tells of its tools, and arguments that are held against it, over both ends."""

from __future__ import annotations

import asyncio
import datetime
import json
import time
from typing import Any

import numpy as np
import pytest

import snakepit
from snakepit import ArgumentError, CallTimeout, EncodeError, PoolClosed, StartError, ToolNotFound

from .conftest import until

pytestmark = pytest.mark.process

DESCRIBED = "pool.describing:Described"


@pytest.fixture(params=["native", "grpcio", "inline"])
def described(request: pytest.FixtureRequest, make_pool: Any) -> snakepit.Pool:
    end = {"inline": True} if request.param == "inline" else {"line": request.param}
    return make_pool(DESCRIBED, size=1, **end)


def test_a_pool_tells_its_tools(described: snakepit.Pool) -> None:
    tools = {tool.name: tool for tool in described.tools(timeout=60)}
    assert list(tools) == ["add", "greet", "mean", "shape", "size", "anything", "count"]
    assert {name for name, tool in tools.items() if tool.streaming} == {"count"}
    assert tools["add"].description == "Adds two numbers"
    assert tools["add"].parameters == {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer", "default": 0}},
        "required": ["a"],
        "additionalProperties": False,
    }
    greet = tools["greet"].parameters
    assert tools["greet"].description == "Greets somebody."
    assert greet["properties"]["user"] == {"$ref": "#/$defs/User", "description": "Whom."}
    assert greet["$defs"]["User"]["required"] == ["name"]
    assert greet["properties"]["mode"] == {
        "enum": ["warm", "cold"],
        "description": "How.",
        "default": "warm",
    }
    mean = tools["mean"].parameters["properties"]
    assert mean["values"] == {"$comment": "numpy.ndarray has no JSON schema"}
    assert mean["weight"] == {"type": "number", "description": "of all", "default": 1.0}
    assert tools["anything"].parameters["additionalProperties"] is True


WRONG = [
    ("add", {}, "a", 'args["a"]', "an integer", "nothing"),
    ("add", {"a": "1"}, "a", 'args["a"]', "an integer", "a string of 1 characters"),
    ("add", {"a": True}, "a", 'args["a"]', "an integer", "a boolean, true"),
    ("add", {"a": 1, "more": 2}, "more", 'args["more"]', "nothing of this name", "an integer, 2"),
    (
        "greet",
        {"user": {"name": "Ann", "age": "old"}},
        "user",
        'args["user"]["age"]',
        "an integer",
        "a string of 3 characters",
    ),
    (
        "greet",
        {"user": {"name": "Ann"}, "mode": "hot"},
        "mode",
        'args["mode"]',
        'one of "warm", "cold"',
        '"hot"',
    ),
    (
        "shape",
        {"values": [1, None]},
        "values",
        'args["values"][1]',
        "a number",
        "null",
    ),
    ("size", {"data": 5}, "data", 'args["data"]', "a string (binary)", "an integer, 5"),
]


@pytest.mark.parametrize(
    ("tool", "args", "parameter", "path", "expected", "got"), WRONG, ids=[w[3] for w in WRONG]
)
def test_what_is_not_as_the_schema_says_is_refused_in_the_host(
    make_pool: Any, tool: str, args: Any, parameter: str, path: str, expected: str, got: str
) -> None:
    pool = make_pool(DESCRIBED, size=1, validate_arguments=True)
    with pytest.raises(ArgumentError) as caught:
        pool.execute(tool, args)
    error = caught.value
    assert (error.tool, error.parameter, error.path) == (tool, parameter, path)
    assert (error.expected, error.got) == (expected, got)
    assert str(error).startswith(f"{tool}: {path}: expected {expected}")
    assert not error.may_have_run
    assert pool.stats().requests == 0, "nothing was sent"
    assert pool.execute("add", {"a": 1}) == 1, "the worker is well"


def test_inline_pools_refuse_the_same(make_pool: Any) -> None:
    pool = make_pool(DESCRIBED, size=1, inline=True, validate_arguments=True)
    for tool, args, *rest in WRONG:
        with pytest.raises(ArgumentError) as caught:
            pool.execute(tool, args)
        error = caught.value
        assert [error.parameter, error.path, error.expected, error.got] == rest


def test_what_is_right_arrives(described: snakepit.Pool) -> None:
    def run(tool: str, **args: Any) -> Any:
        return described.execute(tool, args, validate_arguments=True)

    assert run("add", a=1, b=2) == 3
    assert run("greet", user={"name": "Ann", "age": 3}, note=None) == "warm Ann"
    assert run("mean", values=np.array([1.0, 3.0])) == 2.0
    assert run("shape", values=np.zeros((2, 3))) == [2, 3]
    assert run("add", a=np.int64(4)) == 4
    assert run("size", data=b"abc") == 3
    assert run("anything", x=1, y=[2]) == ["x", "y"]
    assert list(described.execute_stream("count", {"upto": 3}, validate_arguments=True)) == [
        0,
        1,
        2,
    ]
    with pytest.raises(ArgumentError):
        described.execute_stream("count", {}, validate_arguments=True)
    with pytest.raises(ArgumentError):
        described.submit("add", {"a": datetime.date(2026, 1, 1)}, validate_arguments=True)


def test_without_being_asked_nothing_is_checked(make_pool: Any) -> None:
    pool = make_pool(DESCRIBED, size=1)
    with pytest.raises(snakepit.RemoteError) as caught:
        pool.execute("add", {"a": "1", "b": 1})
    assert isinstance(caught.value, TypeError)


def test_other_refusals_stay_what_they_are(make_pool: Any) -> None:
    pool = make_pool(DESCRIBED, size=1, validate_arguments=True)
    with pytest.raises(ToolNotFound) as caught:
        pool.execute("ad", {})
    assert list(caught.value.suggestions) == ["add"]
    with pytest.raises(EncodeError):
        pool.execute("add", {"a": object()})
    with pytest.raises(snakepit.SnakepitError):
        pool.execute("add", 5)
    pool.close()
    with pytest.raises(PoolClosed):
        pool.execute("add", {"a": 1})


def test_asyncio_is_told_and_checks() -> None:
    async def main() -> None:
        async with snakepit.AsyncPool(DESCRIBED, size=1, validate_arguments=True) as pool:
            # Both before a worker is ready.
            early = pool.submit("add", {"a": "x"})
            with pytest.raises(StartError):
                pool.execute_stream("count", {"upto": 1})
            with pytest.raises(ArgumentError):
                await early
            assert (await pool.tools())[0].name == "add"
            with pytest.raises(ArgumentError):
                await pool.execute("add", {})
            with pytest.raises(ArgumentError):
                pool.submit("add", {})
            assert await pool.submit("add", {"a": 2}) == 2
            assert [item async for item in pool.execute_stream("count", {"upto": 2})] == [0, 1]

    asyncio.run(main())


def test_the_wait_for_tools_is_bounded(make_pool: Any) -> None:
    pool = make_pool("pool.describing:Slow", size=1)
    began = time.monotonic()
    with pytest.raises(StartError, match="not ready"):
        pool.tools(timeout=0.05)
    with pytest.raises(CallTimeout) as caught:
        pool.execute("fine", {"a": 1}, timeout=0.05, validate_arguments=True)
    assert (caught.value.step, caught.value.may_have_run) == ("queued", False)
    assert time.monotonic() - began < 30
    pool.close()
    with pytest.raises(PoolClosed):
        pool.tools()


@pytest.mark.parametrize("line", ["native", "grpcio"])
@pytest.mark.parametrize(
    ("adapter", "told", "more"),
    [
        ("Unreachable", r"Unreachable\.divide: parameter 'a' is positional-only", {}),
        ("BadName", r"'two words' cannot be a tool's name", {}),
        ("Twice", r"'one' and 'two' are both tools named 'same'", {}),
        ("Verbose", r"names, descriptions and schemas take \d+ bytes", {"max_message": 1024}),
    ],
)
def test_tools_that_cannot_be_are_named_at_the_start(
    make_pool: Any, line: str, adapter: str, told: str, more: dict[str, Any]
) -> None:
    pool = make_pool(f"pool.describing:{adapter}", size=1, line=line, **more)
    with pytest.raises(StartError, match=told):
        pool.tools(timeout=60)
    with pytest.raises(StartError, match=told):
        pool.execute("fine")


@pytest.mark.parametrize("line", ["native", "grpcio"])
def test_a_method_without_the_mark_is_told(make_pool: Any, line: str) -> None:
    pool = make_pool("pool.describing:Unmarked", size=1, line=line)
    for _ in range(2):
        with pytest.raises(ToolNotFound):
            pool.execute("forgotten")
    assert pool.execute("fine") == "fine"
    reports = until(lambda: pool.info().workers[0].reports, "the worker tells")
    assert [*reports] == [
        "Unmarked.forgotten is no tool, since it is not marked: write @tool above its def"
    ]


def test_tools_are_known_to_agents(make_pool: Any) -> None:
    """The list as function-calling interfaces take it."""
    pool = make_pool(DESCRIBED, size=1)
    functions = [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
            },
        }
        for tool in pool.tools()
    ]
    assert json.loads(json.dumps(functions)) == functions
