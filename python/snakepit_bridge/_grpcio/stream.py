"""Streams: a tool's items, one by one, as fast as the reader takes them.

Items are coalesced while the generator is quick, and handed over at once when it is slow. What the
reader has not taken yet stays within the call's window; then the generator waits.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from . import failure, messages
from .messages import StreamEnd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .outbox import Outbox
    from .running import Call, Running
    from .serve import Server

_SLOW_ITEM = 100e-6
"""Seconds; the reader of an item that took longer waits for it."""
_OLDEST_ITEM = 1e-3
"""Seconds that an item of a steady generator waits at most for others to join it."""
_MANY_ITEMS = 256


class _StopError(Exception):
    """The stream ends before its iterator does: ``failure`` is why."""

    def __init__(self, failure: Any) -> None:
        self.failure = failure


def send_items(server: Server, produced: Any, start: Any, call: Call) -> dict[str, Any]:
    """Run the items of one call; the outcome to answer."""
    try:
        items = iter(produced)
    except BaseException as error:
        return {"failure": server.raised(error, call)}
    window = _Flow(start, call, server.running, server.outbox)
    try:
        _send(server, items, window, call)
    except _StopError as stop:
        return {"failure": _closed(server, items, stop.failure, call)}
    except BaseException as error:
        return {"failure": server.raised(error, call)}
    return {"end": StreamEnd()}


def _send(server: Server, items: Iterator[Any], window: _Flow, call: Call) -> None:
    outbox, call_id = server.outbox, call.id
    before = oldest = perf_counter()
    while True:
        window.await_room(0)
        try:
            item = next(items)
        except StopIteration:
            return
        finally:
            server.stay_ourselves()
        encoded, refused = server.encode(item, "chunk")
        del item
        if refused is not None:
            raise _StopError(refused)
        window.await_room(len(encoded))
        window.send(len(encoded))
        waiting = outbox.add(call_id, encoded)
        now = perf_counter()
        if waiting == 1:
            oldest = now
        if now - before > _SLOW_ITEM or now - oldest > _OLDEST_ITEM or waiting >= _MANY_ITEMS:
            outbox.flush()
            now = perf_counter()
        before = now


def _closed(server: Server, items: Any, why: Any, call: Call) -> Any:
    """End a generator early, so that its ``finally`` runs, and tell what went wrong there too."""
    try:
        close = getattr(items, "close", None)
        if close is not None:
            close()
    except BaseException as error:
        failure.add_second(why, server.raised(error, call))
    return why


class Window:
    """How much of a stream may be under way, and how much was sent."""

    def __init__(self, start: Any, call: Call) -> None:
        self._max_items: int = max(start.window_items, 1)
        self._max_bytes: int = start.window_bytes
        self._call = call
        self._items = 0
        self._bytes = 0

    def send(self, size: int) -> None:
        self._items += 1
        self._bytes += size

    def has_room(self, size: int) -> bool:
        """One item may always be under way, whatever its size: else it could never be sent."""
        taken_items, taken_bytes = self._call.taken
        items = self._items - taken_items
        if items <= 0:
            return True
        under_way = max(self._bytes - taken_bytes, 0)
        return items < self._max_items and under_way + size <= self._max_bytes


class _Flow(Window):
    """A window whose thread waits for room."""

    def __init__(self, start: Any, call: Call, running: Running, outbox: Outbox) -> None:
        super().__init__(start, call)
        self._running = running
        self._outbox = outbox

    def await_room(self, size: int) -> None:
        """Wait until there is room for so many bytes more.

        Raises:
            _StopError: The call was cancelled, or nobody reads any more.
        """
        call = self._call
        while not (call.cancelled or self._outbox.closed or self.has_room(size)):
            self._running.changed.wait()
        if call.cancelled or self._outbox.closed:
            raise _StopError(failure.plain(messages.CANCELLED, "", "cancelled while it streamed"))
