"""``inline=True`` and workers agree: the same calls, the same values, the same errors."""

from __future__ import annotations

import time
from typing import Any

import pytest

CALLS: list[tuple[str, Any]] = [
    ("ping", None),
    ("add", {"a": 1, "b": 2}),
    ("add_later", {"a": 1, "b": 2}),
    ("echo", {"value": (1, {"k": (2.5, None)})}),
    ("echo", {"value": {1: "one"}}),
    ("echo", {"value": {1, 2}}),
    ("add", {"a": 1}),
    ("fail", {"kind": "KeyError"}),
    ("fail", {"kind": "UnicodeError"}),
    ("fail", {"kind": "StopIteration"}),
    ("\ud800", None),
    ("fail_of_its_own", None),
    ("unspeakable", None),
    ("leave", None),
    ("pign", None),
    ("large", {"size": 200_000}),
    ("echo", {"value": bytes(200_000)}),
    ("environment", {"names": ["HOME"]}),
]


def outcome(run: Any) -> Any:
    try:
        return run()
    except Exception as error:
        fields = {
            name: getattr(error, name, None)
            for name in ("type_name", "remote_message", "path", "suggestions", "limit", "direction")
        }
        if fields["suggestions"] is not None:
            fields["suggestions"] = list(fields["suggestions"])
        return type(error), error.may_have_run, fields  # type: ignore[attr-defined]


@pytest.fixture
def both(make_pool: Any) -> tuple[Any, Any]:
    return (
        make_pool(max_message=100_000),
        make_pool(name="inline", inline=True, max_message=100_000),
    )


@pytest.mark.parametrize(
    ("tool", "args"), CALLS, ids=[f"{t}-{n}" for n, (t, _) in enumerate(CALLS)]
)
def test_calls(both: Any, tool: str, args: Any) -> None:
    real, inline = (outcome(lambda pool=pool: pool.execute(tool, args)) for pool in both)
    assert real == inline
    real, inline = (outcome(lambda pool=pool: pool.submit(tool, args).result(30)) for pool in both)
    assert real == inline


@pytest.mark.parametrize("tool", ["count", "count_later", "count_and_fail", "ping", "pign"])
def test_streams(both: Any, tool: str) -> None:
    args = {"upto": 5} if tool.startswith("count") else None
    real, inline = (
        outcome(lambda pool=pool: list(pool.execute_stream(tool, args))) for pool in both
    )
    assert real == inline


def test_sessions(both: Any) -> None:
    def use(pool: Any) -> Any:
        session = pool.session("u")
        return [session.execute("who")[1:], session.execute("who")[1:], pool.execute("who")[1:]]

    assert use(both[0]) == use(both[1])


HOST_CALLS: list[tuple[str, Any]] = [
    ("every_form", {"value": {"a": [1, (2, None)]}}),
    ("names", None),
    ("caught", {"name": "ecko"}),
    ("caught", {"name": "fail"}),
    ("caught", {"name": "echo", "arguments": {"vlaue": 1}}),
    ("caught", {"name": "unfit"}),
    ("caught", {"name": "chained"}),
    ("as_a_mapping", None),
    ("unfit_both_ways", None),
    ("aback", {"name": "later", "arguments": {"value": 1}}),
    ("collect", {"name": "count", "arguments": {"upto": 5}}),
    ("collect", {"name": "acount", "arguments": {"upto": 5}}),
    ("collect", {"name": "count", "arguments": {"upto": 500}, "upto": 3}),
    ("acollect", {"name": "count", "arguments": {"upto": 5}}),
    ("back", {"name": "about"}),
    ("back", {"name": "fail"}),
]


def with_host_tools(pool: Any) -> Any:
    import snakepit

    def fail() -> None:
        raise KeyError("wrong")

    def chained() -> None:
        error = ValueError("outer")
        error.add_note("a note")
        raise error from KeyError("inner")

    def unfit_items() -> Any:
        yield object()

    async def later(value: Any) -> Any:
        return [value]

    def count(upto: int) -> Any:
        yield from range(upto)

    async def acount(upto: int) -> Any:
        for number in range(upto):
            yield number

    def about() -> Any:
        call = snakepit.current_call()
        assert call is not None
        return [call.name, call.caller, call.session_id, call.depth, call.cancelled]

    pool.register_tool("echo", lambda value: value, description="As it is.")
    pool.register_tool("unfit", object)
    for function in (fail, chained, unfit_items, later, count, acount, about):
        pool.register_tool(function.__name__, function)
    return pool


@pytest.mark.parametrize("rule", ["error", "marker"])
@pytest.mark.parametrize(
    ("tool", "args"), HOST_CALLS, ids=[f"{t}-{n}" for n, (t, _) in enumerate(HOST_CALLS)]
)
def test_host_tools(make_pool: Any, tool: str, args: Any, rule: Any) -> None:
    if rule == "marker" and tool not in ("caught", "unfit_both_ways"):
        pytest.skip("whatever travels is the same")
    adapter = "pool.calling_back:CallsBack"
    pools = [
        with_host_tools(make_pool(adapter, size=1, inline=inline, unserializable=rule))
        for inline in (False, True)
    ]
    real, inline = (outcome(lambda pool=pool: pool.execute(tool, args)) for pool in pools)
    if isinstance(real, dict) and "traceback" in real:
        # Where it was raised is told by both; how the tool was called is not the same.
        assert bool(real.pop("traceback")) == bool(inline.pop("traceback"))
    assert real == inline
    assert pools[0].host_tools() == pools[1].host_tools()


def test_host_tools_of_a_session_go_with_it(make_pool: Any) -> None:
    def use(pool: Any) -> Any:
        told = []
        with pool.session("s") as session:
            pool.register_tool("own", lambda: 1, session=session)
            told.append(session.execute("back", {"name": "own"}))
        told.append(pool.host_tools())
        told.append(outcome(lambda: pool.register_tool("own", print, session=session)))
        told.append(outcome(lambda: pool.register_tool("own", print, session="x" * 257)))
        told.append(outcome(lambda: pool.register_tool("a b", print)))
        pool.session("brief", ttl=0.01).execute("ping")
        time.sleep(0.02)
        pool.register_tool("own", lambda: 2, session="brief")
        told.append(pool.execute("back", {"name": "own"}, session="brief"))
        return told

    adapter = "pool.calling_back:CallsBack"
    real, inline = (use(make_pool(adapter, size=1, inline=inline)) for inline in (False, True))
    assert real == inline
