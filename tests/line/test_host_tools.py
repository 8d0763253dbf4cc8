"""Host tools over the line: what a worker asks, and what it makes of the answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from snakepit import _core
from snakepit.conformance.host import ScriptedHost, until
from snakepit.conformance.protocol import messages
from snakepit.conformance.segment import reference

from .conftest import Attach

ADAPTER = f"{Path(__file__).parents[1] / 'pool' / 'calling_back.py'}:CallsBack"


@pytest.fixture
def host(attach: Attach) -> ScriptedHost:
    host = attach(ADAPTER)
    host.handshake()
    return host


def asked(host: ScriptedHost, call: int, name: str) -> Any:
    """The next frame, which must ask for that tool on behalf of that call."""
    frame = host.frame()
    assert type(frame).__name__ == "CallHostTool"
    assert (frame.call_id, frame.name) == (call, name)
    return frame


def answer(host: ScriptedHost, ask: Any, value: Any = None, **outcome: Any) -> None:
    outcome = outcome or {"value": _core.encode(value)}
    host.send(host_tool_result=messages().HostToolResult(id=ask.id, **outcome))


def answer_beside(host: ScriptedHost, ask: Any, buffer: Any) -> None:
    """Answers with the bytes of this buffer."""
    result = {"id": ask.id, "value": reference(0), "buffers": [buffer]}
    host.send(host_tool_result=messages().HostToolResult(**result))


def items(host: ScriptedHost, ask: Any, *values: Any) -> None:
    encoded = [_core.encode(value) for value in values]
    host.send(host_tool_chunks=messages().HostToolChunks(id=ask.id, items=encoded))


def test_a_call_goes_on_with_the_answer(host: ScriptedHost) -> None:
    for _ in range(3):
        call = host.call("back", name="t", arguments={"a": [1, None]})
        ask = asked(host, call, "t")
        assert host.decode(ask.arguments) == {"a": [1, None]}
        assert not ask.streaming
        answer(host, ask, {"b": 2})
        assert host.result(call) == {"b": 2}


def test_a_coroutine_goes_on_with_the_answer(host: ScriptedHost) -> None:
    for _ in range(3):
        call = host.call("aback", name="t", arguments={})
        answer(host, asked(host, call, "t"), "for it")
        assert host.result(call) == "for it"


def test_answers_find_who_waits_in_any_order(host: ScriptedHost) -> None:
    call = host.call("many_at_once", count=20)
    asks = [asked(host, call, "echo") for _ in range(20)]
    assert len({ask.id for ask in asks}) == 20
    for ask in reversed(asks):
        answer(host, ask, host.decode(ask.arguments)["value"])
    assert host.result(call) == list(range(20))


def test_threads_ask_at_once(host: ScriptedHost) -> None:
    call = host.call("many_threads", count=20)
    asks = [asked(host, call, "echo") for _ in range(20)]
    for ask in reversed(asks):
        answer(host, ask, host.decode(ask.arguments)["value"])
    assert host.result(call) == list(range(20))


def test_a_call_that_comes_meanwhile_waits_for_its_turn(host: ScriptedHost) -> None:
    first = host.call("back", name="t", arguments={})
    ask = asked(host, first, "t")
    second = host.call("ping")
    answer(host, ask, 1)
    assert host.result(first) == 1
    assert host.result(second) == "pong"


def test_a_failure_is_an_exception(host: ScriptedHost) -> None:
    call = host.call("caught", name="t")
    failure = {"kind": 1, "type_name": "ZeroDivisionError", "message": "m", "traceback": "tb"}
    answer(host, asked(host, call, "t"), failure=messages().Failure(**failure))
    caught = host.result(call)
    assert "ZeroDivisionError" in caught["classes"]
    assert [caught[name] for name in ("type_name", "message", "traceback")] == [
        "ZeroDivisionError",
        "m",
        "tb",
    ]
    for kind, name in {2: "HostToolNotFound", 5: "HostToolError", 6: "HostToolError"}.items():
        call = host.call("caught", name="t")
        answer(host, asked(host, call, "t"), failure=messages().Failure(kind=kind))
        assert host.result(call)["classes"][0] == name


def test_what_a_failure_is_made_of_is_there_again(host: ScriptedHost) -> None:
    def failure(name: str, **more: Any) -> Any:
        return messages().Failure(kind=1, type_name=name, message=name.lower(), **more)

    call = host.call("caught", name="t")
    told = failure(
        "ValueError",
        notes=["one", "two"],
        cause=failure("KeyError", cause=failure("OSError")),
        exceptions=[failure("IndexError"), failure("app.Odd")],
    )
    answer(host, asked(host, call, "t"), failure=told)
    caught = host.result(call)
    assert caught["cause"] == ["KeyError", "keyerror", True, "HostToolKeyError"]
    assert caught["notes"] == ["one", "two"]
    assert caught["members"] == ["IndexError", "app.Odd"]
    call = host.call("caught", name="t")
    told = failure("ValueError", context=failure("KeyError"))
    answer(host, asked(host, call, "t"), failure=told)
    caught = host.result(call)
    assert caught["context"][:3] == ["KeyError", "keyerror", True]
    assert (caught["cause"], caught["notes"], caught["members"]) == (None, [], [])


def test_what_is_large_comes_beside_the_answer(host: ScriptedHost) -> None:
    beside, elsewhere = messages().Buffer(inline=b"large"), messages().Buffer(segment=7, length=5)
    call = host.call("back", name="t")
    answer_beside(host, asked(host, call, "t"), beside)
    assert host.result(call) == b"large"
    call = host.call("collect", name="t")
    ask = asked(host, call, "t")
    chunk = messages().HostToolChunks(id=ask.id, items=[reference(0)], buffers=[beside])
    host.send(host_tool_chunks=chunk)
    answer(host, ask, end={})
    assert host.result(call) == [b"large"]
    # What no host names is an error of who asked, and of nobody else.
    call = host.call("back", name="t")
    answer_beside(host, asked(host, call, "t"), elsewhere)
    failure = host.failure(call)
    assert failure.type_name.endswith("DecodeError")
    assert "segment 7" in failure.message
    assert host.result(host.call("ping")) == "pong"


def test_what_nobody_asked_for_is_ignored(host: ScriptedHost) -> None:
    host.send(host_tool_result=messages().HostToolResult(id=7, value=_core.encode(1)))
    host.send(host_tool_chunks=messages().HostToolChunks(id=8, items=[_core.encode(1)]))
    call = host.call("ping")
    assert host.result(call) == "pong"


def test_a_stream_is_granted_as_it_is_read(host: ScriptedHost) -> None:
    for tool in ("collect", "acollect"):
        call = host.call(tool, name="t", arguments={})
        ask = asked(host, call, "t")
        assert ask.streaming
        assert ask.window_items >= 1
        for first in range(0, ask.window_items, 64):
            items(host, ask, *range(first, first + 64))
        grant = host.frame()
        assert type(grant).__name__ == "GrantHostToolChunks"
        assert (grant.id, grant.items) == (ask.id, ask.window_items // 2)
        answer(host, ask, end=messages().StreamEnd())
        grant = host.frame()
        assert grant.items == ask.window_items
        assert host.result(call) == list(range(ask.window_items))


def test_a_reader_that_stops_says_so(host: ScriptedHost) -> None:
    call = host.call("collect", name="t", upto=2)
    ask = asked(host, call, "t")
    items(host, ask, 1, 2, 3)
    cancel = host.frame()
    assert (type(cancel).__name__, cancel.id) == ("CancelHostTool", ask.id)
    assert host.result(call) == [1, 2]


def test_a_cancelled_coroutine_says_so(host: ScriptedHost) -> None:
    call = host.call("aback", name="t", arguments={})
    ask = asked(host, call, "t")
    host.cancel(call)
    cancel = host.frame()
    assert (type(cancel).__name__, cancel.id) == ("CancelHostTool", ask.id)
    assert host.failure(call).kind == 5
    assert host.result(host.call("ping")) == "pong"


def test_nothing_is_asked_after_the_result(host: ScriptedHost) -> None:
    host.result(host.call("keep"))
    assert "has ended" in host.result(host.call("too_late"))


def test_no_more_is_asked_than_may_be(host: ScriptedHost) -> None:
    host.call("many_at_once", count=300)
    failure, asks = None, []
    while failure is None:
        frame = host.frame()
        if type(frame).__name__ == "CallHostTool":
            asks.append(frame)
        elif type(frame).__name__ == "Result":
            failure = frame.failure
    assert len(asks) == 256
    assert "256 may be under way" in failure.message


def test_a_worker_that_waits_for_its_host_ends_with_it(attach: Attach) -> None:
    for tool in ("back", "aback"):
        host = attach(ADAPTER)
        host.handshake()
        call = host.call(tool, name="t", arguments={})
        asked(host, call, "t")
        host.hang_up_line()
        assert until(lambda host=host: host.worker_ended(0), 20)
