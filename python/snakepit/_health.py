"""Whether workers die too often. The window and its counts are the engine's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from snakepit import _core
from snakepit._checks import positive
from snakepit._duration import seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from snakepit._base import PoolBase
    from snakepit._duration import Duration
    from snakepit._stats import WorkerRef

# So many crashes does the engine remember.
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class HealthStats:
    """What a ``HealthMonitor`` counted."""

    pool: str | None
    """Name of the pool; ``None`` for a monitor without one."""
    healthy: bool
    """Fewer crashes than ``max_crashes`` in the window."""
    total_crashes: int
    """Crashes ever."""
    recent_crashes: int
    """Crashes in the window."""
    workers_with_crashes: int
    """Workers with a crash in the window."""
    max_crashes: int
    crash_window: float
    """Seconds that a crash counts."""
    reasons: Mapping[str, int]
    """Crashes ever, by reason."""
    recent_reasons: Mapping[str, int]
    """Crashes in the window, by reason."""


@dataclass(frozen=True, slots=True)
class WorkerHealth:
    """One worker's crashes in the window."""

    healthy: bool
    """Fewer of them than ``max_worker_crashes``."""
    crashes: int
    last_crash: float | None
    """Seconds since the last one; ``None``: none in the window."""


class HealthMonitor:
    """Tells whether workers die too often: ``max_crashes`` within ``crash_window``.

    Any thread may ask and tell. A storm of crashes does not fill memory: the last 10000 crashes
    and the first 63 different reasons are told apart.

    Args:
        pool: The pool whose crashes it counts from now on: ends that came out of the worker, not
            those that the pool brought about (a deadline, a recycle, its end), and not starts that
            failed. Without one it counts what ``record_crash`` tells.
        max_crashes: With so many crashes in the window it is not healthy; at most 10000.
        crash_window: Seconds that a crash counts.
        max_worker_crashes: The same for the crashes of one worker.

    Raises:
        ConfigError: A value is wrong.

    Example:
        >>> monitor = snakepit.HealthMonitor(max_crashes=5, crash_window=60)
        >>> monitor.record_crash("default/0", "signal_9")
        >>> monitor.healthy
        True
    """

    __slots__ = ("_crash_window", "_max_crashes", "_native", "_pool")

    def __init__(
        self,
        pool: PoolBase | None = None,
        *,
        max_crashes: int = 5,
        crash_window: Duration = 60.0,
        max_worker_crashes: int = 3,
    ) -> None:
        self._pool = None if pool is None else pool.name
        self._max_crashes = positive("max_crashes", max_crashes, most=_MOST)
        self._crash_window = seconds("crash_window", crash_window)
        self._native = _core.HealthMonitor(
            self._max_crashes,
            self._crash_window,
            positive("max_worker_crashes", max_worker_crashes, most=_MOST),
        )
        if pool is not None:
            pool._engine.monitor(self._native)

    def record_crash(self, worker: WorkerRef | str, reason: str = "unknown") -> None:
        """Count a crash, now.

        Args:
            worker: Which worker, like ``"default/0"``; generations of a slot are one worker.
            reason: A word by which crashes are counted, like ``"signal_9"``, ``"exit_1"``,
                ``"oom"``.
        """
        self._native.record_crash(str(worker), reason)

    @property
    def healthy(self) -> bool:
        """Whether there were fewer crashes in the window than ``max_crashes``."""
        return self._native.healthy

    def worker_health(self, worker: WorkerRef | str | int) -> WorkerHealth:
        """Return one worker's health. A worker that it never heard of is healthy.

        Args:
            worker: Which worker, or its slot in the pool.
        """
        if isinstance(worker, int):
            worker = f"{self._pool}/{worker}"
        return WorkerHealth(*self._native.worker_health(str(worker)))

    def stats(self) -> HealthStats:
        """Return all that it counted."""
        return HealthStats(
            pool=self._pool,
            max_crashes=self._max_crashes,
            crash_window=self._crash_window,
            **self._native.stats(),
        )

    def __repr__(self) -> str:
        pool = "" if self._pool is None else f" of pool {self._pool!r}"
        return f"<HealthMonitor{pool}: {'healthy' if self.healthy else 'not healthy'}>"
