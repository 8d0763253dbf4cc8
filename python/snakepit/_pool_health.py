"""How a pool fares: three facts of each worker, and what follows for the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from snakepit._stats import WorkerRef

if TYPE_CHECKING:
    from snakepit import _core

Status = Literal["healthy", "degraded", "unhealthy"]


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """What is known of one worker."""

    ref: WorkerRef
    state: str
    """As in ``WorkerInfo``."""
    alive: bool
    """Its process is there."""
    progressing: bool
    """Its interpreter answered lately: calls, or probes where it did not. False before it was
    ready; true from then on of a worker that cannot be probed."""
    ready: bool
    """Its adapter is initialized, and it is not leaving."""
    since: float
    """Seconds that it has been what it is: starting, ready, stalled, draining, stopping, condemned
    or gone."""
    last_progress: float | None
    """Seconds since its interpreter gave a sign of life; ``None`` before it was ready."""
    crashes: int
    """Its crashes in the last minute."""
    start_error: str | None
    """Why it cannot start, where its slot is degraded."""


@dataclass(frozen=True, slots=True)
class PoolHealth:
    """A pool's health."""

    status: Status
    """``healthy``: every worker is ready and none is stalled, with fewer than five crashes in the
    last minute. ``unhealthy``: no worker can serve now. ``degraded``: all else."""
    workers: list[WorkerFacts]
    """By slot."""
    recent_crashes: int
    """Crashes in the last minute; see ``HealthMonitor`` for other limits."""
    total_crashes: int
    """Crashes ever."""

    @property
    def healthy(self) -> bool:
        """Whether ``status`` is ``healthy``."""
        return self.status == "healthy"


def read(pool: str, told: _core._Health) -> PoolHealth:
    """Return what an engine told of the pool of that name."""
    status, workers, recent, total = told
    facts = [
        WorkerFacts(WorkerRef(pool, slot, generation), *rest)
        for (slot, generation), rest in ((worker[:2], worker[2:]) for worker in workers)
    ]
    return PoolHealth(cast("Status", status), facts, recent, total)
