"""What the end in pure Python keeps of what an adapter tells: bounded, in order, counted."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("grpc", reason="the end in pure Python needs grpcio")

from snakepit_bridge._grpcio.outlet import Outlet

IDS = (b"t" * 16, b"s" * 8, b"")


class Woken:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def woken() -> Woken:
    return Woken()


@pytest.fixture
def outlet(woken: Woken) -> Outlet:
    outlet = Outlet(woken)
    outlet.open()
    return outlet


def tell(outlet: Outlet, name: str, text: str = "") -> None:
    outlet.event(name, 1, {"n": 1, "x": 0.5}, {"text": text, "flag": True}, "", 0)


def taken(outlet: Outlet) -> list[Any]:
    frames: list[Any] = []
    outlet.take(lambda frame: frames.append(frame.telemetry))
    return frames


def test_nothing_is_told_before_the_worker_is_ready(woken: Woken) -> None:
    outlet = Outlet(woken)
    tell(outlet, "early")
    assert (taken(outlet), outlet.due, woken.count) == ([], None, 0)
    outlet.open()
    assert outlet.due is not None
    assert woken.count == 1
    (frame,) = taken(outlet)
    assert [event.name for event in frame.events] == ["early"]


def test_who_sends_is_woken_once_for_all_that_waits(outlet: Outlet, woken: Woken) -> None:
    for name in "abc":
        tell(outlet, name)
    assert woken.count == 1
    (frame,) = taken(outlet)
    assert [event.name for event in frame.events] == ["a", "b", "c"]
    first = frame.events[0]
    assert [(it.key, it.WhichOneof("number")) for it in first.measurements] == [
        ("n", "count"),
        ("x", "real"),
    ]
    assert [(it.key, it.WhichOneof("value")) for it in first.metadata] == [
        ("text", "text"),
        ("flag", "flag"),
    ]
    assert (taken(outlet), outlet.due) == ([], None)
    tell(outlet, "d")
    assert woken.count == 2


def test_the_oldest_events_and_the_newest_spans_are_dropped_and_counted(outlet: Outlet) -> None:
    for number in range(1030):
        tell(outlet, str(number))
        outlet.span(IDS, str(number), 1, 0, {}, 0, "", 0)
    frames = taken(outlet)
    assert all(len(frame.events) + len(frame.spans) <= 1024 for frame in frames)
    events = [event.name for frame in frames for event in frame.events]
    spans = [span.name for frame in frames for span in frame.spans]
    assert events == [str(number) for number in range(6, 1030)]
    assert spans == [str(number) for number in range(1024)]
    assert {frame.dropped for frame in frames} == {12}


def test_bytes_are_bounded_too(outlet: Outlet) -> None:
    tell(outlet, "large", "x" * (17 << 10))
    for number in range(100):
        tell(outlet, str(number), "x" * (8 << 10))
    frames = taken(outlet)
    assert all(frame.ByteSize() <= 64 << 10 for frame in frames)
    events = [event.name for frame in frames for event in frame.events]
    assert 20 < len(events) < 40
    assert events[-1] == "99"
    assert frames[-1].dropped == 101 - len(events)
