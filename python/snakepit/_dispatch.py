"""The thread that calls telemetry's handlers.

It blocks in the native half, detached, and is Python's own, so that the interpreter's end finds it
as it finds any. It starts with the first handler. A child of a fork has the handlers, but no
thread: one starts with its first pool.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from fnmatch import fnmatchcase
from itertools import starmap
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from snakepit import _core
from snakepit_bridge._interop import _tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_LOG = logging.getLogger("snakepit.telemetry")

_ROOM = 16384
"""Events that may wait for handlers."""

_GATHER = 0.01
"""Seconds in which a batch is gathered, if hundreds of events do not come before."""

_PART = 256
"""After so many events others get the interpreter. Measured: with fewer the thread wakes too often,
with more the workers run out of calls meanwhile. For as long as a batch is gathered: who computes
gives it back only in 5 ms, and in the end events would be dropped."""

_PATIENCE = 2.0
"""Seconds that handlers have at the program's end for what waits."""

_PYTHON = "snakepit.python."
"""What the names of adapters' events begin with. Of these there is no list."""

_REMEMBERED = 1024
"""Names of events whose handlers are remembered."""

_DROPPED = "snakepit.telemetry.dropped"


class HandlerInfo(NamedTuple):
    """A handler that is attached."""

    id: str
    patterns: tuple[str, ...]
    """Globs over the names of events: it hears those that match any of them."""
    handler: Callable[..., object]

    def hears(self, event: str) -> bool:
        """Whether it is called for events of this name."""
        return any(fnmatchcase(event, pattern) for pattern in self.patterns)


Route: TypeAlias = "tuple[HandlerInfo | None, list[HandlerInfo]]"
"""The handler of an event that only one hears, and all who do."""


def wanted(handlers: Iterable[HandlerInfo]) -> list[str]:
    """The names of events that any of the handlers hears, as the native half takes them."""
    all_of_them = list(handlers)
    names = [
        event
        for event in _core.TELEMETRY_EVENTS
        if any(handler.hears(event) for handler in all_of_them)
    ]
    patterns = (pattern for handler in all_of_them for pattern in handler.patterns)
    if any(_may_be_an_adapters(pattern) for pattern in patterns):
        names.append(_PYTHON)
    return names


def _may_be_an_adapters(pattern: str) -> bool:
    # By what stands in front of its first wildcard. If that says too much, nobody is called.
    literal = pattern.partition("*")[0].partition("?")[0].partition("[")[0]
    return literal.startswith(_PYTHON) or (literal != pattern and _PYTHON.startswith(literal))


