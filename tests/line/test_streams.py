"""Streams over the line: coalesced, within their window, and ended as they end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from snakepit.conformance.host import ScriptedHost
from snakepit.conformance.protocol import failure_kind


def test_every_item_arrives_in_order(host: ScriptedHost) -> None:
    items, end = host.read(host.stream("count", upto=100_000))
    assert items == list(range(100_000))
    assert end.WhichOneof("outcome") == "end"


def test_async_generators_stream_too(host: ScriptedHost) -> None:
    items, end = host.read(host.stream("count_async", upto=2_000))
    assert items == list(range(2_000))
    assert end.WhichOneof("outcome") == "end"


def test_a_unary_tool_is_not_called_as_a_stream(host: ScriptedHost) -> None:
    items, end = host.read(host.stream("echo", value={"a": 1}))
    assert (items, failure_kind(end.failure), end.failure.type_name) == (
        [],
        "EXCEPTION",
        "TypeError",
    )
    assert "supports_streaming" in end.failure.message


def test_an_empty_stream_only_ends(host: ScriptedHost) -> None:
    items, end = host.read(host.stream("count", upto=0))
    assert (items, end.WhichOneof("outcome")) == ([], "end")


def test_items_come_before_what_was_raised(host: ScriptedHost) -> None:
    items, end = host.read(host.stream("broken"))
    assert items == [1]
    assert (failure_kind(end.failure), end.failure.type_name) == ("EXCEPTION", "ValueError")


def test_an_item_that_cannot_travel_closes_the_generator(
    host: ScriptedHost, tmp_path: Path
) -> None:
    closed = tmp_path / "closed"
    items, end = host.read(host.stream("unfit_item", file=str(closed)))
    assert items == [1]
    assert failure_kind(end.failure) == "ENCODE"
    assert end.failure.message.startswith("chunk: ")
    assert closed.exists()


def test_two_long_failures_fit_their_frame(host: ScriptedHost) -> None:
    items, end = host.read(host.stream("unfit_twice"))
    assert items == []
    assert failure_kind(end.failure) == "ENCODE"
    assert end.failure.ByteSize() <= 64 * 1024
    assert end.failure.message.startswith("chunk: ")
    assert end.failure.message.endswith("xxx"), "both are told"


def test_an_item_above_the_limit_is_refused(host: ScriptedHost) -> None:
    items, end = host.read(host.stream("count", upto=3, size=1 << 20))
    assert (items, failure_kind(end.failure)) == ([], "TOO_LARGE")


@pytest.mark.parametrize(
    ("window", "item", "most"),
    [
        ({"window_items": 100}, 0, 100),
        ({"window_bytes": 50_015}, 10_000, 5),
        ({"window_bytes": 10}, 10_000, 1),
    ],
)
def test_a_slow_reader_stops_the_generator(
    host: ScriptedHost, window: dict[str, int], item: int, most: int
) -> None:
    call = host.stream("count", **window, upto=500, size=item)
    seen = taken = 0
    while seen < 3 * most:
        # Nothing was granted since: what may be unread is all there is until we grant.
        while seen < taken + most:
            seen += len(host.chunk(call))
        assert seen == taken + most
        assert host.frames.empty(), "the window was exceeded"
        taken += most
        # Bytes are counted as they travel, headers included.
        host.grant(call, taken, taken * (item + 3 if item else 1))
        host.grant(call, 1, 1)  # an old one that comes late changes nothing
    host.cancel(call)
    while hasattr(frame := host.frame(), "items"):
        pass
    assert failure_kind(frame.failure) == "CANCELLED"
    # One item may be made, but not sent, while the window is too full for it.
    made = host.result(host.call("noted"))
    assert len(made) <= taken + most + 1


def test_a_window_larger_than_a_socket_does_not_block(attach: Callable[..., ScriptedHost]) -> None:
    host = attach(max_message=64 << 20)
    host.handshake()
    items, end = host.read(host.stream("count", window_bytes=16 << 20, upto=32, size=1 << 20))
    assert len(items) == 32
    assert end.WhichOneof("outcome") == "end"


@pytest.mark.parametrize("wait", ["for room", "inside an item"])
def test_a_cancel_runs_the_generators_finally(
    host: ScriptedHost, tmp_path: Path, wait: str
) -> None:
    closed = tmp_path / "closed"
    items = 10 if wait == "for room" else 1 << 31
    call = host.stream(
        "count", window_items=items, window_bytes=1 << 60, upto=1 << 40, file=str(closed)
    )
    assert host.chunk(call)[0] == 0
    host.cancel(call)
    while hasattr(frame := host.frame(), "items"):
        pass
    assert failure_kind(frame.failure) == "CANCELLED"
    assert closed.exists()
    assert host.result(host.call("echo", value="well")) == "well"


def test_what_closing_raises_is_told(host: ScriptedHost) -> None:
    call = host.stream("stubborn", window_items=1)
    host.chunk(call)
    host.cancel(call)
    failure = host.failure(call)
    assert failure_kind(failure) == "CANCELLED"
    assert "ValueError: not like this" in failure.message
    assert "stubborn" in failure.traceback


def test_items_do_not_wait_behind_a_slow_one(host: ScriptedHost, tmp_path: Path) -> None:
    release = tmp_path / "release"
    call = host.stream("item_then_block", file=str(release))
    items = host.chunk(call)
    while len(items) < 2:
        items += host.chunk(call)
    assert items == ["first", "second"]
    release.touch()
    assert host.chunk(call) == ["released"]
    assert host.frame().WhichOneof("outcome") == "end"
