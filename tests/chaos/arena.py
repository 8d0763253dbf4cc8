"""One pool after the other under one name: what is current, and what must hold of each of them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from random import Random
from typing import Any

from snakepit import AsyncPool, Heartbeat, Pool, Recycle, WorkerRef

from .census import marked, parent
from .ledger import Ledger

CLOSES_WITHIN = 15.0
GONE_WITHIN = 5.0
ADAPTER = "chaos.adapter:Chaos"


class Arena:
    """Where callers find their pool.

    Args:
        name: Of the pools, with a number behind it.
        make: Makes a pool of that name.
        close: Closes one: pool, seconds to drain.
        ledger: Where what is wrong is written down.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[str], Any],
        close: Callable[[Any, float], None],
        ledger: Ledger,
    ) -> None:
        self._name = name
        self._make = make
        self._close = close
        self._ledger = ledger
        self._lock = threading.Lock()
        self._count = 0
        self.closed: list[Any] = []
        """Pools since the last quiet point whose calls are not yet accounted for."""
        self.slowest_close = 0.0
        self.pool = self._next()

    def current(self) -> Any:
        return self.pool

    def _next(self) -> Any:
        self._count += 1
        name = f"{self._name}.{self._count}"
        pool = self._make(name)
        if getattr(pool._config.life, "recycle", None):
            self._ledger.oracle.recycles.add(name)
        return pool

    def reopen(self, drain: float) -> None:
        """Put a new pool in place of this one, and close that while it is called."""
        old, self.pool = self.pool, self._next()
        self.end(old, drain)

    def end(self, pool: Any, drain: float = 0.0) -> None:
        """Close a pool; afterwards nothing of it may be left."""
        before = time.monotonic()
        self._ledger.oracle.closing(pool.name, before)
        self._close(pool, drain)
        took = time.monotonic() - before
        self.slowest_close = max(self.slowest_close, took)
        if took > CLOSES_WITHIN + drain:
            self._ledger.complain(f"{pool.name}: closing took {took:.1f} s")
        self.closed.append(pool)
        limit = time.monotonic() + GONE_WITHIN
        while (left := marked(f"CHAOS_POOL={mark(pool.name)}")) and time.monotonic() < limit:
            time.sleep(0.02)
        if left:
            self._ledger.complain(f"{pool.name}: closed, and {left} are left")

    def workers(self) -> list[WorkerRef]:
        """The current pool's workers."""
        return [each.ref for each in self.pool.list_workers() if each.pid is not None]

    def shims(self) -> list[int]:
        """The processes that watch over the current pool's workers."""
        found = (parent(each.pid) for each in self.pool.list_workers() if each.pid is not None)
        return [shim for shim in found if shim is not None]

    def unrest(self) -> str | None:
        """Why the current pool is not as it should be when nobody calls; ``None``: it is."""
        stats = self.pool.stats()
        if stats.queued or stats.running:
            return f"{self.pool.name}: {stats.queued} queued, {stats.running} running"
        if stats.ready != self.pool.size:
            states = [f"{each.ref!r} {each.state}" for each in self.pool.list_workers()]
            return f"{self.pool.name}: {stats.ready} of {self.pool.size} ready: {states}"
        return None

    def account(self) -> None:
        """Compare what pools counted with what was asked of them."""
        for pool in [*self.closed, self.pool]:
            stats = pool.stats()
            asked = self._ledger.attempts(pool.name)
            if stats.requests + stats.rejected != asked:
                self._ledger.complain(f"{pool.name}: {asked} calls were made of it: {stats}")
            ends = stats.completed + stats.errors + stats.cancelled + stats.timeouts
            if ends + stats.queued + stats.running != stats.requests:
                self._ledger.complain(f"{pool.name}: not every call has one end: {stats}")
        self.closed.clear()


def mark(name: str) -> str:
    """Tells the processes of a pool from those of another run's."""
    return f"{os.environ['CHAOS_RUN']}-{name}"


def options(name: str) -> dict[str, Any]:
    """What both pools of the run have in common."""
    return {
        "name": name,
        "grace": 0.3,
        "worker_output": "drop",
        "handle_sigterm": False,
        "env": {"CHAOS_POOL": mark(name)},
        # Faults hit workers that start, too: no slot is to wait long for its next try.
        "max_failed_starts": 50,
        "degraded_retry": 0.5,
    }


def with_recycling(name: str) -> Pool:
    return Pool(
        ADAPTER,
        size=3,
        heartbeat=Heartbeat(interval=0.1, timeout=0.3),
        recycle=Recycle(calls=150, session_drain=1.0),
        **options(name),
    )


def plain_pool(name: str) -> AsyncPool:
    return AsyncPool(ADAPTER, size=2, **options(name))


def some_drain(random: Random) -> float:
    return random.choice((0.0, 0.0, 0.3))
