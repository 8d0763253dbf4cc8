"""Host tools: functions of this program that an adapter calls back, over both ends of the line."""

from __future__ import annotations

import datetime
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import snakepit
from snakepit import ConfigError, RemoteError, SessionClosed

from .calling_back import Point
from .conftest import until


@pytest.fixture
def make(make_calling_back: Callable[..., Any]) -> Callable[..., Any]:
    return make_calling_back


@pytest.fixture
def pool(make: Callable[..., Any]) -> Any:
    pool = make()
    pool.register_tool("echo", lambda value: value)
    return pool


# --- calls ------------------------------------------------------------------------------------


def test_every_form_of_a_call_gets_the_answer(pool: Any) -> None:
    value = {
        "text": "ü",
        "list": [1, 2.5, None],
        "bytes": b"\0\1",
        "day": datetime.date(2026, 1, 2),
    }
    assert pool.execute("every_form", {"value": value}) == [value] * 6


def test_an_array_goes_both_ways(pool: Any) -> None:
    numpy = pytest.importorskip("numpy")
    value = numpy.arange(6, dtype="float32").reshape(2, 3)
    result = pool.execute("back", {"name": "echo", "arguments": {"value": value}})
    assert result.dtype == value.dtype
    assert (result == value).all()


def test_large_values_go_both_ways(pool: Any) -> None:
    value = bytes(range(256)) * 20_000
    assert pool.execute("back", {"name": "echo", "arguments": {"value": value}}) == value


def test_a_function_gets_keywords_or_one_dict(pool: Any) -> None:
    pool.register_tool("whole", lambda arguments: sorted(arguments), params="mapping")
    pool.register_tool("parts", lambda a, b=2: [a, b])
    assert pool.execute("back", {"name": "whole", "arguments": {"x y": 1, "b": 2}}) == ["b", "x y"]
    assert pool.execute("back", {"name": "parts", "arguments": {"a": 1}}) == [1, 2]
    caught = pool.execute("caught", {"name": "parts", "arguments": {"c": 1}})
    assert caught["type_name"] == "TypeError"
    assert "'c'" in caught["message"]


def test_a_coroutine_awaits_many_at_once(pool: Any) -> None:
    assert pool.execute("aback", {"name": "echo", "arguments": {"value": 1}}) == 1
    assert pool.execute("many_at_once", {"count": 100}) == list(range(100))


def test_threads_of_a_tool_call_too(pool: Any) -> None:
    assert pool.execute("many_threads", {"count": 20}) == list(range(20))


def test_an_asynchronous_function_runs_on_a_loop_of_the_pool(pool: Any) -> None:
    import asyncio

    async def slow(value: Any) -> Any:
        await asyncio.sleep(0)
        return [value, threading.current_thread().name]

    pool.register_tool("slow", slow)
    call = {"name": "slow", "arguments": {"value": 7}}
    assert pool.execute("back", call) == [7, "snakepit-host-loop"]
    assert pool.execute("aback", call) == [7, "snakepit-host-loop"]


def test_calls_of_many_workers_are_answered(make: Callable[..., Any]) -> None:
    pool = make(size=2)
    pool.register_tool("echo", lambda value: value)
    futures = [pool.submit("back", {"name": "echo", "arguments": {"value": n}}) for n in range(200)]
    assert [future.result(60) for future in futures] == list(range(200))


def test_a_call_that_has_ended_asks_for_nothing(pool: Any) -> None:
    pool.execute("keep")
    assert "has ended" in pool.execute("too_late")
    assert pool.execute("ping") == "pong", "and the worker has not lied"
    assert pool.stats().worker_deaths == 0


def test_what_cannot_travel_is_told_where_it_is(pool: Any) -> None:
    with pytest.raises(RemoteError, match="value"):
        pool.execute("unfit")
    with pytest.raises(TypeError, match="one map or as keywords"):
        pool.execute("both")
    pool.register_tool("unfit", object)
    caught = pool.execute("caught", {"name": "unfit"})
    assert caught["type_name"].endswith("EncodeError")


def test_what_cannot_travel_is_marked_where_the_pool_says_so(make: Callable[..., Any]) -> None:
    pool = make(unserializable="marker")
    pool.register_tool("echo", lambda value: value)
    pool.register_tool("unfit", lambda: {"it": object()})

    @pool.tool
    def unfit_items() -> Iterator[Any]:
        yield object()

    to_host, from_host, (item,) = pool.execute("unfit_both_ways")
    for marker in (to_host, from_host["it"], item):
        assert snakepit.unserializable_info(marker) == ("builtins.object", None)


