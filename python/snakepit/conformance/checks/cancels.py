"""Cancels: of a call that runs, that waits, that is over, that never was."""

from __future__ import annotations

from snakepit.conformance.check import (
    QUIET,
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
from snakepit.conformance.checks.streams import expect_cancelled


@check("cancel", "a cancelled call that fails is CANCELLED, and the worker goes on", "cancels")
def running(bench: Bench) -> None:
    host, started = bench.worker(), bench.file()
    with plain_words():
        call = host.call("wait", started=str(started))
        expect_started(host, started)
        host.cancel(call)
        expect_failure(host.failure(call), "CANCELLED", after="for a call that was cancelled")
        expect_well(host)


@check("cancel-queued", "a call that is cancelled before it starts never runs", "cancels")
def queued(bench: Bench) -> None:
    host, started, never = bench.worker(), bench.file(), bench.file()
    with plain_words():
        first = host.call("wait", started=str(started))
        second = host.call("wait", started=str(never))
        expect_started(host, started)
        host.cancel(second)
        # What comes for the second call may not come before the first one's Result.
        frame = host.frame_within(QUIET)
        expect(False, frame, "a frame while the first call runs")
        host.cancel(first)
        expect_failure(host.failure(first), "CANCELLED", after="for the call that ran")
        expect_failure(host.failure(second), "CANCELLED", after="for the call that waited")
        if never.exists():
            raise Violation("the call that was cancelled while it waited never runs", "it ran")
        expect_well(host)


@check("cancel-unknown", "a cancel of a call that never was is ignored", "cancels")
def unknown(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        host.cancel(1 << 40)
        expect_well(host)
        expect_quiet(host, "as the answer to a cancel of an unknown call")


@check("cancel-late", "a cancel of a call that has ended is ignored", "cancels")
def late(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        call = host.call("echo", value=1)
        host.result(call)
        host.cancel(call)
        expect_well(host)
        expect_quiet(host, "as the answer to a cancel of a call that has ended")


@check("cancel-stream", "a stream that waits for its reader can be cancelled", "cancels")
def stream_without_room(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        call = host.stream("count", upto=1 << 40, window_items=10)
        seen = 0
        while seen < 10:
            seen += len(host.chunk(call))
        expect_cancelled(host, call)
        expect_well(host)


@check("cancel-busy-stream", "a stream that never waits can be cancelled", "cancels")
def busy_stream(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        window = {"window_items": 1 << 31, "window_bytes": 1 << 60}
        call = host.stream("count", upto=1 << 40, **window)
        host.chunk(call)
        expect_cancelled(host, call)
        expect_well(host)
