"""Handlers of telemetry: who is called, with what, and what becomes of one that fails."""

from __future__ import annotations

import functools
import logging
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from snakepit import _core, _dispatch, telemetry
from snakepit._dispatch import Dispatcher, HandlerInfo, wanted
from snakepit.errors import ConfigError

from . import fake_core

SPAWNED, STOP = fake_core.TELEMETRY_EVENTS


@pytest.fixture(autouse=True)
def dispatcher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Dispatcher]:
    """One of the test's own, over a queue that the test fills."""
    for name in ("EventReader", "Subscription", "TELEMETRY_EVENTS"):
        monkeypatch.setattr(_core, name, getattr(fake_core, name), raising=False)
    dispatcher = Dispatcher()
    monkeypatch.setattr(telemetry, "dispatcher", dispatcher)
    yield dispatcher
    dispatcher.finish()


def tell(*events: str, **metadata: Any) -> None:
    fake_core.Subscription.made[-1].tell(*((event, {"n": 1}, dict(metadata)) for event in events))
    assert telemetry.flush(30)


def test_a_handler_hears_what_its_pattern_names() -> None:
    heard: list[Any] = []
    telemetry.attach("a", SPAWNED, lambda *event: heard.append(("a", *event)))
    telemetry.attach_many("b", ("snakepit.pool.*", "*.stop"), lambda *_: heard.append(("b",)))
    tell(SPAWNED, STOP, worker_id="p/0")
    assert heard == [("a", SPAWNED, {"n": 1}, {"worker_id": "p/0"}), ("b",), ("b",)]
    assert telemetry.detach("a")
    tell(SPAWNED)
    assert len(heard) == 4


def test_any_callable_is_a_handler() -> None:
    heard: list[str] = []

    class Object:
        def __call__(self, *_: Any) -> None:
            heard.append("object")

        def method(self, *_: Any) -> None:
            heard.append("method")

        @classmethod
        def of_class(cls, *_: Any) -> None:
            heard.append(cls.__name__)

    class Static:
        @staticmethod
        def __call__(*event: Any) -> None:
            heard.append(f"static, {len(event)}")

    class OfClass:
        @classmethod
        def __call__(cls, *event: Any) -> None:
            heard.append(f"{cls.__name__}, {len(event)}")

    class Made:
        def __init__(self, *_: Any) -> None:
            heard.append("made")

        @classmethod
        def __call__(cls, *_: Any) -> None:
            heard.append("it was to be made")

    own = Object()
    vars(own)["__call__"] = lambda *_: heard.append("a call does not look here")
    partial = functools.partial(lambda *event: heard.append(f"partial, {len(event)}"), 0)
    alive = weakref.proxy(own)
    for handler in [
        *(Object(), own, alive, Object().method, Object.of_class),
        *(Static(), OfClass(), Made, partial),
    ]:
        telemetry.attach("a", SPAWNED, handler)
        tell(SPAWNED)
        assert telemetry.detach("a")
    assert heard == [
        *("object", "object", "object", "method", "Object"),
        *("static, 3", "OfClass, 3", "made", "partial, 4"),
    ]


def test_one_that_cannot_be_called_any_more_is_detached(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Object:
        def __call__(self, *_: Any) -> None:
            raise AssertionError("it is gone")

    there = Object()
    telemetry.attach("gone", SPAWNED, weakref.proxy(there))
    del there
    tell(SPAWNED)
    assert not telemetry.detach("gone")
    assert "handler 'gone' raised" in caplog.text
    assert "ReferenceError" in caplog.text
    heard: list[str] = []
    telemetry.attach("a", SPAWNED, lambda *_: heard.append("a"))
    tell(SPAWNED)
    assert heard == ["a"]


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ([SPAWNED], [SPAWNED]),
        (["*"], [SPAWNED, STOP, "snakepit.python."]),
        (["snakepit.*.stop"], [STOP, "snakepit.python."]),
        (["snakepit.pool.*"], [SPAWNED]),
        (["snakepit.python.model.?"], ["snakepit.python."]),
        (["snakepit.python"], []),
        (["[s]nakepit.pool.worker.spawned"], [SPAWNED, "snakepit.python."]),
        ([], []),
    ],
)
def test_the_engine_is_told_which_events_anybody_hears(
    patterns: list[str], names: list[str]
) -> None:
    assert wanted([HandlerInfo("id", tuple(patterns), print)]) == names
    telemetry.attach_many("id", patterns, print)
    (subscription,) = fake_core.Subscription.made[-1:]
    assert subscription.wanted == names
    telemetry.detach("id")
    assert subscription.wanted == []


def test_an_id_is_had_once() -> None:
    telemetry.attach("id", STOP, print)
    with pytest.raises(ConfigError, match="'id' is attached; detach it first") as caught:
        telemetry.attach("id", SPAWNED, print)
    assert caught.value.field == "handler_id"
    assert telemetry.list_handlers() == [("id", (STOP,), print)]
    assert telemetry.list_handlers(STOP) == telemetry.list_handlers()
    assert telemetry.list_handlers(SPAWNED) == []
    assert (telemetry.detach("id"), telemetry.detach("id")) == (True, False)
    telemetry.attach("id", SPAWNED, print)


