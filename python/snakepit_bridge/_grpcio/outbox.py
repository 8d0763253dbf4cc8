"""What this end says: results one by one, the items of a stream coalesced into chunks.

.. code-block:: text

    main thread ── push, add ──▶ queue ──▶ frames(), on gRPC's thread for requests ──▶ host

Items need no timer: gRPC's thread takes all that are there whenever it is ready for one more frame.
The queue is unbounded because the protocol bounds it: a stream stays within its window.
"""

from __future__ import annotations

from queue import Empty, SimpleQueue
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from .messages import Chunks, WorkerFrame
from .outlet import Outlet

if TYPE_CHECKING:
    from collections.abc import Iterator

# A chunk frame is complete with so many items, or before it would exceed so many bytes. Less than
# the 64 KiB that both ends allow above the message limit, so it fits whatever that is.
_CHUNK_ITEMS = 256
_CHUNK_BYTES = 60 * 1024

_HAND_OVER = 0.001
"""Seconds that a generator waits at most for the other thread to see its item."""

_ITEMS: Final = object()
_NOTHING: Final = object()


class Outbox:
    """One thread says things, gRPC's sends them; several may, where their streams use ``item``."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._lock = Lock()
        self._items: list[bytes] = []
        self._call_id = 0
        self._taken: Lock | None = None
        self.outlet = Outlet(lambda: self._queue.put(_NOTHING))
        """What goes before whatever is said next."""
        self.closed = False
        """The host takes nothing more."""

    def push(self, **frame: Any) -> None:
        if self.outlet.due is not None:
            self.outlet.take(self._queue.put)
        self._queue.put(WorkerFrame(**frame))

    def finish(self) -> None:
        """Nothing more will be said: the host sees the end once it has all that was."""
        self.outlet.take(self._queue.put)
        self._queue.put(None)

    def add(self, call_id: int, item: bytes) -> int:
        """Add an item of a stream; how many wait to be taken."""
        with self._lock:
            items = self._items
            self._call_id = call_id
            items.append(item)
            waiting = len(items)
        if waiting == 1:
            self._queue.put(_ITEMS)
        return waiting

    def flush(self) -> None:
        """Let go of the interpreter until the items are taken, or for a millisecond.

        A generator that computes would else keep the other thread from sending what it made.
        """
        taken = Lock()
        taken.acquire()
        with self._lock:
            if not self._items:
                return
            self._taken = taken
        taken.acquire(timeout=_HAND_OVER)

    def item(self, call_id: int, item: bytes) -> None:
        """Add an item of one of several streams."""
        self._queue.put((call_id, item))

    def frames(self) -> Iterator[Any]:
        """For gRPC: what is said, until ``finish``."""
        while (entry := self._next()) is not None:
            while type(entry) is tuple:
                call_id, items, entry = self._gathered(*entry)
                yield WorkerFrame(chunks=Chunks(call_id=call_id, items=items))
            if entry is _ITEMS:
                yield from self._chunks()
            elif entry is not _NOTHING:
                if entry is None:
                    return
                yield entry

    def _next(self) -> Any:
        """What was said next; what the adapter told, once that has waited long enough."""
        while (due := self.outlet.due) is not None:
            left = due - monotonic()
            if left <= 0:
                self.outlet.take(self._queue.put)
                break
            try:
                return self._queue.get(timeout=left)
            except Empty:
                continue
        return self._queue.get()

    def _gathered(self, call_id: int, item: bytes) -> tuple[int, list[bytes], Any]:
        """The items of a stream that are here already; and what came behind them."""
        items, size = [item], len(item)
        while True:
            try:
                entry = self._queue.get_nowait()
            except Empty:
                return call_id, items, _NOTHING
            if type(entry) is not tuple or entry[0] != call_id:
                return call_id, items, entry
            size += len(entry[1])
            if size > _CHUNK_BYTES or len(items) == _CHUNK_ITEMS:
                return call_id, items, entry
            items.append(entry[1])

    def _chunks(self) -> Iterator[Any]:
        with self._lock:
            items, self._items = self._items, []
            taken, self._taken = self._taken, None
            call_id = self._call_id
        if taken is not None:
            taken.release()
        first = size = 0
        for at, item in enumerate(items):
            if at > first and (size + len(item) > _CHUNK_BYTES or at - first == _CHUNK_ITEMS):
                yield WorkerFrame(chunks=Chunks(call_id=call_id, items=items[first:at]))
                first, size = at, 0
            size += len(item)
        yield WorkerFrame(chunks=Chunks(call_id=call_id, items=items[first:]))
