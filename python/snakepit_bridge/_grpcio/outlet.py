"""What the adapter tells, until it is sent: ``_native.Outlet``.

It goes before whatever the emitting thread says next, or after a pause. Of more than there is room
for the oldest events go, and the newest spans.
"""

from __future__ import annotations

import os
from collections import deque
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from .messages import Attribute, Event, Measurement, Span, Telemetry, WorkerFrame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAUSE = 0.05
"""Seconds that what was told waits at most, while the host reads."""

_ROOM = 1024
"""Events that wait, spans that wait, and records in a frame, as ``worker.proto`` says."""
_ROOM_BYTES = 256 << 10
_RECORD_BYTES = 16 << 10
_FRAME_BYTES = 48 << 10
"""Less than the 64 KiB of the protocol."""


class Outlet:
    """Events and spans that wait."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._pid = os.getpid()
        self.version = 1
        self._control: Any = None
        self._lock = Lock()
        # All below is guarded by it.
        self._events: deque[tuple[Any, int]] = deque()
        self._spans: deque[tuple[Any, int]] = deque()
        self._bytes = 0
        self._dropped = 0
        self._open = False
        self.due: float | None = None
        """When what waits is to be sent; None: nothing waits. Read without the lock."""

    def want(self, control: Any) -> None:
        """What the host wants from now on."""
        self._control = control
        self.version += 1

    def wanted(self) -> tuple[bool, float, list[str], list[str]]:
        told = self._control
        return told.enabled, told.sampling, list(told.allow), list(told.deny)

    def open(self) -> None:
        """The worker has said Ready: it may tell from now on."""
        self._add(self._opened)

    def event(
        self,
        name: str,
        time_ns: int,
        measurements: dict[str, float],
        metadata: dict[str, str | float | bool],
        correlation_id: str,
        call_id: int,
    ) -> None:
        event = Event(
            name=name,
            time_ns=time_ns,
            measurements=[_measurement(key, number) for key, number in measurements.items()],
            metadata=_attributes(metadata),
            correlation_id=correlation_id,
            call_id=call_id,
        )
        self._add(lambda: self._add_event(event, event.ByteSize()))

    def span(
        self,
        ids: tuple[bytes, bytes, bytes],
        name: str,
        start_ns: int,
        end_ns: int,
        attributes: dict[str, str | float | bool],
        status: int,
        message: str,
        call_id: int,
    ) -> None:
        span = Span(
            trace_id=ids[0],
            span_id=ids[1],
            parent_span_id=ids[2],
            name=name,
            start_ns=start_ns,
            end_ns=end_ns,
            attributes=_attributes(attributes),
            status=status,
            message=message,
            call_id=call_id,
        )
        self._add(lambda: self._add_span(span, span.ByteSize()))

    def _add(self, add: Callable[[], None]) -> None:
        if os.getpid() != self._pid:
            return  # a copy that a tool forked: the line is not its own
        with self._lock:
            add()
            if not self._open or self.due is not None or not (self._events or self._spans):
                return
            self.due = monotonic() + PAUSE
        self._wake()

    def _opened(self) -> None:
        self._open = True

    def _add_event(self, event: Any, size: int) -> None:
        if size > _RECORD_BYTES:
            self._dropped += 1
            return
        while self._events and (len(self._events) == _ROOM or self._bytes + size > _ROOM_BYTES):
            self._bytes -= self._events.popleft()[1]
            self._dropped += 1
        if self._bytes + size > _ROOM_BYTES:
            self._dropped += 1  # spans have all the room
            return
        self._bytes += size
        self._events.append((event, size))

    def _add_span(self, span: Any, size: int) -> None:
        if size > _RECORD_BYTES or len(self._spans) == _ROOM or self._bytes + size > _ROOM_BYTES:
            self._dropped += 1
            return
        self._bytes += size
        self._spans.append((span, size))

    def take(self, put: Callable[[Any], None]) -> None:
        """Hand all that waits to ``put``, in frames, before anybody finds that nothing does."""
        with self._lock:
            if not self._open:
                return
            while self._events or self._spans:
                put(WorkerFrame(telemetry=self._frame()))
            self.due = None

    def _frame(self) -> Any:
        room = _Room()
        spans = [*self._fitting(self._spans, room)]
        events = [*self._fitting(self._events, room)]
        return Telemetry(events=events, spans=spans, dropped=self._dropped)

    def _fitting(self, waiting: deque[tuple[Any, int]], room: _Room) -> Iterator[Any]:
        while waiting and room.fits(waiting[0][1]):
            record, size = waiting.popleft()
            self._bytes -= size
            yield record


class _Room:
    """What is left in a frame."""

    def __init__(self) -> None:
        self._records = _ROOM
        self._bytes = _FRAME_BYTES

    def fits(self, size: int) -> bool:
        self._records -= 1
        self._bytes -= size + 8  # what a record has around it
        return self._records >= 0 and self._bytes >= 0


def _measurement(key: str, number: float) -> Any:
    if isinstance(number, int):
        return Measurement(key=key, count=number)
    return Measurement(key=key, real=number)


def _attributes(facts: dict[str, str | float | bool]) -> list[Any]:
    return [_attribute(key, fact) for key, fact in facts.items()]


def _attribute(key: str, fact: str | float | bool) -> Any:
    if isinstance(fact, str):
        return Attribute(key=key, text=fact)
    if isinstance(fact, bool):
        return Attribute(key=key, flag=fact)
    if isinstance(fact, int):
        return Attribute(key=key, count=fact)
    return Attribute(key=key, real=fact)
