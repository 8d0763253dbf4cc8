"""Results that are too large, and those that cannot travel at all."""

from __future__ import annotations

from snakepit import _core
from snakepit.conformance.check import (
    Bench,
    Skip,
    Violation,
    check,
    expect,
    expect_failure,
    expect_well,
    plain_words,
)
from snakepit.conformance.host import shown

HEADER = 5
"""Bytes before the body of a long byte string."""


@check("large", "values up to max_message pass, in and out", "limits")
def large(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        size = host.max_message - HEADER
        expect(host.max_message, len(host.value(host.call("large", size=size))), "bytes of value")
        room = host.max_message - len(_core.encode({"value": b""})) - HEADER
        value = b"\xa5" * room
        if host.result(host.call("echo", value=value)) != value:
            raise Violation(f"the value of echo() of {room} bytes", "another value")


@check("too-large", "a result above max_message is TOO_LARGE, with both sizes", "limits")
def too_large(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        size = host.max_message - HEADER + 1
        told = host.failure(host.call("large", size=size))
        expect_failure(told, "TOO_LARGE", after=f"for a result of {size + HEADER} bytes")
        expect(host.max_message, told.limit, "Failure.limit")
        expect(size + HEADER, told.size, "Failure.size")
        expect_well(host)


@check("limit-of-the-start", "the limit is the start message's, not a constant", "start")
def other_limit(bench: Bench) -> None:
    limit = 8 << 20
    with bench.fresh(max_message=limit) as host, plain_words():
        host.handshake()
        got = len(host.value(host.call("large", size=limit - HEADER)))
        expect(limit, got, "bytes of the value where max_message is 8 MiB")


@check("unencodable", "a result that cannot travel is ENCODE, with its type", "failures")
def unencodable(bench: Bench) -> None:
    if not bench.has("unencodable"):
        raise Skip("it has no tool `unencodable`: all its values can travel")
    host = bench.worker()
    with plain_words():
        told = host.failure(host.call("unencodable"))
        expect_failure(told, "ENCODE", after="for a result that cannot travel")
        if not (told.type_name and told.message):
            raise Violation("Failure.type_name and .message that say what it is", shown(told))
        expect_well(host)