class Dispatcher:
    """Handlers, and who calls them."""

    def __init__(self) -> None:
        # Replaced, never changed, so that the thread reads them without the lock. Routes are those
        # of the handlers that were there before they were read.
        self._handlers: dict[str, HandlerInfo] = {}
        self._routes: dict[str, Route] = {}
        self._over = False
        self.be_a_child()

    def be_a_child(self) -> None:
        """A fork has the handlers of its parent, and nothing that a thread of that one holds."""
        self._lock = threading.Lock()
        self._subscription: _core.Subscription | None = None
        self._thread: threading.Thread | None = None
        self._round = threading.Condition()
        self._rounds = 0
        self._missed = 0
        self._said = 0.0

    def attach(self, attached: HandlerInfo) -> bool:
        """Call it from now on. False: there is one of that id."""
        with self._lock:
            if attached.id in self._handlers:
                return False
            self._replace({**self._handlers, attached.id: attached})
            self._start()
        return True

    def detach(self, handler_id: str) -> bool:
        """Call it no more. False: there is none of that id."""
        with self._lock:
            handlers = dict(self._handlers)
            known = handlers.pop(handler_id, None) is not None
            if known:
                self._replace(handlers)
        return known

    @property
    def handlers(self) -> list[HandlerInfo]:
        """Those that are attached, oldest first."""
        return list(self._handlers.values())

    @property
    def dropped(self) -> int:
        """Events that handlers were too slow for."""
        return 0 if self._subscription is None else self._subscription.dropped

    def resume(self) -> None:
        """Start the thread of a fork that has handlers."""
        if self._handlers and self._thread is None:
            with self._lock:
                self._start()

    def flush(self, timeout: float | None) -> bool:
        """Wait until all was handled that was told before. False: that took too long."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("telemetry.flush: a handler would wait for itself")
        if self._subscription is None:
            return True
        until = self._subscription.hurry()
        with self._round:
            return self._round.wait_for(lambda: self._rounds >= until, timeout)

    def finish(self) -> None:
        """Hear nothing more, and end the thread when it has called handlers for what waits."""
        with self._lock:
            self._over = True
        if self._subscription is not None and self._thread is not None:
            self._subscription.close()
            self._thread.join(_PATIENCE)

    def _replace(self, handlers: dict[str, HandlerInfo]) -> None:
        self._handlers = handlers
        self._routes = {}
        if self._subscription is not None:
            self._subscription.want(wanted(handlers.values()))

    def _start(self) -> None:
        if self._thread is not None or self._over:
            return
        subscription = _core.Subscription(_ROOM)
        thread = threading.Thread(
            target=self._serve, args=(subscription,), name="snakepit-telemetry", daemon=True
        )
        thread.start()
        _tensor.on_staged = _tell_staged
        self._subscription, self._thread = subscription, thread
        subscription.want(wanted(self._handlers.values()))

    def _serve(self, subscription: _core.Subscription) -> None:
        events = _core.EventReader(subscription)
        while events.wait(_GATHER):
            polite_until, unbroken = time.monotonic() + _GATHER, len(events) - _PART
            # First the look ahead: if handlers change from here on, the batch stops for it.
            while (event := events.ahead()) is not None:
                if len(events) <= unbroken:
                    unbroken = len(events) - _PART
                    self._yield(polite_until)
                alone, route = self._routes.get(event) or self._route(event)
                routes = self._routes
                if alone is not None and event in routes:
                    # Tens of thousands a second, with the interpreter in hand: their loop is in C.
                    run = events.run(routes, alone, _PART)
                    try:
                        deque(starmap(_called(alone.handler), run), 0)
                    except BaseException:
                        self._give_up(alone, events.latest or event)
                    continue
                _, measurements, metadata = next(events)
                if event == _DROPPED:
                    self._say(measurements["count"])
                for attached in route:  # What one does to its dicts is no other's business.
                    self._call(attached, event, dict(measurements), dict(metadata))
            with self._round:
                self._rounds += 1
                self._round.notify_all()

    @staticmethod
    def _yield(until: float) -> None:
        """Let others have the interpreter, until then."""
        if time.monotonic() < until:
            time.sleep(0)

    def _route(self, event: str) -> Route:
        routes = self._routes
        hearing = [handler for handler in self._handlers.values() if handler.hears(event)]
        alone = hearing[0] if len(hearing) == 1 and event != _DROPPED else None
        route = alone, hearing
        if len(routes) < _REMEMBERED:
            routes[event] = route
        return route

    def _call(
        self,
        attached: HandlerInfo,
        event: str,
        measurements: dict[str, Any],
        metadata: dict[str, Any],
    ) -> None:
        try:
            attached.handler(event, measurements, metadata)
        except BaseException:
            self._give_up(attached, event)

    def _give_up(self, attached: HandlerInfo, event: str) -> None:
        if self._handlers.get(attached.id) is attached:
            self.detach(attached.id)
        _LOG.exception("handler %r raised for %s, and is detached", attached.id, event)

    def _say(self, count: int) -> None:
        """Log that events were dropped: once a second at most."""
        self._missed += count
        if time.monotonic() - self._said >= 1.0:
            _LOG.warning("%d events dropped: handlers are too slow for them", self._missed)
            self._missed, self._said = 0, time.monotonic()


def _called(handler: Callable[..., object]) -> Callable[..., object]:
    """What a call of it calls: that of an object is looked up once, and not for each event."""
    # Where a call looks, and as it does: on no instance, and running no code.
    for of_class in type(handler).__mro__:
        if (method := of_class.__dict__.get("__call__")) is not None:
            return MethodType(method, handler) if isinstance(method, FunctionType) else handler
    return handler


def _tell_staged(device: str, nbytes: int) -> None:
    measurements: dict[str, int | float] = {"bytes": nbytes, "system_time": time.time_ns()}
    _core.tell("snakepit.zero_copy.staged", measurements, {"device": device})


dispatcher = Dispatcher()
os.register_at_fork(after_in_child=dispatcher.be_a_child)
