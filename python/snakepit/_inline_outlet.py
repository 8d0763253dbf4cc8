"""Where what an inline pool's adapter tells leaves: it is in the host's process already."""

from __future__ import annotations

from random import random
from typing import TYPE_CHECKING

from snakepit import _core, _nesting
from snakepit_bridge import _context
from snakepit_bridge._context import current
from snakepit_bridge.telemetry._filter import Filter, draw_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    Facts = dict[str, str | float | bool]

_PREFIX = "snakepit.python."


class InlineOutlet:
    """``_native.Outlet`` of one pool.

    There is one telemetry in a process. What is told in a call is of the call's pool; all else, of
    the pool whose adapter was made last.
    """

    def __init__(self, pool: str, wanted: tuple[float, Sequence[str], Sequence[str]]) -> None:
        self._whose: Facts = {"pool": pool, "worker_id": f"{pool}/0"}
        self.want(*wanted)

    def want(self, sampling: float, allow: Sequence[str], deny: Sequence[str]) -> None:
        """Pass these on from now on."""
        self._filter = Filter(True, sampling, tuple(allow), tuple(deny))

    def connect(self) -> None:
        """Be where the adapter that is about to be made tells."""
        _context.outlet = self

    @property
    def version(self) -> int:
        return 2 if _core.hears(_PREFIX) else 1

    def wanted(self) -> tuple[bool, float, list[str], list[str]]:
        # The filter is that of the event's pool, which is not known yet.
        return _core.hears(_PREFIX), 1.0, [], []

    def event(
        self,
        name: str,
        time_ns: int,
        measurements: dict[str, float],
        metadata: Facts,
        correlation_id: str,
        call_id: int,
    ) -> None:
        call = current.get()
        of_call = getattr(call, "outlet", self)
        draw = draw_of(correlation_id) if correlation_id else random()
        if not of_call._filter.admits(name, draw):
            return
        known: Facts = dict(of_call._whose)
        if correlation_id:
            known["correlation_id"] = correlation_id
        if call is not None and call.session_id is not None:
            known["session_id"] = call.session_id
        _core.tell(
            _PREFIX + name,
            {"system_time": time_ns, **measurements},
            # What the host knows counts more than what the adapter says.
            {**known, **{key: fact for key, fact in metadata.items() if key not in known}},
        )

    def span(
        self,
        ids: tuple[bytes, bytes, bytes],
        name: str,
        start_ns: int,
        end_ns: int,
        attributes: Facts,
        status: int,
        message: str,
        call_id: int,
    ) -> None:
        if _nesting.tracing is not None:
            row = (ids[1], ids[2] or None, name, start_ns, end_ns or None, attributes)
            _nesting.tracing.tell([(*row, status, message or None)])
