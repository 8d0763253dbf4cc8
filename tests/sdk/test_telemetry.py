"""Events and spans: where they go, what they carry, and that nothing of it stops a tool."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest

from snakepit_bridge import telemetry
from snakepit_bridge._context import current
from snakepit_bridge.telemetry._buffer import Buffer
from snakepit_bridge.telemetry._event import Event, checked
from snakepit_bridge.telemetry._hub import Hub

from .fake_core import Call


@pytest.fixture
def seen() -> Iterator[list[Event]]:
    """Every event of the test, as a subscriber gets them."""
    events: list[Event] = []
    end = telemetry.subscribe(events.append)
    yield events
    end()
    telemetry.drain()


def event(name: str) -> Event:
    return Event(name, {}, {}, None, 0)


def test_an_event_has_what_it_was_given(seen: list[Event]) -> None:
    measurements, metadata = {"latency_ms": 45, "tokens": 128}, {"model": "m", "any": [1]}
    telemetry.emit("model.inference", measurements, metadata, "id")
    measurements.clear()
    (one,) = seen
    assert one.name == "model.inference"
    assert one.measurements == {"latency_ms": 45, "tokens": 128}, "a copy"
    assert (one.metadata, one.correlation_id) == (metadata, "id")
    assert one.time_ns > 0


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((3, {}), "an event's name is a string, not int"),
        (("", {}), "1 to 256 characters"),
        (("x" * 257, {}), "1 to 256 characters"),
        (("e", {"n": "12"}), "e: measurement 'n' is a number, not str; what describes"),
        (("e", {"n": None}), "measurement 'n' is a number, not NoneType"),
        (("e", {1: 2}), "e: keys are strings, not 1"),
        (("e", {}, {2: 3}), "e: keys are strings, not 2"),
    ],
)
def test_a_malformed_event_is_refused_where_it_is_emitted(
    parts: tuple[Any, ...], message: str, seen: list[Event]
) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        telemetry.emit(*parts)
    assert seen == []


def test_numbers_of_other_libraries_become_floats() -> None:
    made = checked("e", {"a": Fraction(1, 4), "b": True, "c": 2**70}, None, None, 0)
    assert made.measurements == {"a": 0.25, "b": True, "c": 2**70}
    assert type(made.measurements["a"]) is float


def test_a_buffer_keeps_the_latest_and_counts_the_others() -> None:
    buffer = Buffer(3)
    assert [buffer.put(event(name)) for name in "abcde"] == [True] + [False] * 4
    assert (buffer.dropped, len(buffer)) == (2, 3)
    assert [each.name for each in buffer.take(2)] == ["c", "d"]
    assert [each.name for each in buffer.take()] == ["e"]
    assert buffer.take() == []
    assert buffer.put(event("f")), "empty again"


class Waker:
    def __init__(self) -> None:
        self.woken = 0

    def wake(self) -> None:
        self.woken += 1


def test_a_sink_is_woken_once_for_all_that_waits() -> None:
    hub, sink = Hub(capacity=2), Waker()
    hub.emit(event("early"))
    hub.connect(sink)
    assert sink.woken == 1, "for what was there before it"
    hub.emit(event("b"))
    hub.emit(event("c"))
    assert sink.woken == 1
    assert ([each.name for each in hub.drain(None)], hub.dropped) == (["b", "c"], 1)
    hub.emit(event("d"))
    assert sink.woken == 2
    hub.connect(None)
    hub.drain(None)
    hub.emit(event("e"))
    assert sink.woken == 2


def test_subscribers_choose_by_name_and_may_leave() -> None:
    hub = Hub()
    some: list[str] = []
    every: list[str] = []
    hub.subscribe(lambda each: every.append(each.name), "*")
    leave = hub.subscribe(lambda each: some.append(each.name), "model.*")
    for name in ("model.a", "other.b"):
        hub.emit(event(name))
    leave()
    leave()
    hub.emit(event("model.c"))
    assert (some, every) == (["model.a"], ["model.a", "other.b", "model.c"])


def test_a_listener_that_raises_or_emits_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub()
    heard: list[str] = []

    def emits(each: Event) -> None:
        heard.append(each.name)
        if each.name == "first":
            hub.emit(event("second"))

    hub.subscribe(lambda _: 1 / 0, "first")
    hub.subscribe(emits, "*")
    with caplog.at_level(logging.ERROR, "snakepit_bridge.telemetry"):
        hub.emit(event("first"))
    assert heard == ["first", "second"]
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def test_a_backend_of_the_original_gets_the_four_parts() -> None:
    got: list[Any] = []

    class Backend:
        def emit(self, *parts: Any) -> None:
            got.append(parts)

    backend = Backend()
    telemetry.set_backend(backend)
    try:
        assert telemetry.get_backend() is backend
        assert telemetry.is_enabled()
        telemetry.emit("e", {"n": 1}, {"m": 2}, "id")
    finally:
        telemetry.set_backend(None)
        telemetry.drain()
    assert got == [("e", {"n": 1}, {"m": 2}, "id")]
    assert not telemetry.is_enabled()


def test_the_logger_says_it_at_debug(seen: list[Event], caplog: pytest.LogCaptureFixture) -> None:
    telemetry.emit("quiet", {})
    with caplog.at_level(logging.DEBUG, "snakepit_bridge.telemetry"):
        assert telemetry.is_enabled()
        telemetry.emit("loud", {"n": 1}, {"m": 2}, "id")
    (record,) = caplog.records
    assert record.getMessage() == "loud {'n': 1} {'m': 2}"
    assert record.correlation_id == "id"  # type: ignore[attr-defined]
    assert len(seen) == 2


def test_a_span_is_two_events(seen: list[Event]) -> None:
    with telemetry.span("work", {"stage": "first"}) as work:
        work.measurements["rows"] = 3
        work.metadata["found"] = True
        telemetry.emit("inside", {})
    start, inside, stop = seen
    assert (start.name, list(start.measurements), start.metadata) == (
        "work.start",
        ["system_time"],
        {"stage": "first"},
    )
    assert (stop.name, stop.metadata) == ("work.stop", {"stage": "first", "found": True})
    assert stop.measurements["rows"] == 3
    assert stop.measurements["duration"] >= 0
    assert len({start.correlation_id, inside.correlation_id, stop.correlation_id}) == 1
    assert start.correlation_id == work.correlation_id
    assert telemetry.get_correlation_id() is None
    with pytest.raises(RuntimeError, match="span 'work' was entered already"):
        work.__enter__()


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt("no")])
def test_a_span_tells_of_the_exception_and_lets_it_go_on(
    error: BaseException, seen: list[Event]
) -> None:
    with pytest.raises(type(error)), telemetry.span("work", {"a": 1}):
        raise error
    assert [each.name for each in seen] == ["work.start", "work.exception"]
    assert seen[1].metadata == {
        "a": 1,
        "error_type": type(error).__name__,
        "error_message": "no",
    }


def test_spans_of_overlapping_coroutines_have_their_own_ids(seen: list[Event]) -> None:
    async def work(name: str) -> None:
        async with telemetry.span(name):
            await asyncio.sleep(0)
            telemetry.emit(f"{name}.inside", {})

    async def both() -> None:
        await asyncio.gather(work("a"), work("b"))

    asyncio.run(both())
    ids = {each.name: each.correlation_id for each in seen}
    assert ids["a.start"] == ids["a.inside"] == ids["a.stop"]
    assert ids["b.start"] == ids["b.inside"] == ids["b.stop"]
    assert ids["a.start"] != ids["b.start"]
    assert None not in ids.values()


def test_a_span_may_end_in_another_context(seen: list[Event]) -> None:
    """As in a generator that is pulled by one task and closed by another."""
    span = telemetry.span("work", correlation_id="id")
    contextvars.copy_context().run(span.__enter__)
    contextvars.copy_context().run(span.__exit__, None, None, None)
    assert [each.correlation_id for each in seen] == ["id", "id"]


def test_a_nested_span_keeps_the_id_of_the_outer_one(seen: list[Event]) -> None:
    with telemetry.span("outer", correlation_id="given"), telemetry.span("inner"):
        telemetry.emit("event", {})
    assert {each.correlation_id for each in seen} == {"given"}


def test_the_correlation_id_is_of_the_thread_and_ends_with_the_call() -> None:
    elsewhere: list[str | None] = []
    token = telemetry.set_correlation_id("mine")
    thread = threading.Thread(target=lambda: elsewhere.append(telemetry.get_correlation_id()))
    thread.start()
    thread.join()
    assert elsewhere == [None]
    assert telemetry.outgoing_metadata([("a", "b")]) == [
        ("a", "b"),
        (telemetry.CORRELATION_HEADER, "mine"),
    ]
    telemetry.reset_correlation_id(token)
    telemetry.reset_correlation_id(None)
    assert telemetry.get_correlation_id("-") == "-"
    assert telemetry.outgoing_metadata() == []

    def call_that_leaves_one() -> None:
        current.set(Call("x", None, False, None))
        telemetry.set_correlation_id("of the call")
        assert telemetry.get_correlation_id() == "of the call"
        current.set(Call("y", None, False, None))
        assert telemetry.get_correlation_id() is None

    contextvars.copy_context().run(call_that_leaves_one)
    first, second = telemetry.new_correlation_id(), telemetry.new_correlation_id()
    assert len(first) == len(second) == 32
    assert first != second
