"""Unary calls over the line: what comes back, in which order, and when."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from snakepit import _core
from snakepit.conformance.host import ScriptedHost
from snakepit.conformance.page import DONE, QUEUED, REVOKED
from snakepit.conformance.protocol import failure_kind


def test_values_come_back_as_they_went(host: ScriptedHost) -> None:
    value = {"a": [1, 2.5, None, True], "b": b"\0" * 70_000, "ü": "ß"}
    assert host.result(host.call("echo", value=value)) == value


def test_a_tool_knows_its_call(host: ScriptedHost) -> None:
    more = {"session_id": "s1", "session_new": True, "time_left_us": 60_000_000}
    call = host.call("about", call=more)
    about = host.result(call)
    assert 0 < about.pop("left") <= 60
    assert about == {"id": call, "tool": "about", "session": "s1", "new": True}

    call = host.call("about")
    assert host.result(call) == {
        "id": call,
        "tool": "about",
        "session": None,
        "new": False,
        "left": None,
    }


def test_an_unknown_tool_is_named_with_its_neighbours(host: ScriptedHost) -> None:
    failure = host.failure(host.call("ecko"))
    assert (failure_kind(failure), list(failure.suggestions)[:1]) == ("TOOL_NOT_FOUND", ["echo"])
    assert "ecko" in failure.message


@pytest.mark.parametrize(
    ("how", "name"),
    [
        ("value", "ValueError"),
        ("exit", "SystemExit"),
        ("interrupt", "KeyboardInterrupt"),
        ("close", "GeneratorExit"),
    ],
)
def test_whatever_a_tool_raises_is_a_failure(host: ScriptedHost, how: str, name: str) -> None:
    failure = host.failure(host.call("fail", how=how))
    assert (failure_kind(failure), failure.type_name, failure.message) == ("EXCEPTION", name, how)
    assert "adapter_of_line.py" in failure.traceback
    assert host.result(host.call("echo", value=1)) == 1


def test_wrong_arguments_are_the_tools_type_error(host: ScriptedHost) -> None:
    failure = host.failure(host.call("echo", nothing=1))
    assert (failure_kind(failure), failure.type_name) == ("EXCEPTION", "TypeError")


@pytest.mark.parametrize("raw", [b"", b"\xc1", _core.encode([1]), _core.encode({1: 2})])
def test_arguments_that_are_no_keywords_are_refused(host: ScriptedHost, raw: bytes) -> None:
    failure = host.failure(host.call("echo", raw=raw))
    assert failure_kind(failure) == "DECODE"
    assert "args" in failure.message


def test_a_result_that_cannot_travel_names_its_path(host: ScriptedHost) -> None:
    failure = host.failure(host.call("unfit"))
    assert (failure_kind(failure), failure.type_name) == ("ENCODE", "object")
    assert failure.path == 'result["deep"][0]'
    assert failure.message.startswith(failure.path)


def test_a_result_above_the_limit_is_refused_with_both_sizes(host: ScriptedHost) -> None:
    assert len(host.result(host.call("large", size=(1 << 20) - 5))) == (1 << 20) - 5
    failure = host.failure(host.call("large", size=1 << 20))
    assert (failure_kind(failure), failure.limit) == ("TOO_LARGE", 1 << 20)
    assert failure.size > failure.limit


def test_an_exception_of_any_size_fits_its_frame(host: ScriptedHost) -> None:
    failure = host.failure(host.call("fail", how="x" * 500_000))
    assert failure.type_name == "ValueError"
    assert failure.ByteSize() < 64 * 1024


def test_a_streaming_tool_is_not_called_as_a_unary_one(host: ScriptedHost) -> None:
    failure = host.failure(host.call("count", upto=1))
    assert (failure_kind(failure), failure.type_name) == ("EXCEPTION", "TypeError")
    assert "execute_stream" in failure.message


def test_a_batch_is_answered_in_order(host: ScriptedHost) -> None:
    calls = [host.call("echo", value=number) for number in range(1000)]
    assert [host.result(call) for call in calls] == list(range(1000))


def test_a_revoked_call_never_runs_and_is_not_answered(host: ScriptedHost) -> None:
    if not host.hello.words:
        pytest.skip("this end has no words")
    host.process.page.set(3, 100, REVOKED)
    host.process.page.set(4, 101, QUEUED)
    host.call("note", value="revoked", call={"call_id": 100, "word": 4})
    host.call(
        "note", value="other", call={"call_id": 102, "word": 4}
    )  # the word names another call
    host.call("note", value="kept", call={"call_id": 101, "word": 5})
    assert host.result(101) is None
    assert host.result(host.call("noted")) == ["kept"]
    assert (host.process.page.state(3), host.process.page.state(4)) == (REVOKED, DONE)


def test_a_reply_does_not_wait_behind_a_slow_call(host: ScriptedHost, tmp_path: Path) -> None:
    release = tmp_path / "release"
    for _ in range(3):  # known to be quick: nothing is sent before the next one starts
        host.result(host.call("echo", value=0))
    first = host.call("echo", value="first")
    second = host.call("block", file=str(release))
    assert host.result(first) == "first"
    release.touch()
    assert host.result(second) == "released"


def test_a_bulky_reply_does_not_wait_behind_a_slow_call(attach: object, tmp_path: Path) -> None:
    host = attach(max_message=64 << 20)
    host.handshake()
    release = tmp_path / "release"
    first = host.call("large", size=32 << 20)
    second = host.call("block", file=str(release))
    assert len(host.result(first)) == 32 << 20
    release.touch()
    assert host.result(second) == "released"


def test_a_fork_that_returns_does_not_answer_for_the_worker(host: ScriptedHost) -> None:
    child = host.result(host.call("fork"))
    assert child != 0
    assert host.result(host.call("echo", value=1)) == 1
    assert os.getpid() != child
