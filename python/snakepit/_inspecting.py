"""How a pool and its workers fare, and what whoever watches them may do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snakepit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snakepit._config import PoolConfig
    from snakepit._engine import Engine
    from snakepit._info import PoolInfo
    from snakepit._metrics import PoolMetrics
    from snakepit._pool_health import PoolHealth
    from snakepit._stats import PoolStats, WorkerInfo, WorkerRef


class IsInspected:
    """Name, size, counters and workers of a pool."""

    _config: PoolConfig
    _engine: Engine

    @property
    def name(self) -> str:
        """Name of the pool."""
        return self._config.name

    @property
    def size(self) -> int:
        """Number of worker slots."""
        return self._config.size

    @property
    def closed(self) -> bool:
        """Whether the pool takes no more calls."""
        return self._engine.closed

    def stats(self) -> PoolStats:
        """Return the pool's counters; waits for nothing."""
        from snakepit._stats import read

        return read(self._engine.stats())

    def metrics(self) -> PoolMetrics:
        """Return what the pool has measured of its calls; waits for nothing. All pools together:
        ``snakepit.metrics()``."""
        from snakepit._metrics import read

        return read(self._engine.metrics())

    def list_workers(self) -> list[WorkerInfo]:
        """Return the pool's workers as they are now, by slot; waits for nothing."""
        from snakepit._stats import WorkerInfo, WorkerRef

        return [
            WorkerInfo(WorkerRef(self.name, row[0], row[1]), *row[2:])
            for row in self._engine.workers()
        ]

    def info(self) -> PoolInfo:
        """Return what the pool's workers are and run in; waits for nothing."""
        from snakepit._info import read

        return read(self.name, self.size, self._engine.info())

    def health(self) -> PoolHealth:
        """Return how the pool fares now, for whoever decides to send it work; waits for nothing."""
        from snakepit._pool_health import read

        return read(self.name, self._engine.health())

    def set_telemetry(
        self,
        *,
        sampling: float = 1.0,
        allow: Sequence[str] = (),
        deny: Sequence[str] = (),
        worker: int | None = None,
    ) -> None:
        """Change which events of adapters reach the host, of those that somebody listens to.

        It counts from now on, also for workers that come later. A worker hears of it between two
        calls; one that runs several at once, at once.

        Args:
            sampling: The part of them that is sent, from 0 to 1.
            allow: Globs over the adapter's names, of which one must match; none: every name does.
            deny: Globs of which none may match.
            worker: The number of the only worker that it is meant for. Default: all, whatever was
                said of one.

        Raises:
            ConfigError: A value is wrong, or there is no such worker.

        Example:
            >>> pool.set_telemetry(sampling=0.01, deny=["debug.*"])
            >>> pool.set_telemetry(worker=0)  # all of the first one
        """
        from snakepit._telemetry_filter import changed

        self._engine.set_telemetry(worker, changed(sampling, allow, deny))

    def recycle(self, ref: WorkerRef) -> None:
        """Replace one worker by a fresh one, once its calls have ended; does not wait for it.

        In a pool with ``recycle=``, and where workers run several calls at once, the fresh one
        starts first.

        A worker that has been replaced already is left alone.

        Args:
            ref: The worker, from ``list_workers()``.
        """
        if ref.pool != self.name:
            raise ConfigError(f"ref: {ref} is no worker of pool {self.name}", field="ref")
        self._engine.recycle(ref.slot, ref.generation)
