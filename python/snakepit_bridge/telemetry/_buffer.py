"""The latest events, up to a bound. No lock and no clock: the hub has them."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._event import Event


class Buffer:
    """Keeps what came last; the oldest make room and are counted."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.dropped = 0
        """How many have made room since the beginning."""
        self._events: deque[Event] = deque()

    def put(self, event: Event) -> bool:
        """Add an event; True: it is the only one, so whoever takes them must be woken."""
        if len(self._events) == self.capacity:
            self._events.popleft()
            self.dropped += 1
        self._events.append(event)
        return len(self._events) == 1

    def take(self, limit: int | None = None) -> list[Event]:
        """Remove and return the oldest ``limit`` events; None: all."""
        count = len(self._events) if limit is None else min(limit, len(self._events))
        taken = list(islice(self._events, count))
        for _ in range(count):
            self._events.popleft()
        return taken

    def __len__(self) -> int:
        return len(self._events)
