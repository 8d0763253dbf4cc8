"""Where events of this process go."""

from __future__ import annotations

import logging
import time
from fnmatch import fnmatchcase
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from snakepit_bridge import _outlet

from ._buffer import Buffer
from ._carrier import Carrier
from ._correlation import get_correlation_id
from ._event import Event, checked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CAPACITY = 1024
"""Events that the buffer keeps."""

_logger = logging.getLogger("snakepit_bridge.telemetry")


class Sink(Protocol):
    """Carries events out of the process."""

    def wake(self) -> None:
        """Events wait for ``drain``, and none did before. Called in the emitting thread; must not
        wait. Not called again before the buffer was empty.
        """


class Backend(Protocol):
    """A listener in the form of the original's telemetry backends."""

    def emit(
        self,
        event_name: str,
        measurements: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        correlation_id: str | None = None,
    ) -> None: ...


class Hub:
    """One process's events and who hears of them."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._lock = Lock()
        self._buffer = Buffer(capacity)
        self._sink: Sink | None = None
        self._backend: Backend | None = None
        # Replaced, never changed, so that emitting reads it without the lock.
        self._subscribers: tuple[tuple[str, Callable[[Event], object]], ...] = ()
        self.carrier: Carrier | None = None
        """To the host, where this process is a worker of one that wants to hear."""

    def emit(self, event: Event) -> None:
        with self._lock:
            was_empty = self._buffer.put(event)
            sink, backend, subscribers = self._sink, self._backend, self._subscribers
        # Without the lock from here on: whoever listens may emit.
        if self.carrier is not None:
            _heard(self.carrier.carry, event)
        if sink is not None and was_empty:
            _heard(sink.wake)
        for pattern, handler in subscribers:
            if fnmatchcase(event.name, pattern):
                _heard(handler, event)
        if backend is not None:
            parts = (event.name, event.measurements, event.metadata, event.correlation_id)
            _heard(backend.emit, *parts)
        if _logger.isEnabledFor(logging.DEBUG):
            _logger.debug(
                "%s %s %s",
                event.name,
                event.measurements,
                event.metadata,
                extra={"correlation_id": event.correlation_id},
            )

    def subscribe(self, handler: Callable[[Event], object], events: str) -> Callable[[], None]:
        row = (events, handler)
        with self._lock:
            self._subscribers = (*self._subscribers, row)

        def unsubscribe() -> None:
            with self._lock:
                self._subscribers = tuple(each for each in self._subscribers if each is not row)

        return unsubscribe

    def connect(self, sink: Sink | None) -> None:
        with self._lock:
            self._sink = sink
            waiting = len(self._buffer)
        if sink is not None and waiting:
            sink.wake()

    def drain(self, limit: int | None) -> list[Event]:
        with self._lock:
            return self._buffer.take(limit)

    @property
    def dropped(self) -> int:
        with self._lock:
            return self._buffer.dropped

    @property
    def backend(self) -> Backend | None:
        return self._backend

    @backend.setter
    def backend(self, backend: Backend | None) -> None:
        with self._lock:
            self._backend = backend

    @property
    def has_listeners(self) -> bool:
        heard = self._sink is not None or self._backend is not None or bool(self._subscribers)
        if self.carrier is not None and self.carrier.filter.enabled:
            return True
        return heard or _logger.isEnabledFor(logging.DEBUG)


def _heard(listener: Callable[..., object], *arguments: Any) -> None:
    try:
        listener(*arguments)
    except Exception:
        _logger.exception("a listener of telemetry raised")


_hub = Hub()
if _outlet.outlet is not None:
    _hub.carrier = Carrier(_outlet.outlet)


def emit(
    event: str,
    measurements: Mapping[str, Any],
    metadata: Mapping[str, Any] | None = None,
    correlation_id: str | None = None,
) -> None:
    """Tell whoever listens that something was measured. Costs microseconds; waits for nobody.

    Args:
        event: Dotted name, up to 256 characters.
        measurements: Numbers by name.
        metadata: What describes them: any values, which listeners get as they are.
        correlation_id: Default: that of this thread or coroutine, see ``set_correlation_id``.

    Raises:
        TypeError: A measurement is no number, or a key no string.
        ValueError: The name is empty or too long.
    """
    if correlation_id is None:
        correlation_id = get_correlation_id()
    _hub.emit(checked(event, measurements, metadata, correlation_id, time.time_ns()))


def subscribe(handler: Callable[[Event], object], events: str = "*") -> Callable[[], None]:
    """Have ``handler(event)`` called for every event of this process whose name matches.

    It runs in the emitting thread, within the tool, so it must be quick. What it raises is logged.

    Args:
        events: A glob over the dotted name, ``model.*`` for instance.

    Returns:
        A function that ends the subscription.
    """
    return _hub.subscribe(handler, events)


def connect(sink: Sink | None) -> None:
    """Make ``sink`` the one that takes this process's events; None: nobody does."""
    _hub.connect(sink)


def drain(limit: int | None = None) -> list[Event]:
    """Take the oldest waiting events out of the buffer, at most ``limit``; None: all."""
    return _hub.drain(limit)


def dropped() -> int:
    """How many events have left the full buffer unseen, since the process began."""
    return _hub.dropped


def set_backend(backend: Backend | None) -> None:
    """Have ``backend.emit(name, measurements, metadata, correlation_id)`` called; None: no more."""
    _hub.backend = backend


def get_backend() -> Backend | None:
    """What ``set_backend`` was given last."""
    return _hub.backend


def is_enabled() -> bool:
    """Whether anybody listens: the host, a subscriber, a backend, a sink, the logger at DEBUG."""
    return _hub.has_listeners
