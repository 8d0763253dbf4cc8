"""From the start message to Ready."""

from __future__ import annotations

import json
import re

from snakepit import _core
from snakepit.conformance.check import (
    TOOLS,
    Bench,
    Violation,
    check,
    expect,
    expect_exit,
    expect_quiet,
    plain_words,
    ready,
)
from snakepit.conformance.host import shown
from snakepit.conformance.protocol import VERSION, failure_kind

NAME = re.compile("[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

UNKNOWN_FIELDS = b"\xc0\x3e\x01\xca\x3e\x03new"
"""Fields 1000 (a number) and 1001 (bytes), which no message has."""

LONGEST_START = 128 * 1024


@check("hello", "its first frame is Hello: token, protocol and pid are right", "hello")
def hello(bench: Bench) -> None:
    with bench.fresh() as host, plain_words():
        said = host.greet()
        expect(host.token, said.token, "Hello.token, as the start message has it")
        expect(VERSION, said.protocol, "Hello.protocol")
        expect(host.worker_pid, said.pid, "Hello.pid, the worker's own")
        expect_quiet(host, "between Hello and Initialize")
        expect(1, host.attached, "times that Attach was opened")


@check("ready", "it answers Initialize by Ready, which lists its tools", "ready")
def lists_its_tools(bench: Bench) -> None:
    with bench.fresh() as host, plain_words():
        said = [(tool.name, tool.streaming) for tool in ready(host).tools]
        names = [name for name, _ in said]
        twice = sorted({name for name in names if names.count(name) > 1})
        expect([], twice, "tools that Ready lists twice")
        missing = sorted(set(TOOLS) - set(names))
        expect([], missing, "conformance tools that Ready does not list")
        streaming = {name: streams for name, streams in said if name in TOOLS}
        expect(TOOLS, streaming, "Tool.streaming by name")
        expect_quiet(host, "after Ready while no call is there")


@check(
    "tools", "its tools have names that can be one, and parameters that are JSON Schema", "ready"
)
def tells_its_tools(bench: Bench) -> None:
    with bench.fresh() as host, plain_words():
        tools = list(ready(host).tools)
        names = [tool.name for tool in tools if not NAME.fullmatch(tool.name)]
        expect([], names, "tools whose names cannot be one")
        unread = [
            tool.name for tool in tools if tool.parameters and not _is_object(tool.parameters)
        ]
        expect([], unread, "tools whose parameters are no JSON object")


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


@check("start-long", "it takes a start message of 128 KiB", "start")
def long_start(bench: Bench) -> None:
    # Unknown to every worker: a field that it has to skip, as long as a message may be.
    room = LONGEST_START - 2048
    length = bytes([room & 0x7F | 0x80, room >> 7 & 0x7F | 0x80, room >> 14])
    with bench.fresh(start_extra=b"\xca\x3e" + length + b"x" * room) as host, plain_words():
        ready(host)


@check("start-unknown", "it ignores what it does not know in the start message", "versions")
def unknown_start(bench: Bench) -> None:
    with bench.fresh(start_extra=UNKNOWN_FIELDS) as host, plain_words():
        ready(host)


@check("no-host", "it exits where nobody serves at socket_path", "start")
def no_host(bench: Bench) -> None:
    with bench.fresh() as host, plain_words():
        host.greet()  # else nobody could tell an exit from never having been a worker
    with bench.fresh(start={"socket_path": str(bench.folder / "nobody")}) as host, plain_words():
        expect_exit(host, "when it cannot dial")


@check("refused", "it exits when the host refuses its Attach", "hello")
def refused(bench: Bench) -> None:
    with bench.fresh(refuses=True) as host, plain_words():
        expect_exit(host, "when its Attach is refused")
        if not host.attached:
            raise Violation("Attach before the exit", "the worker exited without dialling")


@check("never-initialized", "it exits when the line ends before Initialize", "end-of-the-line")
def never_initialized(bench: Bench) -> None:
    with bench.fresh() as host, plain_words():
        host.greet()
        host.hang_up_line()
        expect_exit(host, "when the line ends before Initialize")


@check("start-failed", "it tells why a start fails by StartFailed, and exits", "startfailed")
def start_failed(bench: Bench) -> None:
    with bench.fresh(arguments={"fail": "no model there"}) as host, plain_words():
        said = host.handshake()
        if type(said).__name__ != "StartFailed":
            raise Violation("StartFailed for the argument fail='no model there'", shown(said))
        expect("EXCEPTION", failure_kind(said.failure), "StartFailed.failure.kind")
        if "no model there" not in said.failure.message:
            raise Violation("StartFailed.failure.message with the reason", shown(said.failure))
        if not said.failure.type_name:
            raise Violation("StartFailed.failure.type_name", "an empty one")
        host.hang_up_line()
        expect_exit(host, "after StartFailed")


@check("start-arguments", "arguments that it cannot decode are a StartFailed too", "startfailed")
def start_arguments(bench: Bench) -> None:
    for what, raw in {"no value": b"\xc1", "a list": _core.encode([1])}.items():
        with bench.fresh(arguments=raw) as host, plain_words():
            said = host.handshake()
            if type(said).__name__ != "StartFailed":
                raise Violation(f"StartFailed for arguments that are {what}", shown(said))
            expect("EXCEPTION", failure_kind(said.failure), "StartFailed.failure.kind")
            host.hang_up_line()
            expect_exit(host, "after StartFailed")
