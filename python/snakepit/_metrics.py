"""What pools have measured: numbers to look at, and the text that Prometheus reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from snakepit import _core, _exit
from snakepit._stats import PoolStats
from snakepit._stats import read as read_stats

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from snakepit._base import PoolBase

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
CONTENT_TYPE_OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many durations were how long."""

    buckets: tuple[tuple[float, int], ...]
    """Upper bounds in seconds, and how many durations were no longer than that; the last bound is
    infinite."""
    sum: float
    """Seconds of all of them."""

    @property
    def count(self) -> int:
        """How many there are."""
        return self.buckets[-1][1]


@dataclass(frozen=True, slots=True)
class ToolMetrics:
    """The calls of one tool that have ended."""

    ended: Mapping[str, int]
    """How many ended how: ``"ok"``, or the word of their error (``"remote"``, ``"timeout"``,
    ``"cancelled"``, ``"worker_died"``, ``"poison_call"``, ``"session_lost"``, ``"tool_not_found"``,
    ``"encode_result"``, ``"too_large"``, ``"start"``, ``"pool_closed"``). Only what there was."""
    duration: Histogram
    """From the call to its end."""
    queue_wait: Histogram
    """The part of that in which it did not run: in the queue, in a busy worker, in tries that
    failed."""
    execution: Histogram
    """The part of that in which a worker had it, of calls that a worker has begun."""


@dataclass(frozen=True, slots=True)
class PoolMetrics:
    """The numbers of one pool at one moment; what is counted is so since the pool was made."""

    pool: str
    """Name of the pool."""
    stats: PoolStats
    """As ``Pool.stats()`` tells them."""
    tools: Mapping[str, ToolMetrics]
    """By name. Only tools that workers have declared; all else is together under ``"(other)"``."""
    rejected: Mapping[str, int]
    """Calls refused at the door, by the word of their error."""
    workers: Mapping[str, int]
    """Workers now, by state."""
    streams: int
    """Streams admitted."""
    streaming: int
    """Streams under way now."""
    lines_dropped: int
    """Lines of workers that were not passed on because there were too many."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """The numbers of all pools of this process at one moment."""

    pools: tuple[PoolMetrics, ...]
    """One for each pool that has not been let go of."""
    _told: Sequence[_core.Metrics] = field(default=(), repr=False, compare=False)

    def prometheus_text(self) -> str:
        """Return them in Prometheus' text format, version 0.0.4. Pools of one name are added."""
        return _core.metrics_text([*self._told], False)

    def openmetrics_text(self) -> str:
        """Return them as OpenMetrics 1.0."""
        return _core.metrics_text([*self._told], True)


def metrics() -> Metrics:
    """Return what the pools of this process have measured so far; waits for nothing.

    See ``docs/metrics.md``; ``serve_metrics()`` and the setting ``metrics_port`` answer Prometheus.

    Example:
        >>> snakepit.metrics().pools[0].tools["ping"].execution.count
        12
    """
    told = [pool._engine.metrics() for pool in _pools() if not pool._engine.forked]
    return Metrics(tuple(read(each) for each in told), told)


def _pools() -> list[PoolBase]:
    while True:
        try:
            return sorted(_exit.open_pools, key=lambda pool: pool.name)
        except RuntimeError:  # Another thread has made a pool meanwhile.
            continue


def read(told: _core.Metrics) -> PoolMetrics:
    """What the engine says, as its users see it."""
    each = told.told()
    tools = {
        name: ToolMetrics(ended, *map(_histogram, times)) for name, ended, *times in each["tools"]
    }
    return PoolMetrics(
        pool=each["pool"],
        stats=read_stats(each["stats"]),
        tools=tools,
        rejected=each["rejected"],
        workers=each["workers"],
        streams=each["streams"],
        streaming=each["streaming"],
        lines_dropped=each["lines_dropped"],
    )


def _histogram(told: tuple[list[tuple[float | None, int]], float]) -> Histogram:
    buckets, total = told
    infinity = float("inf")
    return Histogram(
        tuple((infinity if bound is None else bound, count) for bound, count in buckets), total
    )
