"""From this worker to its host: what that wants to hear, in a form that travels."""

from __future__ import annotations

from random import random
from typing import TYPE_CHECKING

from snakepit_bridge._context import current as current_call

from . import _plain
from ._filter import Filter, draw_of

if TYPE_CHECKING:
    from snakepit_bridge._native import Outlet

    from ._event import Event


class Carrier:
    """Leaves events where the line takes them. Never waits."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        # Replaced as one, so that threads which emit need no lock.
        self._known: tuple[int, Filter] = (0, Filter())

    @property
    def filter(self) -> Filter:
        """What the host wants now."""
        version = self._outlet.version
        known, wanted = self._known
        if version != known:
            enabled, sampling, allow, deny = self._outlet.wanted()
            wanted = Filter(enabled, sampling, tuple(allow), tuple(deny))
            self._known = (version, wanted)
        return wanted

    def carry(self, event: Event) -> None:
        """Leave ``event`` for the host, if that wants it."""
        wanted = self.filter
        if not wanted.enabled:
            return
        correlation_id = event.correlation_id or ""
        draw = 0.0
        if wanted.sampling < 1:
            draw = draw_of(correlation_id) if correlation_id else random()
        if not wanted.admits(event.name, draw):
            return
        call = current_call.get()
        self._outlet.event(
            _plain.name(event.name),
            event.time_ns,
            _plain.numbers(event.measurements),
            _plain.facts(event.metadata),
            _plain.text(correlation_id, _plain.MAX_NAME),
            0 if call is None else call.id,
        )
