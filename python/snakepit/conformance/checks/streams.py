"""Streams: in order, within their window, and ended as they end."""

from __future__ import annotations

from typing import Any

from snakepit.conformance.check import (
    QUIET,
    Bench,
    Violation,
    check,
    expect,
    expect_failure,
    expect_well,
    plain_words,
)
from snakepit.conformance.host import LineEnded, OutOfTurn, ScriptedHost, shown

MANY = 5000
"""Items of a stream: several windows."""
SMALLEST = 20_000
"""Smallest items that are more than fit into one frame."""
ITEM = 10_000
ITEM_HEADER = 3
SMALL_LIMIT = 4095
"""Sixteen such items take 16 bytes less than the 64 KiB beside a value: one more is too much."""


@check("stream", "every item of a stream arrives in order, then its end", "streams")
def in_order(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        items, end = host.read(host.stream("count", upto=MANY))
        expect_end(end)
        wrong = next((f", {got!r} at {at}" for at, got in enumerate(items) if got != at), "")
        if wrong or len(items) != MANY:
            raise Violation(f"the items 0 to {MANY - 1} in order", f"{len(items)} items{wrong}")


@check("stream-empty", "an empty stream only ends", "streams")
def empty(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        items, end = host.read(host.stream("count", upto=0))
        expect_end(end)
        expect([], items, "items of an empty stream")


@check("stream-fails", "items come before the failure that ends their stream", "streams")
def fails(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        items, end = host.read(host.stream("count", upto=3, then="fail"))
        expect([0, 1, 2], items, "items before the failure")
        expect("failure", end.WhichOneof("outcome"), "the outcome of a stream that fails")
        expect_failure(end.failure, "EXCEPTION", after="from a stream that fails")
        expect_well(host)


@check("stream-prompt", "no item waits for the next one", "streams")
def prompt(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        call = host.stream("count", upto=2, then="wait")
        items = host.chunk(call)
        while len(items) < 2:
            items += host.chunk(call)
        expect([0, 1], items, "items that came while the tool waits")
        expect_cancelled(host, call)


@check("window-items", "no more items are unread than the window allows", "windows")
def window_items(bench: Bench) -> None:
    _keeps_within(bench, {"window_items": 50}, most=50, size=0)


@check("window-bytes", "no more bytes are unread than the window allows", "windows")
def window_bytes(bench: Bench) -> None:
    room = 5 * (ITEM + ITEM_HEADER)
    _keeps_within(bench, {"window_bytes": room}, most=5, size=ITEM)


@check("window-one", "one item may always be unread, whatever its size", "windows")
def window_one(bench: Bench) -> None:
    _keeps_within(bench, {"window_bytes": 10}, most=1, size=ITEM)


def _keeps_within(bench: Bench, window: dict[str, int], most: int, size: int) -> None:
    """Grants half a window at a time, and looks whether that is all that comes."""
    host = bench.worker()
    each = size + ITEM_HEADER if size else 1
    with plain_words():
        call = host.stream("count", upto=100_000, size=size, **window)
        seen = taken = 0
        for step in (most, max(1, most // 2), most):
            # Whatever was not granted yet is all that there may be.
            allowed = taken + most
            while seen < allowed:
                seen += len(host.chunk(call))
            more = host.frame_within(QUIET)
            if more is not False:
                seen += len(getattr(more, "items", []))
            if more is not False or seen > allowed:
                granted = f"{most} items beyond the {taken} that were granted"
                raise Violation(f"at most {granted}", f"{seen - taken}, or {shown(more)}")
            taken += step if step < most else most
            host.grant(call, taken, taken * each)
        host.grant(call, 1, 1)  # an older one that comes late takes nothing back
        while seen < taken + most:
            seen += len(host.chunk(call))
        expect_cancelled(host, call)
        expect_well(host)


@check("item-too-large", "an item above max_message ends its stream by TOO_LARGE", "limits")
def item_too_large(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        items, end = host.read(host.stream("count", upto=3, size=host.max_message))
        expect([], items, "items above max_message")
        expect("failure", end.WhichOneof("outcome"), "the outcome of a stream with such an item")
        expect_failure(end.failure, "TOO_LARGE", after="for an item above max_message")
        expect_well(host)


@check("frame-limit", "no frame of a fast stream exceeds max_message + 64 KiB", "streams")
def frame_limit(bench: Bench) -> None:
    wide = {"window_items": 1 << 20, "window_bytes": 1 << 30}
    with bench.fresh(max_message=SMALL_LIMIT) as host, plain_words():
        host.handshake()
        # Largest items, and smallest ones, which take more beside their values than for them.
        for upto, size in ((2000, SMALL_LIMIT - ITEM_HEADER), (SMALLEST, 0)):
            items, end = host.read(host.stream("count", upto=upto, size=size, **wide))
            expect_end(end)
            expect(upto, len(items), "items")


@check("grant-late", "a grant for a call that has ended is ignored", "windows")
def late_grant(bench: Bench) -> None:
    host = bench.worker()
    with plain_words():
        call = host.stream("count", upto=3)
        host.read(call)
        host.grant(call, 3, 3)
        host.grant(call + 1_000_000, 3, 3)
        expect_well(host)


def expect_end(result: Any) -> None:
    """The stream must have ended well."""
    if result.WhichOneof("outcome") != "end":
        raise Violation("a Result with end", shown(result))


def expect_cancelled(host: ScriptedHost, call: int) -> None:
    """Cancels the stream: what is under way may arrive, then it ends so."""
    host.cancel(call)
    while type(frame := host.frame()).__name__ == "Chunks" and frame.call_id == call:
        pass
    due = f"a Result of call {call} with failure CANCELLED after its cancel"
    if frame is None:
        raise LineEnded(f"the worker's line ended where {due} was due")
    if type(frame).__name__ != "Result" or frame.call_id != call:
        raise OutOfTurn(due, frame)
    if frame.WhichOneof("outcome") != "failure":
        raise Violation(due, shown(frame))
    expect_failure(frame.failure, "CANCELLED", after="for a cancelled stream")