@pytest.mark.parametrize(
    ("attached", "field"),
    [
        (("", STOP, print), "handler_id"),
        ((3, STOP, print), "handler_id"),
        (("id", "", print), "pattern"),
        (("id", ["snakepit"], print), "pattern"),
        (("id", STOP, None), "handler"),
    ],
)
def test_what_is_wrong_is_named(attached: Any, field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        telemetry.attach(*attached)
    assert caught.value.field == field
    assert telemetry.list_handlers() == []
    with pytest.raises(ConfigError, match="attach"):
        telemetry.attach_many("id", STOP, print)


def test_one_that_raises_is_detached_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[str] = []

    def fails(event: str, *_: Any) -> None:
        raise LookupError("no such table")

    telemetry.attach("bad", "*", fails)
    telemetry.attach("good", "*", lambda event, *_: heard.append(event))
    with caplog.at_level(logging.ERROR, logger="snakepit.telemetry"):
        tell(SPAWNED, STOP)
    assert heard == [SPAWNED, STOP]
    assert [handler.id for handler in telemetry.list_handlers()] == ["good"]
    (record,) = caplog.records
    assert record.getMessage() == f"handler 'bad' raised for {SPAWNED}, and is detached"
    assert record.exc_info is not None
    assert "no such table" in caplog.text


def test_which_of_two_with_one_function_raises_is_known() -> None:
    def fails_at_stop(event: str, *_: Any) -> None:
        if event == STOP:
            raise LookupError("no such table")

    telemetry.attach("spawned", SPAWNED, fails_at_stop)
    telemetry.attach("stop", STOP, fails_at_stop)
    tell(SPAWNED, STOP, SPAWNED)
    assert [handler.id for handler in telemetry.list_handlers()] == ["spawned"]


@pytest.mark.parametrize("handlers", [1, 2])
def test_a_long_batch_is_heard_whole_and_in_order(handlers: int) -> None:
    heard: list[list[int]] = [[] for _ in range(handlers)]
    for number, own in enumerate(heard):
        telemetry.attach(
            f"{number}", "*", lambda _event, measurements, _, own=own: own.append(measurements["n"])
        )
    count = 3 * _dispatch._PART + 8
    told = [((SPAWNED, STOP)[n % 2], {"n": n}, {}) for n in range(count)]
    fake_core.Subscription.made[-1].tell(*told)
    assert telemetry.flush(30)
    assert heard == [list(range(count))] * handlers


def test_what_one_does_to_its_dicts_is_no_others_business() -> None:
    heard: list[Any] = []

    def changes(event: str, measurements: Any, metadata: Any) -> None:
        measurements.clear()
        metadata["mine"] = True

    telemetry.attach("first", "*", changes)
    telemetry.attach("second", "*", lambda *event: heard.append(event))
    tell(STOP, command="echo")
    assert heard == [(STOP, {"n": 1}, {"command": "echo"})]


def test_handlers_may_change_who_is_attached() -> None:
    heard: list[str] = []

    def once(event: str, *_: Any) -> None:
        heard.append(event)
        telemetry.detach("once")
        telemetry.attach("then", "*", lambda event, *_: heard.append(f"then {event}"))

    telemetry.attach("once", "*", once)
    tell(SPAWNED, STOP)
    assert heard == [SPAWNED, f"then {STOP}"]


def test_a_handler_that_would_wait_for_itself_is_told() -> None:
    raised: list[BaseException] = []

    def waits(*_: Any) -> None:
        try:
            telemetry.flush()
        except RuntimeError as error:
            raised.append(error)

    telemetry.attach("waits", "*", waits)
    tell(STOP)
    assert "wait for itself" in str(raised[0])


def test_what_was_dropped_is_told_logged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Any] = []
    telemetry.attach("all", "*", lambda *event: heard.append(event))
    subscription = fake_core.Subscription.made[-1]
    subscription.dropped = 7
    with caplog.at_level(logging.WARNING, logger="snakepit.telemetry"):
        for count in (5, 1, 1):
            subscription.tell(("snakepit.telemetry.dropped", {"count": count}, {}))
        assert telemetry.flush(30)
    assert [event[1]["count"] for event in heard] == [5, 1, 1]
    assert telemetry.dropped() == 7
    assert [record.getMessage() for record in caplog.records] == [
        "5 events dropped: handlers are too slow for them"
    ]


def test_the_end_waits_for_what_was_told(dispatcher: Dispatcher) -> None:
    heard: list[str] = []
    gate = threading.Event()

    def slow(event: str, *_: Any) -> None:
        gate.wait(30)
        heard.append(event)

    telemetry.attach("slow", "*", slow)
    fake_core.Subscription.made[-1].tell((SPAWNED, {}, {}))
    threading.Timer(0.05, gate.set).start()
    dispatcher.finish()
    assert heard == [SPAWNED]
    telemetry.attach("late", "*", print)  # No thread is started any more, nobody is harmed.


def test_nothing_to_wait_for(dispatcher: Dispatcher) -> None:
    assert telemetry.flush()
    assert telemetry.dropped() == 0
    dispatcher.resume()
    assert dispatcher._thread is None, "nobody is attached"


def test_a_fork_has_the_handlers_and_its_own_thread(dispatcher: Dispatcher) -> None:
    telemetry.attach("id", "*", print)
    parents, thread = fake_core.Subscription.made[-1], dispatcher._thread
    dispatcher.be_a_child()
    assert [handler.id for handler in telemetry.list_handlers()] == ["id"]
    assert dispatcher._thread is None
    dispatcher.resume()
    assert dispatcher._thread is not None
    assert fake_core.Subscription.made[-1] is not parents
    parents.close()
    assert thread is not None
    thread.join(30)


def test_the_process_has_one() -> None:
    assert isinstance(_dispatch.dispatcher, Dispatcher)
    assert set(telemetry.EVENTS) >= {SPAWNED, STOP}