def test_types_of_the_program_travel_as_their_encoders_say(pool: Any) -> None:
    seen: list[Any] = []

    @pool.tool
    def mirror(point: Point) -> Point:
        seen.append(point)
        return Point(point.y, point.x)

    assert pool.execute("mirrored", {"point": Point(1, 2)}) == Point(2, 1)
    assert seen == [Point(1, 2)]


# --- registration -----------------------------------------------------------------------------


def test_the_decorator_keeps_the_function_and_takes_options(pool: Any) -> None:
    @pool.tool
    def lookup(key: str) -> str:
        """Finds a word.

        At length.
        """
        return key.upper()

    @pool.tool(name="other", description="Another one.", timeout=5)
    def function() -> None: ...

    assert lookup("a") == "A"
    assert pool.execute("back", {"name": "lookup", "arguments": {"key": "a"}}) == "A"
    listed = {tool.name: tool for tool in pool.host_tools()}
    assert listed["lookup"].description == "Finds a word."
    assert listed["other"][2:5] == ("Another one.", 5.0, False)


def test_an_adapter_lists_what_it_may_use(pool: Any) -> None:
    pool.register_tool("own", lambda: 1, session="s", description="Mine.")
    names, count, has_echo, has_none, described = pool.execute("names")
    assert (names, count, has_echo, has_none) == (["echo"], 1, True, False)
    names, *_, described = pool.execute("names", session="s")
    assert names == ["echo", "own"]
    assert described["own"] == {"description": "Mine.", "streaming": False}


def test_the_original_s_mapping_of_tools_is_one(pool: Any) -> None:
    pool.register_tool("shout", str.upper, description="Shouts.", params="mapping")
    found = pool.execute("as_a_mapping")
    assert found["keys"] == ["echo", "shout"]
    assert found["items"] == [["echo", ""], ["shout", "Shouts."]]
    assert found["values"] == ["echo", "shout"]
    assert found["called"] == 7
    assert found["get"] == ["shout", "none of that name"]
    assert found["unknown"] == "KeyError"
    caught = pool.execute("caught", {"name": "none"})
    assert {"ValueError", "LookupError", "HostToolNotFound"} <= {*caught["classes"]}


def test_only_what_is_registered_can_be_called(pool: Any) -> None:
    for name in ["ecko", "_core", "__import__", "os.system"]:
        caught = pool.execute("caught", {"name": name})
        assert caught["not_found"]
    caught = pool.execute("caught", {"name": "ecko"})
    assert caught["suggestions"] == ["echo"]
    assert "did you mean 'echo'" in caught["text"]


def test_a_tool_of_a_session_is_for_its_calls(pool: Any) -> None:
    pool.register_tool("secret", lambda: "for s", session="s")
    pool.register_tool("echo", lambda value: ["own", value], session=pool.session("s"))
    call = {"name": "echo", "arguments": {"value": 1}}
    assert pool.execute("back", {"name": "secret"}, session="s") == "for s"
    assert pool.execute("back", call, session="s") == ["own", 1]
    assert pool.execute("back", call, session="t") == 1
    assert pool.execute("caught", {"name": "secret"})["not_found"]
    assert pool.execute("caught", {"name": "secret"}, session="t")["not_found"]
    assert pool.unregister_tool("echo", session="s")
    assert pool.execute("back", call, session="s") == 1


def test_a_session_takes_its_tools_along(pool: Any) -> None:
    def own() -> str:
        return "own"

    with pool.session("s") as session:
        pool.register_tool("own", own, session=session)
        pool.register_tool("echo", own, session="s")
        assert session.execute("back", {"name": "own"}) == "own"
    assert [(tool.name, tool.session) for tool in pool.host_tools()] == [("echo", None)]
    assert pool.execute("caught", {"name": "own"}, session="s")["not_found"]
    call = {"name": "echo", "arguments": {"value": 1}}
    assert pool.execute("back", call, session="s") == 1, "that of all calls is left"
    with pytest.raises(SessionClosed):
        pool.register_tool("own", own, session=session)

    function = weakref.ref(own)
    brief = pool.session("brief", ttl=0.05)
    brief.execute("ping")
    pool.register_tool("own", own, session="brief")
    del own
    until(lambda: [tool.name for tool in pool.host_tools()] == ["echo"], "it has expired")
    until(lambda: gc.collect() is not None and function() is None, "nobody keeps the function")


def test_a_session_that_cannot_be_is_refused(pool: Any, make: Callable[..., Any]) -> None:
    other = make(name="other").session("s")
    for session in ["", "x" * 257, "a\n", 7, other]:
        with pytest.raises(ConfigError) as caught:
            pool.register_tool("a", print, session=session)
        assert caught.value.field == "session"
    assert [tool.name for tool in pool.host_tools()] == ["echo"]


