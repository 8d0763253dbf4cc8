"""Unary calls: what comes back, in which order, and when."""

from __future__ import annotations

from typing import Any

from snakepit import _core
from snakepit.conformance.check import (
    Bench,
    Violation,
    check,
    expect,
    expect_failure,
    expect_quiet,
    expect_started,
    expect_well,
    plain_words,
)
from snakepit.conformance.checks.handshake import UNKNOWN_FIELDS
from snakepit.conformance.host import ScriptedHost, shown
from snakepit.conformance.protocol import messages

MANY = 1000
WIDEST_ID = (1 << 61) - 1
TEXTS_LIMIT = 64 * 1024


@check("call", "a call is answered by one Result with its id and the value", "calls")
def call(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        number = host.call("echo", value="once")
        expect("once", host.result(number), "the value of echo('once')")
        expect_quiet(host, "after a call's Result")


@check("call-id", "call ids are 64 bits wide", "calls")
def wide_id(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        expect(1, host.result(host.call("echo", value=1, call={"call_id": WIDEST_ID})), "value")


@check("calls-in-order", "1,000 calls back to back are answered in their order", "calls")
def in_order(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        calls = [host.call("echo", value=number) for number in range(MANY)]
        for number, sent in enumerate(calls):
            expect(number, host.result(sent), f"the value of call {sent}")


@check("result-at-once", "a Result does not wait behind the call after it", "calls")
def at_once(bench: Bench) -> None:
    host, started, again = bench.worker(), bench.file(), bench.file()
    with plain_words():
        # While it runs the two others are there, so nothing but the worker decides when to send.
        before = host.call("wait", started=str(started))
        first = host.call("echo", value="first")
        second = host.call("wait", started=str(again))
        expect_started(host, started)
        host.cancel(before)
        host.outcome(before)
        expect("first", host.result(first), "the Result of the first call while the second runs")
        expect_started(host, again)
        host.cancel(second)
        host.outcome(second)


def about(host: ScriptedHost, call: dict[str, Any]) -> dict[str, Any]:
    """What the worker tells of a call with these fields, and of itself."""
    told = host.result(host.call("about", call=call))
    if not isinstance(told, dict):
        raise Violation("a map from about()", repr(told))
    return told


@check("call-fields", "a tool sees its session and its deadline", "startcall")
def call_fields(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        more = {"session_id": "s1", "session_new": True, "time_left_us": 60_000_000}
        told = about(host, more)
        expect(("s1", True), (told.get("session"), told.get("new")), "session and new")
        left = told.get("left")
        if not (isinstance(left, int | float) and 0 < left <= 60):
            raise Violation("left: more than 0 and at most 60 seconds", repr(left))
        again = about(host, {"session_id": "s1"})
        expect(("s1", False), (again.get("session"), again.get("new")), "session and new later")
        bare = about(host, {})
        expect([None, False, None], [bare.get(key) for key in ("session", "new", "left")], "fields")


@check("end-session", "a session that is over is over, and its id may be used again", "endsession")
def end_session(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        for number in (5, 6):
            call = {"session_id": "s1", "session_generation": number}
            told = about(host, {**call, "session_new": True})
            expect(("s1", True), (told.get("session"), told.get("new")), "session and new")
            expect(False, about(host, call).get("new"), "new of its second call")
            # The other one means nothing, and so does this one when it is told again.
            for ended in (number, number + 100, number):
                over = messages().EndSession(session_id="s1", session_generation=ended)
                host.send(end_session=over)
            expect_quiet(host, "after EndSession")
        expect_well(host)


@check("initialize-fields", "a worker knows its place in the pool", "initialize")
def initialize_fields(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        told = about(host, {})
        place = {key: told.get(key) for key in ("pool", "slot", "generation")}
        expect({"pool": "line", "slot": 3, "generation": 7}, place, "its place")


@check("failure", "what a tool raises is a failure, and the worker goes on", "failures")
def failure(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        told = host.failure(host.call("fail", message="no such ünit"))
        expect_failure(told, "EXCEPTION", after="from fail()")
        if "no such ünit" not in told.message:
            raise Violation("Failure.message with what was raised", shown(told))
        if not told.type_name:
            raise Violation("Failure.type_name with the error's class", "an empty one")
        expect_well(host)


@check("failure-long", "a failure of any length fits its frame", "failures")
def long_failure(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        told = host.failure(host.call("fail", message="é" * (host.max_message // 4)))
        expect_failure(told, "EXCEPTION", after="from fail() with a long message")
        _expect_bounded(told)
        told = host.failure(host.call("ecko" * (host.max_message // 16)))
        expect_failure(told, "TOOL_NOT_FOUND", after="for a tool with a long name")
        _expect_bounded(told)


def _expect_bounded(told: Any) -> None:
    if told.ByteSize() > TEXTS_LIMIT:
        raise Violation("a Failure of at most 64 KiB", f"one of {told.ByteSize()} bytes")


@check("unknown-tool", "a tool that it does not have is TOOL_NOT_FOUND", "failures")
def unknown_tool(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        for name in ("ecko", "", "constructor", "__init__"):
            told = host.failure(host.call(name))
            expect_failure(told, "TOOL_NOT_FOUND", after=f"for the tool {name!r}")
        expect_well(host)


@check("wrong-verb", "a stream of a unary tool, and the other way round, is refused", "calls")
def wrong_verb(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        told = host.failure(host.stream("echo", value=1))
        expect_failure(told, "EXCEPTION", after="for echo called with streaming")
        told = host.failure(host.call("count", upto=2))
        expect_failure(told, "EXCEPTION", after="for count called without streaming")
        expect_well(host)


BAD_ARGUMENTS = {
    "no value": b"",
    "a byte that begins nothing": b"\xc1",
    "a list": _core.encode([1]),
    "a map with a key that is no text": _core.encode({1: 2}),
    "a value cut short": _core.encode({"value": "cut"})[:-1],
    "a value and something after it": _core.encode({"value": 1}) + b"\0",
    "a list longer than what is left": b"\x81\xa5value\xdd\xff\xff\xff\xff",
    "a map longer than what is left": b"\xdf\xff\xff\xff\xff",
    "a text that is not UTF-8": b"\x81\xa5value\xa2\xff\xfe",
}


@check("arguments", "arguments that are no map of keywords are refused by DECODE", "failures")
def bad_arguments(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        for what, raw in BAD_ARGUMENTS.items():
            told = host.failure(host.call("echo", raw=raw))
            expect_failure(told, "DECODE", after=f"for arguments that are {what}")
        expect_well(host)


@check("keywords", "any text may be a keyword: the tool is asked, not the codec", "startcall")
def keywords(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        for name in ("__proto__", "constructor", "10", "1st", "", "ünit"):
            result = host.outcome(host.call("echo", raw=_core.encode({"value": 1, name: 2})))
            if result.WhichOneof("outcome") == "failure":
                # Python's tools take no keyword that they do not name.
                expect_failure(result.failure, "EXCEPTION", after=f"for a keyword {name!r}")
            else:
                expect(1, _core.decode(result.value), f"value of echo() beside a keyword {name!r}")


@check("unknown-fields", "it ignores fields that it does not know", "versions")
def unknown_fields(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        arguments = _core.encode({"value": "new"})
        start = messages().StartCall(call_id=500_001, tool="echo", arguments=arguments)
        inside = start.SerializeToString() + UNKNOWN_FIELDS
        # Field 2 of HostFrame, StartCall, with more behind it.
        host.send_bytes(b"\x12" + bytes([len(inside)]) + inside + UNKNOWN_FIELDS)
        expect("new", host.result(500_001), "the value of a call with unknown fields")


@check("unknown-frame", "it ignores frames of a kind that it does not know", "versions")
def unknown_frame(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        host.send_bytes(UNKNOWN_FIELDS)
        host.send_bytes(b"")
        expect_well(host)
        expect_quiet(host, "as the answer to a frame of an unknown kind")