def test_what_is_taken_away_is_not_there(pool: Any) -> None:
    assert pool.unregister_tool("echo")
    assert not pool.unregister_tool("echo")
    assert pool.host_tools() == []
    assert pool.execute("caught", {"name": "echo"})["not_found"]


@pytest.mark.parametrize("name", ["", "_a", "a b", "ä", "x" * 65, "a/b"])
def test_a_name_that_cannot_be_is_refused(pool: Any, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pool.register_tool(name, lambda: None)
    assert caught.value.field == "name"


def test_a_registration_that_makes_no_sense_is_refused(pool: Any) -> None:
    with pytest.raises(ConfigError, match="registered"):
        pool.register_tool("echo", lambda: None)
    with pytest.raises(ConfigError, match="params"):
        pool.register_tool("a", lambda: None, params="positional")
    with pytest.raises(ConfigError, match="called"):
        pool.register_tool("a", "not a function")
    with pytest.raises(ConfigError, match="name"):
        pool.register_tool(7, lambda: None)
    assert [tool.name for tool in pool.host_tools()] == ["echo"]


# --- failures ---------------------------------------------------------------------------------


def test_what_a_function_raises_arrives_with_class_message_and_traceback(pool: Any) -> None:
    class Odd(KeyError):
        pass

    def fail() -> None:
        raise ValueError("wrong: ü")

    def odd() -> None:
        raise Odd("key")

    pool.register_tool("fail", fail)
    pool.register_tool("odd", odd)
    caught = pool.execute("caught", {"name": "fail"})
    assert {"ValueError", "HostToolError", "RuntimeError"} <= {*caught["classes"]}
    assert (caught["type_name"], caught["message"]) == ("ValueError", "wrong: ü")
    assert caught["text"] == "host tool 'fail': ValueError: wrong: ü"
    assert 'raise ValueError("wrong: ü")' in caught["traceback"]
    assert "snakepit/_host_tools.py" not in caught["traceback"], "our frames would hide the cause"
    assert pool.execute("caught_as", {"name": "fail", "builtin": "ValueError"})
    caught = pool.execute("caught", {"name": "odd"})
    assert caught["type_name"].endswith("Odd")
    assert "KeyError" not in caught["classes"]


def test_what_an_exception_is_made_of_arrives_too(pool: Any) -> None:
    @pool.tool
    def chained() -> None:
        try:
            raise KeyError("inner")
        except KeyError as error:
            outer = ValueError("outer")
            outer.add_note("a note")
            raise outer from error

    @pool.tool
    async def handling() -> None:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("second")  # noqa: B904, what is tested

    @pool.tool
    def group() -> None:
        raise ExceptionGroup("two", [KeyError("a"), OSError("b")])

    caught = pool.execute("caught", {"name": "chained"})
    assert caught["cause"] == ["KeyError", "'inner'", True, "HostToolKeyError"]
    assert (caught["context"], caught["notes"]) == (None, ["a note"])
    assert "The above exception was the direct cause" in caught["traceback"]
    caught = pool.execute("caught", {"name": "handling"})
    assert caught["context"][:3] == ["KeyError", "'first'", True]
    assert caught["cause"] is None
    caught = pool.execute("caught", {"name": "group"})
    assert caught["members"] == ["KeyError", "OSError"]
    assert {"ExceptionGroup", "HostToolError"} <= {*caught["classes"]}

    with pytest.raises(RemoteError) as out:
        pool.execute("back", {"name": "chained"})
    assert out.value.cause is not None
    assert (out.value.cause.type_name, out.value.notes) == (
        "snakepit_bridge.errors.HostToolKeyError",
        ["a note"],
    )


def test_a_failure_that_nobody_catches_comes_out_of_the_call(pool: Any) -> None:
    @pool.tool
    def fail() -> None:
        raise ValueError("wrong")

    with pytest.raises(RemoteError, match="ValueError: wrong") as caught:
        pool.execute("back", {"name": "fail"})
    _, _, place = caught.value.remote_traceback.partition("In the host tool 'fail':\n")
    assert 'raise ValueError("wrong")' in place, "the line of this file"
    with pytest.raises(RemoteError, match="ValueError: wrong"):
        pool.execute("aback", {"name": "fail"})


def test_leaving_the_interpreter_is_a_failure_like_any_other(pool: Any) -> None:
    @pool.tool
    def leave() -> None:
        raise SystemExit(3)

    assert pool.execute("caught", {"name": "leave"})["type_name"] == "SystemExit"
    assert pool.execute("back", {"name": "echo", "arguments": {"value": 1}}) == 1
